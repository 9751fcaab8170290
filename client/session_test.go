package client_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tunic/client"
	"tunic/onion/mail"
)

// quickly repeats what is not confirmed soon.
func quickly(c *client.Config) { c.Resend = 300 * time.Millisecond }

func (p *person) contact(o *person) client.Contact {
	p.t.Helper()
	for _, x := range p.Contacts() {
		if x.ID == o.ID() {
			return x
		}
	}
	p.t.Fatal("no such contact")
	return client.Contact{}
}

// stocked waits until each member has bundles to hand out once.
func (p *person) stocked(n *fakeNet) {
	p.t.Helper()
	eventually(p.t, "members have bundles to hand out", func() bool {
		for _, m := range n.swarm(mail.AccountMailbox(p.ID())).Members {
			if n.relay(m).count(func(r *fakeRelay) int { return len(r.once[p.ID()]) }) < 8 {
				return false
			}
		}
		return true
	})
}

// Each first contact gets a prekey of its own while there are any; then it gets
// the last resort, and both sides say so.
func TestPrekeysAreForOneUse(t *testing.T) {
	n := newFakeNet(t, 6)
	bob := n.person("bob", func(c *client.Config) { c.Poll = 5 * time.Millisecond }).ready()
	bob.stocked(n)
	alice := n.person("alice").ready()
	alice.add(bob)
	alice.delivered(alice.send(bob, "hello"))
	if !alice.contact(bob).Once || !bob.contact(alice).Once {
		t.Error("the session did not begin with a prekey of its own")
	}
	bob.stocked(n) // what was used is replaced

	if err := bob.end(); err != nil { // nobody brings any more
		t.Fatal(err)
	}
	for _, r := range n.relays {
		r.mu.Lock()
		clear(r.once)
		r.mu.Unlock()
	}
	carol := n.person("carol").ready()
	carol.add(bob)
	id := carol.send(bob, "hello")
	carol.until(id, client.Stored)
	if carol.contact(bob).Once {
		t.Error("a prekey for one use was found where there is none")
	}
	bob.start()
	carol.delivered(id)
}

// An account that comes back from its mnemonic and knows nobody is reached by
// those who know it, and by what they sent while it was away.
func TestWhoLostAllIsReached(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice", quickly).ready(), n.person("bob").ready()
	alice.add(bob)
	alice.delivered(alice.send(bob, "before"))
	if alice.contact(bob).Anew != 0 {
		t.Error("bob has begun anew, it says")
	}
	bob.end()
	bob.start()
	bob.ready()
	id := alice.send(bob, "are you there")
	alice.delivered(id)
	if got := bob.got(); len(got) != 1 || got[0] != "are you there" {
		t.Errorf("bob has %q", got)
	}
	bob.delivered(bob.send(alice, "yes"))
	// Who is written to by him first sees it likewise.
	bob.end()
	bob.start()
	bob.ready()
	bob.add(alice)
	bob.delivered(bob.send(alice, "again"))
	if alice.contact(bob).Anew == 0 {
		t.Error("nothing says that bob has begun anew")
	}
}

// An old copy of a state comes back: whichever side it is, and whatever was sent
// since, messages pass in both directions again, and each is shown once.
func TestOldStateComesBack(t *testing.T) {
	for _, who := range []string{"alice", "bob"} {
		t.Run(who, func(t *testing.T) {
			n := newFakeNet(t, 6)
			people := map[string]*person{"alice": n.person("alice", onDisk(t), quickly).ready(), "bob": n.person("bob", onDisk(t), quickly).ready()}
			alice, bob := people["alice"], people["bob"]
			alice.add(bob)
			alice.delivered(alice.send(bob, "first"))
			bob.delivered(bob.send(alice, "second"))

			p := people[who]
			if err := p.end(); err != nil {
				t.Fatal(err)
			}
			old := filepath.Join(t.TempDir(), "old")
			if err := os.CopyFS(old, os.DirFS(p.cfg.Dir)); err != nil {
				t.Fatal(err)
			}
			p.start()
			for i := range 3 {
				alice.delivered(alice.send(bob, fmt.Sprint("to bob ", i)))
				bob.delivered(bob.send(alice, fmt.Sprint("to alice ", i)))
			}
			if err := p.end(); err != nil {
				t.Fatal(err)
			}
			p.cfg.Dir = old
			p.start()
			there, back := alice.send(bob, "after to bob"), bob.send(alice, "after to alice")
			alice.delivered(there)
			bob.delivered(back)
			alice.delivered(alice.send(bob, "last to bob"))
			bob.delivered(bob.send(alice, "last to alice"))
			for _, p := range people {
				times := map[string]int{}
				for _, text := range p.got() {
					if times[text]++; times[text] > 1 {
						t.Errorf("%q is shown %d times", text, times[text])
					}
				}
			}
		})
	}
}
