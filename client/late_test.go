package client_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/client"
	"tunic/onion/mail"
)

// wound is a clock that the test moves.
type wound struct{ at atomic.Int64 }

func newWound() *wound {
	w := &wound{}
	w.at.Store(time.Now().UnixMilli())
	return w
}

func (w *wound) Now() chain.Time                         { return chain.Time(w.at.Load()) }
func (w *wound) move(d time.Duration)                    { w.at.Add(d.Milliseconds()) }
func (w *wound) set(c *client.Config)                    { c.Clock = w }
func (w *wound) rules(n *fakeNet)                        { n.clock = w }
func rarely(c *client.Config)                            { c.Resend = time.Hour }
func (p *person) state(id client.MessageID) client.State { s, _ := p.Status(id); return s.State }

// written is a text with a life of a minute that has come as far as the mailbox.
func (p *person) written(o *person, text string) client.MessageID {
	p.t.Helper()
	id, err := p.SendWith(within(p.t), o.ID(), text, client.SendOptions{TTL: time.Minute})
	if err != nil {
		p.t.Fatal(err)
	}
	p.until(id, client.Stored)
	return id
}

// fetch reads all mailboxes at once, and lets leave what follows from it.
func (p *person) fetch() {
	p.t.Helper()
	if err := p.PollNow(within(p.t)); err != nil {
		p.t.Fatal(err)
	}
	if err := p.Flush(within(p.t)); err != nil {
		p.t.Fatal(err)
	}
}

// The sender is away when the confirmation comes, and until the message's time is
// over: what waits in the mailbox is read before anything is given up.
func TestConfirmationWaitsLongerThanTheMessage(t *testing.T) {
	for name, fetch := range map[string]bool{"on the clock of polls": false, "at once": true} {
		t.Run(name, func(t *testing.T) {
			n, w := newFakeNet(t, 6), newWound()
			alice := n.person("alice", onDisk(t), w.set, rarely, offline).ready()
			bob := n.person("bob", w.set, rarely, offline).ready()
			alice.add(bob)
			id := alice.written(bob, "read in time")
			if err := alice.end(); err != nil {
				t.Fatal(err)
			}
			bob.fetch()
			w.move(75 * time.Second)
			if !fetch {
				alice.cfg.Poll = 5 * time.Millisecond
			}
			var came []client.State
			told := make(chan struct{})
			alice.born = func(c *client.Client) {
				events := c.Subscribe(within(t))
				go func() {
					defer close(told)
					for e := range events {
						if e.Kind == client.EventStatus {
							came = append(came, e.Status.State)
						}
					}
				}()
			}
			alice.start()
			if fetch {
				alice.fetch()
			}
			alice.delivered(id)
			if err := alice.end(); err != nil {
				t.Fatal(err)
			}
			<-told
			if !slices.Equal(came, []client.State{client.Delivered}) {
				t.Errorf("it was %v", came)
			}
		})
	}
}

// A message that was given up is delivered all the same when its recipient says
// that it has it, and read when it says that.
func TestConfirmationComesAfterTheEnd(t *testing.T) {
	n, w := newFakeNet(t, 6), newWound()
	alice := n.person("alice", onDisk(t), w.set, rarely, offline).ready()
	bob := n.person("bob", onDisk(t), w.set, rarely, offline, func(c *client.Config) { c.ReadReceipts = true }).ready()
	alice.add(bob)
	id := alice.written(bob, "read in time")
	n.all(func(f *fakeFaults) { f.lie = mail.CodeBusy }) // what bob says does not leave
	if err := bob.PollNow(within(t)); err != nil {
		t.Fatal(err)
	}
	w.move(75 * time.Second)
	alice.fetch()
	if s := alice.state(id); s != client.Expired || alice.IsDelivered(id) {
		t.Fatalf("it is %v", s)
	}
	alice.restart()
	n.all(func(f *fakeFaults) { f.lie = 0 })
	if err := bob.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	alice.fetch()
	if s := alice.state(id); s != client.Delivered || !alice.IsDelivered(id) {
		t.Fatalf("it is %v", s)
	}
	if err := bob.MarkRead(alice.ID(), id); err != nil {
		t.Fatal(err)
	}
	bob.fetch()
	alice.fetch()
	alice.restart()
	if s, _ := alice.Status(id); s.State != client.Delivered || s.Read == 0 {
		t.Errorf("it is %v, read %d", s.State, s.Read)
	}
}

