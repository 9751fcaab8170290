package client_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tunic/chain"
	"tunic/client"
	"tunic/registry/path"
)

// Of each poll only one answer gets through, and no deletion does: what lies at the
// beginning of a mailbox keeps nothing away that lies behind it.
func TestLostAnswersKeepNothingAway(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	alice.add(bob)
	alice.delivered(alice.send(bob, "hello"))
	n.all(func(f *fakeFaults) { f.lossy, f.mute = true, true })
	text := strings.Repeat("0123456789abcdef", 400) // more parts than a poll has answers
	alice.delivered(alice.send(bob, text))
	if got := bob.got(); len(got) != 2 || got[1] != text {
		t.Errorf("bob has %d texts", len(got))
	}
}

// slowly polls so that many minutes of a bubble's clock do not take long.
func slowly(c *client.Config) { c.Poll = time.Second }

// A guard dies, and the others that a client may keep are silent for a while, one
// after the other, so that it avoids all. They serve at once when they are back, and
// not when their ten minutes are over.
func TestAvoidedGuardsServeBesideADeadOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet(t, 10)
		alice, bob := n.person("alice", usual, slowly).ready(), n.person("bob", usual, slowly).ready()
		alice.add(bob)
		alice.delivered(alice.send(bob, "before"))
		guard := func() chain.NodeID { id, _ := alice.Guard(); return id }
		kill := func(id chain.NodeID, dead bool) { n.relay(id).fault(func(f *fakeFaults) { f.dead = dead }) }
		wait := func(what string, ok func() bool) {
			for end := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(100 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("never: " + what)
				}
			}
		}
		first := guard()
		kill(first, true)
		for silenced := 1; silenced < path.GuardMost; silenced++ {
			last := first
			wait("another guard", func() bool { last = guard(); return last != first && last != (chain.NodeID{}) })
			kill(last, true)
			wait("it is avoided", func() bool { return guard() != last })
			kill(last, false)
		}
		alice.deliversWithin(bob, 5*time.Minute, time.Hour)
	})
}

// No answer to a contact request gets through, but the contact has it, and writes:
// then it is asked no more, and texts leave.
func TestContactShowsThatItHasTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet(t, 6)
		n.all(func(f *fakeFaults) { f.shy = true })
		alice, bob := n.person("alice", usual).ready(), n.person("bob", usual).ready()
		alice.add(bob)
		id := alice.send(bob, "hello")
		for len(bob.Contacts()) == 0 {
			time.Sleep(100 * time.Millisecond)
		}
		bob.delivered(bob.send(alice, "I have your request"))
		before := n.sum(func(r *fakeRelay) int { return r.requests })
		alice.delivered(id)
		// One was under way, and each counts at the members that got it.
		if more := n.sum(func(r *fakeRelay) int { return r.requests }) - before; more > len(n.relays) {
			t.Errorf("members got %d more", more)
		}
	})
}

// All relays but the guard are avoided when it dies. That it brings nothing of members
// that are known to be silent is noticed before their ten minutes are over.
func TestGuardDiesWhenAllOthersAreAvoided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet(t, 8)
		alice, bob := n.person("alice", usual, slowly).ready(), n.person("bob", usual, slowly).ready()
		alice.add(bob)
		alice.delivered(alice.send(bob, "before"))
		guard, ok := alice.Guard()
		if !ok {
			t.Fatal("no guard")
		}
		n.relay(guard).fault(func(f *fakeFaults) { f.dead = true })
		for _, r := range n.relays {
			if r.id != guard {
				alice.Avoid(r.id)
			}
		}
		alice.deliversWithin(bob, 5*time.Minute, time.Hour)
	})
}

// What stays without answer of a member that is known to be silent is held against
// nobody: a dead guard, of which nothing else is told, would else have everybody
// avoided for longer than itself.
func TestSilentMembersBlameNobody(t *testing.T) {
	n := newFakeNet(t, 8)
	alice := n.person("alice", offline).ready()
	guard, member, hop := n.relays[0].id, n.relays[1].id, n.relays[2].id
	alice.Avoid(member)
	for range path.StrikesOut {
		alice.Missed(guard, member, hop)
	}
	if alice.AvoidedUntil(hop) != 0 {
		t.Error("a hop on the way to a silent member is blamed")
	}
	for range path.StrikesOut { // others are blamed, by what was sent before the first was missed
		alice.Missed(n.relays[3].id, n.relays[4].id, n.relays[5].id)
		alice.Trust(n.relays[3].id)
	}
	if alice.AvoidedUntil(n.relays[5].id) == 0 {
		t.Error("nobody is blamed at all")
	}
}

// Where only what a message needs stays without answer, its pauses stay short; where
// nothing is answered, they grow. None is longer than twice the mean of the longest.
func TestPauses(t *testing.T) {
	for _, row := range []struct {
		name        string
		fault       func(*fakeFaults)
		least, most time.Duration // of the longest
	}{
		{"stores are lost", func(f *fakeFaults) { f.deaf = true }, 7500 * time.Millisecond, 30 * time.Second},
		{"all is lost", func(f *fakeFaults) { f.dead = true }, 30 * time.Second, 2 * time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var longest time.Duration
				n := newFakeNet(t, 6)
				watched := func(c *client.Config) {
					c.Poll = time.Second // thirty in the time for which an answer counts
					c.Observe = func(s client.Step) {
						mu.Lock()
						defer mu.Unlock()
						if s.Kind == client.StepPause && s.Code != "stored" {
							longest = max(longest, s.Took)
						}
					}
				}
				alice, bob := n.person("alice", usual, watched).ready(), n.person("bob", usual, offline).ready()
				alice.add(bob)
				alice.until(alice.send(bob, "before"), client.Stored)
				n.all(row.fault)
				mu.Lock()
				longest = 0
				mu.Unlock()
				alice.send(bob, "after")
				time.Sleep(20 * time.Minute)
				mu.Lock()
				defer mu.Unlock()
				if longest < row.least || longest > row.most {
					t.Errorf("the longest pause was %s, want %s to %s", longest, row.least, row.most)
				}
			})
		})
	}
}
