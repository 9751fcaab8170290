package traffic

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"maps"
	"slices"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/registry/path"
)

// TestShape: each operation by itself, over one way: between any two parties on it
// passes the same, frames of one size, and nothing else.
func TestShape(t *testing.T) {
	w := start(t, 7, 0, func(p *genesis.Params) {
		// In the first epoch there are no probes: what is on the wire is what the
		// test sends.
		p.EpochLength, p.HeartbeatEvery, p.HeartbeatValid = 20*genesis.Minute, 10*genesis.Minute, 40*genesis.Minute
		p.CreditStart, p.CreditMost, p.CreditLeast = genesis.Minute, 2*genesis.Minute, genesis.Minute
		p.ReceiptHorizon, p.ChallengeWindow, p.EvidenceAge, p.CorrelationWindow = 2*genesis.Hour, genesis.Hour, 2*genesis.Hour, genesis.Hour
		p.UnlockDelay, p.DeregisterLock = genesis.Day, 2*genesis.Day
		p.MixingMean, p.Cover = 0, false
	})
	h := w.hand("hand")
	list, head := w.list(0)
	picker := path.New(list, nil, w.Genesis.Params)
	there, err := picker.Choose(path.Options{Target: w.Relays[0].ID}, w.rand) // guard, middle, exit, member
	if err != nil {
		t.Fatal(err)
	}
	member, guard := list.Entries[there[3]].Node, list.Entries[there[0]].Node
	used := func(id chain.NodeID) bool { // the way back is over other relays, so that a link is of one way alone
		i, _ := list.Index(id)
		return slices.Contains(there, i)
	}
	back, err := picker.Reply(path.Options{Target: member, Guard: guard, Exclude: used}, w.rand)
	if err != nil {
		t.Fatal(err)
	}
	back = back[1:]
	name := func(i int) string { return w.tap.name[list.Entries[i].Node] }
	guardName := name(there[0])

	box := newPair()
	command := func(c mail.Command, blocks int) func() {
		return func() {
			c.Replies = nil
			for range blocks {
				s := h.block(list, back, rand.Reader)
				c.Replies = append(c.Replies, s[:])
			}
			if !h.send(guard, w.wrap(list, there, w.delay, c.Encode())) {
				t.Fatal("the guard takes nothing")
			}
		}
	}
	poll := func() func() { return command(mail.Command{Poll: box.poll(w, head.Time, member)}, mail.PollReplies) }
	// A relay's loop, as a probe or cover, is sent by the guard over the same relays.
	loop := slices.Concat(there[1:3], []int{back[0], there[0]})
	// A client's goes out over three of the command's links, and back.
	round := slices.Concat(there, []int{back[0], there[0]})
	forward := [][2]string{{"hand", guardName}, {guardName, name(there[1])}, {name(there[1]), name(there[2])}, {name(there[2]), name(there[3])}}
	answer := [][2]string{{name(there[3]), name(back[0])}, {name(back[0]), name(back[1])}, {name(back[1]), guardName}, {guardName, "hand"}}
	links := func(way [][2]string, n int) map[[2]string]int {
		out := map[[2]string]int{}
		for _, l := range way {
			out[l] = n
		}
		return out
	}
	both := func(a, b map[[2]string]int) map[[2]string]int {
		for l, n := range b {
			a[l] += n
		}
		return a
	}
	over := func(way ...int) (out [][2]string) {
		for i := 1; i < len(way); i++ {
			out = append(out, [2]string{name(way[i-1]), name(way[i])})
		}
		return out
	}
	ops := []struct {
		what string
		do   func()
		want map[[2]string]int
		code mail.Code
	}{
		{"poll without mail", poll(), both(links(forward, 1), links(answer, 3)), mail.CodeNone},
		{"store", command(mail.Command{Store: box.store(w, head.Time)}, 1), both(links(forward, 1), links(answer, 1)), mail.CodeStored},
		{"poll with mail", poll(), both(links(forward, 1), links(answer, 3)), mail.CodeItem},
		{"head", command(mail.Command{Head: &mail.Head{}}, 1), both(links(forward, 1), links(answer, 1)), mail.CodeHead},
		{"packet that only passes", func() { h.send(guard, w.wrap(list, there, w.delay, []byte("no command"))) }, links(forward, 1), 0},
		{"a relay's loop", func() {
			if !w.tap.inject(guardName, name(there[1]), w.wrap(list, loop, w.delay, nil)) {
				t.Fatal("the guard has no link to the middle")
			}
		}, links(over(append([]int{there[0]}, loop...)...), 1), 0},
		{"a client's loop", func() {
			s := h.block(list, round, rand.Reader)
			_, p, err := s.Reply(nil)
			if err != nil || !h.send(guard, p) {
				t.Fatal(err)
			}
		}, both(both(links(forward[:1], 1), links(over(round...), 1)), links(answer[3:], 1)), 0},
	}
	for round := range 2 { // the first opens links, on which relays greet each other
		for _, op := range ops {
			if round == 0 && op.what == "store" {
				continue // the second poll would find mail too early
			}
			frames, packets := w.tap.packets(w.BodyFrame()), len(w.tap.got())
			codes := len(h.codes())
			want := 0
			for _, n := range op.want {
				want += n
			}
			op.do()
			await(t, op.what, func() bool { return len(w.tap.got()) >= packets+want })
			if round == 0 {
				w.tap.rest(w.BodyFrame()) // greetings follow
				continue
			}
			got := map[[2]string]int{}
			for _, a := range w.tap.got()[packets:] {
				from := a.from
				if a.to == guardName && from != name(back[1]) && from != name(back[0]) {
					from = "hand"
				}
				got[[2]string{from, a.to}]++
			}
			if !maps.Equal(got, op.want) {
				t.Errorf("%s: packets %v, want %v", op.what, got, op.want)
			}
			// Of the frames of relays among themselves, which may pass at any time,
			// the capture knows how many there were; they have the same size.
			await(t, op.what+": frames on the wire that are its packets and no others", func() bool {
				after := w.tap.packets(w.BodyFrame())
				for l := range after {
					if after[l]-frames[l] != op.want[l] {
						return false
					}
				}
				return true
			})
			if op.code != 0 {
				await(t, op.what+" is answered", func() bool { return len(h.codes()) > codes })
				if got := h.codes()[codes]; got != op.code {
					t.Errorf("%s: answered %v, want %v", op.what, got, op.code)
				}
			}
			w.tap.rest(w.BodyFrame())
		}
	}
	if n := w.tap.check(w.BodyFrame()); n < 100 {
		t.Errorf("%d frames on all links: the capture is not whole", n)
	}
}

