package client_test

import (
	"testing"
	"testing/synctest"
	"time"

	"tunic/client"
)

// usual are the times of a client of a dev network.
func usual(c *client.Config) {
	c.Poll, c.Timeout, c.Resend = 60*time.Millisecond, 3*time.Second, 10*time.Second
}

// TestGuardWithoutKeys: a relay that opens nothing any more, as one that was
// started without its keys, is the guard of who writes, or of who reads, or of both.
// The message arrives within docs/spec/messenger.md's bound all the same.
func TestGuardWithoutKeys(t *testing.T) {
	for _, row := range []struct {
		name  string
		first bool // nothing was written before
		whose int
	}{{"the writer's", false, 0}, {"the reader's", false, 1}, {"the writer's, at first", true, 0}} {
		t.Run(row.name, func(t *testing.T) {
			for range 8 {
				synctest.Test(t, func(t *testing.T) {
					n := newFakeNet(t, 8)
					alice, bob := n.person("alice", usual).ready(), n.person("bob", usual).ready()
					alice.add(bob)
					if !row.first {
						alice.delivered(alice.send(bob, "before"))
					}
					guard, ok := []*person{alice, bob}[row.whose].Guard()
					if !ok {
						t.Fatal("no guard")
					}
					n.relay(guard).fault(func(f *fakeFaults) { f.dead = true })
					alice.deliversWithin(bob, 30*time.Second, time.Minute)
				})
			}
		})
	}
}

// TestAnswersClearTheirOwnWays: of three answers of a poll some come. That clears
// nobody on the way of the one that is lost, so that a relay that opens nothing is
// soon avoided, though most polls bring something.
func TestAnswersClearTheirOwnWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet(t, 12)
		alice := n.person("alice", usual).ready()
		time.Sleep(10 * time.Second)
		guard, _ := alice.Guard()
		dead := n.relays[0]
		if dead.id == guard {
			dead = n.relays[1]
		}
		dead.fault(func(f *fakeFaults) { f.dead = true })
		dropped := func() int { return dead.count(func(r *fakeRelay) int { return r.dropped }) }
		time.Sleep(15 * time.Second)
		first := dropped()
		time.Sleep(2 * time.Minute) // of the ten for which it is avoided
		// Some 2,000 polls, one of twelve for what the relay keeps itself. By one of
		// their four ways more than half of them would lead through it.
		if more := dropped() - first; first == 0 || more > 400 {
			t.Errorf("%d packets were lost at first, %d more in two minutes", first, more)
		}
	})
}
