package mailbox

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"tunic/chain"
	"tunic/onion/mail"
)

// OnceLimit is how many bundles to be handed out once a member keeps of one account.
const OnceLimit = 32

// putBundle keeps an account's bundle. Of last resorts there is one, the newest,
// and all members have the same; what is handed out once is this member's alone.
// What accepts it says in its body how many of the latter there are.
func (m *Mailbox) putBundle(now chain.Time, p *mail.PutBundle, via Via, done func(Outcome)) bool {
	b, err := mail.DecodeBundle(p.Bundle)
	if err != nil || b.Once && via != ByClient {
		return say(done, refuse(mail.CodeMalformed))
	}
	if b.Until <= now || b.Until > now+chain.Time(m.cfg.Params.MailboxMost)+via.slack() {
		return say(done, refuse(mail.CodeStale))
	}
	if b.Verify(m.cfg.Genesis) != nil {
		return say(done, refuse(mail.CodeSignature))
	}
	var code mail.Code
	var left int
	more := false
	m.enqueue(false, func(t *txn) {
		if b.Once {
			code = m.putOnce(t, &b, p.Bundle)
		} else {
			code, more = m.putLast(t, &b, p.Bundle, via)
		}
		if via == ByClient {
			left = len(t.scan(onceKey(b.Account(), 0)[:33], OnceLimit))
		}
	}, func(err error) {
		switch {
		case err != nil:
			done(Outcome{Reply: refuse(mail.CodeBusy)})
		case code == mail.CodeAccepted && via == ByClient:
			done(Outcome{Reply: mail.Reply{Code: code, Body: binary.BigEndian.AppendUint16(nil, uint16(left))}, More: more})
		default:
			done(Outcome{Reply: refuse(code), More: more})
		}
	})
	return true
}

// last reads an account's last resort; nil where there is none.
func (t *txn) last(a mail.AccountID) *mail.Bundle {
	v := t.get(bundleKey(a))
	if len(v) <= 8 {
		return nil
	}
	b, err := mail.DecodeBundle(v[8:])
	if err != nil {
		t.fail(fmt.Errorf("%w: bundle: %w", ErrStore, err))
		return nil
	}
	return &b
}

// putLast keeps a last resort unless a newer one is there.
func (m *Mailbox) putLast(t *txn, b *mail.Bundle, encoded []byte, via Via) (code mail.Code, more bool) {
	account := b.Account()
	key, id := bundleKey(account), mail.AccountMailbox(account)
	switch had, old := t.last(account), t.get(key); {
	case t.err != nil:
		return mail.CodeBusy, false
	case had == nil && t.base.bundles+t.bundles >= m.cfg.MaxBundles:
		return mail.CodeBusy, false
	case had == nil:
	case bytes.Equal(old[8:], encoded):
		return mail.CodeAccepted, false
	case had.Serial > b.Serial,
		// Two of one serial: the first stays, but all members come to keep the
		// same one.
		had.Serial == b.Serial && (via != BySync || bytes.Compare(old[8:], encoded) > 0):
		return mail.CodeOutdated, false
	default:
		m.dropBundle(t, key, id, old)
		if had.Since < b.Since {
			m.dropOnce(t, account, b.Since)
		}
	}
	t.bundles++
	t.put(key, append(appendTime(nil, b.Until), encoded...))
	t.put(expiryKey(b.Until, key), []byte{})
	t.put(stateKey(id, chain.SHA256(encoded)), state{state: mail.RowBundle, expiry: b.Until, account: account}.encode())
	return mail.CodeAccepted, true
}

// putOnce keeps a bundle to be handed out once.
func (m *Mailbox) putOnce(t *txn, b *mail.Bundle, encoded []byte) mail.Code {
	account := b.Account()
	key := onceKey(account, b.Serial)
	if old := t.get(key); old != nil {
		if bytes.Equal(old[8:], encoded) {
			return mail.CodeAccepted
		}
		return mail.CodeOutdated
	}
	switch last := t.last(account); {
	case last != nil && last.Since > b.Since:
		return mail.CodeOutdated // the account was restored since
	case len(t.scan(key[:33], OnceLimit)) >= OnceLimit:
		return mail.CodeFull
	case t.base.bundles+t.bundles >= m.cfg.MaxBundles:
		return mail.CodeBusy
	}
	t.bundles++
	t.put(key, append(appendTime(nil, b.Until), encoded...))
	t.put(expiryKey(b.Until, key), []byte{})
	return mail.CodeAccepted
}

// dropOnce removes the bundles of a state of the account that is gone.
func (m *Mailbox) dropOnce(t *txn, account mail.AccountID, since chain.Time) {
	for _, row := range t.scan(onceKey(account, 0)[:33], OnceLimit) {
		if b, err := mail.DecodeBundle(row.Value[min(8, len(row.Value)):]); err != nil || b.Since < since {
			t.dropOnce(row)
		}
	}
}

// dropOnce removes a bundle that is handed out once and what points to it.
func (t *txn) dropOnce(row Row) {
	t.delete(row.Key)
	if len(row.Value) > 8 {
		t.delete(expiryKey(timeOf(row.Value), row.Key))
	}
	t.bundles--
}

// dropBundle removes a last resort and all that points to it.
func (m *Mailbox) dropBundle(t *txn, key []byte, id mail.ID, row []byte) {
	t.delete(key)
	t.delete(expiryKey(timeOf(row), key))
	t.delete(stateKey(id, chain.SHA256(row[8:])))
	t.bundles--
}

// getBundle shows the last resort.
func (m *Mailbox) getBundle(now chain.Time, a mail.AccountID) mail.Reply {
	v, err := m.cfg.Store.Get(bundleKey(a))
	if err != nil {
		m.failures.Add(1)
		return refuse(mail.CodeBusy)
	}
	return found(now, v)
}

func found(now chain.Time, row []byte) mail.Reply {
	if len(row) <= 8 || timeOf(row) <= now {
		return refuse(mail.CodeNone)
	}
	return mail.Reply{Code: mail.CodeFound, Body: row[8:]}
}

// handOut gives a bundle away, the oldest first, and where there is none the last
// resort. It has gone from the disk before anybody sees it: a crash may waste one,
// and never shows one twice.
func (m *Mailbox) handOut(now chain.Time, a mail.AccountID, done func(Outcome)) bool {
	var reply mail.Reply
	m.enqueue(false, func(t *txn) {
		for _, row := range t.scan(onceKey(a, 0)[:33], OnceLimit) {
			t.dropOnce(row)
			if reply = found(now, row.Value); reply.Code == mail.CodeFound {
				return
			}
		}
		reply = found(now, t.get(bundleKey(a)))
	}, func(err error) {
		if err != nil {
			reply = refuse(mail.CodeBusy)
		}
		done(Outcome{Reply: reply})
	})
	return true
}
