package relay_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion/link"
	"tunic/onion/mail"
)

// puppet takes the place of a relay that has stopped: it has its identity and
// its endpoint, and says what the test says.
func (n *network) puppet(i int, on func(p *link.Pool, from chain.NodeID, m mail.SwarmMessage)) *link.Pool {
	n.t.Helper()
	n.nodes[i].stop()
	cfg := n.nodes[i].cfg
	var p *link.Pool
	var ready sync.WaitGroup
	ready.Add(1)
	p = link.NewPool(cfg.Transport, func(id chain.NodeID) (string, bool) {
		e, ok := n.list().Find(id)
		if !ok {
			return "", false
		}
		return e.Endpoints[0], true
	}, link.PoolConfig{Self: n.nodes[i].ID(), BackoffMin: 1, BackoffMax: 1, OnFrame: func(l *link.Link, f link.Frame) {
		ready.Wait()
		from, known := l.Peer()
		if f.Type != link.Swarm || !known {
			return
		}
		if m, err := small.DecodeSwarm(f.Data); err == nil {
			on(p, from, m)
		}
	}})
	ready.Done()
	ctx, stop := context.WithCancel(context.Background())
	l, err := cfg.Transport.Listen(cfg.Endpoints[0])
	if err != nil {
		n.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = p.Serve(ctx, l) })
	n.t.Cleanup(func() { stop(); wg.Wait(); p.Close() })
	return p
}

// A member that always has something else to compare, names rows without end,
// and gives garbage, costs a bounded number of questions, changes nothing, and
// keeps nobody from becoming equal with the others.
func TestAMemberThatLiesWithoutEnd(t *testing.T) {
	differences := func(m mail.SwarmMessage) []mail.SwarmMessage {
		switch a := (mail.SwarmMessage{ID: m.ID}); m.Kind {
		case mail.SwarmAsk:
			a.Kind = mail.SwarmSums
			for range m.Upper {
				a.Sums = append(a.Sums, mail.Sum{Rows: rand.Uint32(), Bits: mail.Short{byte(rand.Uint32())}})
			}
			return []mail.SwarmMessage{a}
		case mail.SwarmList: // to the end of the ring, byte by byte
			a.Kind = mail.SwarmListing
			a.Shorts = []mail.Short{{byte(rand.Uint32()), byte(rand.Uint32())}}
			a.Next = append(slices.Clone(m.Scope.Lower), 0)
			if len(a.Next) > mail.MaxBound {
				a.Next = a.Next[:mail.MaxBound]
			}
			return []mail.SwarmMessage{a}
		case mail.SwarmWant:
			a.Kind = mail.SwarmGive
			return []mail.SwarmMessage{a}
		}
		return nil
	}
	for name, lie := range map[string]func(m mail.SwarmMessage) []mail.SwarmMessage{
		"differences":    differences,
		"the same again": differences, // with what is there already
		"garbage": func(m mail.SwarmMessage) []mail.SwarmMessage {
			switch a := (mail.SwarmMessage{ID: m.ID}); m.Kind {
			case mail.SwarmAsk:
				a.Kind = mail.SwarmSums
				for range m.Upper {
					a.Sums = append(a.Sums, mail.Sum{Rows: 50, Bits: mail.Short{1}})
				}
				return []mail.SwarmMessage{a}
			case mail.SwarmList:
				a.Kind = mail.SwarmListing
				for i := range mail.MaxShorts {
					a.Shorts = append(a.Shorts, mail.Short{byte(i), byte(rand.Uint32())})
				}
				return []mail.SwarmMessage{a}
			case mail.SwarmWant: // forged items, and tombstones of nothing
				a.Kind = mail.SwarmGive
				forged := &mail.Store{Content: make([]byte, small.Item()), Expiry: m.Scope.At + 1000}
				var out []mail.SwarmMessage
				for i := range 3 {
					a.Left = uint8(2 - i)
					a.Copies = []mail.Copy{{Command: mail.Command{Store: forged}}, {Tombstone: &mail.Tombstone{Until: m.Scope.At + 1<<60}}}
					out = append(out, a)
				}
				return out
			case mail.SwarmPush: // keeps nothing
				a = mail.SwarmMessage{Kind: mail.SwarmAcks}
				for _, c := range m.Copies {
					a.Acks = append(a.Acks, mail.Ack{Serial: c.Serial, Code: mail.CodeFull})
				}
				return []mail.SwarmMessage{a}
			}
			return nil
		},
		"another kind": func(m mail.SwarmMessage) []mail.SwarmMessage {
			return []mail.SwarmMessage{{Kind: mail.SwarmGive, ID: m.ID, Left: 9}}
		},
		"too few": func(m mail.SwarmMessage) []mail.SwarmMessage {
			return []mail.SwarmMessage{{Kind: mail.SwarmSums, ID: m.ID, Sums: make([]mail.Sum, max(2, len(m.Upper)-1))}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, disks := swarms(t, 3, nil)
			n.nodes[0].stop()
			rows := 150
			for i := range rows {
				s, _ := n.item(i, genesis.Hour)
				n.fill(t, disks[1]).do(mail.Command{Store: s}, mail.CodeStored)
			}
			n.nodes[1].stop()
			again, _ := n.item(0, genesis.Hour)
			var asked atomic.Int64
			n.puppet(2, func(p *link.Pool, from chain.NodeID, m mail.SwarmMessage) {
				asked.Add(1)
				for _, a := range lie(m) {
					switch {
					case name != "the same again":
					case a.Kind == mail.SwarmGive:
						a.Copies = []mail.Copy{{Command: mail.Command{Store: again}}}
					case a.Kind == mail.SwarmListing: // without end
						a.Next = append(slices.Clone(m.Scope.Lower), make([]byte, mail.MaxBound-len(m.Scope.Lower))...)
						last := a.Next[mail.MaxBound-8:]
						binary.BigEndian.PutUint64(last, binary.BigEndian.Uint64(last)+1)
					}
					_ = p.Send(from, link.Frame{Type: link.Swarm, Data: a.Encode()})
				}
			})
			for _, i := range []int{0, 1} {
				n.nodes[i] = n.start(n.nodes[i].cfg)
				n.nodes[i].reaches(t, n.l.at().Height)
			}
			n.rest(n.nodes[:2]...)
			for range 6 {
				h := n.l.seal(n.l.at().Time+chain.Time(n.l.core.Params.EpochLength), nil).Header
				for _, nd := range n.nodes[:2] {
					nd.reaches(t, h.Height)
				}
				n.rest(n.nodes[:2]...)
			}
			n.equal(disks[:2], rows)
			// Each of two honest members meets the liar at most once an epoch.
			if got := asked.Load(); got == 0 || got > 2*7*300 {
				t.Fatalf("%d questions to a liar", got)
			}
			if n.nodes[0].Counters().SyncsFailed+n.nodes[1].Counters().SyncsFailed == 0 && name != "garbage" {
				t.Fatal("nobody noticed")
			}
		})
	}
}

