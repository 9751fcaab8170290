package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"tunic/client/ratchet"
	"tunic/onion/mail"
)

// serve works on what is due for one contact.
func (c *Client) serve(ctx context.Context, to mail.AccountID, due []*outRecord) {
	var introduced error
	if len(due) == 0 || slices.ContainsFunc(due, func(o *outRecord) bool { return o.Kind == kindText }) {
		c.askAgain(to, due)
		introduced = c.introduce(ctx, to)
		c.introduced(to, introduced)
	}
	for _, o := range due {
		err := introduced
		if err == nil || o.Kind.notice() {
			err = c.ship(ctx, to, o)
		}
		if ctx.Err() != nil {
			return
		}
		c.mu.Lock()
		var broken error
		if c.liveLocked(o) {
			broken = c.shippedLocked(o, err)
		}
		c.mu.Unlock()
		if broken != nil {
			return // Run ends with it
		}
	}
}

// liveLocked reports whether a message still wants to be sent.
func (c *Client) liveLocked(o *outRecord) bool { return c.out[o.key()] == o && !c.overdueLocked(o) }

// errOver means that a message became final while it was worked on.
var errOver = errors.New("client: message is over")

// shippedLocked records the outcome of one round; the error is the store's.
func (c *Client) shippedLocked(o *outRecord, err error) error {
	switch {
	case State(o.State) == Stored && err == nil:
		c.restLocked(o)
		return nil
	case err == nil && o.Kind.notice():
		delete(c.out, o.key())
		c.changedLocked()
		return c.saveLocked(o.gone())
	case err == nil:
		c.restLocked(o)
		return c.setLocked(o, Stored, "")
	}
	pause := c.pauseLocked(o.tries, err)
	o.due = time.Now().Add(pause)
	o.tries++
	c.observe(Step{Kind: StepPause, Contact: mail.AccountID(o.Contact), Message: o.ID, Code: codeOf(err), Took: pause})
	if State(o.State) == Stored {
		return nil // enough members had it once, and pass it on
	}
	if refused := (errRefused)(""); errors.As(err, &refused) {
		if o.Kind.notice() { // made anew when its message comes again
			delete(c.out, o.key())
			c.changedLocked()
			return c.saveLocked(o.gone())
		}
		return c.setLocked(o, Failed, string(refused))
	}
	return c.setLocked(o, State(o.State), codeOf(err))
}

// codeOf is the stable code of what went wrong. It names nobody, so that it may
// be logged, which the error itself may not.
func codeOf(err error) string {
	var wait errWait
	switch {
	case errors.As(err, &wait):
		return string(wait)
	case errors.Is(err, ErrNoPath):
		return string(waitPath)
	case errors.Is(err, ErrTimeout):
		return string(waitAnswer)
	case errors.Is(err, ErrNotRunning):
		return "not_running"
	}
	return "internal"
}

// restLocked sets when a stored message is sent again.
func (c *Client) restLocked(o *outRecord) {
	o.tries = 0
	pause := min(c.cfg.Resend<<min(o.rounds, 16), max(time.Hour, c.cfg.Resend))
	o.due = time.Now().Add(pause)
	c.observe(Step{Kind: StepPause, Contact: mail.AccountID(o.Contact), Message: o.ID, Code: mail.CodeStored.String(), Took: pause})
	o.rounds++
}

// ship brings every part of one message to the members of its mailbox; nil means
// that each is confirmed. What is confirmed already is stored once more where a
// message waits long for its recipient's confirmation.
func (c *Client) ship(ctx context.Context, to mail.AccountID, o *outRecord) error {
	c.mu.Lock()
	again, turn := State(o.State) == Stored, o.rounds+o.tries
	if again && o.rounds >= 2 {
		if !slices.ContainsFunc(o.Items, func(it outItem) bool { return !it.Done }) {
			// Its recipient has all of it, and what it said is lost: it says so
			// again when the same message comes anew.
			o.Items = nil
		}
	}
	c.mu.Unlock()
	items, err := c.seal(o)
	if err != nil {
		return err
	}
	v := c.view.Load()
	if v == nil {
		return waitPath
	}
	var open []int // parts that are not confirmed
	for n := range items {
		if !c.confirmed(v, to, &items[n]) {
			open = append(open, n)
		}
	}
	repeat := len(open) == 0 && again
	for n := range items {
		if repeat && !items[n].Done {
			open = append(open, n)
		}
	}
	errs := make(chan error, len(open))
	slots := make(chan struct{}, 4)
	for _, n := range open {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			errs <- c.storeItem(ctx, to, o, n, items[n], turn, repeat)
		}()
	}
	var first error
	for range open {
		// What ends the message weighs more than what lets it wait.
		err := <-errs
		if ends := (errRefused)(""); err != nil && (first == nil || errors.As(err, &ends)) {
			first = err
		}
	}
	if repeat {
		return nil // members have it, whatever came of that
	}
	return first
}

// askAgain is for texts that are to be stored once more. A contact that never showed
// that it got the contact request gets it again: members may drop requests, or lose
// them. For what waits longer, it is looked up whether the contact has begun anew.
func (c *Client) askAgain(to mail.AccountID, due []*outRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.contacts[to]
	again := slices.DeleteFunc(slices.Clone(due), func(o *outRecord) bool { return o.Kind.notice() || State(o.State) != Stored })
	if r == nil || len(again) == 0 {
		return
	}
	r.look = r.look || slices.ContainsFunc(again, func(o *outRecord) bool { return o.rounds >= 2 })
	if s := r.mine(); s != nil && r.State != uint8(Connected) && s.Took {
		s.Took = false
		c.persistLocked(r.row())
	}
}

// seal makes the items of a message, once, and saves them with the session's
// next state before anything leaves.
func (c *Client) seal(o *outRecord) ([]outItem, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.liveLocked(o) {
		return nil, errOver
	}
	if len(o.Items) > 0 {
		return slices.Clone(o.Items), nil
	}
	r := c.contacts[mail.AccountID(o.Contact)]
	if r == nil {
		return nil, ErrNoContact
	}
	session := r.newest()
	parts := []string{""}
	if o.Kind.notice() { // the contact has this session for certain
		session = cmp.Or(r.session(o.Seed), session)
	} else {
		parts = c.parts.split(o.Text)
	}
	if session == nil {
		return nil, waitBundle
	}
	s, err := ratchet.Load(c.env(), session.State)
	if err != nil {
		return nil, fmt.Errorf("seal message: %w", err)
	}
	var items []outItem
	for n, text := range parts {
		it := outItem{Seed: session.Seed}
		if o.Seed == session.Seed { // of another session its reader may not ask for it
			it.Bucket = o.Bucket
		}
		if _, err := io.ReadFull(c.rand, it.Token[:]); err != nil {
			return nil, fmt.Errorf("read randomness: %w", err)
		}
		m := inner{Kind: o.Kind, ID: o.ID, Sent: o.Sent, Part: uint16(n), Parts: uint16(len(parts)), Token: it.Token, Timer: o.Timer, Life: o.Life, Text: text}
		if it.Content, s, err = c.sealItem(s, m.encode()); err != nil {
			return nil, fmt.Errorf("seal message: %w", err)
		}
		items = append(items, it)
	}
	session.State = s.State()
	o.Items = items
	if err := c.saveLocked(r.row(), o.row()); err != nil {
		return nil, err
	}
	return slices.Clone(items), nil
}
