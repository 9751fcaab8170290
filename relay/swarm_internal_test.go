package relay

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/testenv"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/relay/mailbox"
)

// The rings find what directory.List.Swarm finds, for any list; the spans of
// the swarms divide the mailboxes among them.
func TestRingsAreTheDirectorysSwarms(t *testing.T) {
	testenv.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.SampledFrom([]uint64{0, 1, 1 << 32, 1 << 63, 1<<63 + 1, ^uint64(1), ^uint64(0)}), 0, 12)
		now, before := ids.Draw(t, "swarms"), ids.Draw(t, "swarms before")
		var entries []directory.Entry
		for i, s := range now {
			e := directory.Entry{Node: chain.NodeID{byte(i + 1)}, Swarm: directory.SwarmID(s), PreviousSwarm: directory.NoSwarm}
			if i < len(before) {
				e.PreviousSwarm = directory.SwarmID(before[i])
			}
			entries = append(entries, e)
		}
		list := &directory.List{Entries: entries}
		var removed []chain.NodeID
		for i := range entries {
			if rapid.IntRange(0, 4).Draw(t, "removed") == 0 {
				removed = append(removed, entries[i].Node)
			}
		}
		rs := newRings(chain.NodeID{1}, list, removed)
		for _, point := range []uint64{0, 1, 2, 1 << 32, 1<<32 + 1, 1 << 63, 1<<63 + 1, 1<<63 + 2, ^uint64(1), ^uint64(0), rand.Uint64()} {
			var box [32]byte
			binary.BigEndian.PutUint64(box[:], point)
			box[8] = byte(rand.Uint32())
			want, got := list.Swarm(box, removed), rs.of(box)
			if !same(got.Members, want.Members) || !same(got.Former, want.Former) {
				t.Fatalf("mailbox %x: %v and %v, not %v and %v", box[:8], got.Members, got.Former, want.Members, want.Former)
			}
			for _, g := range []*ring{rs.now, rs.before} {
				keeps := 0
				for i := range g.ids {
					for _, s := range g.spans(i) {
						if s.has(mail.ID(box)) {
							keeps++
							if g.at(point) != i {
								t.Fatalf("mailbox %x is in a span of swarm %d", box[:8], i)
							}
						}
					}
				}
				if keeps != min(1, len(g.ids)) {
					t.Fatalf("mailbox %x is in %d spans", box[:8], keeps)
				}
			}
		}
	})
}

func same(a, b []chain.NodeID) bool {
	order := func(x []chain.NodeID) []chain.NodeID {
		x = slices.Clone(x)
		slices.SortFunc(x, compareNodes)
		return x
	}
	return slices.Equal(order(a), order(b))
}

func TestSpans(t *testing.T) {
	b := func(x ...byte) []byte { return x }
	one, two, all := span{b(1), b(2)}, span{b(2), b(3)}, span{}
	if one.overlaps(two) || two.overlaps(one) || !one.overlaps(all) || !all.overlaps(two) || !one.overlaps(span{b(1, 9), nil}) {
		t.Error("overlaps")
	}
	if got := (span{nil, b(5)}).and(span{b(3), nil}); !bytes.Equal(got.lower, b(3)) || !bytes.Equal(got.upper, b(5)) {
		t.Errorf("and: %v", got)
	}
	scope := func(l, u []byte) *mail.Scope { return &mail.Scope{Lower: l, Upper: u} }
	for _, row := range []struct {
		s    *mail.Scope
		want bool
	}{
		{scope(b(1), b(2)), true}, {scope(b(1, 5), b(1, 6)), true}, {scope(b(1), b(2, 0)), false}, {scope(b(0, 9), b(2)), false},
		{scope(b(1), nil), false}, {scope(nil, nil), false}, {scope(b(2), b(3)), false},
	} {
		if got := covers([]span{one}, row.s); got != row.want {
			t.Errorf("%x to %x: %t", row.s.Lower, row.s.Upper, got)
		}
	}
	if !covers([]span{{}}, scope(nil, nil)) {
		t.Error("the whole ring")
	}
}

// bench is a relay that only has what stores need.
func bench() (*Relay, ed25519.PrivateKey) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	r := &Relay{id: chain.NodeID{1}}
	r.cfg.Genesis = chain.Hash{1}
	r.view.Store(&view{})
	return r, key
}

