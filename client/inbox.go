package client

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/client/ratchet"
	"tunic/onion/mail"
)

const (
	// maxFragments bounds the unfinished messages of one contact.
	maxFragments = 64
	// maxDeletes bounds the deletion tokens that wait to be revealed; an item
	// beyond them ends by itself.
	maxDeletes = 4096
	// maxPollNow bounds the polls of one mailbox at one member in PollNow.
	maxPollNow = 256
)

// Inbox lists what was received, in that order.
func (c *Client) Inbox() []Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*inRecord, 0, len(c.in))
	for _, r := range c.in {
		if !r.Gone {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b *inRecord) int { return cmp.Compare(a.Order, b.Order) })
	out := make([]Message, len(all))
	for i, r := range all {
		out[i] = r.message()
	}
	return out
}

func (r *inRecord) message() Message {
	return Message{ID: r.ID, Contact: mail.AccountID(r.Contact), Text: r.Text, Sent: r.Sent, Received: r.Received, Read: r.Read, Vanishes: r.Vanish}
}

// box is one mailbox to poll: the account's own where contact is zero.
type box struct {
	id      mail.ID
	contact mail.AccountID
	seed    key32
	bucket  uint64
	pair    pairBox
	fresh   bool // mail is expected there: the account's, and the newest of each contact
}

// boxes are all mailboxes that may hold mail for us, the account's first.
func (c *Client) boxes(v *view) []box {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.boxesLocked(v)
}

func (c *Client) boxesLocked(v *view) []box {
	self := c.cfg.Account.id
	all := []box{{id: mail.AccountMailbox(self), fresh: true}}
	now := c.nowAt(v)
	pairs := make(map[pairName]pairBox, len(c.pairs)) // those of last time that are still read, and new ones
	for id, r := range c.contacts {
		if r.State == uint8(Incoming) {
			continue
		}
		for i, s := range r.Sessions {
			for k, n := range buckets(&c.cfg.Core, v.epoch(), now, s.Created) {
				name := pairName{s.Seed, id, n}
				p, known := c.pairs[name]
				if !known {
					p = c.pairBox(s.Seed, id, self, n)
				}
				pairs[name] = p
				all = append(all, box{id: p.id, contact: id, seed: s.Seed, bucket: n, pair: p, fresh: i == 0 && k == 0})
				if c.flaws.NoRotation() {
					break
				}
			}
		}
	}
	c.pairs = pairs
	slices.SortFunc(all[1:], func(a, b box) int { return slices.Compare(a.id[:], b.id[:]) })
	return all
}

// pollTime is what a poll says of its time: that of the newest header, which is the
// same for all, and not of this client's clock, which may be off by a time of its
// own. Where the ledger stands still it is the clock's minute.
func (c *Client) pollTime() chain.Time {
	now := c.now()
	if v := c.view.Load(); v != nil {
		if at := v.head.Header.Time; at <= now && now-at < chain.Time(2*genesis.Minute) {
			return at
		}
	}
	return now - now%chain.Time(genesis.Minute)
}

// poll asks one member for one mailbox once and takes what comes; wait says that
// it may wait behind what else leaves. more says that there is more behind it.
func (c *Client) poll(ctx context.Context, b box, member chain.NodeID, wait bool) (more bool, err error) {
	key := cursorKey{b.id, member}
	c.mu.Lock()
	after := c.cursors[key]
	c.mu.Unlock()
	p := &mail.Poll{Kind: mail.KindAccount, A: c.cfg.Account.edPublic(), B: c.cfg.Account.xPublic(), After: after, At: c.pollTime(), Member: member}
	if b.contact == (mail.AccountID{}) {
		p.Sign(c.cfg.Genesis, c.cfg.Account.ed)
	} else {
		p.Kind, p.A, p.B = mail.KindPair, b.pair.readKey(), mail.KeyHash(b.pair.writeKey())
		p.Sign(c.cfg.Genesis, b.pair.read)
	}
	began := time.Now()
	replies, err := c.try(ctx, member, mail.Command{Poll: p}, mail.PollReplies, wait)
	step := Step{Kind: StepPoll, Contact: b.contact, Member: member, Code: codeOfFirst(replies, err), Took: time.Since(began)}
	if err != nil {
		c.observe(step)
		return false, err
	}
	items, upTo, err := c.sortReplies(replies, member, after)
	step.Count = len(items)
	c.observe(step)
	if err != nil {
		return false, err
	}
	for _, it := range items {
		if err := c.take(b, member, it.Content); err != nil {
			return false, err
		}
		more = it.More > 0
	}
	more = more || slices.ContainsFunc(replies, lost)
	c.mu.Lock()
	defer c.mu.Unlock()
	if upTo > c.cursors[key] {
		c.cursors[key] = upTo
		return more, c.saveLocked(key.row(upTo))
	}
	return more, nil
}

// lost reports whether an answer did not come.
func lost(r mail.Reply) bool { return r.Code == 0 }

