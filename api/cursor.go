package api

import (
	"bytes"
	"encoding/base64"
	"iter"
	"net/http"
	"strings"

	"tunic/chain"
	"tunic/internal/wire"
)

// defaultLimit is how many items a page has without a limit.
const defaultLimit = 100

// cursorVersion is the first byte of a cursor's bytes:
//
//	version 1 | height 8 | list 4 | key 4+n
//
// list is the beginning of a hash over the list's name and filters, so that a
// cursor is of use for its own list alone.
const cursorVersion = 1

// cursor is where a page ended.
type cursor struct {
	height chain.Height // of the first page
	key    []byte       // of the last item
}

// listing is what was asked of a paged list.
type listing struct {
	name  [4]byte
	after cursor
	first bool // no cursor was given
	limit int
}

// list reads the paging parameters of the list with this name and filters.
func list(limit *int, token *string, name ...string) (listing, error) {
	l := listing{limit: defaultLimit, first: true}
	h := chain.SHA256([]byte(strings.Join(name, "\x00")))
	copy(l.name[:], h[:])
	if limit != nil {
		l.limit = *limit
	}
	if token == nil {
		return l, nil
	}
	l.first = false
	refuse := field(codeInvalidCursor, "cursor", "not a next_cursor of this list with these filters")
	b, err := base64.RawURLEncoding.Strict().DecodeString(*token)
	if err != nil {
		return l, refuse
	}
	r := wire.NewReader(b)
	version := r.Uint8()
	l.after.height = chain.Height(r.Uint64())
	var of [4]byte
	r.Copy(of[:])
	l.after.key = r.Bytes(64)
	if r.Done() != nil || version != cursorVersion || of != l.name {
		return l, refuse
	}
	return l, nil
}

// token is the cursor of the page after the item with key.
func (l listing) token(height chain.Height, key []byte) *string {
	if !l.first {
		height = l.after.height
	}
	b := wire.AppendUint64([]byte{cursorVersion}, uint64(height))
	b = append(b, l.name[:]...)
	s := base64.RawURLEncoding.EncodeToString(wire.AppendBytes(b, key))
	return &s
}

// page takes one page of the state out of all, which ascends by key. It counts
// all items and converts only those of the page.
func page[T, U any](l listing, height chain.Height, all iter.Seq[T], key func(T) []byte, convert func(T) U) (items []U, next *string, total int64) {
	items = make([]U, 0, min(l.limit, 64))
	var last []byte
	for v := range all {
		total++
		k := key(v)
		switch {
		case !l.first && bytes.Compare(k, l.after.key) <= 0:
		case len(items) < l.limit:
			items = append(items, convert(v))
			last = bytes.Clone(k)
		case next == nil:
			next = l.token(height, last)
		}
	}
	return items, next, total
}

// notFound is the answer where there is no such thing.
func notFound(code, detail string) answer {
	return problem(http.StatusNotFound, code, detail)
}
