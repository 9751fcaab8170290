package fault

import (
	"slices"
	"strings"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/relay/mailbox"
)

// Lose lets the relay lose every message that it keeps or takes: it signs for them
// as ever, and finds none of them again until Off.
func (t *Twin) Lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.loses = true
}

// keptReceipts is how many of the newest storage receipts a twin remembers.
const keptReceipts = 64

// Receipt is the newest storage receipt that the relay has signed for an item of
// deleter, encoded; nil if it is not among the newest 64 of all.
func (t *Twin) Receipt(deleter chain.Hash) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range slices.Backward(t.receipts) {
		if r.deleter == deleter {
			return r.encoded
		}
	}
	return nil
}

type receipt struct {
	deleter chain.Hash
	encoded []byte
}

// signedReceipt takes down a receipt; mu is held.
func (t *Twin) signedReceipt(st statement.Statement) {
	x, err := statement.DecodeReceipt(st.Body)
	if err != nil {
		return
	}
	if len(t.receipts) == keptReceipts {
		t.receipts = slices.Delete(t.receipts, 0, 1)
	}
	t.receipts = append(t.receipts, receipt{x.Deleter, st.Encode()})
}

// Deleted reports whether the relay's mailboxes hold the token that deletes the
// items of deleter; false also where the relay does not run.
func (t *Twin) Deleted(deleter chain.Hash) bool {
	t.mu.Lock()
	s := t.store
	t.mu.Unlock()
	if s == nil {
		return false
	}
	v, err := s.Get(append([]byte{'t'}, deleter[:]...)) // docs/spec/mail.md, section Store
	return err == nil && v != nil
}

// Store wraps what the relay keeps its mailboxes in.
func (t *Twin) Store(inner mailbox.Store) mailbox.Store {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.store = inner
	return &store{inner, t}
}

type store struct {
	mailbox.Store
	t *Twin
}

// lost reports whether a row is one of those that the relay loses: items, their
// contents and places, and deletion tokens (docs/spec/mail.md, section Store).
func (s *store) lost(key []byte) bool {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	return s.t.loses && len(key) > 0 && strings.ContainsRune("icdt", rune(key[0]))
}

func (s *store) Get(key []byte) ([]byte, error) {
	if s.lost(key) {
		return nil, nil
	}
	return s.Store.Get(key)
}

func (s *store) Scan(prefix, from []byte, fn func(key, value []byte) bool) error {
	if s.lost(prefix) {
		return nil
	}
	return s.Store.Scan(prefix, from, fn)
}
