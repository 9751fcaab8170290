package fault

import "tunic/relay/mailbox"

// Lose lets the relay lose every message that it keeps or takes: it signs for them
// as ever, and finds none of them again until Off.
func (t *Twin) Lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.loses = true
}

// Receipt is the newest storage receipt that the relay has signed, encoded; nil if
// there is none.
func (t *Twin) Receipt() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.receipt
}

// Store wraps what the relay keeps its mailboxes in.
func (t *Twin) Store(inner mailbox.Store) mailbox.Store { return &store{inner, t} }

type store struct {
	mailbox.Store
	t *Twin
}

// lost reports whether a row is one of those that the relay loses: items, places
// of items and deletion tokens (docs/spec/mail.md, section Store).
func (s *store) lost(key []byte) bool {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	return s.t.loses && len(key) > 0 && (key[0] == 'i' || key[0] == 'd' || key[0] == 't')
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
