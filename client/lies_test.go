package client_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tunic/chain"
	"tunic/client"
	"tunic/onion/mail"
)

func (n *fakeNet) all(f func(*fakeFaults)) {
	for _, r := range n.relays {
		r.fault(f)
	}
}

// A member could say "deleted" of every store and keep nothing, without a
// receipt that holds it to anything.
func TestMemberThatSaysDeletedShowsTheToken(t *testing.T) {
	for name, body := range map[string][]byte{"nothing": nil, "another token": make([]byte, 32)} {
		t.Run(name, func(t *testing.T) {
			n := newFakeNet(t, 6)
			alice, bob := n.person("alice").ready(), n.person("bob", offline).ready()
			alice.add(bob)
			n.all(func(f *fakeFaults) { f.lie, f.body = mail.CodeDeleted, body })
			id := alice.send(bob, "hello")
			eventually(t, "it is refused", func() bool { s, _ := alice.Status(id); return s.Reason == "invalid_receipt" })
			if s, _ := alice.Status(id); s.State >= client.Stored {
				t.Error(s.State)
			}
			n.all(func(f *fakeFaults) { f.lie = 0 })
			alice.until(id, client.Stored)
		})
	}
}

func TestOneMembersRefusalDoesNotEndAMessage(t *testing.T) {
	for _, code := range []mail.Code{mail.CodeFull, mail.CodeSignature, mail.CodeMalformed} {
		t.Run(code.String(), func(t *testing.T) {
			n := newFakeNet(t, 7)
			alice, bob := n.person("alice").ready(), n.person("bob").ready()
			alice.add(bob)
			alice.delivered(alice.send(bob, "before"))
			// All but one lie, so that the first two members asked may.
			for _, r := range n.relays[1:3] {
				r.fault(func(f *fakeFaults) { f.lie = code })
			}
			for i := range 4 {
				alice.delivered(alice.send(bob, "after"+string(rune('0'+i))))
			}
		})
	}
}

// A member that always has more, none of it mail, keeps the client from nothing,
// whichever of the two mailboxes is its own; what it took is sent elsewhere,
// confirmations too. On a clock of its own, as all that polls bring is opened
// between two ticks, however slow the machine.
func TestEndlessMembersKeepNobodyAway(t *testing.T) {
	for i := range 6 {
		t.Run(fmt.Sprint("member ", i), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { testEndlessMember(t, i) }) })
	}
}

func testEndlessMember(t *testing.T, i int) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	alice.add(bob)
	alice.delivered(alice.send(bob, "before"))
	n.relays[i].fault(func(f *fakeFaults) { f.endless = true })
	alice.delivered(alice.send(bob, "after"))
	own := mail.AccountMailbox(bob.ID())
	if n.swarm(own).Members[0] == n.relays[i].id { // asked first
		polls := func() int { return n.relays[i].count(func(r *fakeRelay) int { return r.polls[own] }) }
		before := polls()
		if err := bob.PollNow(within(t)); err != nil {
			t.Fatal(err)
		}
		if n := polls() - before; n < 256 {
			t.Errorf("what has no end was given up after %d polls", n)
		}
	}
	if got := bob.got(); !slices.Equal(got, []string{"before", "after"}) {
		t.Errorf("bob has %q", got)
	}
	alice.end()
	bob.end()
}

// A member takes a contact request and shows it to nobody, each time it is sent.
func TestAMemberSwallowsRequests(t *testing.T) {
	n := newFakeNet(t, 6)
	n.all(func(f *fakeFaults) { f.forget = true })
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	alice.add(bob)
	id := alice.send(bob, "hello")
	alice.until(id, client.Stored)
	for _, r := range n.relays {
		took := r.count(func(r *fakeRelay) int { return r.requests }) > 0
		r.fault(func(f *fakeFaults) { f.forget = took })
	}
	alice.delivered(id)
}

