package mailbox

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"tunic/chain"
	"tunic/onion/mail"
)

// request keeps a contact request, which anyone may send who paid with work.
// There is no receipt: a later one with more work may displace it.
func (m *Mailbox) request(now chain.Time, epoch chain.Epoch, q *mail.Request, via Via, done func(Outcome)) bool {
	until := m.requestUntil(q.Epoch)
	switch {
	case via == ByClient && q.Epoch > epoch, q.Epoch > epoch+1: // a member may have seen the epoch begin before this one
		return say(done, refuse(mail.CodeStale))
	case via != BySync && q.Epoch+1 < epoch, until <= now:
		return say(done, refuse(mail.CodeStale))
	}
	work := q.Bits()
	// What was not worked for takes no place in a group.
	if via != BySync { // the owner may ask for more today than when it came
		wanted, err := m.wanted(q.Account)
		switch {
		case err != nil:
			m.failures.Add(1)
			return say(done, refuse(mail.CodeBusy))
		case work < wanted:
			return say(done, refuse(mail.CodeWork))
		}
	}
	var code mail.Code
	more := false
	m.enqueue(len(q.Content) > inlineContent, func(t *txn) {
		code, more = mail.CodeAccepted, false
		id := mail.AccountMailbox(q.Account)
		content := chain.SHA256(q.Content)
		if _, ok := t.state(id, content); ok {
			return // kept already
		}
		var cheapest *item
		var at uint64
		rows := t.scan(itemKey(id, 0)[:33], RequestLimit+1)
		for _, row := range rows {
			i, ok := decodeItem(row.Value)
			if !ok {
				t.fail(fmt.Errorf("%w: item", ErrStore))
				return
			}
			if cheapest == nil || i.bits < cheapest.bits || via == BySync && i.bits == cheapest.bits && bytes.Compare(i.id[:], cheapest.id[:]) < 0 {
				cheapest, at = &i, cursorOf(row.Key)
			}
		}
		switch {
		case len(rows) < RequestLimit && t.room <= 0:
			code = mail.CodeBusy
			return
		case len(rows) < RequestLimit:
		case work < int(cheapest.bits):
			code = mail.CodeFull
			return
		case via == BySync && work == int(cheapest.bits) && bytes.Compare(content[:], cheapest.id[:]) < 0:
			code = mail.CodeFull // all members must come to keep the same ones
			return
		default:
			m.drop(t, id, at, *cheapest)
		}
		more = true
		m.add(t, id, m.box(t, id), now, item{
			expiry: until, bits: uint16(work), id: content,
			origin: origin{account: q.Account, epoch: q.Epoch, nonce: q.Nonce}, content: q.Content,
		})
	}, m.answer(&code, &more, done))
	return true
}

// answer is done for commands whose outcome is a code.
func (m *Mailbox) answer(code *mail.Code, more *bool, done func(Outcome)) func(error) {
	return func(err error) {
		if err != nil {
			*code, *more = mail.CodeBusy, false
		}
		done(Outcome{Reply: refuse(*code), More: *more})
	}
}

// requestUntil is when a request of an epoch expires, by the work's epoch and
// not by when it came, so that all members forget it together.
func (m *Mailbox) requestUntil(e chain.Epoch) chain.Time {
	p := m.cfg.Params
	if uint64(e) >= uint64(1<<62)/uint64(max(1, p.EpochLength)) {
		return 0
	}
	return m.cfg.Start + chain.Time(uint64(e+1)*uint64(p.EpochLength)) + chain.Time(p.MailboxTTL)
}

// wanted is the work that an account asks for.
func (m *Mailbox) wanted(a mail.AccountID) (int, error) {
	v, err := m.cfg.Store.Get(bundleKey(a))
	if err == nil && len(v) > 8 {
		if b, err := mail.DecodeBundle(v[8:]); err == nil {
			return int(b.Work), nil
		}
	}
	return mail.DefaultWork, err
}

// sweepGroup is how many rows one write of a sweep removes.
const sweepGroup = 256

// Sweep removes what has expired by now and returns how many rows that were.
func (m *Mailbox) Sweep(now chain.Time) (n int, err error) {
	for {
		var due []Row
		err := m.cfg.Store.Scan([]byte{rowExpiry}, nil, func(k, _ []byte) bool {
			if len(k) < 10 || chain.Time(binary.BigEndian.Uint64(k[1:])) > now {
				return false
			}
			due = append(due, Row{Key: bytes.Clone(k)})
			return len(due) < sweepGroup
		})
		if err != nil {
			m.failures.Add(1)
			return n, fmt.Errorf("sweep mailboxes: %w", err)
		}
		if len(due) == 0 {
			return n, nil
		}
		err = m.commit(func(t *txn) {
			for _, row := range due {
				t.delete(row.Key)
				m.expire(t, now, row.Key[9:])
			}
		})
		if err != nil {
			return n, fmt.Errorf("sweep mailboxes: %w", err)
		}
		n += len(due)
	}
}

// expire removes the row under key if its time has come; it may have gone, or
// been replaced by one that lives on.
func (m *Mailbox) expire(t *txn, now chain.Time, key []byte) {
	v := t.get(key)
	if v == nil {
		return
	}
	switch key[0] {
	case rowItem:
		if i, ok := decodeItem(v); ok && i.expiry <= now {
			m.drop(t, mail.ID(key[1:33]), cursorOf(key), i)
		}
	case rowBundle:
		if len(v) > 8 && timeOf(v) <= now {
			m.dropBundle(t, key, mail.AccountMailbox(mail.AccountID(key[1:])), v)
		}
	case rowOnce:
		if len(v) > 8 && timeOf(v) <= now {
			t.delete(key)
			t.bundles--
		}
	case rowToken:
		if len(v) == 40 && timeOf(v[32:]) <= now {
			t.delete(key)
		}
	case rowState:
		if s, ok := decodeState(v); ok && s.state == mail.RowDeleted && s.expiry <= now {
			t.delete(key)
			t.forgetTombstone(s)
		}
	case rowBox:
		b, _ := decodeBox(v)
		if end := b.touched + chain.Time(m.cfg.Params.MailboxMost); b.count > 0 || end > now {
			t.put(expiryKey(max(end, now+1), key), []byte{})
			return
		}
		t.delete(key)
		t.marks--
	}
}
