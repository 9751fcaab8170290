package client_test

import (
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/client"
	"tunic/registry/directory"
)

// What is said follows from how the client is set and what is listed.
func TestProtects(t *testing.T) {
	list := func(operators ...byte) *directory.List {
		l := &directory.List{Epoch: 1}
		for i, o := range operators {
			l.Entries = append(l.Entries, directory.Entry{Node: chain.NodeID{byte(i + 1)}, Operator: chain.Address{o}})
		}
		return l
	}
	all := make([]byte, 200)
	for i := range all {
		all[i] = byte(i % 50)
	}
	for name, c := range map[string]struct {
		cfg       client.Config
		mixing    chain.Duration
		netCover  bool
		list      *directory.List
		removed   []chain.NodeID
		proxy     string
		says      map[string]string // of a topic
		weak      string            // topics, in order
		claim     string
		operators int
	}{
		"a bare dev network": {list: list(1, 2, 3, 4, 1), weak: "timing cover address network", claim: "no mixing, no cover", operators: 4,
			says: map[string]string{"path": "3 relays of different operators", "timing": "No mixing", "cover": "Cover traffic is off: your link", "network": "5 relays of 4 operators, the largest with 2. A small network hides little",
				"address": "see your IP address", "disk": "memory alone"}},
		"all that there is": {cfg: client.Config{Dir: "/home/a"}, mixing: 100, netCover: true, list: list(all...), proxy: "socks5://127.0.0.1:9050", weak: "", claim: "mixing mean 100 ms per hop, cover by loops", operators: 50,
			says: map[string]string{"timing": "100 ms on average", "cover": "Cover traffic is on", "address": "socks5://127.0.0.1:9050 lets you out", "network": "200 relays of 50 operators, the largest with 4. How many", "disk": "/home/a"}},
		"one of few": {cfg: client.Config{Cover: client.CoverOff, Hops: 5}, mixing: 100, netCover: true, list: list(all...), weak: "cover address", claim: "100 ms per hop, no cover", operators: 50,
			says: map[string]string{"path": "5 relays", "cover": "The network has it on: you are one of few"}},
		"one of few, with": {cfg: client.Config{Cover: client.CoverOn, Hops: 2}, list: list(1, 2, 3, 3), removed: []chain.NodeID{{4}}, weak: "path timing cover address network", claim: "no mixing, cover by loops", operators: 3,
			says: map[string]string{"path": "2 relays", "cover": "The network has it off: you are one of few", "network": "3 relays of 3 operators. A small"}},
		"too few":   {list: list(1, 2, 2, 2), weak: "timing cover address network", claim: "no mixing", operators: 2, says: map[string]string{"network": "too few for a path, which needs 4 of different operators"}},
		"not known": {weak: "timing cover address network", claim: "no mixing", says: map[string]string{"network": "not known yet"}},
	} {
		c.cfg.Core = genesis.Core{}
		c.cfg.Core.Params.MixingMean, c.cfg.Core.Params.Cover = c.mixing, c.netCover
		p := client.Protects(c.cfg, c.list, c.removed)
		p.Proxy = c.proxy
		if p.Operators != c.operators || !strings.Contains(p.Claim(), c.claim) {
			t.Errorf("%s: %d operators, claim %q", name, p.Operators, p.Claim())
		}
		var topics, weak []string
		for _, pt := range p.Points() {
			topics = append(topics, pt.Topic)
			if pt.Weak {
				weak = append(weak, pt.Topic)
			}
			if want, ok := c.says[pt.Topic]; ok && !strings.Contains(pt.Text, want) {
				t.Errorf("%s: %s says %q, want %q", name, pt.Topic, pt.Text, want)
			}
			delete(c.says, pt.Topic)
			if pt.Topic == "path" && !strings.Contains(pt.Text, "Paths, unlike texts, are not post-quantum") {
				t.Errorf("%s: path does not say that a quantum computer opens it: %q", name, pt.Text)
			}
			if pt.Topic == "contents" && !strings.Contains(pt.Text, "opens no text that was only recorded; who wrote to whom is another matter") {
				t.Errorf("%s: contents say more of a quantum computer than holds: %q", name, pt.Text)
			}
		}
		if got := strings.Join(topics, " "); got != "contents path timing cover address network disk beyond" || len(c.says) != 0 {
			t.Errorf("%s: speaks of %s, not of %v", name, got, c.says)
		}
		if got := strings.Join(weak, " "); got != c.weak {
			t.Errorf("%s: weak are %q, want %q", name, got, c.weak)
		}
	}
}
