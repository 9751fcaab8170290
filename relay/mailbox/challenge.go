package mailbox

import (
	"fmt"

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
	token, err := m.cfg.Store.Get(tokenKey(x.Deleter))
	if err != nil {
		return a, false, err
	}
	if size := len(mail.Delete{}.Token); len(token) >= size {
		return statement.Answer{Token: (*[32]byte)(token[:size])}, true, nil
	}
	// Who makes up deleters can have one for many items; a place is short.
	var places []Row
	err = m.cfg.Store.Scan(append([]byte{rowIndex}, x.Deleter[:]...), nil, func(_, v []byte) bool {
		places = append(places, Row{Value: append([]byte(nil), v...)})
		return true
	})
	for _, p := range places {
		if err != nil || found {
			break
		}
		a, found, err = m.show(p.Value, x, chunk)
	}
	return a, found, err
}

// show is Find of the item at a place.
func (m *Mailbox) show(place []byte, x statement.Receipt, chunk uint8) (a statement.Answer, found bool, err error) {
	box, cursor, ok := decodePlace(place)
	if !ok {
		return a, false, fmt.Errorf("%w: place of an item", ErrStore)
	}
	v, err := m.cfg.Store.Get(itemKey(box, cursor))
	if err != nil || v == nil { // it may have gone since
		return a, false, err
	}
	i, ok := decodeItem(v)
	switch {
	case !ok:
		return a, false, fmt.Errorf("%w: item", ErrStore)
	case len(i.content) != int(x.Class)*mail.Chunk || chunk >= x.Class || mail.ChunkRoot(i.content) != x.Chunks:
		return a, false, nil
	}
	return statement.AnswerOf(i.content, chunk), true, nil
}
