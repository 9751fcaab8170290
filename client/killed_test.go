package client_test

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tunic/client"
)

var everyWrite = flag.Bool("every-write", false, "kill the client at every single write, not at every few")

// duo is two people who talk; one is killed at one of its writes and started
// again.
type duo struct {
	t      *testing.T
	people [2]*person
	victim *person
	died   chan struct{}
	dead   bool // it was
	writes func() int
}

// newDuo lets victim 0 or 1 die at its n-th write.
func newDuo(t *testing.T, victim, n int, written bool) *duo {
	net := newFakeNet(t, 6)
	k := &duo{t: t, died: make(chan struct{})}
	for i, name := range []string{"alice", "bob"} {
		k.people[i] = net.unborn(name, onDisk(t), quickly, func(c *client.Config) { c.Poll = 20 * time.Millisecond })
	}
	k.victim = k.people[victim]
	k.victim.born = func(c *client.Client) { k.writes = c.DieAt(n, written, func() { close(k.died) }) }
	for _, p := range k.people {
		p.start()
	}
	return k
}

// revive starts the victim again where it has died.
func (k *duo) revive() {
	select {
	case <-k.died:
	default:
		return
	}
	if k.dead {
		return
	}
	k.dead = true
	if err := k.victim.end(); !errors.Is(err, client.ErrDied) {
		k.t.Fatal("a client that was killed ended with: ", err)
	}
	k.victim.born = nil
	k.victim.start()
}

// until waits for something, whoever dies meanwhile.
func (k *duo) until(what string, ok func() bool) {
	k.t.Helper()
	for end := time.Now().Add(60 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		k.revive()
		if ok() {
			return
		}
		if time.Now().After(end) {
			k.t.Fatal("never: " + what)
		}
	}
}

// says lets one write a text, once: where the program died over it, the user looks
// into the outbox whether it is there.
func (k *duo) says(from int, text string) {
	k.t.Helper()
	p, o := k.people[from], k.people[1-from]
	k.until(text[:6]+" is in the outbox", func() bool {
		if slices.ContainsFunc(p.Outbox(), func(s client.Status) bool { return s.Text == text }) && !k.dying() {
			return true
		}
		_, err := p.Send(within(k.t), o.ID(), text)
		return err == nil
	})
}

// dying reports whether the victim has died and was not started again.
func (k *duo) dying() bool {
	select {
	case <-k.died:
		return !k.dead
	default:
		return false
	}
}

func (k *duo) settled() bool {
	for _, p := range k.people {
		if slices.ContainsFunc(p.Outbox(), func(s client.Status) bool { return s.State != client.Delivered }) {
			return false
		}
	}
	return !k.dying()
}

// run is the whole talk.
func (k *duo) run() {
	t := k.t
	k.until("they know each other", func() bool { return k.people[0].AddContact(k.people[1].ID(), "bob") == nil })
	long := strings.Repeat("long. ", 500) // three parts
	want := [2][]string{}
	for round := range 2 {
		for from := range k.people {
			texts := []string{fmt.Sprintf("text %d of %d", round, from)}
			if round == from {
				texts = append(texts, fmt.Sprintf("%d of %d ", round, from)+long)
			}
			for _, text := range texts {
				if from == 1 && round == 0 { // who was asked answers
					k.until("the request came", func() bool { return len(k.people[1].Contacts()) == 1 })
				}
				k.says(from, text)
				want[1-from] = append(want[1-from], text)
			}
		}
		k.until("all is delivered", k.settled)
	}
	for i, p := range k.people {
		got := p.got()
		slices.Sort(got)
		slices.Sort(want[i])
		if !slices.Equal(got, want[i]) {
			t.Errorf("person %d has %d texts, %d were written", i, len(got), len(want[i]))
		}
		c := p.contact(k.people[1-i])
		if c.State != client.Connected || c.Anew != 0 {
			t.Errorf("contact of person %d is in state %d, begun anew at %d", i, c.State, c.Anew)
		}
		if p.Renewed() {
			t.Errorf("person %d found a session out of step", i)
		}
	}
}

// Killed at any of its writes, before it or after, and started again: nothing is
// lost, nothing shown twice, and the session goes on.
func TestKilledAtAnyWrite(t *testing.T) {
	for victim, name := range []string{"who asks", "who is asked"} {
		t.Run(name, func(t *testing.T) {
			k := newDuo(t, victim, -1, false)
			k.run()
			writes, step := k.writes(), 1
			if writes < 30 {
				t.Fatalf("only %d writes", writes)
			}
			if !*everyWrite {
				step = 13
			}
			t.Logf("%d writes", writes)
			for n := 1; n <= writes; n++ {
				for _, written := range []bool{false, true} {
					if at := 2 * n; written && (at+1)%step != 0 || !written && at%step != 0 {
						continue
					}
					t.Run(fmt.Sprintf("%d %v", n, written), func(t *testing.T) {
						t.Parallel()
						newDuo(t, victim, n, written).run()
					})
				}
			}
		})
	}
}
