package mailbox

import (
	"bytes"
	"fmt"

	"tunic/chain"
	"tunic/onion/mail"
)

// heardShare is the part of all items that tombstones of items may number that
// were never here: nothing but another member's word stands behind them.
const heardShare = 16

// remove deletes what the token names and keeps the token: it proves the
// deletion for as long as somebody may ask for the item.
func (m *Mailbox) remove(d *mail.Delete, done func(Outcome)) bool {
	deleter := mail.Deleter(d.Token)
	var code mail.Code
	var gone []mail.Tombstone
	m.enqueue(false, func(t *txn) {
		code = mail.CodeNone
		switch gone = m.erase(t, deleter, d.Token); {
		case len(gone) > 0, t.get(tokenKey(deleter)) != nil:
			code = mail.CodeDeleted
		}
	}, func(err error) {
		if err != nil {
			done(Outcome{Reply: refuse(mail.CodeBusy)})
			return
		}
		done(Outcome{Reply: refuse(code), Gone: gone})
	})
	return true
}

// erase removes the items that a token deletes, and leaves tombstones.
func (m *Mailbox) erase(t *txn, deleter chain.Hash, token [32]byte) (gone []mail.Tombstone) {
	for _, row := range t.scan(append([]byte{rowIndex}, deleter[:]...), maxGroup) {
		id, cursor, ok := decodePlace(row.Value)
		i, ok2 := decodeItem(t.get(itemKey(id, cursor)))
		if !ok || !ok2 {
			t.fail(fmt.Errorf("%w: index without item", ErrStore))
			return nil
		}
		m.drop(t, id, cursor, i)
		g := mail.Tombstone{Mailbox: id, Item: i.id, Token: token, Until: i.expiry + chain.Time(m.cfg.Params.ChallengeWindow)}
		t.bury(g, deleter, false)
		gone = append(gone, g)
	}
	return gone
}

// bury leaves a tombstone, and keeps its token.
func (t *txn) bury(g mail.Tombstone, deleter chain.Hash, heard bool) {
	key := stateKey(g.Mailbox, g.Item)
	s := state{state: mail.RowDeleted, expiry: g.Until, deleter: deleter, heard: heard}
	t.put(key, s.encode())
	t.put(expiryKey(g.Until, key), []byte{})
	t.marks++
	if heard {
		t.heard++
	}
	until := g.Until
	token := tokenKey(deleter)
	if v := t.get(token); len(v) == 40 {
		until = max(until, timeOf(v[32:]))
	}
	t.put(token, appendTime(bytes.Clone(g.Token[:]), until))
	t.put(expiryKey(until, token), []byte{})
}

func (t *txn) forgetTombstone(s state) {
	t.marks--
	if s.heard {
		t.heard--
	}
}

// Bury takes another member's word that an item was deleted: its token shows
// it. An item of another token is not touched. It is like Do.
func (m *Mailbox) Bury(now chain.Time, g mail.Tombstone, done func(Outcome)) bool {
	p := m.cfg.Params
	if g.Until <= now || g.Until > now+chain.Time(p.MailboxMost)+chain.Time(p.ChallengeWindow)+ByCopy.slack() {
		return say(done, refuse(mail.CodeStale))
	}
	deleter := mail.Deleter(g.Token)
	var code mail.Code
	more := false
	m.enqueue(false, func(t *txn) {
		code, more = mail.CodeAccepted, false
		switch s, ok := t.state(g.Mailbox, g.Item); {
		case ok && s.state == mail.RowDeleted:
		case ok:
			if kept, ok := t.item(g.Mailbox, g.Item); !ok || kept.deleter != deleter {
				code = mail.CodeMalformed
				return
			}
			more = len(m.erase(t, deleter, g.Token)) > 0
		case t.room <= 0, t.base.heard+t.heard >= m.cfg.MaxItems/heardShare:
			code = mail.CodeBusy
		default:
			more = true
			t.bury(g, deleter, true)
		}
	}, m.answer(&code, &more, done))
	return true
}
