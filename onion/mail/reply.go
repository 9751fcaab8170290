package mail

import (
	"fmt"

	"tunic/internal/wire"
)

// Code says what became of a command.
type Code uint8

// The codes. Stored carries receipts (see Receipts), Found a bundle,
// Item an Item, Deleted for a store the deletion token, Head a sealed header,
// None nothing.
const (
	CodeStored    Code = 1  // store: Body is the members' signed receipts
	CodeAccepted  Code = 2  // request, bundle: kept, without promise; submit: it waits for a block
	CodeFound     Code = 3  // bundle: Body is it
	CodeItem      Code = 4  // poll: Body is an Item
	CodeNone      Code = 5  // poll: nothing (more); bundle, head: unknown; delete: nothing to delete
	CodeDeleted   Code = 6  // delete: done; store: deleted before, Body is the token that shows it
	CodeHead      Code = 7  // head: Body is the encoded sealed header
	CodeFull      Code = 16 // the mailbox holds its quota
	CodeWork      Code = 17 // request: not enough work
	CodeSignature Code = 18 // not signed by the mailbox's key
	CodeStale     Code = 19 // poll or request made too long ago or ahead; expiry out of bounds
	CodeMalformed Code = 20
	CodeOutdated  Code = 21 // bundle: a newer one is there
	CodeBusy      Code = 22 // try again later
	CodeRefused   Code = 23 // submit: the ledger refuses; Body is its code, as text
)

var codes = map[Code]string{
	CodeStored: "stored", CodeAccepted: "accepted", CodeFound: "found", CodeItem: "item", CodeNone: "none",
	CodeDeleted: "deleted", CodeHead: "head", CodeFull: "mailbox_full", CodeWork: "not_enough_work", CodeSignature: "bad_signature",
	CodeStale: "stale", CodeMalformed: "malformed", CodeOutdated: "outdated", CodeBusy: "busy", CodeRefused: "refused",
}

func (c Code) String() string {
	if s, ok := codes[c]; ok {
		return s
	}
	return fmt.Sprintf("code %d", uint8(c))
}

// Refused reports whether the command had no effect.
func (c Code) Refused() bool { return c >= CodeFull }

// replyHeader is what stands in front of a reply's body: code, length.
const replyHeader = 1 + 4

// Reply is a member's answer, sent through one reply block.
type Reply struct {
	Code Code
	Body []byte
}

// Encode is the canonical encoding.
func (r Reply) Encode() []byte { return wire.AppendBytes([]byte{byte(r.Code)}, r.Body) }

// DecodeReply reads a reply, which aliases b.
func (f Format) DecodeReply(b []byte) (Reply, error) {
	r := wire.NewReader(b)
	out := Reply{Code: Code(r.Uint8()), Body: r.Bytes(f.Reply)}
	if r.Err() == nil && codes[out.Code] == "" {
		return out, fmt.Errorf("%w: reply code %d", ErrMalformed, out.Code)
	}
	if err := r.Done(); err != nil {
		return out, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return out, nil
}

// Item is one stored item in a poll's reply.
type Item struct {
	Cursor  uint64 // pass it as After to go on
	More    uint16 // items behind this one, at most 65535
	Content []byte // Format.Item or RequestSize bytes
}

// Encode is the canonical encoding.
func (i Item) Encode() []byte {
	b := wire.AppendUint64(nil, i.Cursor)
	b = wire.AppendUint16(b, i.More)
	return append(b, i.Content...)
}

// DecodeItem reads an item, which aliases b.
func (f Format) DecodeItem(b []byte) (Item, error) {
	r := wire.NewReader(b)
	i := Item{Cursor: r.Uint64(), More: r.Uint16()}
	i.Content = r.Fixed(r.Len())
	if r.Err() != nil || (len(i.Content) != f.Item() && len(i.Content) != RequestSize) {
		return i, fmt.Errorf("%w: item", ErrMalformed)
	}
	return i, nil
}

// MaxReceipts bounds the receipts in one reply.
const MaxReceipts = 10

// EncodeReceipts is the body of a reply with CodeStored: the encoded receipt
// statements of the members that have the item, the answering one's first.
func EncodeReceipts(receipts [][]byte) []byte {
	b := []byte{uint8(len(receipts))}
	for _, r := range receipts {
		b = wire.AppendBytes(b, r)
	}
	return b
}

// DecodeReceipts reads 1 to MaxReceipts encoded receipts, which alias b. What
// they say is the caller's to check.
func (f Format) DecodeReceipts(b []byte) ([][]byte, error) {
	r := wire.NewReader(b)
	var out [][]byte
	n := int(r.Uint8())
	if n < 1 || n > MaxReceipts {
		r.Fail(fmt.Errorf("%w: %d receipts", ErrMalformed, n))
	}
	for range n {
		out = append(out, r.Bytes(f.Reply))
	}
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return out, nil
}
