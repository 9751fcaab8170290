package mailbox

import (
	"encoding/binary"

	"tunic/chain"
	"tunic/internal/wire"
	"tunic/onion/mail"
)

// The rows of a store; docs/spec/mail.md, section Store. The first byte of a
// key is its kind.
const (
	rowItem   = 'i' // mailbox, cursor -> item
	rowIndex  = 'd' // deleter, item id -> mailbox, cursor
	rowBox    = 'n' // mailbox -> box
	rowToken  = 't' // deleter -> token, until
	rowBundle = 'b' // account -> kept until, bundle
	rowExpiry = 'x' // time, key of the row that expires
)

func itemKey(box mail.ID, cursor uint64) []byte {
	return wire.AppendUint64(append([]byte{rowItem}, box[:]...), cursor)
}

func indexKey(deleter, id chain.Hash) []byte {
	return append(append([]byte{rowIndex}, deleter[:]...), id[:]...)
}

func boxKey(box mail.ID) []byte { return append([]byte{rowBox}, box[:]...) }

func tokenKey(deleter chain.Hash) []byte { return append([]byte{rowToken}, deleter[:]...) }

func bundleKey(a mail.AccountID) []byte { return append([]byte{rowBundle}, a[:]...) }

func expiryKey(at chain.Time, key []byte) []byte {
	return append(wire.AppendUint64([]byte{rowExpiry}, uint64(at)), key...)
}

// item is one kept message or contact request.
type item struct {
	expiry  chain.Time
	until   chain.Time // promised; 0 for a contact request
	bits    uint16     // of work, a contact request's
	deleter chain.Hash
	id      chain.Hash // what makes a second copy the same
	content []byte
}

func (i item) encode() []byte {
	b := wire.AppendUint64(make([]byte, 0, 82+len(i.content)), uint64(i.expiry))
	b = wire.AppendUint64(b, uint64(i.until))
	b = wire.AppendUint16(b, i.bits)
	b = append(b, i.deleter[:]...)
	b = append(b, i.id[:]...)
	return append(b, i.content...)
}

func decodeItem(b []byte) (item, bool) {
	r := wire.NewReader(b)
	i := item{expiry: chain.Time(r.Uint64()), until: chain.Time(r.Uint64()), bits: r.Uint16()}
	r.Copy(i.deleter[:])
	r.Copy(i.id[:])
	i.content = r.Fixed(r.Len())
	return i, r.Err() == nil
}

// cursorOf reads the cursor off an item's key.
func cursorOf(key []byte) uint64 { return binary.BigEndian.Uint64(key[33:]) }

// place is where an index row points.
func decodePlace(b []byte) (box mail.ID, cursor uint64, ok bool) {
	r := wire.NewReader(b)
	r.Copy(box[:])
	cursor = r.Uint64()
	return box, cursor, r.Done() == nil
}

// box is what is known of one mailbox beside its items.
type box struct {
	last    uint64 // the last cursor given
	count   uint32 // items kept
	touched chain.Time
}

func (b box) encode() []byte {
	out := wire.AppendUint64(nil, b.last)
	out = wire.AppendUint32(out, b.count)
	return wire.AppendUint64(out, uint64(b.touched))
}

func decodeBox(in []byte) (b box, ok bool) {
	r := wire.NewReader(in)
	b = box{last: r.Uint64(), count: r.Uint32(), touched: chain.Time(r.Uint64())}
	return b, r.Done() == nil
}