func TestOtherRelaysAreAskedForTheirHead(t *testing.T) {
	n := newFakeNet(t, 6)
	alice := n.person("alice", offline, func(c *client.Config) { c.Compare = 30 * time.Millisecond }).ready()
	asked := func() (out []int) {
		for _, r := range n.relays {
			out = append(out, r.count(func(r *fakeRelay) int { return r.asked }))
		}
		return out
	}
	sum := func(a []int) (s int) {
		for _, x := range a {
			s += x
		}
		return s
	}
	eventually(t, "two are asked", func() bool { return sum(asked()) >= 2 })
	time.Sleep(100 * time.Millisecond) // three times the span
	if got := asked(); sum(got) != 2 || slices.Max(got) != 1 {
		t.Errorf("asked %v", got)
	}
	guard, _ := alice.Guard()
	if n.relay(guard).count(func(r *fakeRelay) int { return r.asked }) != 0 {
		t.Error("the guard was asked, which the client hears anyway")
	}
	n.seal(6, nil)
	eventually(t, "two more in the next epoch", func() bool { return sum(asked()) == 4 })
	if err := alice.Halted(); err != nil {
		t.Error(err)
	}
}

// The sealer shows the client one history and the relays another; the guard
// goes along with it. The relays behind the guard do not.
func TestHeadsOfOtherRelaysHalt(t *testing.T) {
	for _, row := range []struct {
		name  string
		ahead chain.Height
	}{{"of one height", 0}, {"of one epoch", 3}} {
		t.Run(row.name, func(t *testing.T) {
			n := newFakeNet(t, 6)
			n.mu.Lock()
			other := n.header(n.head.Header.Height+row.ahead, n.lists[5], 7)
			n.mu.Unlock()
			n.all(func(f *fakeFaults) { f.head = &other })
			alice := n.person("alice", offline, func(c *client.Config) { c.Compare = 30 * time.Millisecond })
			eventually(t, "halted", func() bool { return alice.Halted() != nil })
			var e *client.TwoHeadsError
			if err := alice.Halted(); !errors.As(err, &e) || e.Second.Header.Hash() != other.Header.Hash() {
				t.Error(err)
			}
			if err := alice.end(); !errors.Is(err, client.ErrTwoHeads) {
				t.Error(err)
			}
		})
	}
}

// A header that no sealer signed says nothing about the ledger.
func TestForgedHeadsOfOtherRelaysAreIgnored(t *testing.T) {
	n := newFakeNet(t, 6)
	n.mu.Lock()
	other := n.header(n.head.Header.Height, n.lists[5], 7)
	n.mu.Unlock()
	other.Seal[3] ^= 1
	n.all(func(f *fakeFaults) { f.head = &other })
	alice := n.person("alice", offline, func(c *client.Config) { c.Compare = 10 * time.Millisecond }).ready()
	eventually(t, "two are asked", func() bool {
		asked := 0
		for _, r := range n.relays {
			asked += r.count(func(r *fakeRelay) int { return r.asked })
		}
		return asked >= 2
	})
	if err := alice.Halted(); err != nil {
		t.Error(err)
	}
}

// A guard repeats answers, mixes them up and makes up ids; members bring old
// items again and in any order. Every message is shown once.
func TestRepeatedAnswersAndItemsChangeNothing(t *testing.T) {
	n := newFakeNet(t, 6)
	n.all(func(f *fakeFaults) { f.meddle = true })
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	alice.add(bob)
	want := []string{"one", "two", "three"}
	for _, text := range want {
		alice.delivered(alice.send(bob, text))
	}
	n.all(func(f *fakeFaults) { f.replay = true })
	before := bob.count()
	eventually(t, "old items came again", func() bool { return bob.count() > before+50 })
	if got := bob.got(); !slices.Equal(got, want) {
		t.Errorf("bob has %q", got)
	}
	n.all(func(f *fakeFaults) { f.replay = false })
	if got := len(alice.got()); got != 0 {
		t.Errorf("alice has %d messages", got)
	}
}

// count is how many polls the network has answered with old items.
func (p *person) count() (n int) {
	for _, r := range p.cfg.Ledger.(*fakeNet).relays {
		n += r.count(func(r *fakeRelay) int { return int(r.cursor) })
	}
	return n
}
