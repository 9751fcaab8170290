package client

import (
	"context"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/onion/mail"
)

// ask sends our contact request, with work for this epoch. A member that does not
// answer is asked again when the others were, unless the contact shows meanwhile
// that it has the request, or has begun a session itself.
func (c *Client) ask(ctx context.Context, id mail.AccountID) error {
	c.mu.Lock()
	r := c.contacts[id]
	if r == nil {
		c.mu.Unlock()
		return ErrNoContact
	}
	s := r.mine()
	if s == nil || s.Took {
		c.mu.Unlock()
		return nil
	}
	content, work, asked := s.Request, int(s.Work), s.asked
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
			if !c.wanted(r, s) {
				return nil
			}
			if e := c.view.Load().epoch(); worked < work || q.Epoch != e {
				q.Epoch = e
				if err := c.labour(ctx, q, work); err != nil {
					return err
				}
				worked = work
			}
			began := time.Now()
			replies, err := c.try(ctx, m, mail.Command{Request: q}, 1, true)
			c.observe(Step{Kind: StepAsk, Contact: id, Member: m, Code: codeOfFirst(replies, err), Took: time.Since(began)})
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
				s.Took, s.Member = true, m
				s.asked++
				if r := c.contacts[id]; r != nil {
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

// wanted reports whether a contact is still to get the request of a session.
func (c *Client) wanted(r *contactRecord, s *sessionRecord) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return r.mine() == s && !s.Took
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
	name := seenOf(content)
	q, begun, used, ok := c.openRequest(name, content)
	if !ok || !statement.Canonical(chain.NodeID(q.Ed)) || !utf8.ValidString(q.Note) {
		c.log.Debug("passed over an item that is no contact request, or was worked on before")
		c.mu.Lock()
		defer c.mu.Unlock()
		c.triedLocked(name)
		return nil
	}
	id := mail.NewAccountID(q.Ed, q.X)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.triedLocked(name)
	if id == c.cfg.Account.id {
		return nil
	}
	since, sent, now := chain.Time(q.Since), chain.Time(q.Sent), c.now()
	r := c.contacts[id]
	switch {
	case c.refused[id] != nil:
		return c.saveLocked(c.refusedAgainLocked(c.refused[id], since, sent, used)...)
	case r == nil:
		if c.incomingLocked() >= maxIncoming || len(c.contacts) >= maxContacts {
			c.log.Warn("too many contact requests wait; one was passed over")
			return nil
		}
		r = &contactRecord{ID: key32(id), State: uint8(Incoming)}
		if c.cfg.AcceptAll {
			r.State = uint8(Connected)
		}
	case since < r.Since || since == r.Since && sent <= r.Sent:
		return nil // the same again, or an older one replayed
	}
	rows := used.spent(now)
	// What was begun with a former state of the contact is of no use to it.
	if n := len(r.Sessions); n > 0 && r.Sessions[n-1].Since < since {
		rows = append(rows, c.dropSessionsLocked(r, func(s *sessionRecord) bool { return s.Since < since })...)
		r.Anew = now
	}
	r.Ed, r.X, r.Known, r.Note, r.Since, r.Sent = q.Ed, q.X, true, q.Note, since, sent
	c.addSessionLocked(r, &sessionRecord{Seed: begun.Pair, Created: min(sent, now), Sent: sent, Since: since, State: begun.Session.State(), Once: used.Once})
	rows = append(rows, c.unsealOthersLocked(r)...)
	r.Renew = r.Renew && r.mine() != nil
	if r.State == uint8(Added) || r.State == uint8(Requested) {
		r.State = uint8(Connected)
	}
	c.contacts[id] = r
	if err := c.saveLocked(append(rows, r.row())...); err != nil {
		return err
	}
	c.contactEvent(r)
	c.observe(Step{Kind: StepMet, Contact: id})
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

// unsealOthersLocked takes back what was sealed under sessions that are not the
// one to use any more: the contact may have lost them. What comes twice is shown
// once.
func (c *Client) unsealOthersLocked(r *contactRecord) (rows []row) {
	for _, s := range r.Sessions[1:] {
		rows = append(rows, c.unsealLocked(r, s.Seed)...)
	}
	return rows
}

// unsealLocked takes back the parts that were sealed under a session: they are
// sealed anew, under the same message ids.
func (c *Client) unsealLocked(r *contactRecord, seed key32) []row {
	var rows []row
	for k, o := range c.out {
		if o.Contact != r.ID || State(o.State).Final() || len(o.Items) == 0 || o.Items[0].Seed != seed {
			continue
		}
		if o.Kind.notice() {
			delete(c.out, k)
			rows = append(rows, o.gone())
			continue
		}
		o.Items, o.State, o.tries = nil, uint8(Queued), 0
		rows = append(rows, o.row())
	}
	return rows
}
