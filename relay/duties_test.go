package relay_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion"
	"tunic/onion/mail"
	"tunic/relay"
)

func TestStatementsKeepTheRulesOverManyEpochs(t *testing.T) {
	const life = 4
	n := newNetwork(t, 5, func(c *genesis.Core) { c.Params.OnionKeyEpochs = life }, nil)
	for i := range 3 * life {
		if i == 0 {
			n.epoch()
		} else {
			n.advance(4000)
			n.advance(4000)
			n.advance(2000)
		}
		if got := len(n.list().Entries); got != 5 {
			t.Fatalf("epoch %d lists %d", n.list().Epoch, got)
		}
		c := n.client(0)
		c.send(n.wrap(n.path(0, 1, 2), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(1, 0)}}.Encode()))
		if r := c.reply(); r.Code != mail.CodeNone {
			t.Fatal(r.Code)
		}
		c.pool.Close()
	}
	changes := map[chain.Epoch]int{}
	for i, nd := range n.nodes {
		var last statement.Sequence
		all := n.l.submitted(statement.LabelDescriptor, nd.ID())
		for _, s := range all {
			d, err := statement.DecodeDescriptor(s.Body)
			_, ok := d.KeyFor(s.Sequence.Epoch())
			_, ok2 := d.KeyFor(s.Sequence.Epoch() + 1)
			if err != nil || !ok || !ok2 || s.Sequence <= last || s.Sequence.Epoch() < 1 {
				t.Fatalf("descriptor of relay %d: %+v, %v", i, d, err)
			}
			last = s.Sequence
			changes[s.Sequence.Epoch()]++
		}
		if len(all) < 3 || len(all) > 5 {
			t.Errorf("relay %d published %d descriptors in %d epochs", i, len(all), 3*life)
		}
		last = 0
		epochs := map[chain.Epoch]bool{}
		beats := n.l.submitted(statement.LabelHeartbeat, nd.ID())
		for _, s := range beats {
			b, err := statement.DecodeHeartbeat(s.Body)
			if err != nil || s.Sequence <= last || s.Sequence.Epoch() < 1 {
				t.Fatalf("heartbeat of relay %d: %+v, %v", i, b, err)
			}
			e := s.Sequence.Epoch()
			if _, err := beacon.Verify(beacon.NewKey([32]byte{byte(i + 1)}).Public(), beacon.EpochAlpha(n.l.hash, e), b.VRF); err != nil {
				t.Fatal(err)
			}
			last = s.Sequence
			epochs[e] = true
		}
		if len(epochs) != 3*life || len(beats) > 4*3*life {
			t.Errorf("relay %d: %d heartbeats for %d epochs", i, len(beats), len(epochs))
		}
	}
	if len(changes) < 4 {
		t.Errorf("onion keys change in few epochs: %v", changes)
	}
}

func TestRestartSignsForLaterEpochsOnly(t *testing.T) {
	dir := t.TempDir()
	n := newNetwork(t, 5, nil, func(i int, c *relay.Config) {
		if i == 0 {
			c.Dir = dir
		}
	})
	n.epoch()
	n.advance(4000)
	first := n.nodes[0]
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	before := len(n.l.submitted(statement.LabelDescriptor, first.ID()))
	beats := len(n.l.submitted(statement.LabelHeartbeat, first.ID()))
	at := n.l.at()
	n.nodes[0] = n.start(first.cfg)
	n.nodes[0].reaches(t, at.Height)
	high := map[statement.Label]statement.Sequence{}
	for label, skip := range map[statement.Label]int{statement.LabelDescriptor: before, statement.LabelHeartbeat: beats} {
		all := n.l.submitted(label, first.ID())
		for i, s := range all {
			if i > 0 && s.Sequence <= high[label] {
				t.Fatalf("%s %d after %d", label, s.Sequence, high[label])
			}
			high[label] = s.Sequence
			if i >= skip && s.Sequence.Epoch() <= at.DirEpoch {
				t.Fatalf("%s for epoch %d signed after a start in %d", label, s.Sequence.Epoch(), at.DirEpoch)
			}
		}
		if len(all) == skip {
			t.Fatalf("no %s after the restart", label)
		}
	}
	// The onion keys are the same: packets of this epoch still open.
	c := n.client(1)
	c.send(n.wrap(n.path(1, 0), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(0, 1)}}.Encode()))
	if r := c.reply(); r.Code != mail.CodeNone {
		t.Fatal(r.Code)
	}
}

