package client_test

import (
	"errors"
	"testing"

	"tunic/client"
	"tunic/onion/mail"
)

func asks(c *client.Config) { c.AcceptAll = false }

// again waits until a contact request has been repeated, and looks into the mailbox
// behind it.
func (p *person) again(n *fakeNet) {
	p.t.Helper()
	requests := func() int { return n.sum(func(r *fakeRelay) int { return r.requests }) }
	before := requests()
	eventually(p.t, "the request is repeated", func() bool { return requests() > before })
	if err := p.PollNow(within(p.t)); err != nil {
		p.t.Fatal(err)
	}
}

// Who was refused does not come back by asking again, nor by beginning anew; it
// learns nothing, and is heard as soon as it is added.
func TestRefuse(t *testing.T) {
	n := newFakeNet(t, 6)
	alice := n.person("alice", quickly).ready()
	bob := n.person("bob", onDisk(t), asks).ready()
	alice.add(bob)
	id := alice.send(bob, "hello")
	eventually(t, "the request is there", func() bool { return len(bob.Contacts()) == 1 })
	if err := bob.Refuse(alice.ID()); err != nil {
		t.Fatal(err)
	}
	refused := func() {
		t.Helper()
		if l := bob.Contacts(); len(l) != 0 {
			t.Fatalf("%+v is back", l)
		}
		l := bob.Refused()
		if len(l) != 1 || l[0].ID != alice.ID() || l[0].State != client.Refused || l[0].Refused == 0 {
			t.Fatalf("refused are %+v", l)
		}
	}
	bob.again(n)
	refused()
	bob.restart()
	bob.ready().again(n)
	refused()
	if s := alice.state(id); s != client.Stored {
		t.Errorf("alice's message is %v", s)
	}
	alice.end()
	alice.start() // knows nothing any more, and asks as one that has begun later
	alice.ready().add(bob)
	id = alice.send(bob, "hello again")
	alice.until(id, client.Stored)
	bob.again(n)
	refused()
	if err := bob.Accept(alice.ID()); !errors.Is(err, client.ErrNoContact) {
		t.Error(err)
	}
	if err := bob.AddContact(alice.ID(), "Alice"); err != nil {
		t.Fatal(err)
	}
	alice.delivered(id)
	if l := bob.Refused(); len(l) != 0 {
		t.Errorf("%+v is still refused", l)
	}
	if err := bob.Refuse(bob.ID()); !errors.Is(err, client.ErrConfig) {
		t.Errorf("itself: %v", err)
	}
}

// A contact that is refused is one no more, and what waits for it goes; so is one
// that is no contact.
func TestRefuseAContact(t *testing.T) {
	n := newFakeNet(t, 6)
	alice := n.person("alice").ready()
	bob := n.person("bob", offline).ready()
	alice.add(bob)
	alice.until(alice.send(bob, "hello"), client.Stored)
	for _, id := range []mail.AccountID{bob.ID(), {9}} {
		if err := alice.Refuse(id); err != nil {
			t.Fatal(err)
		}
	}
	if len(alice.Contacts()) != 0 || len(alice.Outbox()) != 0 || len(alice.Refused()) != 2 {
		t.Errorf("%d contacts, %d messages, %d refused", len(alice.Contacts()), len(alice.Outbox()), len(alice.Refused()))
	}
	if _, err := alice.Send(within(t), bob.ID(), "x"); !errors.Is(err, client.ErrNoContact) {
		t.Error(err)
	}
}

// A backup carries who is refused. What was decided since, here, stays.
func TestBackupOfRefused(t *testing.T) {
	n := newFakeNet(t, 6)
	alice := n.unborn("alice", offline)
	alice.start()
	for i := range 4 {
		if err := alice.AddContact(mail.AccountID{1, byte(i)}, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []mail.AccountID{{1, 0}, {1, 1}, {2}} {
		if err := alice.Refuse(id); err != nil {
			t.Fatal(err)
		}
	}
	saved, err := alice.Backup()
	if err != nil {
		t.Fatal(err)
	}
	alice.end()
	alice.start()
	if err := alice.AddContact(mail.AccountID{1, 0}, "a contact here"); err != nil {
		t.Fatal(err)
	}
	if err := alice.Refuse(mail.AccountID{1, 2}); err != nil { // a contact in the backup
		t.Fatal(err)
	}
	added, err := alice.RestoreBackup(saved)
	if err != nil || added != 1 {
		t.Errorf("%d added: %v", added, err)
	}
	refused := map[mail.AccountID]bool{}
	for _, x := range alice.Refused() {
		refused[x.ID] = true
	}
	if len(refused) != 3 || !refused[mail.AccountID{1, 1}] || !refused[mail.AccountID{1, 2}] || !refused[mail.AccountID{2}] || len(alice.Contacts()) != 2 {
		t.Errorf("%v are refused, %d contacts", refused, len(alice.Contacts()))
	}
}
