package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"tunic/chain"
	"tunic/client/ratchet"
	"tunic/onion/mail"
)

// serve works on what is due for one contact.
func (c *Client) serve(ctx context.Context, to mail.AccountID, due []*outRecord) {
	var introduced error
	if slices.ContainsFunc(due, func(o *outRecord) bool { return o.Kind == kindText }) {
		introduced = c.introduce(ctx, to)
	}
	for _, o := range due {
		err := introduced
		if err == nil || o.Kind == kindConfirm {
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
func (c *Client) liveLocked(o *outRecord) bool { return c.out[o.key()] == o && !State(o.State).Final() }

// errOver means that a message became final while it was worked on.
var errOver = errors.New("client: message is over")

// shippedLocked records the outcome of one round; the error is the store's.
func (c *Client) shippedLocked(o *outRecord, err error) error {
	switch {
	case State(o.State) == Stored:
		// It was sent again; whatever came of it, a member has it already.
		c.restLocked(o)
		return nil
	case err == nil && o.Kind == kindConfirm:
		delete(c.out, o.key())
		c.changedLocked()
		return c.saveLocked(o.gone())
	case err == nil:
		c.restLocked(o)
		return c.setLocked(o, Stored, "")
	}
	code := codeOf(err)
	if final(code) {
		return c.setLocked(o, Failed, code)
	}
	o.due = time.Now().Add(c.pause(o.tries))
	o.tries++
	return c.setLocked(o, State(o.State), code)
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
	o.due = time.Now().Add(min(c.cfg.Resend<<min(o.rounds, 16), max(time.Hour, c.cfg.Resend)))
	o.rounds++
}

// final reports whether sending the same again is pointless.
func final(code string) bool {
	switch code {
	case mail.CodeFull.String(), mail.CodeSignature.String(), mail.CodeMalformed.String():
		return true
	}
	return false
}

// ship brings every part of one message to members; nil means that all have a
// receipt.
func (c *Client) ship(ctx context.Context, to mail.AccountID, o *outRecord) error {
	items, err := c.seal(o)
	if err != nil {
		return err
	}
	c.mu.Lock()
	again := State(o.State) == Stored
	rank := o.rounds
	if !again {
		rank += o.tries / 2
	}
	if again && o.rounds >= 2 {
		c.askAgainLocked(to)
	}
	c.mu.Unlock()
	errs := make(chan error, len(items))
	slots := make(chan struct{}, 4)
	for n, it := range items {
		if (it.Receipt != nil || it.Done) && !again {
			errs <- nil
			continue
		}
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			errs <- c.storeItem(ctx, to, o, n, it, rank)
		}()
	}
	var first error
	for range items {
		// What ends the message weighs more than what lets it wait.
		if err := <-errs; err != nil && (first == nil || final(err.Error())) {
			first = err
		}
	}
	return first
}

// askAgainLocked repeats the contact request to a contact that never showed
// that it got it: members may drop requests.
func (c *Client) askAgainLocked(to mail.AccountID) {
	if r := c.contacts[to]; r != nil && r.Mine != nil && r.State != uint8(Connected) && r.Mine.Accepted {
		r.Mine.Accepted = false
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
	secret := c.preferred(r)
	parts := []string{""}
	if o.Kind == kindConfirm {
		secret = cmp.Or(r.secret(o.Seed), secret)
	} else {
		parts = split(o.Text)
	}
	if secret == nil {
		return nil, waitBundle
	}
	s, err := ratchet.Load(c.cfg.Account.keys(), secret.Session)
	if err != nil {
		return nil, fmt.Errorf("seal message: %w", err)
	}
	var items []outItem
	for n, text := range parts {
		it := outItem{Seed: secret.Seed}
		if _, err := io.ReadFull(c.rand, it.Token[:]); err != nil {
			return nil, fmt.Errorf("read randomness: %w", err)
		}
		m := inner{Kind: o.Kind, ID: o.ID, Sent: o.Sent, Part: uint16(n), Parts: uint16(len(parts)), Token: it.Token, Text: text}
		if it.Content, s, err = s.Seal(m.encode()); err != nil {
			return nil, fmt.Errorf("seal message: %w", err)
		}
		items = append(items, it)
	}
	secret.Session = s.State()
	o.Items = items
	if err := c.saveLocked(r.row(), o.row()); err != nil {
		return nil, err
	}
	return slices.Clone(items), nil
}

// storeItem brings one part to the member of the given rank and keeps its
// receipt.
func (c *Client) storeItem(ctx context.Context, to mail.AccountID, o *outRecord, n int, it outItem, rank int) error {
	v := c.view.Load()
	if v == nil {
		return waitPath
	}
	box := newPairBox(it.Seed, c.cfg.Genesis, c.cfg.Account.id, to, bucketOf(&c.cfg.Core, v.epoch()))
	members := c.ranked(box.id)
	if len(members) == 0 {
		return waitPath
	}
	store := &mail.Store{ReadHash: box.readHash, Write: box.writeKey(), Expiry: o.Expiry, Deleter: mail.Deleter(it.Token), Content: it.Content}
	store.Sign(c.cfg.Genesis, box.write)
	var member chain.NodeID
	var reply mail.Reply
	of := min(len(members), pollRanks)
	for i := range of {
		member = members[(rank+i)%of]
		var err error
		if reply, err = c.roundTrip(ctx, member, mail.Command{Store: store}); err != nil {
			return err
		}
		// One member's word does not end a message.
		if !final(reply.Code.String()) {
			break
		}
		if reply.Code != mail.CodeFull {
			c.blame(member) // what we send is well formed and signed
		}
	}
	deleted := reply.Code == mail.CodeDeleted // its recipient was faster than our receipt
	var receipt []byte
	var err error
	switch {
	case reply.Code == mail.CodeStored:
		receipt, err = c.receiptIn(reply.Body, member, store, o.Sent)
	case !deleted:
		return errWait(reply.Code.String())
	case subtle.ConstantTimeCompare(reply.Body, it.Token[:]) != 1:
		err = errReceipt // only the token shows that the recipient has read it
	}
	if err != nil {
		c.log.Warn("a member's receipt is not valid; storing elsewhere")
		c.blame(member)
		return waitReceipt
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out[o.key()] != o || n >= len(o.Items) || o.Items[n].Token != it.Token {
		return nil // final or sealed anew meanwhile
	}
	if deleted {
		o.Items[n].Done, o.Items[n].Receipt = true, nil
	} else {
		o.Items[n].Receipt = bytes.Clone(receipt)
	}
	o.Items[n].Member = member
	if State(o.State) == Queued {
		return c.setLocked(o, Sent, "")
	}
	return c.saveLocked(o.row())
}

const waitReceipt errWait = "invalid_receipt"
