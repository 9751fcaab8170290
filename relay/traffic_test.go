package relay_test

import (
	"bytes"
	"crypto/rand"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion"
	"tunic/onion/mail"
	"tunic/relay"
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
	receipts, err := small.DecodeReceipts(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	st, err := statement.Decode(receipts[0])
	if err != nil || st.Verify(statement.Domain{Genesis: n.l.hash}) != nil || st.Node != n.nodes[3].ID() || st.Label != statement.LabelReceipt {
		t.Fatalf("receipt: %+v, %v", st, err)
	}
	x, err := statement.DecodeReceipt(st.Body)
	horizon := n.l.at().Time + 300_000
	horizon -= horizon % (300_000 / 8) // rounded down to an eighth of the horizon
	if err != nil || x.Chunks != mail.ChunkRoot(s.Content) || x.Class != uint8(small.Chunks) || x.Until != horizon || x.Deleter != s.Deleter {
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
			i, err := small.DecodeItem(r.Body)
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

// A relay that drains lets go what it holds when it is time, and takes no more.
func TestHeldPacketsLeaveBeforeTheEnd(t *testing.T) {
	n := newNetwork(t, 5, nil, func(_ int, c *relay.Config) { c.Drain = patience })
	n.epoch()
	c := n.client(0)
	message := mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{c.surb(0)}}.Encode()
	hops := n.path(0, 1)
	hops[0].Delay = 700
	c.send(n.wrap(hops, message))
	until(t, "held", func() bool { return n.nodes[0].Counters().Waiting == 1 })
	before := n.nodes[0].Counters().Forwarded
	if err := n.nodes[0].stop(); err != nil {
		t.Fatal(err)
	}
	got := n.nodes[0].Counters()
	// The answer may come back before the end: it is not taken any more.
	if got.Forwarded != before+1 || got.Waiting != 0 || got.Lost() != got.In-1 || got.Lost() != got.Dropped["stopped"] || !got.Balanced() {
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

func TestAnyRelayTellsItsHead(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	n.epoch()
	c := n.client(0)
	ask := func() chain.SealedHeader {
		t.Helper()
		c.send(n.wrap(n.path(0, 1, 2, 3), mail.Command{Head: &mail.Head{}, Replies: [][]byte{c.surb(4, 1, 0)}}.Encode()))
		r := c.reply()
		s, err := chain.DecodeSealedHeader(r.Body)
		if r.Code != mail.CodeHead || err != nil {
			t.Fatalf("%s, %v", r.Code, err)
		}
		return s
	}
	for range 2 {
		if s := ask(); s.Header.Hash() != n.l.at().Hash() || s.Seal != n.l.sign(n.l.at()).Seal {
			t.Fatalf("height %d", s.Header.Height)
		}
		n.advance(1000)
	}
	// A header that no answer holds is not told.
	n.l.seal(n.l.at().Time+1000, func(h *chain.Header) {
		for i := range 60 {
			h.Removals = append(h.Removals, chain.NodeID{byte(i), 1})
		}
	})
	n.nodes[3].reaches(t, n.l.at().Height)
	c.send(n.wrap(n.path(0, 1, 2, 3), mail.Command{Head: &mail.Head{}, Replies: [][]byte{c.surb(4, 1, 0)}}.Encode()))
	if r := c.reply(); r.Code != mail.CodeNone {
		t.Fatal(r.Code)
	}
}

// An expiry of one's own would mark a packet, and let it outlive the rule.
func TestPacketFromFarAheadIsDropped(t *testing.T) {
	n := newNetwork(t, 5, nil, nil)
	n.epoch()
	c := n.client(0)
	message := mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{make([]byte, onion.SURBSize)}}.Encode()
	for ahead, want := range []string{"", "", "no-list", "no-list"} {
		before := n.nodes[0].Counters()
		p, err := onion.Small.Wrap(rand.Reader, n.l.hash, onion.ExpiryOf(n.list().Epoch+chain.Epoch(ahead)), n.path(0), message)
		if err != nil {
			t.Fatal(err)
		}
		c.send(p)
		until(t, "counted", func() bool { g := n.nodes[0].Counters(); return g.In == before.In+1 && g.Balanced() })
		after := n.nodes[0].Counters()
		switch {
		case want == "" && after.Delivered != before.Delivered+1:
			t.Fatalf("%d epochs ahead: %+v", ahead, after)
		case want != "" && after.Dropped[want] != before.Dropped[want]+1:
			t.Fatalf("%d epochs ahead: %+v", ahead, after)
		}
	}
	if got := n.nodes[0].Status().Replay; got != 2 {
		t.Fatalf("%d tags: what is dropped for its epoch takes none", got)
	}
}

// A token that is attached on a newer link leaves the older one, whose end then
// takes nothing away.
func TestAttachedTokenFollowsItsClient(t *testing.T) {
	n := newNetwork(t, 5, nil, func(_ int, c *relay.Config) { c.Greet = -1 })
	n.epoch()
	old, now := n.client(0), n.client(0)
	now.pool.Send(now.guard, relay.AttachFrame(old.token))
	now.send(n.wrap(n.path(0), []byte("no command"))) // comes after it on the link
	until(t, "packet", func() bool { return n.nodes[0].Counters().Dropped["command"] == 1 })
	now.mu.Lock()
	token := now.token
	now.token = old.token
	now.mu.Unlock()
	links := n.nodes[0].Status().Links
	old.pool.Close()
	until(t, "link is gone", func() bool { return n.nodes[0].Status().Links == links-1 })
	if got := n.nodes[0].Status().Clients; got != 2 {
		t.Fatalf("%d tokens", got)
	}
	for _, tok := range []onion.Token{old.token, token} {
		now.token = tok
		now.send(n.wrap(n.path(0, 1), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{now.surb(1, 0)}}.Encode()))
		if r := now.reply(); r.Code != mail.CodeNone {
			t.Fatal(r.Code)
		}
	}
	// Four tokens a link and no more; the zero token is none.
	for i := range byte(3) {
		now.pool.Send(now.guard, relay.AttachFrame(onion.Token{1, i}))
	}
	now.pool.Send(now.guard, relay.AttachFrame(onion.Token{}))
	until(t, "refused", func() bool { return n.nodes[0].Counters().BadControl == 2 })
	// The links end, and answers find nobody.
	now.pool.Close()
	until(t, "nobody attached", func() bool { return n.nodes[0].Status().Clients == 0 })
	other := n.client(0)
	other.send(n.wrap(n.path(0, 1), mail.Command{Delete: &mail.Delete{}, Replies: [][]byte{now.surb(1, 0)}}.Encode()))
	until(t, "client", func() bool { return n.nodes[0].Counters().Dropped["client"] == 1 })
	n.settled()
}
