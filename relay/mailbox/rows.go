package mailbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/internal/wire"
	"tunic/onion/mail"
)

// The rows of a store; docs/spec/mail.md, section Store. The first byte of a
// key is its kind.
const (
	rowItem    = 'i' // mailbox, cursor -> item
	rowContent = 'c' // mailbox, cursor -> content of an item that is long
	rowIndex   = 'd' // deleter, item id -> mailbox, cursor
	rowState   = 's' // mailbox, item id -> state: what members compare
	rowBox     = 'n' // mailbox -> box
	rowToken   = 't' // deleter -> token, until
	rowBundle  = 'b' // account -> kept until, last resort
	rowOnce    = 'o' // account, serial -> kept until, bundle to be handed out once
	rowExpiry  = 'x' // time, key of the row that expires
	rowVersion = 'v' // -> version of these rows
	rowBegun   = 'w' // -> the day of the first item
)

// storeVersion is the version of the rows. In version 2 all contents stood in
// their items, where they are still read, and bundles had another form.
const (
	storeVersion = 3
	inlinedRows  = 2
)

// inlineContent is the longest content that stands in its item's row.
const inlineContent = 4096

// ErrVersion means that a store was written by another version of this program.
var ErrVersion = errors.New("mailbox: store of another version")

// checkVersion writes the version into an empty store and compares it in
// another.
func checkVersion(s Store) error {
	key := []byte{rowVersion}
	v, err := s.Get(key)
	if err != nil {
		return fmt.Errorf("open mailbox: %w", err)
	}
	if len(v) == 1 && v[0] == storeVersion {
		return nil
	}
	if len(v) == 1 && v[0] == inlinedRows {
		if err := dropBundles(s); err != nil {
			return fmt.Errorf("open mailbox: %w", err)
		}
		return writeVersion(s)
	}
	empty := true
	if err := s.Scan(nil, nil, func(_, _ []byte) bool { empty = false; return false }); err != nil {
		return fmt.Errorf("open mailbox: %w", err)
	}
	if !empty {
		return fmt.Errorf("open mailbox: %w: this one reads version %d; move the folder away, the other members send what it held", ErrVersion, storeVersion)
	}
	return writeVersion(s)
}

// dropBundles removes bundles of version 2, which had another form: their accounts
// bring new ones.
func dropBundles(s Store) error {
	var rows []Row
	err := s.Scan([]byte{rowBundle}, nil, func(k, v []byte) bool {
		key := bytes.Clone(k)
		rows = append(rows, Row{Key: key})
		if len(k) == 33 && len(v) > 8 {
			rows = append(rows, Row{Key: expiryKey(timeOf(v), key)}, Row{Key: stateKey(mail.AccountMailbox(mail.AccountID(key[1:])), chain.SHA256(v[8:]))})
		}
		return true
	})
	if err != nil || len(rows) == 0 {
		return err
	}
	return s.Write(rows)
}

func writeVersion(s Store) error {
	if err := s.Write([]Row{{[]byte{rowVersion}, []byte{storeVersion}}}); err != nil {
		return fmt.Errorf("open mailbox: %w", err)
	}
	return nil
}

func itemKey(box mail.ID, cursor uint64) []byte {
	return wire.AppendUint64(append(append(make([]byte, 0, 41), rowItem), box[:]...), cursor)
}

// contentKey is the key of the content of an item whose key that is; itemOf is
// the way back.
func contentKey(item []byte) []byte { return otherKind(item, rowContent) }
func itemOf(content []byte) []byte  { return otherKind(content, rowItem) }

func otherKind(key []byte, kind byte) []byte {
	k := bytes.Clone(key)
	k[0] = kind
	return k
}

func indexKey(deleter, id chain.Hash) []byte {
	return append(append(append(make([]byte, 0, 65), rowIndex), deleter[:]...), id[:]...)
}

func stateKey(box mail.ID, id chain.Hash) []byte {
	return append(append(append(make([]byte, 0, 65), rowState), box[:]...), id[:]...)
}

func boxKey(box mail.ID) []byte { return append([]byte{rowBox}, box[:]...) }

func tokenKey(deleter chain.Hash) []byte { return append([]byte{rowToken}, deleter[:]...) }

func bundleKey(a mail.AccountID) []byte { return append([]byte{rowBundle}, a[:]...) }

func onceKey(a mail.AccountID, serial uint64) []byte {
	return wire.AppendUint64(append(append(make([]byte, 0, 41), rowOnce), a[:]...), serial)
}

func expiryKey(at chain.Time, key []byte) []byte {
	return append(wire.AppendUint64([]byte{rowExpiry}, uint64(at)), key...)
}

func appendTime(b []byte, t chain.Time) []byte { return wire.AppendUint64(b, uint64(t)) }

// timeOf reads a time off the front of b.
func timeOf(b []byte) chain.Time { return chain.Time(binary.BigEndian.Uint64(b)) }

// item is one kept message or contact request.
type item struct {
	expiry  chain.Time
	until   chain.Time // promised; 0 for a contact request
	bits    uint16     // of work, a contact request's
	deleter chain.Hash
	id      chain.Hash // what makes a second copy the same
	origin  origin
	content []byte // none where it is a row of its own
}

