package client

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion/mail"
)

// maxQueued bounds the messages that wait, per contact.
const maxQueued = 1024

// Send queues a text for a contact. When it returns, the message is on disk; it
// leaves while Run is at work.
func (c *Client) Send(ctx context.Context, to mail.AccountID, text string) (MessageID, error) {
	return c.SendWith(ctx, to, text, SendOptions{})
}

// SendOptions say more of one message.
type SendOptions struct {
	// TTL is how long it may take until it is confirmed: a minute to the mailbox
	// TTL, in whole seconds; 0 is the mailbox TTL. The text says so itself, so that
	// who finds it later does not take it; without, it is taken as long as a
	// member has it.
	TTL time.Duration
}

// SendWith is Send with options.
func (c *Client) SendWith(ctx context.Context, to mail.AccountID, text string, o SendOptions) (MessageID, error) {
	var id MessageID
	if err := checkText(text); err != nil {
		return id, err
	}
	ttl, life := c.cfg.Core.Params.MailboxTTL, uint32(0)
	if o.TTL != 0 {
		if x := chain.Duration(o.TTL.Milliseconds()); x < genesis.Minute || x > ttl {
			return id, fmt.Errorf("%w: a life of %s; it may be from a minute to %s here", ErrMessage, o.TTL, time.Duration(ttl)*time.Millisecond)
		} else {
			ttl, life = x-x%1000, uint32(x/1000)
		}
	}
	if err := ctx.Err(); err != nil {
		return id, err
	}
	if _, err := io.ReadFull(c.rand, id[:]); err != nil {
		return id, fmt.Errorf("read randomness: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r := c.contacts[to]; {
	case c.halted != nil:
		return id, c.halted
	case r == nil:
		return id, fmt.Errorf("send message: %w; add it first", ErrNoContact)
	case c.queuedLocked(to) >= maxQueued:
		return id, fmt.Errorf("send message: %w: %d messages wait for this contact already", ErrMessage, maxQueued)
	}
	rows := []row{}
	if r := c.contacts[to]; r.State == uint8(Incoming) { // who answers accepts
		r.State = uint8(Connected)
		c.contactEvent(r)
		rows = append(rows, r.row())
	}
	now := c.now()
	for _, o := range c.out { // two texts of one instant keep their order
		if o.Kind == kindText && o.Sent >= now {
			now = o.Sent + 1
		}
	}
	m := &outRecord{Kind: kindText, ID: id, Contact: key32(to), Text: text, Sent: now,
		Expiry: now + chain.Time(ttl), State: uint8(Queued), Parts: len(c.parts.split(text)), Timer: c.contacts[to].Timer, Life: life}
	if err := c.saveLocked(append(rows, m.row())...); err != nil {
		return id, err
	}
	c.out[m.key()] = m
	c.statusEvent(m)
	c.wakeUp()
	return id, nil
}

// SendWithConfirmation sends a text and waits until the contact confirms it. An
// error after the message was queued comes with its id: ErrFailed, ErrExpired,
// or the context's, in which case it is still on its way.
func (c *Client) SendWithConfirmation(ctx context.Context, to mail.AccountID, text string) (MessageID, error) {
	id, err := c.Send(ctx, to, text)
	if err != nil {
		return id, err
	}
	return id, c.WaitDelivered(ctx, id)
}

// WaitDelivered waits until a message is confirmed; errors as for
// SendWithConfirmation.
func (c *Client) WaitDelivered(ctx context.Context, id MessageID) error {
	for {
		c.mu.Lock()
		o, changed := c.textLocked(id), c.changed
		stopped := cmp.Or(c.halted, c.broken)
		var state State
		var reason string
		if o != nil {
			state, reason = State(o.State), o.Reason
		}
		c.mu.Unlock()
		switch {
		case o == nil:
			return fmt.Errorf("%w: it was removed with its contact", ErrFailed)
		case state == Delivered:
			return nil
		case state == Expired:
			return fmt.Errorf("%w: %s", ErrExpired, explain(reason))
		case state == Failed:
			return fmt.Errorf("%w: %s", ErrFailed, explain(reason))
		case stopped != nil:
			return stopped
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("message is %s, not delivered yet%s: %w", state, because(reason), ctx.Err())
		}
	}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + explain(reason) + ")"
}

// Why is Reason in words, with what to do; "" where there is none.
func (s Status) Why() string {
	if s.Reason == "" {
		return ""
	}
	return explain(s.Reason)
}

// explain puts a reason into words, with what to do.
func explain(reason string) string {
	switch reason {
	case mail.CodeFull.String():
		return "the recipient's mailbox is full; it has room again when the recipient comes online and reads"
	case string(waitBundle):
		return "nothing is published for this account id; check the id, or wait until its owner was online"
	case string(waitAnswer):
		return "no answer came over several paths; check that the network runs"
	case string(waitFew):
		return "too few members of the recipient's mailbox have signed for it yet; others are asked"
	case string(waitPath):
		return "the directory has too few usable relays for a path"
	case "":
		return "not confirmed in time"
	}
	return "a mailbox member refused it: " + reason
}

// IsDelivered reports whether the contact has confirmed the message.
func (c *Client) IsDelivered(id MessageID) bool {
	s, ok := c.Status(id)
	return ok && s.State == Delivered
}

// Status is how far an outgoing message came.
func (c *Client) Status(id MessageID) (Status, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.textLocked(id); o != nil {
		return o.status(), true
	}
	return Status{}, false
}

// Outbox lists all outgoing messages, the oldest first.
func (c *Client) Outbox() []Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Status
	for _, o := range c.out {
		if o.Kind == kindText {
			out = append(out, o.status())
		}
	}
	slices.SortFunc(out, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Sent, b.Sent), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return out
}

