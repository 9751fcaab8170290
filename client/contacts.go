package client

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"tunic/chain"
	"tunic/client/ratchet"
	"tunic/onion/mail"
)

const (
	maxName     = 64
	maxContacts = 4096
	// maxIncoming bounds the contact requests that wait for Accept.
	maxIncoming = 256
	// MaxNote is the most bytes of the note that goes with a contact request.
	MaxNote = ratchet.MaxNote
)

// AddContact notes an account under a name, or renames it. Nothing leaves
// until something is sent to it. One that was refused is refused no more.
func (c *Client) AddContact(id mail.AccountID, name string) error {
	if id == c.cfg.Account.id {
		return fmt.Errorf("add contact: %w: this is the account itself", ErrConfig)
	}
	if len(name) > maxName || !utf8.ValidString(name) {
		return fmt.Errorf("add contact: %w: the name has more than %d bytes or is not UTF-8", ErrConfig, maxName)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.contacts[id]
	switch {
	case r == nil && len(c.contacts) >= maxContacts:
		return fmt.Errorf("add contact: %w: %d contacts are the most", ErrConfig, maxContacts)
	case r == nil:
		r = &contactRecord{ID: key32(id), State: uint8(Added)}
		c.contacts[id] = r
	case r.State == uint8(Incoming):
		r.State = uint8(Connected)
	}
	r.Name = name
	c.contactEvent(r)
	return c.saveLocked(append(c.readmitLocked(id), r.row())...)
}

// Accept accepts a contact request: its messages are polled from now on.
func (c *Client) Accept(id mail.AccountID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.contacts[id]
	if r == nil {
		return fmt.Errorf("accept contact: %w", ErrNoContact)
	}
	if r.State != uint8(Incoming) {
		return nil
	}
	r.State = uint8(Connected)
	c.contactEvent(r)
	return c.saveLocked(r.row())
}

// SetNote says what goes with the contact requests that are made from now on: who
// asks, for one who sees an id alone. It is at most MaxNote bytes of UTF-8, and takes
// the place of Config.Note.
func (c *Client) SetNote(id mail.AccountID, note string) error {
	if len(note) > MaxNote || !utf8.ValidString(note) {
		return fmt.Errorf("set note: %w: it has more than %d bytes or is not UTF-8", ErrConfig, MaxNote)
	}
	return c.note("set note", id, func(r *contactRecord) { r.OwnNote = note })
}

// SetVerified notes that the user compared the safety number with the contact, or
// takes that back.
func (c *Client) SetVerified(id mail.AccountID, verified bool) error {
	return c.note("note safety number", id, func(r *contactRecord) {
		r.Verified = 0
		if verified {
			r.Verified = max(c.now(), 1)
		}
	})
}

// SetTold notes that the user was told that the contact began anew, so that one
// event is told of once.
func (c *Client) SetTold(id mail.AccountID) error {
	return c.note("note what was told", id, func(r *contactRecord) { r.Told = r.Anew })
}

// note changes what the user knows of a contact.
func (c *Client) note(what string, id mail.AccountID, change func(*contactRecord)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.contacts[id]
	if r == nil {
		return fmt.Errorf("%s: %w", what, ErrNoContact)
	}
	change(r)
	if err := c.saveLocked(r.row()); err != nil {
		return err
	}
	c.contactEvent(r)
	return nil
}

// Remove forgets a contact, its secrets, and what is not delivered to it. What
// was received stays in the inbox. The contact may ask again, which Refuse prevents.
func (c *Client) Remove(id mail.AccountID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.contacts[id]
	if r == nil {
		return fmt.Errorf("remove contact: %w", ErrNoContact)
	}
	return c.saveLocked(c.dropContactLocked(r)...)
}

// dropContactLocked forgets a contact; the rows are to be saved.
func (c *Client) dropContactLocked(r *contactRecord) []row {
	rows := []row{{rowContact, string(r.ID[:]), nil}}
	for k, o := range c.out {
		if o.Contact == r.ID {
			delete(c.out, k)
			rows = append(rows, o.gone())
		}
	}
	for k, f := range c.fragments {
		if f.Contact == r.ID {
			delete(c.fragments, k)
			rows = append(rows, f.gone())
		}
	}
	delete(c.contacts, mail.AccountID(r.ID))
	return rows
}

// Contacts lists all, by name and then id.
func (c *Client) Contacts() []Contact {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Contact, 0, len(c.contacts))
	for _, r := range c.contacts {
		out = append(out, c.contact(r))
	}
	slices.SortFunc(out, func(a, b Contact) int {
		if a.Name != b.Name {
			return bytes.Compare([]byte(a.Name), []byte(b.Name))
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	return out
}

func (c *Client) contact(r *contactRecord) Contact {
	x := Contact{ID: mail.AccountID(r.ID), Name: r.Name, State: ContactState(r.State), Note: r.Note, OwnNote: r.OwnNote}
	x.Anew, x.Told, x.Verified, x.Timer = r.Anew, r.Told == r.Anew, r.Verified, time.Duration(r.Timer)*time.Second
	for k, in := range c.in {
		if k.from == x.ID && in.Read == 0 && !in.Gone {
			x.Unread++
		}
	}
	if s := r.newest(); s != nil {
		x.Once, x.Began = s.Once, s.Created
	}
	if r.Known {
		x.Safety = SafetyNumber(c.cfg.Account.id, x.ID)
	}
	return x
}

func (c *Client) contactEvent(r *contactRecord) {
	c.emitLocked(Event{Kind: EventContact, Contact: c.contact(r)})
}

// errWait is why a message has to wait; its text is the stable code.
type errWait string

func (e errWait) Error() string { return string(e) }

const (
	waitBundle errWait = "unknown_account" // no member of its swarm has its bundle
	waitAnswer errWait = "no_answer"
	waitPath   errWait = "no_path"
)

// introduce makes sure that there is a session with a contact, and that it was
// told of one that we began.
func (c *Client) introduce(ctx context.Context, id mail.AccountID) error {
	c.mu.Lock()
	r := c.contacts[id]
	if r == nil {
		c.mu.Unlock()
		return ErrNoContact
	}
	s := r.newest()
	anew := s == nil || r.Renew
	ask := anew || s.Request != nil && !s.Took
	// A request that was repeated in vain may be to a state that is gone.
	look := anew || r.look || ask && s.asked > 0
	r.look = false
	var since chain.Time
	if s != nil {
		since = s.Since
	}
	c.mu.Unlock()
	if look {
		b, err := c.lookup(ctx, id)
		if err != nil && anew {
			return err
		}
		if err == nil && (anew || b.Since > since) {
			if err := c.beginSession(id, b); err != nil {
				return err
			}
		}
	}
	if ask {
		return c.ask(ctx, id)
	}
	return nil
}

// introduced notes the outcome of beginning a session anew.
func (c *Client) introduced(id mail.AccountID, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.contacts[id]
	switch {
	case r == nil:
	case err != nil:
		r.due = time.Now().Add(c.pauseLocked(r.tries, err))
		r.tries++
	default:
		r.tries = 0
	}
}

// wantsSession reports whether a session is to be begun with a contact, or it is
// to be told of one, though nothing waits for it.
func (r *contactRecord) wantsSession() bool {
	if r.State == uint8(Incoming) {
		return false
	}
	s := r.mine()
	return r.Renew || s != nil && !s.Took && r.Renewed != 0
}

// beginSession makes a session and its contact request with a bundle of the
// contact, unless the contact began one meanwhile.
func (c *Client) beginSession(id mail.AccountID, b mail.Bundle) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.contacts[id]
	switch {
	case r == nil:
		return ErrNoContact
	case c.meta.Since == 0:
		return waitAnswer // what the network knows of this account was not to be had yet
	}
	r.Ed, r.X, r.Known = b.Ed, b.X, true
	rows := []row{}
	if s := r.newest(); s == nil || r.Renew || b.Since > s.Since {
		now := c.now()
		sent := max(now, r.Sent+1)
		for _, s := range r.Sessions {
			sent = max(sent, s.Sent+1) // the newest is the one to use, whatever clocks say
		}
		content, begun, err := ratchet.Begin(c.env(), c.cfg.Account.keys(), ratchet.Peer{Account: r.ID, Ed: r.Ed, X: r.X}, b.Prekey[:],
			ratchet.Request{Since: uint64(c.meta.Since), Sent: uint64(sent), Note: cmp.Or(r.OwnNote, c.cfg.Note)})
		if err != nil {
			return err
		}
		rows = append(rows, c.dropSessionsLocked(r, func(s *sessionRecord) bool { return s.Since < b.Since })...)
		s := &sessionRecord{Seed: begun.Pair, Created: now, Sent: sent, Since: b.Since, State: begun.Session.State(),
			Request: content, Work: max(b.Work, mail.DefaultWork), Once: b.Once}
		c.addSessionLocked(r, s)
		c.observe(Step{Kind: StepBegin, Contact: id})
		rows = append(rows, c.unsealOthersLocked(r)...)
		r.Renew = false
	}
	if r.State == uint8(Added) {
		r.State = uint8(Requested)
		c.contactEvent(r)
	}
	return c.saveLocked(append(rows, r.row())...)
}
