package client

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion/mail"
)

const (
	// maxRefused bounds the accounts that are refused; the one that was refused
	// longest ago goes first.
	maxRefused = 1024
	// refusedFor is how long one is remembered.
	refusedFor = 366 * genesis.Day
)

// refusedRecord is an account whose contact requests are passed over.
type refusedRecord struct {
	ID    key32
	At    chain.Time // refused
	Since chain.Time // of its newest contact request, if it has sent one
	Sent  chain.Time
}

func (r *refusedRecord) row() row  { return encodeRow(rowRefused, string(r.ID[:]), r) }
func (r *refusedRecord) gone() row { return row{rowRefused, string(r.ID[:]), nil} }

// Refuse takes an account out of the contacts, as Remove does, and passes over its
// contact requests from now on, for a year. The account learns nothing: what it
// sends stays unconfirmed. AddContact takes that back. Of 1,024 refused accounts
// the first is forgotten for one more.
func (c *Client) Refuse(id mail.AccountID) error {
	if id == c.cfg.Account.id {
		return fmt.Errorf("refuse contact: %w: this is the account itself", ErrConfig)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	x := &refusedRecord{ID: key32(id), At: c.now()}
	if old := c.refused[id]; old != nil {
		x.Since, x.Sent = old.Since, old.Sent
	}
	var rows []row
	if r := c.contacts[id]; r != nil {
		x.Since, x.Sent = r.Since, r.Sent
		rows = c.dropContactLocked(r)
	}
	if err := c.saveLocked(append(rows, c.refuseLocked(x)...)...); err != nil {
		return err
	}
	c.emitLocked(Event{Kind: EventContact, Contact: x.contact()})
	c.changedLocked()
	return nil
}

// refuseLocked notes a refused account; the rows are to be saved.
func (c *Client) refuseLocked(x *refusedRecord) (rows []row) {
	c.refused[mail.AccountID(x.ID)] = x
	for len(c.refused) > maxRefused {
		all := c.refusedLocked()
		rows = append(rows, c.admitLocked(mail.AccountID(all[len(all)-1].ID))...)
	}
	return append(rows, x.row())
}

// admitLocked forgets that an account was refused; the rows are to be saved.
func (c *Client) admitLocked(id mail.AccountID) []row {
	x := c.refused[id]
	if x == nil {
		return nil
	}
	delete(c.refused, id)
	return []row{x.gone()}
}

// readmitLocked is admitLocked, and reads the account's mailbox from its beginning:
// what was passed over there may be taken now. What was taken is not taken twice.
func (c *Client) readmitLocked(id mail.AccountID) []row {
	rows := c.admitLocked(id)
	if rows == nil {
		return nil
	}
	clear(c.tried)
	own := mail.AccountMailbox(c.cfg.Account.id)
	for k := range c.cursors {
		if k.mailbox == own {
			delete(c.cursors, k)
			rows = append(rows, k.gone())
		}
	}
	return rows
}

// Refused lists the accounts whose requests are passed over, the one that was refused
// last first. Of a Contact they have the id and the state.
func (c *Client) Refused() []Contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.refusedLocked()
	out := make([]Contact, len(all))
	for i, x := range all {
		out[i] = x.contact()
	}
	return out
}

func (c *Client) refusedLocked() []*refusedRecord {
	all := make([]*refusedRecord, 0, len(c.refused))
	for _, x := range c.refused {
		all = append(all, x)
	}
	slices.SortFunc(all, func(a, b *refusedRecord) int {
		return cmp.Or(cmp.Compare(b.At, a.At), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return all
}

func (x *refusedRecord) contact() Contact {
	return Contact{ID: mail.AccountID(x.ID), State: Refused, Refused: x.At}
}

// sweepRefusedLocked forgets those that were refused long ago.
func (c *Client) sweepRefusedLocked(now chain.Time) (rows []row) {
	for id, x := range c.refused {
		if now >= x.At+chain.Time(refusedFor) {
			rows = append(rows, c.admitLocked(id)...)
		}
	}
	return rows
}

// refusedAgainLocked passes over a contact request of a refused account; the rows are
// to be saved. The prekey that it was made with is spent, as by any other.
func (c *Client) refusedAgainLocked(x *refusedRecord, since, sent chain.Time, used *prekeyRecord) []row {
	if since < x.Since || since == x.Since && sent <= x.Sent {
		return nil
	}
	x.Since, x.Sent = since, sent
	return append(used.spent(c.now()), x.row())
}