func (o *outRecord) status() Status {
	s := Status{ID: o.ID, Contact: mail.AccountID(o.Contact), Text: o.Text, Sent: o.Sent, Expiry: o.Expiry,
		State: State(o.State), Reason: o.Reason, Parts: o.Parts, Tries: o.stores, Read: o.Read, Vanishes: o.Vanish}
	for _, it := range o.Items {
		for _, r := range it.Signed {
			s.Receipts = append(s.Receipts, bytes.Clone(r.Receipt))
			if until := r.until(); s.Promised == 0 || until < s.Promised {
				s.Promised = until
			}
		}
	}
	return s
}

func (c *Client) textLocked(id MessageID) *outRecord {
	for k, o := range c.out {
		if k.id == id && k.kind == kindText {
			return o
		}
	}
	return nil
}

func (c *Client) queuedLocked(to mail.AccountID) (n int) {
	for k, o := range c.out {
		if k.to == to && !State(o.State).Final() {
			n++
		}
	}
	return n
}

func (c *Client) statusEvent(o *outRecord) {
	if o.Kind == kindText {
		c.emitLocked(Event{Kind: EventStatus, Status: o.status()})
	}
	c.changedLocked()
}

// setLocked moves a message on; what is not on disk is not shown.
func (c *Client) setLocked(o *outRecord, s State, reason string) error {
	if State(o.State) == s && o.Reason == reason {
		return nil
	}
	o.State, o.Reason = uint8(s), reason
	if s.Final() {
		o.Items = nil
	}
	if err := c.saveLocked(o.row()); err != nil {
		return err
	}
	c.statusEvent(o)
	return nil
}

// overdueLocked reports whether nothing more is sent of a message: it is final, or
// its time is over, and it waits for expire.
func (c *Client) overdueLocked(o *outRecord) bool {
	return State(o.State).Final() || c.now() >= o.Expiry
}

// expire ends what was not delivered in time, as far as its recipient was heard.
func (c *Client) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	var rows []row
	heard := map[mail.AccountID]bool{}
	for k, o := range c.out {
		if State(o.State).Final() || now < o.Expiry {
			continue
		}
		if o.Kind.notice() {
			delete(c.out, k)
			rows = append(rows, o.gone())
			continue
		}
		if _, asked := heard[k.to]; !asked {
			heard[k.to] = c.heardLocked(k.to)
		}
		if !heard[k.to] {
			continue
		}
		for i := range o.Items {
			rows = append(rows, c.withdrawLocked(o, &o.Items[i])...)
		}
		if c.setLocked(o, Expired, o.Reason) != nil {
			return // Run ends with it
		}
	}
	for k, f := range c.fragments {
		if now >= min(f.Since+chain.Time(c.cfg.Core.Params.MailboxTTL), endOf(f.Sent, f.Life)) {
			delete(c.fragments, k)
			rows = append(rows, f.gone())
		}
	}
	for k, d := range c.deletes {
		if now >= d.Until {
			delete(c.deletes, k)
			rows = append(rows, d.gone())
		}
	}
	for k, x := range c.seen {
		if now >= x.Until {
			delete(c.seen, k)
			rows = append(rows, k.gone())
		}
	}
	rows = append(rows, c.vanishLocked(now)...)
	if now >= c.sweep || now+sweepEvery < c.sweep {
		c.sweep = now + sweepEvery
		rows = slices.Concat(rows, c.sweepSessionsLocked(now), c.sweepPrekeysLocked(now), c.sweepRefusedLocked(now))
	}
	if len(rows) > 0 {
		c.persistLocked(rows...)
		c.changedLocked()
	}
}

// The pauses after fruitless rounds double up to pauseMost, on average; only up to
// pauseLossy where no answer came to this, but others came to other commands lately:
// then answers are lost, and not the network. None is longer than twice that.
const (
	pauseMost  = time.Minute
	pauseLossy = 15 * time.Second
)

// pauseLocked is how long to wait after n fruitless rounds, of which the last ended
// with err.
func (c *Client) pauseLocked(n int, err error) time.Duration {
	most := pauseMost
	if codeOf(err) == string(waitAnswer) && time.Since(c.lastAnswer) < doubtFor*c.cfg.Timeout {
		most = pauseLossy
	}
	d := min(c.cfg.Timeout/6<<min(n, 12), most)
	return d/2 + time.Duration(min(c.exponential(), 3)*float64(d)/2)
}

// dueLocked are the messages of each contact that want work now, and when the
// next one will.
func (c *Client) dueLocked(now time.Time) (due map[mail.AccountID][]*outRecord, next time.Time) {
	due = map[mail.AccountID][]*outRecord{}
	next = now.Add(time.Minute)
	for k, o := range c.out {
		switch {
		case c.overdueLocked(o):
		case o.due.After(now):
			if o.due.Before(next) {
				next = o.due
			}
		default:
			due[k.to] = append(due[k.to], o)
		}
	}
	for id, r := range c.contacts {
		switch {
		case !r.wantsSession():
		case r.due.After(now):
			if r.due.Before(next) {
				next = r.due
			}
		case due[id] == nil:
			due[id] = []*outRecord{}
		}
	}
	for _, list := range due {
		slices.SortFunc(list, func(a, b *outRecord) int { return cmp.Or(cmp.Compare(a.Sent, b.Sent), bytes.Compare(a.ID[:], b.ID[:])) })
	}
	return due, next
}
