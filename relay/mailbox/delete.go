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
func (m *Mailbox) remove(d *mail.Delete, via Via, done func(Outcome)) bool {
	deleter := mail.Deleter(d.Token)
	var code mail.Code
	var gone []Gone
	m.enqueue(false, func(t *txn) {
		code = mail.CodeNone
		place := m.cfg.Place
		if via == BySync {
			place = nil // the tombstone comes from where it was learnt
		}
		switch gone = m.erase(t, deleter, d.Token, place); {
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

// erase removes the items that a token deletes, keeps the token, and leaves
// tombstones at the places of their mailboxes; none where place is nil.
func (m *Mailbox) erase(t *txn, deleter chain.Hash, token [32]byte, place func(mail.ID) mail.ID) (gone []Gone) {
	for _, row := range t.scan(append([]byte{rowIndex}, deleter[:]...), maxGroup) {
		id, cursor, ok := decodePlace(row.Value)
		i, ok2 := decodeItem(t.get(itemKey(id, cursor)))
		if !ok || !ok2 {
			t.fail(fmt.Errorf("%w: index without item", ErrStore))
			return nil
		}
		m.drop(t, id, cursor, i)
		g := mail.Tombstone{Item: i.id, Token: token, Until: i.expiry + chain.Time(m.cfg.Params.ChallengeWindow)}
		if place == nil {
			t.keepToken(g, deleter)
		} else {
			g.Mailbox = place(id)
			t.bury(g, deleter, false)
		}
		gone = append(gone, Gone{id, g})
	}
	return gone
}

// bury leaves a tombstone, and keeps its token.
func (t *txn) bury(g mail.Tombstone, deleter chain.Hash, heard bool) {
	key := stateKey(g.Mailbox, g.Item)
	if old, ok := t.state(g.Mailbox, g.Item); ok && old.state == mail.RowDeleted {
		t.forgetTombstone(old) // another's word, with a token that was not the item's
	}
	s := state{state: mail.RowDeleted, expiry: g.Until, deleter: deleter, heard: heard}
	t.put(key, s.encode())
	t.put(expiryKey(g.Until, key), []byte{})
	t.marks++
	if heard {
		t.heard++
	}
	t.keepToken(g, deleter)
}

// keepToken keeps the token, which proves the deletion.
func (t *txn) keepToken(g mail.Tombstone, deleter chain.Hash) {
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
		s, ok := t.state(g.Mailbox, g.Item)
		switch {
		case t.get(indexKey(deleter, g.Item)) != nil:
			more = len(m.erase(t, deleter, g.Token, func(mail.ID) mail.ID { return g.Mailbox })) > 0
		case ok && s.state == mail.RowDeleted:
		case ok:
			code = mail.CodeMalformed
		case t.room <= 0, t.base.heard+t.heard >= m.cfg.MaxItems/heardShare:
			code = mail.CodeBusy
		default:
			more = true
			t.bury(g, deleter, true)
		}
	}, m.answer(&code, &more, done))
	return true
}
