package mailbox

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"tunic/chain"
	"tunic/internal/wire"
	"tunic/onion/mail"
)

func appendTime(b []byte, t chain.Time) []byte { return wire.AppendUint64(b, uint64(t)) }

// request keeps a contact request, which anyone may send who paid with work.
// There is no receipt: a later one with more work may displace it.
func (m *Mailbox) request(now chain.Time, epoch chain.Epoch, q *mail.Request) mail.Reply {
	if q.Epoch != epoch && q.Epoch+1 != epoch {
		return refuse(mail.CodeStale)
	}
	work := q.Bits()
	// What was not worked for takes no place in a group.
	wanted, err := m.wanted(q.Account)
	switch {
	case err != nil:
		m.failures.Add(1)
		return refuse(mail.CodeBusy)
	case work < wanted:
		return refuse(mail.CodeWork)
	}
	code := mail.CodeAccepted
	err = m.commit(func(t *txn) {
		id := mail.AccountMailbox(q.Account)
		content := chain.SHA256(q.Content)
		var cheapest *item
		var at uint64
		rows := t.scan(itemKey(id, 0)[:33], RequestLimit+1)
		for _, row := range rows {
			i, ok := decodeItem(row.Value)
			if !ok {
				t.fail(fmt.Errorf("%w: item", ErrStore))
				return
			}
			if i.id == content {
				return // kept already
			}
			if cheapest == nil || i.bits < cheapest.bits {
				cheapest, at = &i, cursorOf(row.Key)
			}
		}
		switch {
		case len(rows) < RequestLimit && m.room <= 0:
			code = mail.CodeBusy
			return
		case len(rows) < RequestLimit:
		case work < int(cheapest.bits):
			code = mail.CodeFull
			return
		default:
			m.drop(t, id, at, *cheapest)
		}
		m.add(t, id, m.box(t, id), now, item{
			expiry: now + chain.Time(m.cfg.Params.MailboxTTL), bits: uint16(work), id: content, content: q.Content,
		})
	})
	if err != nil {
		return refuse(mail.CodeBusy)
	}
	return refuse(code)
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

// putBundle keeps an account's bundle unless a newer one is there.
func (m *Mailbox) putBundle(now chain.Time, p *mail.PutBundle) mail.Reply {
	b, err := mail.DecodeBundle(p.Bundle)
	if err != nil {
		return refuse(mail.CodeMalformed)
	}
	if b.Until <= now {
		return refuse(mail.CodeStale)
	}
	if b.Verify(m.cfg.Genesis) != nil {
		return refuse(mail.CodeSignature)
	}
	until := min(b.Until, now+chain.Time(m.cfg.Params.MailboxMost))
	key := bundleKey(b.Account())
	code := mail.CodeAccepted
	err = m.commit(func(t *txn) {
		old := t.get(key)
		if len(old) > 8 {
			had, err := mail.DecodeBundle(old[8:])
			switch {
			case err != nil:
				t.fail(fmt.Errorf("%w: bundle: %w", ErrStore, err))
				return
			case had.Serial > b.Serial, had.Serial == b.Serial && !bytes.Equal(old[8:], p.Bundle):
				code = mail.CodeOutdated
				return
			}
			t.delete(expiryKey(chain.Time(binary.BigEndian.Uint64(old)), key))
		} else if m.bundles+t.bundles >= m.cfg.MaxBundles {
			code = mail.CodeBusy
			return
		} else {
			t.bundles++
		}
		t.put(key, append(appendTime(nil, until), p.Bundle...))
		t.put(expiryKey(until, key), []byte{})
	})
	if err != nil {
		return refuse(mail.CodeBusy)
	}
	return refuse(code)
}

func (m *Mailbox) getBundle(now chain.Time, g *mail.GetBundle) mail.Reply {
	v, err := m.cfg.Store.Get(bundleKey(g.Account))
	switch {
	case err != nil:
		m.failures.Add(1)
		return refuse(mail.CodeBusy)
	case len(v) <= 8 || chain.Time(binary.BigEndian.Uint64(v)) <= now:
		return refuse(mail.CodeNone)
	}
	return mail.Reply{Code: mail.CodeFound, Body: v[8:]}
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
		if len(v) >= 8 && chain.Time(binary.BigEndian.Uint64(v)) <= now {
			t.delete(key)
			t.bundles--
		}
	case rowToken:
		if len(v) == 40 && chain.Time(binary.BigEndian.Uint64(v[32:])) <= now {
			t.delete(key)
			t.marks--
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
