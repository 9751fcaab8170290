package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"iter"
	"net/http"
	"reflect"
	"strings"

	"github.com/gin-gonic/gin"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/wire"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// defaultLimit is how many items a page has without a limit.
const defaultLimit = 100

// cursorVersion is the first byte of a cursor's bytes:
//
//	version 2 | height 8 | header 8 | list 4 | key 4+n
//
// header is the beginning of the hash of the header at height, so that a cursor
// is of use in its own history alone; list is the beginning of a hash over the
// list's name and filters, so that it is of use for its own list alone.
const cursorVersion = 2

// cursor is where a page ended.
type cursor struct {
	height chain.Height // of the first page, and so of all
	header [8]byte      // which header that is
	key    []byte       // of the last item
}

// listing is what was asked of a paged list.
type listing struct {
	name  [4]byte
	after cursor
	first bool // no cursor was given
	limit int
}

// list reads the paging parameters of the list with this name and filters. A
// list of the state is then read with server.pinned.
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
	b, err := base64.RawURLEncoding.DecodeString(*token)
	if err != nil || base64.RawURLEncoding.EncodeToString(b) != *token { // line ends are passed over
		return l, errForeignCursor()
	}
	r := wire.NewReader(b)
	version := r.Uint8()
	l.after.height = chain.Height(r.Uint64())
	r.Copy(l.after.header[:])
	var of [4]byte
	r.Copy(of[:])
	l.after.key = r.Bytes(64)
	if r.Done() != nil || version != cursorVersion || of != l.name {
		return l, errForeignCursor()
	}
	return l, nil
}

func errForeignCursor() error {
	return field(codeInvalidCursor, "cursor", "not a next_cursor of this list with these filters")
}

// errLostCursor is why the cursor of a fork that was given up leads nowhere.
func errLostCursor() error {
	return field(codeInvalidCursor, "cursor", "of a history that was given up; begin the list again")
}

// pin sets the block that the list is of: on the first page the one given, on
// all others it must be that of the first.
func (l *listing) pin(height chain.Height, header chain.Hash) error {
	at := cursor{height: height, header: [8]byte(header[:8]), key: l.after.key}
	if !l.first && (at.height != l.after.height || at.header != l.after.header) {
		return errLostCursor()
	}
	l.after = at
	return nil
}

// token is the cursor of the page after the item with key; l was pinned.
func (l *listing) token(key []byte) *string {
	b := wire.AppendUint64([]byte{cursorVersion}, uint64(l.after.height))
	b = append(append(b, l.after.header[:]...), l.name[:]...)
	s := base64.RawURLEncoding.EncodeToString(wire.AppendBytes(b, key))
	return &s
}

// pinned reads the state that a page of l is of, and pins l to it: the first
// page's after block height, or the head's; every other page's is that of its
// first, whatever was sealed since. The rules and errors of server.at hold;
// besides, a cursor of another height than the one asked for, or of a fork that
// was given up, is an invalid_cursor.
func (s *server) pinned(ctx context.Context, l *listing, height *int64, f func(*machine.Machine) error) error {
	if !l.first {
		if height != nil && *height != int64(l.after.height) {
			return field(codeInvalidCursor, "cursor", "of another height than the one asked for")
		}
		of := int64(l.after.height)
		height = &of
	}
	err := s.at(ctx, height, func(m *machine.Machine, _ chain.SealedHeader) error {
		if err := l.pin(m.Head().Height, m.HeadHash()); err != nil {
			return err
		}
		return f(m)
	})
	if a, ok := err.(answer); ok && a.Code == codeHeightUnknown && !l.first {
		return errLostCursor() // there was such a block when the cursor was made
	}
	return err
}

// pinBlock pins a list of what stands in blocks to the head of its first page,
// whose height it returns.
func (s *server) pinBlock(l *listing) (chain.Height, error) {
	top := s.ledger.Head()
	if !l.first && l.after.height > 0 {
		var err error
		if top, err = s.ledger.Header(l.after.height); errors.Is(err, ledger.ErrNotFound) {
			return 0, errLostCursor()
		} else if err != nil {
			return 0, err
		}
	}
	hash := top.Header.Hash()
	if top.Header.Height == 0 {
		hash = s.cfg.Network.Genesis // as the state says
	}
	return top.Header.Height, l.pin(top.Header.Height, hash)
}

// page takes one page of the state out of all, which ascends by key. It counts
// all items and converts only those of the page. l was pinned.
func page[T, U any](l *listing, all iter.Seq[T], key func(T) []byte, convert func(T) U) (items []U, next *string, total int64) {
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
			next = l.token(last)
		}
	}
	return items, next, total
}

// linkNext adds to each page that has a next one a Link to it (RFC 8288), so
// that a client can go on without knowing how cursors are given. A page is an
// answer with a field NextCursor.
func linkNext(next oas.StrictHandlerFunc, _ string) oas.StrictHandlerFunc {
	return func(c *gin.Context, request any) (any, error) {
		response, err := next(c, request)
		if err != nil || c.Request.Method != http.MethodGet {
			return response, err
		}
		if v := reflect.ValueOf(response); v.Kind() == reflect.Struct {
			if f := v.FieldByName("NextCursor"); f.IsValid() && f.Kind() == reflect.Pointer && !f.IsNil() {
				c.Header("Link", "<"+nextPage(c.Request, f.Elem().String())+`>; rel="next"`)
			}
		}
		return response, nil
	}
}

// nextPage is the reference to r's list behind a cursor, relative to the server.
func nextPage(r *http.Request, cursor string) string {
	q := r.URL.Query()
	q.Set("cursor", cursor)
	return r.URL.EscapedPath() + "?" + q.Encode()
}
