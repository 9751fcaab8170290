package client_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"tunic/chain"
	"tunic/client"
	"tunic/onion/mail"
)

// told waits until a person is told that the account is at work elsewhere.
func (p *person) told() chain.Time {
	p.t.Helper()
	eventually(p.t, "it is told of the later one", func() bool { return p.Elsewhere() != 0 })
	return p.Elsewhere()
}

// published are the last resorts of an account, each of which all members have.
func (n *fakeNet) published(id mail.AccountID) map[mail.Bundle]int {
	l := map[mail.Bundle]int{}
	for _, r := range n.relays {
		r.mu.Lock()
		l[r.bundles[id]]++
		r.mu.Unlock()
	}
	return l
}

// An account is restored from its words while it is at work, and both go on. The
// older one learns of it when it starts again, and overtakes nothing, whether its
// last resort is still good or a new one would be due; so do the contacts.
func TestRestoredElsewhere(t *testing.T) {
	for name, away := range map[string]time.Duration{"soon": time.Minute, "after its last resort's half": 25 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newWound()
			n := newFakeNet(t, 6, w.rules)
			first := n.person("eve", onDisk(t), w.set).ready()
			alice := n.person("alice", w.set, quickly).ready()
			alice.add(first)
			alice.delivered(alice.send(first, "hello"))
			if first.Elsewhere() != 0 {
				t.Fatal("told of what is not")
			}
			if err := first.end(); err != nil {
				t.Fatal(err)
			}
			w.move(time.Minute)
			second := n.person("eve", onDisk(t), w.set).ready()
			eventually(t, "its bundle is everywhere", func() bool {
				l := n.published(second.ID())
				for b := range l {
					return len(l) == 1 && b.Since == w.Now()
				}
				return false
			})
			since, want := w.Now(), n.published(second.ID())
			if err := second.end(); err != nil { // so that it does not mend anything
				t.Fatal(err)
			}
			w.move(away)
			first.born = func(c *client.Client) {
				events := c.Subscribe(within(t))
				t.Cleanup(func() {
					times := 0
					for e := range events {
						if e.Kind == client.EventElsewhere {
							if times++; e.Elsewhere != since {
								t.Errorf("told of one since %d, want %d", e.Elsewhere, since)
							}
						}
					}
					if times != 1 {
						t.Errorf("told %d times", times)
					}
				})
			}
			first.start()
			if got := first.told(); got != since {
				t.Errorf("told of one since %d, want %d", got, since)
			}
			first.ready().fetch() // it reads all the same
			first.born = nil
			first.restart()
			if first.Elsewhere() != since {
				t.Error("forgotten over a restart")
			}
			first.ready().fetch()
			if got := n.published(first.ID()); len(got) != 1 || got[only(want)] != 6 {
				t.Error("another bundle is published")
			}
			if err := first.end(); err != nil {
				t.Fatal(err)
			}
			second.start()
			second.ready().fetch()
			if second.Elsewhere() != 0 {
				t.Error("the later one is told of itself")
			}
			alice.delivered(alice.send(second, "to the later one"))
			if got := second.got(); len(got) != 1 || got[0] != "to the later one" {
				t.Errorf("the later one has %q", got)
			}
		})
	}
}

func only(l map[mail.Bundle]int) (b mail.Bundle) {
	for b = range l {
	}
	return b
}

// One that goes on running is told within two hours.
func TestToldWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newFakeNet(t, 6)
		first := n.person("eve", offline).ready()
		time.Sleep(time.Minute)
		second := n.person("eve", offline).ready()
		time.Sleep(2 * time.Hour)
		if first.Elsewhere() == 0 || second.Elsewhere() != 0 {
			t.Errorf("told of %d, and the later one of %d", first.Elsewhere(), second.Elsewhere())
		}
		for b := range n.published(first.ID()) {
			if b.Since != first.Elsewhere() {
				t.Error("the later one's bundle is overtaken")
			}
		}
	})
}

// An old copy of a state comes back that has not renewed its last resort yet: it is
// no other device, and publishes anew.
func TestOwnSerialComesBack(t *testing.T) {
	n, w := newFakeNet(t, 6), newWound()
	bob := n.person("bob", onDisk(t), w.set, offline).ready()
	if err := bob.end(); err != nil {
		t.Fatal(err)
	}
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(bob.cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	w.move(25 * time.Hour)
	bob.start()
	bob.ready()
	if err := bob.end(); err != nil {
		t.Fatal(err)
	}
	renewed := uint64(0)
	for b := range n.published(bob.ID()) {
		renewed = max(renewed, b.Serial)
	}
	bob.cfg.Dir = old
	w.move(-20 * time.Hour) // its last resort is good for long
	bob.start()
	bob.ready()
	eventually(t, "a newer one is published", func() bool {
		l := n.published(bob.ID())
		return len(l) == 1 && only(l).Serial > renewed
	})
	if bob.Elsewhere() != 0 {
		t.Error("told of another device")
	}
}
