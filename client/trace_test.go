package client_test

import (
	"errors"
	"testing"

	"tunic/client"
	"tunic/onion/mail"
)

// What a message waits for can be asked while it is on its way, and after.
func TestTrace(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice", onDisk(t)).ready(), n.person("bob").ready()
	alice.add(bob)
	alice.delivered(alice.send(bob, "first"))
	if err := bob.end(); err != nil {
		t.Fatal(err)
	}
	id := alice.send(bob, "second")
	eventually(t, "it is stored", func() bool { s, _ := alice.Status(id); return s.State == client.Stored })
	tr, err := alice.Trace(id)
	if err != nil {
		t.Fatal(err)
	}
	if !tr.Session || tr.Request != client.NoRequest || len(tr.Account) == 0 || len(tr.Parts) != 1 || tr.Epoch == 0 {
		t.Fatalf("%+v", tr)
	}
	x, signed := tr.Parts[0], 0
	for _, k := range x.Keepers {
		if k.Signed != (k.Until > tr.Status.Sent) {
			t.Errorf("%+v", k)
		}
		if k.Signed && !k.Former {
			signed++
		}
	}
	if !x.Confirmed || x.Fetched || signed < x.Need || x.Need < 1 || x.Need > len(x.Keepers) {
		t.Errorf("%+v", x)
	}
	w, err := alice.Draw(x.Keepers[0].Node)
	if err != nil {
		t.Fatal(err)
	}
	guard, _ := alice.Guard()
	if len(w.Nodes) < 3 || w.Nodes[len(w.Nodes)-1] != x.Keepers[0].Node || len(w.Explanation.Steps) != len(w.Nodes) {
		t.Errorf("%+v", w)
	}
	if guard != x.Keepers[0].Node && w.Nodes[0] != guard {
		t.Errorf("the guard is %s, the path begins with %s", guard.Short(), w.Nodes[0].Short())
	}
	bob.start()
	alice.delivered(id)
	if tr, err := alice.Trace(id); err != nil || tr.Parts != nil || tr.Status.State != client.Delivered {
		t.Errorf("%+v, %v", tr, err)
	}
	if _, err := alice.Trace(client.MessageID{1}); !errors.Is(err, client.ErrMessage) {
		t.Error(err)
	}
}

// A message to somebody who published nothing waits before there is a session.
func TestTraceOfAStranger(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice").ready(), n.unborn("bob")
	c, err := client.New(bob.cfg) // which never runs, so that it has no list
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	bob.Client = c
	alice.add(bob)
	id := alice.send(bob, "anybody?")
	if tr, err := alice.Trace(id); err != nil || tr.Session || tr.Parts != nil || len(tr.Account) == 0 {
		t.Errorf("%+v, %v", tr, err)
	}
	if _, err := bob.Trace(id); !errors.Is(err, client.ErrNoPath) {
		t.Error(err)
	}
	if _, err := bob.Draw(n.relays[0].id); !errors.Is(err, client.ErrNoPath) {
		t.Error(err)
	}
}

// A compared safety number stays noted, and what the user was told of.
func TestVerified(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice", onDisk(t)).ready(), n.person("bob").ready()
	alice.add(bob)
	if x := alice.contact(bob); x.Verified != 0 || x.Began != 0 || !x.Told {
		t.Errorf("%+v", x)
	}
	if err := alice.SetVerified(bob.ID(), true); err != nil {
		t.Fatal(err)
	}
	alice.delivered(alice.send(bob, "hello"))
	saved, err := alice.Backup()
	if err != nil {
		t.Fatal(err)
	}
	alice.restart()
	if x := alice.contact(bob); x.Verified == 0 || x.Began == 0 || x.Anew != 0 {
		t.Errorf("%+v", x)
	}
	if err := alice.Remove(bob.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := alice.RestoreBackup(saved); err != nil || alice.contact(bob).Verified == 0 {
		t.Errorf("not in the backup: %v", err)
	}
	if err := alice.SetVerified(bob.ID(), false); err != nil || alice.contact(bob).Verified != 0 {
		t.Errorf("it is still verified: %v", err)
	}
	if err := alice.SetTold(bob.ID()); err != nil {
		t.Error(err)
	}
	if err := alice.SetTold(mail.AccountID{1}); !errors.Is(err, client.ErrNoContact) {
		t.Error(err)
	}
}