// Nobody answers: what is over is given up all the same when it was waited for long
// enough, and not before, and nothing is sent of it meanwhile.
func TestGivenUpThoughNobodyAnswers(t *testing.T) {
	n, w := newFakeNet(t, 6), newWound()
	alice := n.person("alice", w.set, rarely, offline).ready()
	bob := n.person("bob", w.set, rarely, offline).ready()
	alice.add(bob)
	id := alice.written(bob, "in vain")
	w.move(75 * time.Second)
	n.all(func(f *fakeFaults) { f.dead = true })
	alice.Expire()
	if s := alice.state(id); s != client.Stored {
		t.Fatalf("it is %v, and nothing was read", s)
	}
	if err := alice.Flush(within(t)); err != nil {
		t.Error(err)
	}
	alice.HeardFor(10 * time.Minute)
	alice.Expire()
	if s := alice.state(id); s != client.Expired {
		t.Fatalf("it is %v", s)
	}
}

// Who finds a text after its life does not take it, though its sender is away and
// cannot delete it: it goes, nothing is said of it, and it stays unconfirmed.
func TestTextIsNotTakenAfterItsLife(t *testing.T) {
	n, w := newFakeNet(t, 6), newWound()
	alice := n.person("alice", onDisk(t), w.set, rarely, offline).ready()
	bob := n.person("bob", onDisk(t), w.set, rarely, offline).ready()
	alice.add(bob)
	first := alice.send(bob, "so that they know each other")
	alice.until(first, client.Stored)
	bob.fetch()
	alice.fetch()
	short := alice.written(bob, "after its life")
	long := alice.written(bob, strings.Repeat("in parts ", 300))
	usual := alice.send(bob, "without a life of its own")
	alice.until(usual, client.Stored)
	if err := alice.end(); err != nil {
		t.Fatal(err)
	}
	w.move(61 * time.Second)
	stores, deletes := n.sum(coordinated), n.sum(func(r *fakeRelay) int { return r.deletes })
	bob.fetch()
	bob.restart()
	bob.fetch()
	if got := bob.got(); !slices.Equal(got, []string{"so that they know each other", "without a life of its own"}) {
		t.Errorf("bob has %q", got)
	}
	if got := n.sum(coordinated) - stores; got != 1 {
		t.Errorf("%d confirmations, want that of the usual one", got)
	}
	if got := n.sum(func(r *fakeRelay) int { return r.deletes }) - deletes; got < 5*4 {
		t.Errorf("%d deleted, want those of a part, of three and of one at each member", got)
	}
	alice.start()
	alice.fetch()
	for id, want := range map[client.MessageID]client.State{short: client.Expired, long: client.Expired, usual: client.Delivered} {
		if s := alice.state(id); s != want {
			t.Errorf("it is %v, want %v", s, want)
		}
	}
}

// Without a life of its own a text is taken as long as a member has it, and its
// confirmation counts.
func TestUsualTextIsTakenLate(t *testing.T) {
	w := newWound()
	n := newFakeNet(t, 6, w.rules)
	alice := n.person("alice", onDisk(t), w.set, rarely, offline).ready()
	bob := n.person("bob", w.set, rarely, offline).ready()
	alice.add(bob)
	id := alice.send(bob, "hello")
	alice.until(id, client.Stored)
	if err := alice.end(); err != nil {
		t.Fatal(err)
	}
	w.move(time.Duration(n.core.Params.MailboxTTL)*time.Millisecond + time.Minute)
	bob.fetch()
	if got := bob.got(); !slices.Equal(got, []string{"hello"}) {
		t.Errorf("bob has %q", got)
	}
	alice.start()
	alice.fetch()
	if s := alice.state(id); s != client.Delivered {
		t.Errorf("it is %v", s)
	}
}

// What is told of a stored text: its end, and to when those who signed keep it.
func TestPromised(t *testing.T) {
	n, w := newFakeNet(t, 6), newWound()
	alice := n.person("alice", w.set, rarely, offline).ready()
	bob := n.person("bob", w.set, rarely, offline).ready()
	alice.add(bob)
	id := alice.written(bob, "hello")
	s, _ := alice.Status(id)
	if s.Expiry != s.Sent+60_000 {
		t.Errorf("it lives for %d ms", s.Expiry-s.Sent)
	}
	horizon := chain.Time(n.core.Params.ReceiptHorizon)
	if len(s.Receipts) == 0 || s.Promised+60_000 < s.Sent+horizon || s.Promised > s.Sent+horizon+60_000 {
		t.Errorf("promised for %d ms, want some %d", s.Promised-s.Sent, horizon)
	}
	for _, b := range s.Receipts {
		x, err := statement.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := statement.DecodeReceipt(x.Body); err != nil || r.Until < s.Promised {
			t.Errorf("one promises less: %v", err)
		}
	}
}
