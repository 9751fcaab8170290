package mailbox

import (
	"bytes"
	"fmt"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/onion/mail"
)

// Find gives the answer for chunk of what a receipt of this member promises: the
// deletion token where the item was deleted, else the chunk with its path. found
// is false where neither is there. The caller fills in the challenge.
func (m *Mailbox) Find(x statement.Receipt, chunk uint8) (a statement.Answer, found bool, err error) {
	defer func() {
		if err != nil {
			m.failures.Add(1)
		}
	}()
	if a, found, err = m.token(x); found || err != nil {
		return a, found, err
	}
	// Who makes up deleters can have one for a million items: only that of the
	// promise is read, and its id tells which that may be.
	var place []byte
	err = m.cfg.Store.Scan(append([]byte{rowIndex}, x.Deleter[:]...), nil, func(k, v []byte) bool {
		if box, _, ok := decodePlace(v); ok && len(k) == 65 && chain.Hash(k[33:]) == mail.ItemID(box, x.Deleter, x.Chunks) {
			place = bytes.Clone(v)
		}
		return place == nil
	})
	if err != nil {
		return a, false, err
	}
	if place != nil {
		if a, found, err = m.show(place, x, chunk); found || err != nil {
			return a, found, err
		}
	}
	// It may have been deleted since the first look.
	return m.token(x)
}

// token is Find of what was deleted.
func (m *Mailbox) token(x statement.Receipt) (a statement.Answer, found bool, err error) {
	v, err := m.cfg.Store.Get(tokenKey(x.Deleter))
	if size := len(mail.Delete{}.Token); err == nil && len(v) >= size {
		return statement.Answer{Token: (*[32]byte)(v[:size])}, true, nil
	}
	return a, false, err
}

// show is Find of the item at a place.
func (m *Mailbox) show(place []byte, x statement.Receipt, chunk uint8) (a statement.Answer, found bool, err error) {
	box, cursor, ok := decodePlace(place)
	if !ok {
		return a, false, fmt.Errorf("%w: place of an item", ErrStore)
	}
	key := itemKey(box, cursor)
	v, err := m.cfg.Store.Get(key)
	if err != nil || v == nil { // it may have gone since
		return a, false, err
	}
	i, ok := decodeItem(v)
	if !ok {
		return a, false, fmt.Errorf("%w: item", ErrStore)
	}
	if i.content, ok, err = m.whole(key, i.content); !ok {
		return a, false, err
	}
	switch {
	case len(i.content) != int(x.Class)*mail.Chunk || chunk >= x.Class || mail.ChunkRoot(i.content) != x.Chunks:
		return a, false, nil
	}
	return statement.AnswerOf(i.content, chunk), true, nil
}