func TestUnregisteredNodeKeepsTrying(t *testing.T) {
	n := newNetwork(t, 4, nil, nil)
	id := idOf(keyOf(5))
	known := false
	n.l.refuse = func(s statement.Statement) error {
		if s.Node == id && !known {
			return chain.Refuse("unknown_node", "register first")
		}
		return nil
	}
	nd := n.add(4, nil)
	n.advance(1000)
	n.epoch()
	if s := nd.Status(); !strings.Contains(s.State, "not registered") || s.Listed {
		t.Fatalf("%+v", s)
	}
	if got := n.l.submitted(statement.LabelDescriptor, id); len(got) != 0 {
		t.Fatal("accepted")
	}
	n.l.mu.Lock()
	known = true
	n.l.mu.Unlock()
	n.advance(1000)
	n.epoch()
	if s := nd.Status(); !s.Listed || s.State != "listed" || !s.Synced || s.Relays != 5 {
		t.Fatalf("%+v", s)
	}
}

func TestMachineCrashDestroysOnionKeys(t *testing.T) {
	dir := t.TempDir()
	n := newNetwork(t, 5, nil, func(i int, c *relay.Config) {
		if i == 0 {
			c.Dir, c.BootID = dir, "boot-1"
		}
	})
	n.epoch()
	c := n.client(1)
	packet := func() []byte {
		return n.wrap(n.path(1, 0), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(1)}}.Encode())
	}
	c.send(packet())
	c.reply()
	old := n.nodes[0]
	if err := old.stop(); err != nil {
		t.Fatal(err)
	}
	// What a crash would have left.
	if err := os.WriteFile(filepath.Join(dir, "boot"), []byte("boot-1 running\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := old.cfg
	cfg.BootID = "boot-2"
	n.nodes[0] = n.start(cfg)
	n.nodes[0].reaches(t, n.l.at().Height)
	c.send(packet())
	until(t, "old key refused", func() bool { return n.nodes[0].Counters().Dropped["unknown-key"] == 1 })
	n.epoch()
	c.send(packet())
	if r := c.reply(); r.Code != mail.CodeNone {
		t.Fatal(r.Code)
	}
	files, err := os.ReadDir(filepath.Join(dir, "tags"))
	if err != nil || len(files) == 0 {
		t.Fatalf("tags: %v, %v", files, err)
	}
}

func TestReplaySetSurvivesCrashes(t *testing.T) {
	dir := t.TempDir()
	n := newNetwork(t, 5, nil, func(i int, c *relay.Config) {
		if i == 0 {
			c.Dir, c.BootID = dir, "boot"
		}
	})
	n.epoch()
	c := n.client(1)
	packet := func() []byte {
		return n.wrap(n.path(1, 0), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(1)}}.Encode())
	}
	// The guard would drop a second copy itself, so that a sender of its own
	// link brings it.
	direct := n.hubPool(99)
	send := func(p []byte) {
		if err := direct.Send(n.nodes[0].ID(), packetFrame(p)); err != nil {
			t.Fatal(err)
		}
	}
	var sent [][]byte
	for range 3 {
		p := n.wrap(n.path(0), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(1)}}.Encode())
		send(p)
		c.reply()
		sent = append(sent, p)
	}
	_ = packet
	for round, damage := range []func(string){
		func(string) {},
		func(name string) { // a tag cut off in the middle
			f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			f.Write(make([]byte, 9))
		},
	} {
		cfg := n.nodes[0].cfg
		if err := n.nodes[0].stop(); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "tags", "*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("tags: %v", files)
		}
		damage(files[0])
		n.nodes[0] = n.start(cfg)
		n.nodes[0].reaches(t, n.l.at().Height)
		for i, p := range sent {
			send(p)
			until(t, "replay", func() bool { return n.nodes[0].Counters().Dropped["replay"] == uint64(i+1) })
		}
		p := n.wrap(n.path(0), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(1)}}.Encode())
		send(p)
		c.reply()
		sent = append(sent, p)
		if got := n.nodes[0].Status().Replay; got != 4+round {
			t.Fatalf("%d tags", got)
		}
	}
}

func TestReplaySetFullDrops(t *testing.T) {
	n := newNetwork(t, 5, nil, func(i int, c *relay.Config) { c.ReplayTags = 2 })
	n.epoch()
	c := n.client(0)
	message := mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{make([]byte, onion.SURBSize)}}.Encode()
	for range 5 {
		c.send(n.wrap(n.path(0), message))
	}
	until(t, "full", func() bool { return n.nodes[0].Counters().Dropped["replay-full"] == 3 })
	if got := n.nodes[0].Counters(); got.Delivered != 2 {
		t.Fatalf("%+v", got)
	}
}

