package mailbox_test

import (
	"encoding/binary"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

// Cursors rise within a mailbox, over a lost disk and over days, are never a day
// ahead, and do not say how many items there were, nor when they came. Nothing but an
// item shows that a pair's mailbox got it after its first day.
func TestCursorsSayNoTimes(t *testing.T) {
	const day = chain.Time(genesis.Day)
	cursors := func(m *mailbox.Mailbox, pair byte, at chain.Time) (out []uint64) {
		for _, r := range m.Handle(at, epoch, poll(pair, 0, at)) {
			if i, err := small.DecodeItem(r.Body); r.Code == mail.CodeItem && err == nil {
				out = append(out, i.Cursor)
			}
		}
		return out
	}
	s := new(mailbox.Memory)
	row := func(id mail.ID) (last, touched uint64) {
		v, err := s.Get(append([]byte{'n'}, id[:]...))
		if err != nil || len(v) != 20 {
			t.Fatalf("row of a mailbox: %d bytes, %v", len(v), err)
		}
		return binary.BigEndian.Uint64(v), binary.BigEndian.Uint64(v[12:])
	}
	m := open(t, s, nil)
	one(t, m, now, store(1, 1, now+3*day))
	one(t, m, now+1000, store(2, 1, now+3*day))
	one(t, m, now+1000, store(3, 3, now+3*day))
	c, other := cursors(m, 1, now+1000), cursors(m, 3, now+1000)
	if len(c) != 2 || c[1] != c[0]+1 || len(other) != 1 || other[0] == c[0] {
		t.Fatalf("%v, %v", c, other)
	}
	late := store(4, 1, now+3*day)
	_, before := row(late.Store.Mailbox())
	one(t, m, now+day, late)
	if c = cursors(m, 1, now+day); len(c) != 3 || c[2] != c[1]+1 {
		t.Fatalf("on the next day: %v", c)
	}
	if _, after := row(late.Store.Mailbox()); after != before {
		t.Fatalf("a mailbox whose day ended at %d says %d", before, after)
	}
	// An account's mailbox is used for years.
	account := mail.AccountID{7}
	one(t, m, now, mail.Command{Request: request(t, account, 1, mail.DefaultWork)})
	first, ends := row(mail.AccountMailbox(account))
	one(t, m, now+day, mail.Command{Request: request(t, account, 2, mail.DefaultWork)})
	if next, then := row(mail.AccountMailbox(account)); next-first < 1000 || next >= uint64(now+2*day) || then != ends+uint64(day) {
		t.Fatalf("requests on two days: cursors %d and %d, days %d and %d", first, next, ends, then)
	}
	// A store that is a day old, and one that begins on this day, as after a loss.
	lost := open(t, new(mailbox.Memory), nil)
	one(t, m, now+day, store(5, 5, now+3*day))
	one(t, lost, now+day, store(6, 5, now+3*day))
	if a, b := cursors(m, 5, now+day), cursors(lost, 5, now+day); len(a) != 1 || len(b) != 1 || b[0] <= a[0] || b[0] > uint64(now+2*day) {
		t.Fatalf("after a loss: %v, before: %v", b, a)
	}
}

// A tombstone lies at the place of its mailbox's swarm, and deletes the item wherever
// it is told of; another's false one does not keep the true one out.
func TestTombstonesNameNoMailbox(t *testing.T) {
	place := mail.ID{0xff}
	m := open(t, new(mailbox.Memory), func(c *mailbox.Config) { c.Place = func(mail.ID) mail.ID { return place } })
	expiry := now + chain.Time(genesis.Hour)
	c := store(2, 1, expiry)
	one(t, m, now, c)
	id := c.Store.ItemOf(c.Store.Root())
	until := expiry + chain.Time(params().ChallengeWindow)
	bury := func(g mail.Tombstone) mailbox.Outcome {
		wait := make(chan mailbox.Outcome, 1)
		m.Bury(now, g, func(o mailbox.Outcome) { wait <- o })
		return <-wait
	}
	if o := bury(mail.Tombstone{Mailbox: place, Item: id, Token: [32]byte{77}, Until: until}); m.Items() != 1 {
		t.Fatalf("a token of something else deleted an item: %s", o.Reply.Code)
	}
	if o := bury(mail.Tombstone{Mailbox: place, Item: id, Token: [32]byte{2}, Until: until}); m.Items() != 0 || !o.More {
		t.Fatalf("%s, %d items left", o.Reply.Code, m.Items())
	}
	one(t, m, now, store(3, 1, expiry))
	wait := make(chan mailbox.Outcome, 1)
	m.Do(now, epoch, mail.Command{Delete: &mail.Delete{Token: [32]byte{3}}}, mailbox.ByClient, func(o mailbox.Outcome) { wait <- o })
	if o := <-wait; len(o.Gone) != 1 || o.Gone[0].Mailbox != c.Store.Mailbox() || o.Gone[0].Tombstone.Mailbox != place {
		t.Fatalf("%+v", o.Gone)
	}
	rows, _, err := m.List(&mail.Scope{At: now}, 10)
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, r := range rows {
		if mail.ID(r.Key[:32]) != place {
			t.Fatal("a tombstone lies in its mailbox")
		}
	}
}
