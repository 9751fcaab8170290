package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/client/ratchet"
	"tunic/onion/mail"
)

const (
	maxName     = 64
	maxContacts = 4096
	// maxIncoming bounds the contact requests that wait for Accept.
	maxIncoming = 256
)

// AddContact notes an account under a name, or renames it. Nothing leaves
// until something is sent to it.
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
	return c.saveLocked(r.row())
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

// Remove forgets a contact, its secrets, and what is not delivered to it. What
// was received stays in the inbox. The contact may ask again.
func (c *Client) Remove(id mail.AccountID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.contacts[id]
	if r == nil {
		return fmt.Errorf("remove contact: %w", ErrNoContact)
	}
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
	delete(c.contacts, id)
	return c.saveLocked(rows...)
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
	x := Contact{ID: mail.AccountID(r.ID), Name: r.Name, State: ContactState(r.State), Note: r.Note}
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

// introduce makes sure that a contact has keys and a secret, and that it was
// told of a secret that we began.
func (c *Client) introduce(ctx context.Context, id mail.AccountID) error {
	c.mu.Lock()
	r := c.contacts[id]
	if r == nil {
		c.mu.Unlock()
		return ErrNoContact
	}
	ready := c.preferred(r) != nil
	ask := ready && c.preferred(r) == r.Mine && !r.Mine.Accepted
	c.mu.Unlock()
	if !ready {
		b, err := c.lookup(ctx, id)
		if err != nil {
			return err
		}
		if err := c.begin(id, b); err != nil {
			return err
		}
		ask = true
	}
	if ask {
		return c.ask(ctx, id)
	}
	return nil
}

// begin draws the secret of a pair and makes the contact request, unless the
// peer began meanwhile.
func (c *Client) begin(id mail.AccountID, b mail.Bundle) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.contacts[id]
	if r == nil {
		return ErrNoContact
	}
	r.Ed, r.X, r.Known = b.Ed, b.X, true
	if r.Mine == nil {
		var seed key32
		if _, err := io.ReadFull(c.rand, seed[:]); err != nil {
			return fmt.Errorf("read randomness: %w", err)
		}
		now := c.now()
		s, err := c.newSecret(r, seed, now)
		if err != nil {
			return err
		}
		s.Request, err = ratchet.SealRequest(c.cfg.Account.keys(), c.cfg.Genesis, r.ID, b.Contact[:],
			ratchet.Request{Secret: seed, Sent: uint64(now), Note: c.cfg.Note})
		if err != nil {
			return err
		}
		s.Work = max(b.Work, mail.DefaultWork)
		r.Mine = s
	}
	if r.State == uint8(Added) {
		r.State = uint8(Requested)
		c.contactEvent(r)
	}
	return c.saveLocked(r.row())
}

// ask sends our contact request, with work for this epoch. A member that does not
// answer is asked again when the others were.
func (c *Client) ask(ctx context.Context, id mail.AccountID) error {
	c.mu.Lock()
	r := c.contacts[id]
	if r == nil || r.Mine == nil {
		c.mu.Unlock()
		return ErrNoContact
	}
	content, work, asked := r.Mine.Request, int(r.Mine.Work), r.Mine.asked
	c.mu.Unlock()
	var full bool
	wait := waitPath
	members := c.ranked(mail.AccountMailbox(id))
	members = members[:min(len(members), stagger)]
	// A member that takes requests and shows them to nobody is passed by the next
	// time.
	if len(members) > 0 {
		asked %= len(members)
		members = slices.Concat(members[asked:], members[:asked])
	}
	q, worked := &mail.Request{Account: id, Content: content}, 0
	for try := 0; try < sendTries && len(members) > 0; try++ {
		var silent []chain.NodeID
		for _, m := range members {
			if e := c.view.Load().epoch(); worked < work || q.Epoch != e {
				q.Epoch = e
				if err := c.labour(ctx, q, work); err != nil {
					return err
				}
				worked = work
			}
			replies, err := c.try(ctx, m, mail.Command{Request: q}, 1, true)
			switch {
			case errors.Is(err, ErrTimeout):
				wait = waitAnswer
				silent = append(silent, m)
				continue
			case err != nil:
				return err
			}
			switch reply := replies[0]; reply.Code {
			case mail.CodeAccepted:
				c.mu.Lock()
				defer c.mu.Unlock()
				if r := c.contacts[id]; r != nil && r.Mine != nil && bytes.Equal(r.Mine.Request, content) {
					r.Mine.Accepted, r.Mine.Member = true, m
					r.Mine.asked++
					return c.saveLocked(r.row())
				}
				return nil
			case mail.CodeSignature, mail.CodeMalformed:
				c.blame(m) // what we send is well formed; its word must not end a message
				wait = waitAnswer
			case mail.CodeWork:
				work = min(work+2, mail.MaxWork)
				wait = errWait(reply.Code.String())
			default:
				full = full || reply.Code == mail.CodeFull
				wait = errWait(reply.Code.String())
			}
		}
		members = silent
	}
	if full {
		return errWait(mail.CodeFull.String())
	}
	return wait
}