func TestVersionThatIsNotAllowedHasNoHeartbeat(t *testing.T) {
	n := newNetwork(t, 5, func(c *genesis.Core) { c.Params.Versions = []string{"1.0.0"} }, func(i int, c *relay.Config) {
		if i == 4 {
			c.Version = "6.6.6"
		}
	})
	n.epoch()
	for i, nd := range n.nodes {
		if got := len(n.l.submitted(statement.LabelHeartbeat, nd.ID())); got > 0 != (i < 4) {
			t.Errorf("relay %d: %d heartbeats", i, got)
		}
	}
}

// The council's list of versions counts from the block that brings it into force,
// and for a relay that starts later.
func TestVersionsChange(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	n.epoch()
	beats := func(nd *node) int { return len(n.l.submitted(statement.LabelHeartbeat, nd.ID())) }
	change := func(number uint32, versions ...string) {
		f := &genesis.InForce{Number: number, Since: n.l.at().DirEpoch + 1, VersionsSince: n.l.at().DirEpoch + 1, Params: n.l.core.Params}
		f.Params.Versions = versions
		n.l.mu.Lock()
		n.l.params = f
		n.l.mu.Unlock()
	}
	for _, nd := range n.nodes {
		if beats(nd) == 0 {
			t.Fatal("no heartbeat before the change")
		}
	}
	change(1, "2.0.0", "2.0.1")
	n.epoch()
	before := beats(n.nodes[0])
	n.epoch()
	late := n.start(func() relay.Config { c := n.config(5); c.Greet = -1; return c }())
	late.reaches(t, n.l.at().Height)
	current := n.start(func() relay.Config { c := n.config(6); c.Version, c.Greet = "2.0.1", -1; return c }())
	current.reaches(t, n.l.at().Height)
	for range 2 {
		n.epoch()
		late.reaches(t, n.l.at().Height)
		current.reaches(t, n.l.at().Height)
	}
	if got := beats(n.nodes[0]); got != before || beats(late) != 0 {
		t.Errorf("%d heartbeats of a version that is not allowed, %d before; %d of one that began later", got, before, beats(late))
	}
	if beats(current) == 0 {
		t.Error("no heartbeat of the version that is allowed")
	}
	change(2)
	n.epoch()
	if got := beats(n.nodes[0]); got <= before {
		t.Error("no heartbeat once any version is allowed again")
	}
}

// revert goes back from epoch 3 to the middle of epoch 1, on fork 1.
func (n *network) revert() {
	n.t.Helper()
	n.l.mu.Lock()
	back := n.l.core.EpochStart(1) + 5000
	delete(n.l.lists, 2)
	delete(n.l.lists, 3)
	delete(n.l.headers, 2)
	delete(n.l.headers, 3)
	n.l.head.Header.Height = 1
	n.l.pool = nil
	for ch := range n.l.subs {
		n.l.subs[ch] = 0
	}
	n.l.mu.Unlock()
	for _, nd := range n.nodes {
		nd.mu.Lock()
		nd.height = 0
		nd.mu.Unlock()
	}
	h := n.l.seal(back, func(h *chain.Header) { h.Fork = 1 }).Header
	for _, nd := range n.nodes {
		nd.reaches(n.t, h.Height)
	}
}

func TestRevertIsSignedAfresh(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	for range 3 {
		n.epoch()
	}
	n.revert()
	for _, nd := range n.nodes {
		all := n.l.submitted(statement.LabelDescriptor, nd.ID())
		if s := all[len(all)-1]; s.Fork != 1 || s.Sequence.Epoch() != 2 {
			t.Fatalf("fork %d, epoch %d", s.Fork, s.Sequence.Epoch())
		}
	}
	n.epoch()
	if got := len(n.list().Entries); n.list().Epoch != 2 || got != 5 {
		t.Fatalf("epoch %d lists %d", n.list().Epoch, got)
	}
	c := n.client(0)
	c.send(n.wrap(n.path(0, 1), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(0)}}.Encode()))
	c.reply()
}

func TestConfigIsChecked(t *testing.T) {
	n := newNetwork(t, 0, nil, nil)
	for name, change := range map[string]func(*relay.Config){
		"identity":  func(c *relay.Config) { c.Identity = nil },
		"ledger":    func(c *relay.Config) { c.Ledger = nil },
		"transport": func(c *relay.Config) { c.Transport = nil },
		"endpoint":  func(c *relay.Config) { c.Endpoints = nil },
		"genesis":   func(c *relay.Config) { c.Genesis = chain.Hash{} },
		"address":   func(c *relay.Config) { c.Endpoints = []string{"example.org:1"} },
		"version":   func(c *relay.Config) { c.Version = "with space" },
	} {
		cfg := n.config(0)
		change(&cfg)
		r, err := relay.New(cfg)
		if err == nil {
			err = r.Run(t.Context())
		}
		if !errors.Is(err, relay.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := fmt.Sprint(relay.Drops()); !strings.Contains(s, "replay-full") {
		t.Error(s)
	}
}