// A store is answered when a majority has signed; when all others have answered;
// or when its time is up; whichever is first. One whose own write hangs waits.
func TestWhenAStoreIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, key := bench()
		member := chain.NodeID(key.Public().(ed25519.PublicKey))
		answers := make(chan mail.Reply, 8)
		s := newStores(3, func(_ *waitingStore, reply mail.Reply) { answers <- reply })
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { s.run(ctx); close(done) }()
		others := []chain.NodeID{member, {2}, {3}, {4}}
		swarm := directory.Swarm{Members: append([]chain.NodeID{r.id}, others...)}
		own := statement.Receipt{Chunks: chain.Hash{9}, Class: 5, Until: 7, Deleter: chain.Hash{8}}
		stored := mailbox.Outcome{Receipt: statement.Statement{Label: statement.LabelReceipt, Body: own.Encode()}.Encode(), Reply: mail.Reply{Code: mail.CodeStored}}
		begin := func() uint64 {
			t.Helper()
			serial, ok := s.put(&waitingStore{self: r.id, deleter: own.Deleter, swarm: swarm, pending: slices.Clone(others)})
			if !ok {
				t.Fatal("no room")
			}
			return serial
		}
		receipts := func() int {
			t.Helper()
			synctest.Wait()
			select {
			case reply := <-answers:
				if reply.Code != mail.CodeStored {
					return -int(reply.Code)
				}
				got, _ := mail.Format{Reply: 2007}.DecodeReceipts(reply.Body)
				return len(got)
			default:
				return 0
			}
		}
		signed := func(until chain.Time) mail.Ack {
			x := own
			x.Until = until
			return mail.Ack{Code: mail.CodeStored, Until: until, Sig: statement.Sign(statement.Domain{Genesis: r.cfg.Genesis}, key, statement.LabelReceipt, 0, x.Encode()).Sig}
		}
		ack := func(serial uint64, from chain.NodeID, a mail.Ack) {
			a.Serial = serial
			s.ack(r, from, a)
		}

		// The acks come before the own disk is done; a stranger's and a second
		// one do not count.
		a := begin()
		ack(a, member, signed(1))
		ack(a, member, signed(2))
		ack(a, chain.NodeID{77}, signed(1))
		ack(a, chain.NodeID{2}, mail.Ack{Code: mail.CodeFull})
		if receipts() != 0 {
			t.Fatal("answered without the own disk")
		}
		s.settle(r, a, stored, nil)
		if receipts() != 0 {
			t.Fatal("answered with two of five")
		}
		s.lost(chain.NodeID{3})
		s.lost(chain.NodeID{4})
		if got := receipts(); got != 2 {
			t.Fatalf("%d receipts when all had answered", got)
		}
		// Time is up.
		b := begin()
		s.settle(r, b, stored, nil)
		time.Sleep(storeWait - time.Millisecond)
		if receipts() != 0 {
			t.Fatal("early")
		}
		time.Sleep(2 * time.Millisecond)
		if got := receipts(); got != 1 {
			t.Fatalf("%d receipts at the end", got)
		}
		// The own disk hangs for longer; others are enough, and it fails.
		c := begin()
		time.Sleep(10 * storeWait)
		if receipts() != 0 || s.count() != 1 {
			t.Fatal("answered without the own disk")
		}
		s.settle(r, c, mailbox.Outcome{Reply: mail.Reply{Code: mail.CodeBusy}}, make([]byte, 256))
		time.Sleep(storeWait + time.Millisecond)
		if got := receipts(); got != -int(mail.CodeBusy) {
			t.Fatalf("%d: nobody has it", got)
		}
		// A token that a member shows ends it; one of something else does not.
		token := [32]byte{5}
		d, _ := s.put(&waitingStore{self: r.id, deleter: mail.Deleter(token), swarm: swarm, pending: slices.Clone(others)})
		s.settle(r, d, stored, nil)
		r.members = newMembers(1 << 20)
		r.members.limit = 0 // nothing is buried here
		ack(d, chain.NodeID{2}, mail.Ack{Code: mail.CodeDeleted, Token: [32]byte{6}})
		if receipts() != 0 {
			t.Fatal("a token of something else")
		}
		ack(d, chain.NodeID{3}, mail.Ack{Code: mail.CodeDeleted, Token: token})
		if got := receipts(); got != -int(mail.CodeDeleted) {
			t.Fatalf("%d", got)
		}
		// What was refused at sight is not waited for; no more than so many wait.
		e := begin()
		s.settle(r, e, mailbox.Outcome{Reply: mail.Reply{Code: mail.CodeStale}}, nil)
		if got := receipts(); got != -int(mail.CodeStale) {
			t.Fatalf("%d", got)
		}
		for range 3 {
			s.settle(r, begin(), stored, nil)
		}
		if _, ok := s.put(&waitingStore{}); ok {
			t.Fatal("four wait where three may")
		}
		s.abandon()
		for range 3 {
			if got := receipts(); got != 1 {
				t.Fatalf("%d", got)
			}
		}
		stop()
		<-done
	})
}

// No order of acks, losses and the own outcome leaves a store unanswered, or
// answers it twice.
func TestEveryStoreIsAnsweredOnce(t *testing.T) {
	r, _ := bench()
	r.members = newMembers(1 << 20)
	answers := 0
	s := newStores(1000, func(*waitingStore, mail.Reply) { answers++ })
	others := []chain.NodeID{{2}, {3}, {4}, {5}}
	for range 500 {
		serial, _ := s.put(&waitingStore{self: r.id, swarm: directory.Swarm{Members: others[:2], Former: append(others[2:], r.id)}, pending: slices.Clone(others)})
		steps := []func(){func() {
			codes := []mail.Code{mail.CodeStored, mail.CodeBusy, mail.CodeFull, mail.CodeStale, mail.CodeDeleted}
			s.settle(r, serial, mailbox.Outcome{Reply: mail.Reply{Code: codes[rand.IntN(len(codes))]}}, nil)
		}}
		for _, id := range others {
			steps = append(steps, func() {
				switch rand.IntN(3) {
				case 0:
					s.lost(id)
				case 1:
					s.ack(r, id, mail.Ack{Serial: serial, Code: mail.CodeBusy})
				default:
					s.ack(r, id, mail.Ack{Serial: serial, Code: mail.CodeStored, Fork: 9}) // of another fork: it does not count
				}
			})
		}
		rand.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
		for _, step := range steps {
			step()
		}
	}
	if answers != 500 || s.count() != 0 {
		t.Fatalf("%d answers, %d wait", answers, s.count())
	}
}