// labour does the work of a request.
func (c *Client) labour(ctx context.Context, q *mail.Request, work int) error {
	tried := 0
	done := q.Work(work, func() bool {
		if tried++; tried%16 == 0 {
			c.emit(Event{Kind: EventWork, Work: min(99, tried*4096*100>>work)})
		}
		return ctx.Err() != nil
	})
	if !done {
		return ctx.Err()
	}
	c.emit(Event{Kind: EventWork, Work: 100})
	return nil
}

// takeRequest reads a contact request from the account's mailbox. What is no
// request, or an old one, is passed over.
func (c *Client) takeRequest(content []byte) error {
	q, err := ratchet.OpenRequest(c.cfg.Account.contact, c.cfg.Genesis, c.cfg.Account.id, content)
	if err != nil || !statement.Canonical(chain.NodeID(q.Ed)) || !utf8.ValidString(q.Note) {
		c.log.Debug("passed over an item that is no contact request")
		return nil
	}
	id := mail.NewAccountID(q.Ed, q.X)
	if id == c.cfg.Account.id {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.contacts[id]
	if r == nil {
		if c.incomingLocked() >= maxIncoming || len(c.contacts) >= maxContacts {
			c.log.Warn("too many contact requests wait; one was passed over")
			return nil
		}
		r = &contactRecord{ID: key32(id), State: uint8(Incoming)}
		if c.cfg.AcceptAll {
			r.State = uint8(Connected)
		}
	} else if chain.Time(q.Sent) <= r.TheirSent {
		return nil // the same again, or an older one replayed
	}
	r.Ed, r.X, r.Known, r.Note, r.TheirSent = q.Ed, q.X, true, q.Note, chain.Time(q.Sent)
	s, err := c.newSecret(r, q.Secret, min(chain.Time(q.Sent), c.now()))
	if err != nil {
		return nil // unusable keys
	}
	rows := []row{}
	if r.Theirs != nil {
		rows = append(rows, c.unsealLocked(r, r.Theirs.Seed)...)
	}
	r.Theirs = s
	if r.Mine != nil {
		// The peer may know nothing of ours: it asked, or it was restored from
		// its mnemonic. Asking again costs little.
		r.Mine.Accepted = false
	}
	if r.State == uint8(Added) || r.State == uint8(Requested) {
		r.State = uint8(Connected)
	}
	c.contacts[id] = r
	if err := c.saveLocked(append(rows, r.row())...); err != nil {
		return err
	}
	c.contactEvent(r)
	c.wakeUp()
	return nil
}

func (c *Client) incomingLocked() int {
	n := 0
	for _, r := range c.contacts {
		if r.State == uint8(Incoming) {
			n++
		}
	}
	return n
}

// unsealLocked takes back the parts sealed under a secret that the peer has
// replaced: they are sealed anew, under the same message ids.
func (c *Client) unsealLocked(r *contactRecord, seed key32) []row {
	var rows []row
	for k, o := range c.out {
		if o.Contact != r.ID || State(o.State).Final() || len(o.Items) == 0 || o.Items[0].Seed != seed {
			continue
		}
		if o.Kind == kindConfirm {
			delete(c.out, k)
			rows = append(rows, o.gone())
			continue
		}
		o.Items, o.State, o.tries = nil, uint8(Queued), 0
		rows = append(rows, o.row())
	}
	return rows
}
