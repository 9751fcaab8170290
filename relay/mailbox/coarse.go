package mailbox

import (
	"crypto/rand"
	"encoding/binary"

	"tunic/chain"
	"tunic/chain/genesis"
)

// What a store shows of times is coarse, so that who gets it cannot tell from it
// which mailboxes were used together or in turn: docs/decisions/0039.

// day is when the day of the network's clock began in which now is.
func (m *Mailbox) day(now chain.Time) chain.Time {
	start := m.cfg.Start
	if now < start {
		return 0
	}
	return now - (now-start)%chain.Time(genesis.Day)
}

// dayEnd is when it ends; never 0.
func (m *Mailbox) dayEnd(now chain.Time) chain.Time { return m.day(now) + chain.Time(genesis.Day) }

// promiseParts is in how many parts of the receipt horizon promises are rounded
// down.
const promiseParts = 8

// promise is until when an item that comes now is promised to be kept, at most.
func (m *Mailbox) promise(now chain.Time) chain.Time {
	horizon := chain.Time(m.cfg.Params.ReceiptHorizon)
	end := now + horizon
	part := max(1, horizon/promiseParts)
	return end - end%part
}

// cursor is the next one of an account's mailbox, or the first of a pair's. On the
// first of a day it begins at random in the first half of the day, so that the last
// one given does not say how many there were; in the second half where the store
// itself was begun on that day, so that a member that lost its disk goes on above what
// readers have seen. So a mailbox whose row was swept does too.
func (m *Mailbox) cursor(t *txn, last uint64, now chain.Time) uint64 {
	day := m.day(now)
	if last >= uint64(day) && last > 0 {
		return last + 1
	}
	var r [4]byte
	_, _ = rand.Read(r[:]) // never fails
	at := uint64(day) + 1 + uint64(binary.BigEndian.Uint32(r[:])>>7)
	switch v := t.get([]byte{rowBegun}); {
	case v == nil:
		t.put([]byte{rowBegun}, appendTime(nil, day))
		fallthrough
	case len(v) == 8 && timeOf(v) == day:
		at += uint64(genesis.Day) / 2
	}
	return at
}
