package relay_test

import (
	"bytes"
	"crypto/rand"
	"testing"

	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion"
	"tunic/onion/mail"
)

func TestStoreOverThreeHopsIsAnsweredByReceipt(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	n.epoch()
	c := n.client(0)
	s, _, read := storeCommand(n, genesis.Hour, 7)
	c.send(n.wrap(n.path(0, 1, 2, 3), mail.Command{Store: s, Replies: [][]byte{c.surb(4, 1, 0)}}.Encode()))
	r := c.reply()
	if r.Code != mail.CodeStored {
		t.Fatalf("store: %s", r.Code)
	}
	st, err := statement.Decode(r.Body)
	if err != nil || st.Verify(statement.Domain{Genesis: n.l.hash}) != nil || st.Node != n.nodes[3].ID() || st.Label != statement.LabelReceipt {
		t.Fatalf("receipt: %+v, %v", st, err)
	}
	x, err := statement.DecodeReceipt(st.Body)
	horizon := n.l.at().Time + 300_000
	if err != nil || x.Chunks != mail.ChunkRoot(s.Content) || x.Class != mail.ItemChunks || x.Until != horizon || x.Deleter != s.Deleter {
		t.Fatalf("receipt body: %+v, %v", x, err)
	}

	p := &mail.Poll{Kind: mail.KindPair, A: [32]byte(idOf(read)), B: mail.KeyHash(s.Write), At: n.l.at().Time, Member: n.nodes[3].ID()}
	p.Sign(n.l.hash, read)
	c.send(n.wrap(n.path(0, 2, 4, 3), mail.Command{Poll: p, Replies: [][]byte{c.surb(2, 0), c.surb(1, 0), c.surb(4, 2, 0)}}.Encode()))
	codes := map[mail.Code]int{}
	for range mail.PollReplies {
		r := c.reply()
		codes[r.Code]++
		if r.Code == mail.CodeItem {
			i, err := mail.DecodeItem(r.Body)
			if err != nil || !bytes.Equal(i.Content, s.Content) {
				t.Fatalf("item: %v", err)
			}
		}
	}
	if codes[mail.CodeItem] != 1 || codes[mail.CodeNone] != 2 {
		t.Fatalf("poll: %v", codes)
	}
	n.settled()
}

func TestDrops(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	n.epoch()
	c := n.client(0)
	message := mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(0)}}.Encode()
	far := n.path(0, 1)
	far[1].Index = 99
	slow := n.path(0, 1)
	slow[0].Delay = 3_600_000
	stranger := n.path(0)
	stranger[0].KeyEpoch += 7
	other := n.path(0)
	other[0].Key = n.path(1)[0].Key
	rows := []struct {
		reason string
		packet []byte
	}{
		{"next-hop", n.wrap(far, message)},
		{"delay-bound", n.wrap(slow, message)},
		{"unknown-key", n.wrap(stranger, message)},
		{"header", n.wrap(other, message)},
		{"command", n.wrap(n.path(0), []byte("no command"))},
		{"malformed", append([]byte{0x13}, n.wrap(n.path(0), message)[1:]...)},
	}
	for _, row := range rows {
		c.send(row.packet)
		until(t, row.reason, func() bool { return n.nodes[0].Counters().Dropped[row.reason] == 1 })
	}
	// An answer for a token that nobody attached.
	lost := &client{n: n, keys: map[onion.SURBID]*onion.SURBKeys{}, token: onion.Token{9}}
	c.send(n.wrap(n.path(0, 1), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{lost.surb(0)}}.Encode()))
	until(t, "client", func() bool { return n.nodes[0].Counters().Dropped["client"] == 1 })
	old := n.wrap(n.path(0), message)
	n.epoch()
	n.epoch()
	c.send(old)
	until(t, "expired", func() bool { return n.nodes[0].Counters().Dropped["expired"] == 1 })
	n.settled()
}

func TestDelayedPacketsAreHeldAndCounted(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	n.epoch()
	c := n.client(0)
	message := mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(0)}}.Encode()
	hops := n.path(0, 1)
	hops[0].Delay = 20
	c.send(n.wrap(hops, message))
	if r := c.reply(); r.Code != mail.CodeNone {
		t.Fatal(r.Code)
	}
	hops[0].Delay = 1000
	c.send(n.wrap(hops, message))
	until(t, "held", func() bool { return n.nodes[0].Counters().Waiting == 1 })
	if err := n.nodes[0].stop(); err != nil {
		t.Fatal(err)
	}
	if got := n.nodes[0].Counters(); got.Dropped["stopped"] != 1 || !got.Balanced() {
		t.Fatalf("%+v", got)
	}
}

func TestPacketOfTheEpochToComeWaitsForItsDirectory(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	n.epoch()
	c := n.client(0)
	c.send(n.wrap(n.path(0), []byte("opens the link")))
	// The keys do not change at this boundary; only the directory is new.
	hops := n.path(0, 1)
	p, err := onion.Small.Wrap(rand.Reader, n.l.hash, onion.ExpiryOf(n.list().Epoch+1), hops, []byte("no command"))
	if err != nil {
		t.Fatal(err)
	}
	c.send(p)
	until(t, "held", func() bool { return n.nodes[0].Counters().Waiting == 1 })
	n.epoch()
	until(t, "passed on", func() bool { return n.nodes[1].Counters().Dropped["command"] == 1 })
	p, _ = onion.Small.Wrap(rand.Reader, n.l.hash, onion.ExpiryOf(n.list().Epoch+1), hops, []byte("no command"))
	c.send(p)
	until(t, "given up", func() bool { return n.nodes[0].Counters().Dropped["no-list"] == 1 })
	n.settled()
}