// Whoever asks and sends without waiting is not heard, and others are.
func TestAMemberThatFloods(t *testing.T) {
	n, disks := swarms(t, 3, nil)
	var answers atomic.Int64
	p := n.puppet(2, func(_ *link.Pool, _ chain.NodeID, m mail.SwarmMessage) {
		if m.Kind == mail.SwarmSums {
			answers.Add(1)
		}
	})
	const asked = 3000
	ask := mail.SwarmMessage{Kind: mail.SwarmAsk, Scope: mail.Scope{At: n.l.at().Time}, Upper: make([][]byte, mail.MaxRanges)}
	sent := 0
	for i := range asked {
		ask.ID = uint64(i)
		if p.Send(n.nodes[0].ID(), link.Frame{Type: link.Swarm, Data: ask.Encode()}) == nil {
			sent++
		}
		if i%50 == 0 {
			until(t, "frames leave", func() bool { now, _ := n.hub.Moving(); return now == 0 })
		}
	}
	n.rest(n.nodes[:2]...)
	refused := n.nodes[0].Counters().CopiesRefused["flood"]
	if got := answers.Load(); got == 0 || refused == 0 || int(got)+int(refused) > sent {
		t.Fatalf("%d answers and %d refusals of %d questions", got, refused, sent)
	}
	c := n.client(0)
	s, _ := n.item(1, genesis.Hour)
	if got := n.signers(s, c.direct(1, mail.Command{Store: s})); len(got) != 2 {
		t.Fatalf("%d receipts", len(got))
	}
	n.rest(n.nodes[:2]...)
	n.equal(disks[:2], 1)
}

