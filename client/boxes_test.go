package client

import (
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion/mail"
	"tunic/registry/directory"
)

// TestPairsAreKept: a mailbox is derived once for as long as it is read, whatever
// is asked in between, and what is read no more is not kept.
func TestPairsAreKept(t *testing.T) {
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	list, err := directory.NewList(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{cfg: Config{Account: &Account{}, Genesis: chain.Hash{1}}}
	c.cfg.Core.Params, c.cfg.Core.Time, c.cfg.Core.Clock = p, 1, genesis.ClockLedger
	c.contacts = map[mail.AccountID]*contactRecord{}
	for i := range 3 {
		c.contacts[mail.AccountID{byte(i)}] = &contactRecord{Sessions: []*sessionRecord{{Seed: key32{byte(i)}}}}
	}
	v := &view{list: list, seen: time.Now()}
	first := c.boxesLocked(v)
	keys := map[mail.ID]*byte{}
	for _, b := range first[1:] {
		keys[b.id] = &b.pair.read[0]
	}
	for _, b := range c.boxesLocked(v)[1:] {
		if keys[b.id] != &b.pair.read[0] {
			t.Fatal("a mailbox was derived again")
		}
	}
	delete(c.contacts, mail.AccountID{1})
	if n := len(c.boxesLocked(v)); n >= len(first) || len(c.pairs) != n-1 {
		t.Fatalf("%d mailboxes of %d, %d kept", n, len(first), len(c.pairs))
	}
}