// sortReplies are the items of a poll in their order, and the cursor up to which all
// came: where an answer was lost, that of the item before it. What was lost is asked
// for again, and what came behind it is deleted or known then.
func (c *Client) sortReplies(replies []mail.Reply, member chain.NodeID, after uint64) (items []mail.Item, upTo uint64, err error) {
	whole := true
	for _, r := range replies {
		switch {
		case lost(r):
			whole = false
		case r.Code == mail.CodeNone:
		case r.Code == mail.CodeItem:
			it, err := c.format.DecodeItem(r.Body)
			// Cursors begin at the time of storing; one far ahead would hide
			// what the member gets later.
			if err != nil || it.Cursor <= after || it.Cursor > uint64(c.now())+uint64(24*genesis.Hour) {
				c.blame(member)
				return nil, 0, fmt.Errorf("%w: a member's items are malformed", errWait("malformed"))
			}
			items = append(items, it)
			if whole {
				upTo = max(upTo, it.Cursor)
			}
		default:
			return nil, 0, errWait(r.Code.String())
		}
	}
	slices.SortFunc(items, func(a, b mail.Item) int { return cmp.Compare(a.Cursor, b.Cursor) })
	return items, upTo, nil
}

// take handles one item of a mailbox.
func (c *Client) take(b box, member chain.NodeID, content []byte) error {
	if b.contact == (mail.AccountID{}) {
		return c.takeRequest(content)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.contacts[b.contact]
	if r == nil {
		return nil
	}
	session := r.session(b.seed)
	if session == nil {
		return nil
	}
	key := seenOf(content)
	if x := c.seen[key]; x != nil {
		c.observe(Step{Kind: StepCame, Contact: b.contact, Message: x.ID, Member: member, Code: "again"})
		return c.saveLocked(append(c.againLocked(r, b, x), c.deleteLocked(x, member, b.id)...)...)
	}
	s, err := ratchet.Load(c.env(), session.State)
	if err != nil {
		return fmt.Errorf("open message: %w", err)
	}
	plain, s, err := c.openItem(s, content)
	if err != nil {
		c.log.Debug("passed over an item that does not open")
		c.observe(Step{Kind: StepCame, Contact: b.contact, Member: member, Code: "does_not_open"})
		return c.saveLocked(c.outOfStepLocked(r, b.seed)...)
	}
	m, err := c.parts.decodeInner(plain)
	if err != nil {
		c.log.Debug("passed over an item that is no message")
		return nil
	}
	session.State = s.State()
	var rows []row
	var in *inRecord
	switch m.Kind {
	case kindConfirm:
		rows = c.confirmedLocked(b.contact, m.ID)
	case kindRead:
		rows = c.readLocked(b.contact, m.ID, m.Sent)
	case kindText:
		var taken bool
		if rows, in, taken = c.textReceivedLocked(r, b, m); !taken {
			c.log.Warn("a contact's message was passed over; it is too old, or there is no room for more of this contact")
			return nil
		}
	}
	x := &seenRecord{Contact: r.ID, Seed: b.seed, Kind: m.Kind, ID: m.ID, Token: m.Token, Until: c.now() + chain.Time(c.env().Keep)}
	c.seen[key] = x
	rows = append(append(rows, key.row(x)), c.deleteLocked(x, member, b.id)...)
	if r.State == uint8(Requested) || r.State == uint8(Added) {
		r.State = uint8(Connected)
		c.contactEvent(r)
	}
	session.Took = session.Took || session.Request != nil // whatever its members say
	if err := c.saveLocked(append(rows, r.row())...); err != nil {
		return err
	}
	c.observe(Step{Kind: StepCame, Contact: b.contact, Message: m.ID, Part: int(m.Part), Member: member, Code: m.Kind.String()})
	if in != nil { // on disk: whatever happens now, it is shown once
		c.emitLocked(Event{Kind: EventMessage, Message: in.message()})
	}
	c.wakeUp()
	c.changedLocked()
	return nil
}

// deleteLocked queues the deletion of an item that was opened.
func (c *Client) deleteLocked(x *seenRecord, member chain.NodeID, at mail.ID) []row {
	return c.revealLocked(&deleteRecord{Token: x.Token, Member: member, Mailbox: key32(at), Until: c.now() + chain.Time(c.cfg.Core.Params.MailboxTTL)})
}

// revealLocked queues a deletion, unless it waits already or too many do.
func (c *Client) revealLocked(d *deleteRecord) []row {
	if _, again := c.deletes[d.Token]; again || len(c.deletes) >= maxDeletes {
		return nil
	}
	c.deletes[d.Token] = d
	c.wakeUp()
	return []row{d.row()}
}

// confirmedLocked ends a message that its recipient has, also one that was given up
// before: what it says may come late.
func (c *Client) confirmedLocked(from mail.AccountID, id MessageID) []row {
	o := c.out[outKey{kindText, id, from}]
	if o == nil || State(o.State) == Delivered {
		return nil
	}
	o.State, o.Reason, o.Items = uint8(Delivered), "", nil
	if o.Timer > 0 {
		o.Vanish = c.now() + chain.Time(o.Timer)*1000
	}
	c.statusEvent(o)
	return []row{o.row()}
}

// textReceivedLocked collects a part, and takes the message when it has all.
// taken is false where the part is passed over and stays with its member.
func (c *Client) textReceivedLocked(r *contactRecord, b box, m inner) (rows []row, in *inRecord, taken bool) {
	key := inKey{mail.AccountID(r.ID), m.ID}
	if c.in[key] != nil {
		return c.confirmLocked(r, b, m.ID), nil, true // from another member; or again, since our confirmation was lost or is late
	}
	if m.ended(c.now()) { // by its sender's will: it is not shown, confirmed or kept, and goes
		if f := c.fragments[key]; f != nil {
			delete(c.fragments, key)
			rows = append(rows, f.gone())
		}
		return rows, nil, true
	}
	// No honest member shows it so late, and its id may be forgotten.
	if c.overLocked(m.Sent) {
		return nil, nil, false
	}
	old, room := c.roomLocked(key.from, min(int(m.Parts)*int(c.parts), MaxText))
	if !room {
		return nil, nil, false
	}
	text := m.Text
	if m.Parts > 1 {
		f := c.fragments[key]
		if f == nil {
			if c.fragmentsLocked(r.ID) >= maxFragments {
				return nil, nil, false
			}
			f = &fragmentRecord{ID: m.ID, Contact: r.ID, Seed: b.seed, Sent: m.Sent, Since: c.now(), Parts: m.Parts, Timer: m.Timer, Life: m.Life, Have: map[uint16]string{}}
			c.fragments[key] = f
		}
		if f.Parts != m.Parts || f.Timer != m.Timer || f.Life != m.Life {
			return nil, nil, true
		}
		f.Have[m.Part] = m.Text
		if len(f.Have) < int(f.Parts) {
			return []row{f.row()}, nil, true
		}
		var all strings.Builder
		for n := range f.Parts {
			all.WriteString(f.Have[n])
		}
		text = all.String()
		delete(c.fragments, key)
		rows = append(rows, f.gone())
	}
	if checkText(text) != nil {
		return rows, nil, true
	}
	for _, k := range old {
		rows = append(rows, c.forgetLocked(k))
	}
	c.order++
	in = &inRecord{ID: m.ID, Contact: r.ID, Text: text, Sent: m.Sent, Received: c.now(), Order: c.order, Timer: m.Timer, Seed: b.seed, Bucket: b.bucket}
	if m.Sent > r.TimerSet && m.Timer != r.Timer { // the contact's row is saved with it
		r.Timer, r.TimerSet = m.Timer, m.Sent
		c.contactEvent(r)
	}
	c.keepLocked(in)
	return append(append(rows, in.row()), c.confirmLocked(r, b, m.ID)...), in, true
}

func (c *Client) fragmentsLocked(from key32) (n int) {
	for _, f := range c.fragments {
		if f.Contact == from {
			n++
		}
	}
	return n
}

// confirmLocked queues a confirmation of a message that came in b, under the session
// of b, unless one is on its way.
func (c *Client) confirmLocked(r *contactRecord, b box, id MessageID) []row {
	key := outKey{kindConfirm, id, mail.AccountID(r.ID)}
	if c.out[key] != nil || c.confirmsLocked(key.to) >= maxQueued {
		return nil // what is not confirmed comes again
	}
	in := c.in[inKey{key.to, id}]
	if in != nil && time.Since(in.lately) < c.cfg.Resend/2 {
		return nil // several members show the same; nobody sends it again so soon
	}
	o := c.noticeLocked(kindConfirm, r.ID, id, b.seed, b.bucket)
	if in != nil {
		o.rounds = in.confirmed
		in.confirmed++
		in.lately = time.Now()
	}
	c.out[key] = o
	return []row{o.row()}
}

// noticeLocked is what tells a contact something of a message. It goes into the other
// mailbox of the pair and bucket that the message lay in: who sees that something is
// taken from one mailbox and at once put into another does not learn which mailboxes
// of two days are of one pair. That one is asked for as long as the message waits for
// its confirmation; that it was read may be said later, and is to be found a while.
func (c *Client) noticeLocked(k kind, to key32, id MessageID, seed key32, bucket uint64) *outRecord {
	now, ttl := c.now(), chain.Time(c.cfg.Core.Params.MailboxTTL)
	o := &outRecord{Kind: k, ID: id, Contact: to, Seed: seed, Sent: now, Expiry: now + ttl, State: uint8(Queued), Parts: 1}
	if end := bucketExpiry(&c.cfg.Core, bucket, now); now < end && (k == kindConfirm || now+ttl/2 <= end) {
		o.Bucket, o.Expiry = &bucket, min(o.Expiry, end)
	}
	return o
}