// What a swarm keeps is nobody else's to read; how many rows there are, only
// those may ask that were its members a few epochs ago.
func TestOnlyMembersMayAsk(t *testing.T) {
	const half, end = uint64(1) << 63, ^uint64(1)
	n, disks := swarms(t, 7, nil)
	moves := n.l.at().DirEpoch + 2
	n.l.place = placed(func(e chain.Epoch, i int) swarmID {
		if i < 3 || i == 6 && e < moves {
			return swarmID(half)
		}
		return swarmID(end)
	})
	n.epoch()
	n.rest()
	var item *mail.Store
	for i := 0; item == nil; i++ {
		if s, _ := n.item(i, genesis.Hour); s.Mailbox()[0] < 0x80 {
			item = s
		}
	}
	n.nodes[0].stop()
	n.fill(t, disks[0]).do(mail.Command{Store: item}, mail.CodeStored)
	n.nodes[0] = n.start(n.nodes[0].cfg)
	n.nodes[0].reaches(t, n.l.at().Height)
	got := make(chan mail.SwarmMessage, 16)
	p := n.puppet(6, func(_ *link.Pool, _ chain.NodeID, m mail.SwarmMessage) {
		if m.Kind != mail.SwarmAsk {
			got <- m
		}
	})
	at := 0
	ask := func(m mail.SwarmMessage) mail.SwarmMessage {
		t.Helper()
		at++
		m.ID, m.Scope.At = uint64(at), n.l.at().Time
		if err := p.Send(n.nodes[0].ID(), link.Frame{Type: link.Swarm, Data: m.Encode()}); err != nil {
			t.Fatal(err)
		}
		for {
			if a := <-got; a.ID == m.ID {
				return a
			}
		}
	}
	scope := mail.Scope{Upper: []byte{0x80, 0, 0, 0, 0, 0, 0, 1}}
	sums := func(s mail.Scope) int {
		return len(ask(mail.SwarmMessage{Kind: mail.SwarmAsk, Scope: s, Upper: [][]byte{s.Upper}}).Sums)
	}
	contents := func() int {
		x := scope
		x.At = n.l.at().Time
		short := x.ShortOf(item.Mailbox(), item.Item(), mail.RowItem)
		return len(ask(mail.SwarmMessage{Kind: mail.SwarmWant, Scope: scope, Shorts: []mail.Short{short}}).Copies)
	}
	beyond := mail.Scope{Upper: []byte{0x80, 0, 0, 0, 0, 0, 0, 2}}
	if sums(scope) != 1 || contents() != 1 || sums(beyond) != 0 || sums(mail.Scope{}) != 0 {
		t.Fatal("a member may ask about its swarm's mailboxes, and about no others")
	}
	for e := range 7 {
		h := n.l.seal(n.l.at().Time+chain.Time(n.l.core.Params.EpochLength), nil).Header
		n.nodes[0].reaches(t, h.Height)
		// Out of the swarm at the first turn: contents while the list before is
		// the newest that has it; sums for four lists, the last of which still
		// says where it was before.
		if got, want := contents() == 1, e < 1; got != want {
			t.Errorf("epoch %d: contents %t", e, got)
		}
		if got, want := sums(scope) == 1, e < 4; got != want {
			t.Errorf("epoch %d: sums %t", e, got)
		}
	}
}

// A member fills what is left with its own items only slowly.
func TestAMemberThatFillsTheDisk(t *testing.T) {
	n, _ := swarms(t, 3, nil)
	n.nodes[0].stop()
	cfg := n.nodes[0].cfg
	cfg.MailItems = 64
	n.nodes[0] = n.start(cfg)
	n.nodes[0].reaches(t, n.l.at().Height)
	n.rest()
	p := n.puppet(2, func(*link.Pool, chain.NodeID, mail.SwarmMessage) {})
	push := func(i int) {
		s, _ := n.item(i, genesis.Hour)
		m := mail.SwarmMessage{Kind: mail.SwarmPush, Copies: []mail.Copy{{Serial: uint64(i + 1), Command: mail.Command{Store: s}}}}
		before := n.nodes[0].Counters()
		if err := p.Send(n.nodes[0].ID(), link.Frame{Type: link.Swarm, Data: m.Encode()}); err != nil {
			t.Fatal(err)
		}
		until(t, "looked at", func() bool {
			c := n.nodes[0].Counters()
			return c.AcksOut > before.AcksOut || c.CopiesRefused["flood"] > before.CopiesRefused["flood"]
		})
	}
	for i := range 60 {
		push(i)
	}
	if got := n.nodes[0].Status().Items; got != 33 {
		t.Fatalf("%d items of one member in an epoch", got)
	}
	h := n.l.seal(n.l.at().Time+chain.Time(n.l.core.Params.EpochLength), nil).Header
	n.nodes[0].reaches(t, h.Height)
	for i := range 20 {
		push(i) // takes nothing of its share: it is there
	}
	for i := range 20 {
		push(100 + i)
	}
	if got := n.nodes[0].Status().Items; got != 33+64/16 {
		t.Fatalf("%d items in two epochs", got)
	}
}