// origin is what another member needs beside the rest to ask the same questions
// as the first one did.
type origin struct {
	readHash, write [32]byte // of an item, with
	sig             [64]byte // by the write key

	account mail.AccountID // of a contact request, with
	epoch   chain.Epoch
	nonce   uint64
}

func (i item) state() mail.RowState {
	if i.until == 0 {
		return mail.RowRequest
	}
	return mail.RowItem
}

// long reports whether the content is a row of its own.
func (i item) long() bool { return len(i.content) > inlineContent }

// encode is the item's row, without a content that is long.
func (i item) encode() []byte {
	inline := i.content
	if i.long() {
		inline = nil
	}
	b := wire.AppendUint64(make([]byte, 0, 82+128+len(inline)), uint64(i.expiry))
	b = wire.AppendUint64(b, uint64(i.until))
	b = wire.AppendUint16(b, i.bits)
	b = append(b, i.deleter[:]...)
	b = append(b, i.id[:]...)
	if o := &i.origin; i.until != 0 {
		b = append(b, o.readHash[:]...)
		b = append(b, o.write[:]...)
		b = append(b, o.sig[:]...)
	} else {
		b = append(b, o.account[:]...)
		b = wire.AppendUint64(b, uint64(o.epoch))
		b = wire.AppendUint64(b, o.nonce)
	}
	return append(b, inline...)
}

func decodeItem(b []byte) (item, bool) {
	r := wire.NewReader(b)
	i := item{expiry: chain.Time(r.Uint64()), until: chain.Time(r.Uint64()), bits: r.Uint16()}
	r.Copy(i.deleter[:])
	r.Copy(i.id[:])
	if o := &i.origin; i.until != 0 {
		r.Copy(o.readHash[:])
		r.Copy(o.write[:])
		r.Copy(o.sig[:])
	} else {
		r.Copy(o.account[:])
		o.epoch = chain.Epoch(r.Uint64())
		o.nonce = r.Uint64()
	}
	i.content = r.Fixed(r.Len())
	return i, r.Err() == nil
}

// command is what the item's sender sent.
func (i item) command() mail.Command {
	o := &i.origin
	if i.until == 0 {
		return mail.Command{Request: &mail.Request{Account: o.account, Epoch: o.epoch, Nonce: o.nonce, Content: i.content}}
	}
	return mail.Command{Store: &mail.Store{
		ReadHash: o.readHash, Write: o.write, Expiry: i.expiry, Deleter: i.deleter, Content: i.content, Sig: o.sig,
	}}
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

// state is the row by which members compare what they have: short, so that a
// million of them can be read at once.
type state struct {
	state  mail.RowState
	expiry chain.Time

	cursor  uint64         // of an item or a request
	deleter chain.Hash     // of what was deleted
	heard   bool           // and was never here
	account mail.AccountID // of a bundle
}

func (s state) encode() []byte {
	b := wire.AppendUint64(append(make([]byte, 0, 42), byte(s.state)), uint64(s.expiry))
	switch s.state {
	case mail.RowDeleted:
		return wire.AppendBool(append(b, s.deleter[:]...), s.heard)
	case mail.RowBundle:
		return append(b, s.account[:]...)
	}
	return wire.AppendUint64(b, s.cursor)
}

func decodeState(b []byte) (s state, ok bool) {
	r := wire.NewReader(b)
	s = state{state: mail.RowState(r.Uint8()), expiry: chain.Time(r.Uint64())}
	switch s.state {
	case mail.RowDeleted:
		r.Copy(s.deleter[:])
		s.heard = r.Bool()
	case mail.RowBundle:
		r.Copy(s.account[:])
	default:
		s.cursor = r.Uint64()
	}
	return s, r.Done() == nil
}

// state reads the state of one thing; false where it is not known.
func (t *txn) state(id mail.ID, item chain.Hash) (state, bool) {
	v := t.get(stateKey(id, item))
	if v == nil {
		return state{}, false
	}
	s, ok := decodeState(v)
	if !ok {
		t.fail(fmt.Errorf("%w: state", ErrStore))
	}
	return s, ok
}

// item reads an item or a request; false where it is not there.
func (t *txn) item(id mail.ID, content chain.Hash) (item, bool) {
	s, ok := t.state(id, content)
	if !ok || s.state != mail.RowItem && s.state != mail.RowRequest {
		return item{}, false
	}
	return t.itemAt(id, s)
}

// itemAt reads the item of a state.
func (t *txn) itemAt(id mail.ID, s state) (item, bool) {
	i, ok := decodeItem(t.get(itemKey(id, s.cursor)))
	if !ok {
		t.fail(fmt.Errorf("%w: state without item", ErrStore))
	}
	return i, ok
}

// box is what is known of one mailbox beside its items.
type box struct {
	last    uint64 // the last cursor given
	count   uint32 // items kept
	touched chain.Time
}

func (b box) encode() []byte {
	out := wire.AppendUint64(make([]byte, 0, 20), b.last)
	out = wire.AppendUint32(out, b.count)
	return wire.AppendUint64(out, uint64(b.touched))
}

func decodeBox(in []byte) (b box, ok bool) {
	r := wire.NewReader(in)
	b = box{last: r.Uint64(), count: r.Uint32(), touched: chain.Time(r.Uint64())}
	return b, r.Done() == nil
}
