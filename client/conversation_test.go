package client_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tunic/client"
	"tunic/onion/mail"
)

func texts(all []client.Entry) (out []string) {
	for _, e := range all {
		out = append(out, e.Text)
	}
	return out
}

func TestConversationReadAndSearch(t *testing.T) {
	n := newFakeNet(t, 6)
	tells := func(c *client.Config) { c.ReadReceipts = true }
	alice, bob := n.person("alice", onDisk(t), tells).ready(), n.person("bob", onDisk(t), tells).ready()
	alice.add(bob)
	want := []string{}
	for i := range 3 {
		a, b := fmt.Sprint("Question ", i), fmt.Sprint("answer ", i)
		alice.delivered(alice.send(bob, a))
		bob.delivered(bob.send(alice, b))
		want = append(want, a, b)
	}
	if got := texts(alice.Conversation(bob.ID())); !slices.Equal(got, want) {
		t.Errorf("alice has %q, want %q", got, want)
	}
	if got := texts(bob.Conversation(alice.ID())); !slices.Equal(got, want) {
		t.Errorf("bob has %q, want %q", got, want)
	}
	if got := texts(bob.Search("2 QUESTION")); !slices.Equal(got, []string{"Question 2"}) {
		t.Errorf("found %q", got)
	}
	if got := bob.contact(alice).Unread; got != 3 {
		t.Errorf("%d unread", got)
	}
	in := bob.Inbox()
	if err := bob.MarkRead(alice.ID(), in[1].ID); err != nil {
		t.Fatal(err)
	}
	if got := bob.contact(alice).Unread; got != 1 {
		t.Errorf("%d unread", got)
	}
	read := func() (n int) {
		for _, e := range alice.Conversation(bob.ID()) {
			if e.Mine && e.Read != 0 {
				n++
			}
		}
		return n
	}
	eventually(t, "alice is told of two", func() bool { return read() == 2 })
	bob.restart()
	alice.restart()
	if bob.contact(alice).Unread != 1 || read() != 2 {
		t.Error("forgotten over a restart")
	}
	if err := bob.MarkRead(alice.ID(), client.MessageID{}); !errors.Is(err, client.ErrMessage) {
		t.Error(err)
	}
}

// Who does not want to tell when he reads does not.
func TestReadingIsNotToldByDefault(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice").ready(), n.person("bob").ready()
	alice.add(bob)
	id := alice.send(bob, "hello")
	alice.delivered(id)
	if err := bob.MarkRead(alice.ID(), id); err != nil {
		t.Fatal(err)
	}
	bob.delivered(bob.send(alice, "after it")) // what had left before has come
	if s, _ := alice.Status(id); s.Read != 0 {
		t.Error("alice knows when bob read")
	}
}

// Texts disappear on both sides, and only once they were read; the contact's
// answers follow the timer that was set last.
func TestTextsDisappear(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice", onDisk(t)).ready(), n.person("bob", onDisk(t)).ready()
	alice.add(bob)
	kept := alice.send(bob, "stays")
	alice.delivered(kept)
	if err := alice.SetTimer(bob.ID(), time.Second); err != nil {
		t.Fatal(err)
	}
	alice.delivered(alice.send(bob, "disappears"))
	if got := bob.contact(alice).Timer; got != time.Second {
		t.Errorf("bob's timer is %v", got)
	}
	bob.delivered(bob.send(alice, "disappears too"))
	eventually(t, "they have disappeared where they were written", func() bool {
		return slices.Equal(texts(alice.Conversation(bob.ID())), []string{"stays", "disappears too"})
	})
	if got := texts(bob.Conversation(alice.ID())); !slices.Contains(got, "disappears") {
		t.Errorf("bob has %q, and has not read", got)
	}
	for p, from := range map[*person]*person{alice: bob, bob: alice} {
		in := p.Inbox()
		if err := p.MarkRead(from.ID(), in[len(in)-1].ID); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []*person{alice, bob} {
		eventually(t, "they have disappeared", func() bool {
			return len(p.Search("disappears")) == 0
		})
		p.restart()
		if got := p.Search(""); len(got) != 1 || got[0].Text != "stays" {
			t.Errorf("%q is left", texts(got))
		}
	}
	for _, bad := range []time.Duration{-time.Second, time.Millisecond, 1e4 * 24 * time.Hour} {
		if err := alice.SetTimer(bob.ID(), bad); !errors.Is(err, client.ErrConfig) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestLifeOfAMessage(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice").ready(), n.person("bob", offline)
	alice.add(bob)
	for _, bad := range []time.Duration{-time.Second, time.Second, 1000 * time.Hour} {
		if _, err := alice.SendWith(within(t), bob.ID(), "x", client.SendOptions{TTL: bad}); !errors.Is(err, client.ErrMessage) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	id, err := alice.SendWith(within(t), bob.ID(), "x", client.SendOptions{TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := alice.Status(id); s.Expiry-s.Sent > 61_000 || s.Expiry-s.Sent < 60_000 {
		t.Errorf("it lives for %d ms", s.Expiry-s.Sent)
	}
}

// An account comes back on another machine with its mnemonic and a backup: it
// knows its contacts by name, and is reached without doing anything.
func TestBackup(t *testing.T) {
	n := newFakeNet(t, 6)
	alice, bob := n.person("alice", onDisk(t)).ready(), n.person("bob", quickly).ready()
	if err := alice.AddContact(bob.ID(), "Bob the Builder"); err != nil {
		t.Fatal(err)
	}
	alice.delivered(alice.send(bob, "before"))
	saved, err := alice.Backup()
	if err != nil {
		t.Fatal(err)
	}
	if err := alice.end(); err != nil {
		t.Fatal(err)
	}
	id := bob.send(alice, "while alice moves")
	alice.cfg.Dir = t.TempDir()
	alice.start()
	bobID := bob.ID()
	if bytes.Contains(saved, []byte("Builder")) || bytes.Contains(saved, bobID[:]) || len(saved)%4096 > 100 {
		t.Errorf("%d bytes show what they are", len(saved))
	}
	for i := 0; i < len(saved); i += 97 {
		changed := bytes.Clone(saved)
		changed[i] ^= 1
		if _, err := alice.RestoreBackup(changed); !errors.Is(err, client.ErrBackup) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	if _, err := bob.RestoreBackup(saved); !errors.Is(err, client.ErrBackup) {
		t.Errorf("of another account: %v", err)
	}
	for want := 1; want >= 0; want-- {
		if got, err := alice.RestoreBackup(saved); err != nil || got != want {
			t.Errorf("%d contacts, %v; want %d", got, err, want)
		}
	}
	bob.delivered(id)
	if c := alice.contact(bob); c.Name != "Bob the Builder" || c.Safety != client.SafetyNumber(alice.ID(), bob.ID()) {
		t.Errorf("%+v", c)
	}
	alice.delivered(alice.send(bob, "moved"))
	if !strings.Contains(strings.Join(bob.got(), "|"), "before|moved") {
		t.Errorf("bob has %q", bob.got())
	}
	if _, err := alice.SendWith(within(t), mail.AccountID{9}, "x", client.SendOptions{}); !errors.Is(err, client.ErrNoContact) {
		t.Error(err)
	}
}