// BodyFrame is the size of the network's frames.
func (w *world) BodyFrame() int { return link.FrameSize(w.geometry().PacketSize()) }

// counts are the frames so far between any two parties, by what TLS records are on
// the wire.
func (w *tap) counts(size int) map[[2]string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[[2]string]int{}
	for _, s := range w.streams {
		n, _ := s.frames(size)
		out[[2]string{s.from, s.to}] += n
	}
	return out
}

// packets are those of counts that are no frames of relays among themselves.
func (w *tap) packets(size int) map[[2]string]int {
	out := w.counts(size)
	w.mu.Lock()
	defer w.mu.Unlock()
	for l, n := range w.others {
		out[l] -= n
	}
	return out
}

// rest waits until nothing has passed for a while.
func (w *tap) rest(size int) {
	for before := w.counts(size); ; {
		time.Sleep(500 * time.Millisecond)
		now := w.counts(size)
		if maps.Equal(before, now) {
			return
		}
		before = now
	}
}

// TestShapeFindsLeaks: the capture finds a sender whose frames are not padded, and
// one whose network's packets have another size.
func TestShapeFindsLeaks(t *testing.T) {
	size := link.FrameSize(onion.Small.PacketSize())
	for what, c := range map[string]struct {
		body  int
		found bool
	}{"the same size": {onion.Small.PacketSize(), false}, "another size": {onion.Small.PacketSize() - 400, true}, "one byte more": {onion.Small.PacketSize() + 1, true}} {
		w := newTap(t)
		key := ed25519.NewKeyFromSeed(make([]byte, 32))
		id := chain.NodeID(key.Public().(ed25519.PublicKey))
		server, err := link.NewTLS(link.Config{Identity: key, BodySize: c.body})
		if err != nil {
			t.Fatal(err)
		}
		l, err := server.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		client, err := link.NewTLS(link.Config{BodySize: c.body})
		if err != nil {
			t.Fatal(err)
		}
		conn, err := w.wrap("a client", chain.NodeID{}, client).Dial(t.Context(), l.Addr(), id)
		if err != nil {
			t.Fatal(err)
		}
		in, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := conn.Send(link.Frame{Type: link.Packet, Data: make([]byte, c.body)}); err != nil {
				t.Fatal(err)
			}
			if _, err := in.Recv(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		conn.Close()
		in.Close()
		l.Close()
		w.wg.Wait()
		wrong := ""
		for _, s := range w.streams {
			if _, x := s.frames(size); x != "" {
				wrong = x
			}
		}
		if (wrong != "") != c.found {
			t.Errorf("%s: %q", what, wrong)
		}
	}
}
