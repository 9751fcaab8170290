package client_test

import (
	"context"
	"errors"
	"testing"

	"tunic/client"
)

// What cannot be written ends the client, and whoever waits is told so.
func TestStoreFailureEndsTheClient(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice", onDisk(t)).ready(), n.person("bob", offline).ready()
	alice.add(bob)
	id := alice.send(bob, "hello")
	waited := make(chan error, 1)
	go func() { waited <- alice.WaitDelivered(within(t), id) }()
	alice.BreakStore()
	_, err := alice.Send(within(t), bob.ID(), "lost")
	if err == nil {
		t.Fatal("a message was accepted that is not on disk")
	}
	if l := alice.Outbox(); len(l) != 1 || l[0].ID != id {
		t.Errorf("the outbox shows %+v", l)
	}
	if err := <-waited; err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who waited was told: %v", err)
	}
	if err := alice.end(); err == nil {
		t.Error("Run did not report it")
	}
	if got := bob.got(); len(got) != 0 {
		t.Errorf("bob has %q", got)
	}
}

// A store that failed before Run began ends it too.
func TestStoreFailureBeforeRun(t *testing.T) {
	n := newFakeNet(t, 6)
	cfg := client.Config{Account: account(t, "alice"), Core: n.core, Genesis: n.genesis, Ledger: n, Transport: n.mem.Client()}
	onDisk(t)(&cfg)
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.BreakStore()
	if err := c.AddContact(account(t, "bob").ID(), "bob"); err == nil {
		t.Fatal("a contact was kept that is not on disk")
	}
	ctx := within(t)
	if err := c.Run(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("Run returned %v", err)
	}
}

// A message to who was never online holds up no end; what can leave is waited for.
func TestFlushDoesNotWaitForNobody(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	carol := n.unborn("carol")
	if err := alice.AddContact(carol.cfg.Account.ID(), "carol"); err != nil {
		t.Fatal(err)
	}
	early, err := alice.Send(within(t), carol.cfg.Account.ID(), "early")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is found", func() bool { s, _ := alice.Status(early); return s.Reason == "unknown_account" })
	alice.add(bob)
	id := alice.send(bob, "hello")
	if err := alice.Flush(within(t)); err != nil {
		t.Fatal(err)
	}
	if s, _ := alice.Status(id); s.State < client.Stored {
		t.Errorf("the message to bob is %s", s.State)
	}
	if s, _ := alice.Status(early); s.State != client.Queued {
		t.Errorf("the message to carol is %s", s.State)
	}
}
