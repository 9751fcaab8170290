package client

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
)

// maxTimer is the longest time after which texts disappear, in seconds: a year.
const maxTimer = 366 * 24 * 3600

// Entry is one text of a conversation, received or sent.
type Entry struct {
	ID       MessageID
	Contact  mail.AccountID
	Mine     bool
	Text     string
	Sent     chain.Time // by the sender's clock
	Received chain.Time // of one that is not Mine
	State    State      // of one that is Mine, with
	Reason   string     // what it waits for, or why it failed
	Read     chain.Time // by us; of one that is Mine, as far as the contact says
	Vanishes chain.Time // 0: it does not, or not yet
}

// Conversation is all that was written to a contact and received from it, in the
// order in which it was sent.
func (c *Client) Conversation(with mail.AccountID) []Entry {
	return c.entries(func(e *Entry) bool { return e.Contact == with })
}

// Search finds texts that hold all words, in any case and order, in the order in
// which they were sent.
func (c *Client) Search(words string) []Entry {
	all := strings.Fields(strings.ToLower(words))
	return c.entries(func(e *Entry) bool {
		text := strings.ToLower(e.Text)
		return !slices.ContainsFunc(all, func(w string) bool { return !strings.Contains(text, w) })
	})
}

func (c *Client) entries(want func(*Entry) bool) []Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := []Entry{}
	add := func(e Entry) {
		if want(&e) {
			out = append(out, e)
		}
	}
	for _, r := range c.in {
		if !r.Gone {
			add(Entry{ID: r.ID, Contact: mail.AccountID(r.Contact), Text: r.Text, Sent: r.Sent, Received: r.Received, Read: r.Read, Vanishes: r.Vanish})
		}
	}
	for _, o := range c.out {
		if o.Kind == kindText && !o.Gone {
			add(Entry{ID: o.ID, Contact: mail.AccountID(o.Contact), Mine: true, Text: o.Text, Sent: o.Sent, State: State(o.State), Reason: o.Reason, Read: o.Read, Vanishes: o.Vanish})
		}
	}
	slices.SortFunc(out, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Sent, b.Sent), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return out
}

// SetTimer says after how long texts of a conversation disappear on both sides,
// once they were read; 0 is never. It goes with what is sent next, and holds for
// what is sent from then on.
func (c *Client) SetTimer(id mail.AccountID, after time.Duration) error {
	if after < 0 || after > maxTimer*time.Second || after%time.Second != 0 {
		return fmt.Errorf("set timer: %w: %s; whole seconds up to a year", ErrConfig, after)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.contacts[id]
	if r == nil {
		return fmt.Errorf("set timer: %w", ErrNoContact)
	}
	r.Timer, r.TimerSet = uint32(after/time.Second), c.now()
	c.contactEvent(r)
	return c.saveLocked(r.row())
}

// MarkRead notes that all texts of a contact up to one were read, those that came
// before it included. Those that disappear begin to, and with Config.ReadReceipts
// the contact is told.
func (c *Client) MarkRead(from mail.AccountID, last MessageID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, to := c.contacts[from], c.in[inKey{from, last}]
	if to == nil {
		return fmt.Errorf("mark as read: %w: no such message of this contact", ErrMessage)
	}
	now := c.now()
	var rows []row
	for key, in := range c.in {
		if key.from != from || in.Order > to.Order || in.Read != 0 {
			continue
		}
		in.Read = now
		if in.Timer > 0 {
			in.Vanish = now + chain.Time(in.Timer)*1000
		}
		rows = append(rows, in.row())
		if r == nil || !c.cfg.ReadReceipts || c.confirmsLocked(from) >= maxQueued {
			continue
		}
		o := c.noticeLocked(kindRead, in.Contact, in.ID, in.Seed, in.Bucket)
		c.out[o.key()] = o
		rows = append(rows, o.row())
	}
	if len(rows) == 0 {
		return nil
	}
	if err := c.saveLocked(rows...); err != nil {
		return err
	}
	if r != nil {
		c.contactEvent(r)
	}
	c.wakeUp()
	c.changedLocked()
	return nil
}

// readLocked notes that a contact says that it read a message; so it has it.
func (c *Client) readLocked(from mail.AccountID, id MessageID, at chain.Time) []row {
	o := c.out[outKey{kindText, id, from}]
	if o == nil || o.Read != 0 {
		return nil
	}
	rows := c.confirmedLocked(from, id)
	o.Read = max(at, 1)
	c.statusEvent(o)
	return append(rows, o.row())
}

// vanishLocked takes the texts away whose time has come. What is left of them is
// their ids, so that they are not shown again.
func (c *Client) vanishLocked(now chain.Time) (rows []row) {
	for key, in := range c.in {
		if in.Vanish == 0 || now < in.Vanish || in.Gone {
			continue
		}
		k := c.kept[key.from]
		k.bytes -= len(in.Text)
		c.kept[key.from] = k
		in.Text, in.Gone = "", true
		rows = append(rows, in.row())
	}
	for _, o := range c.out {
		if o.Vanish == 0 || now < o.Vanish || o.Gone {
			continue
		}
		o.Text, o.Gone = "", true
		rows = append(rows, o.row())
		c.statusEvent(o)
	}
	if len(rows) > 0 {
		c.store.texts.Store(true)
	}
	return rows
}
