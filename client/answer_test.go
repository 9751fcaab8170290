package client_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"tunic/client"
	"tunic/internal/flaw"
	"tunic/onion/mail"
)

// pairBoxes are the mailboxes of pairs that ever got something.
func (n *fakeNet) pairBoxes(accounts ...*person) map[mail.ID]bool {
	out := map[mail.ID]bool{}
	for _, r := range n.relays {
		r.mu.Lock()
		for id := range r.history {
			out[id] = true
		}
		r.mu.Unlock()
	}
	for _, p := range accounts {
		delete(out, mail.AccountMailbox(p.ID()))
	}
	return out
}

// reads lets one look, and waits until its answers have left.
func (p *person) reads() {
	p.t.Helper()
	if err := p.PollNow(within(p.t)); err != nil {
		p.t.Fatal(err)
	}
	if err := p.Flush(within(p.t)); err != nil {
		p.t.Fatal(err)
	}
}

// nextDay rotates all mailboxes.
func (n *fakeNet) nextDay(all ...*person) {
	n.t.Helper()
	n.seal(n.newest+24, nil) // epochs are hours
	for _, p := range all {
		if err := p.AwaitHead(within(n.t), n.head.Header); err != nil {
			n.t.Fatal(err)
		}
	}
}

func seldom(c *client.Config) { c.Poll, c.Resend = time.Hour, time.Hour }

// What is read on another day than it was sent is answered in the mailboxes of its
// own day, over a restart too, so that nobody sees which mailboxes of two days are
// of one pair.
func TestAnswersStayWithinTheirDay(t *testing.T) {
	n := newFakeNet(t, 6)
	alice := n.person("alice", seldom).ready()
	bob := n.person("bob", seldom, onDisk(t), func(c *client.Config) { c.ReadReceipts = true }).ready()
	alice.add(bob)
	first := alice.send(bob, "first")
	alice.until(first, client.Stored)
	bob.reads()
	alice.reads()
	alice.delivered(first)
	day := n.pairBoxes(alice, bob)
	if len(day) != 2 {
		t.Fatalf("%d mailboxes of one pair and day", len(day))
	}

	late := alice.send(bob, "late")
	alice.until(late, client.Stored)
	n.nextDay(alice, bob)
	bob.reads()
	bob.restart()
	bob.ready()
	if err := bob.MarkRead(alice.ID(), late); err != nil {
		t.Fatal(err)
	}
	if err := bob.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	alice.reads()
	alice.delivered(late)
	if s, _ := alice.Status(late); s.Read == 0 {
		t.Error("alice does not know that it was read")
	}
	if got := n.pairBoxes(alice, bob); !maps.Equal(got, day) {
		t.Errorf("%d mailboxes were used before the first message of the next day, %d were before", len(got), len(day))
	}

	next := alice.send(bob, "next")
	alice.until(next, client.Stored)
	bob.reads()
	alice.reads()
	alice.delivered(next)
	if got := n.pairBoxes(alice, bob); len(got) != 4 {
		t.Errorf("%d mailboxes of one pair on two days", len(got))
	}
}

// flawed goes without something.
func (p *person) flawed(f flaw.Set) *person {
	p.t.Helper()
	if err := p.end(); err != nil {
		p.t.Fatal(err)
	}
	p.flaws = f
	p.start()
	return p.ready()
}

// Clients that go without rotation or padding work, and show what that hides.
func TestFlawedClients(t *testing.T) {
	for name, f := range map[string]flaw.Set{"rotation": flaw.Set{}.WithoutRotation(), "padding": flaw.Set{}.WithoutPadding()} {
		t.Run(name, func(t *testing.T) {
			n := newFakeNet(t, 6)
			alice, bob := n.person("alice", seldom).flawed(f), n.person("bob", seldom).flawed(f)
			alice.add(bob)
			for day, text := range []string{"x", strings.Repeat("x", 900), strings.Repeat("x", 3000)} {
				id := alice.send(bob, text)
				alice.until(id, client.Stored)
				bob.reads()
				alice.reads()
				alice.delivered(id)
				n.nextDay(alice, bob)
				if got := len(n.pairBoxes(alice, bob)); f.NoRotation() && got != 2 || !f.NoRotation() && got != 2*(day+1) {
					t.Errorf("%d mailboxes on day %d", got, day)
				}
			}
			pair := n.pairBoxes(alice, bob)
			short, long := 0, 0
			for _, r := range n.relays {
				r.mu.Lock()
				for id, items := range r.history {
					if !pair[id] {
						continue
					}
					for _, item := range items {
						switch sealed := len(strings.TrimRight(string(item), "\x00")); {
						case sealed < 300:
							short++
						case sealed > 1000:
							long++
						}
					}
				}
				r.mu.Unlock()
			}
			if long == 0 || (short > 0) != f.NoPadding() {
				t.Errorf("%d items show that their texts are short; %d are long", short, long)
			}
		})
	}
	n := newFakeNet(t, 6, func(n *fakeNet) { n.core.Dev = false })
	cfg := n.unborn("alice").cfg
	if _, err := client.NewFlawed(cfg, flaw.Set{}.WithoutPadding()); !errors.Is(err, client.ErrConfig) {
		t.Errorf("a flawed client in a real network: %v", err)
	}
	c, err := client.NewFlawed(cfg, flaw.Set{})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
