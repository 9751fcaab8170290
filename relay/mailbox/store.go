package mailbox

import (
	"bytes"
	"errors"
	"slices"
	"sync"
)

// ErrStore means that a store failed, or holds what no mailbox wrote.
var ErrStore = errors.New("mailbox: store failed")

// Row is one change: a key and its new value, nil to delete it.
type Row struct{ Key, Value []byte }

// Store is an ordered map that survives crashes. Its methods may be called from
// several goroutines.
type Store interface {
	// Get returns the value of key, which the caller may keep, or nil if there
	// is none.
	Get(key []byte) ([]byte, error)
	// Scan calls fn for each row whose key begins with prefix and is at least
	// from, ascending, until fn returns false. Key and value are valid until fn
	// returns.
	Scan(prefix, from []byte, fn func(key, value []byte) bool) error
	// Write makes all changes or none. When it returns nil they are on stable
	// storage.
	Write(rows []Row) error
}

// Stager is a Store that can put a part of a write on stable storage while the
// write before is still under way.
type Stager interface {
	Store
	// Stage puts on stable storage what may be there before the rows are. Nothing
	// of it shows until write, which does the rest of what Write does; whoever
	// does not call write calls drop. Rows, keys and values must stay as they are
	// until then. Writes take effect in the order in which write is called.
	Stage(rows []Row) (write func() error, drop func(), err error)
}

// Memory is a Store that forgets everything with its process. The zero Memory
// is empty.
type Memory struct {
	mu   sync.RWMutex
	keys []string // ascending
	rows map[string][]byte
}

// Get implements Store.
func (m *Memory) Get(key []byte) ([]byte, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return bytes.Clone(m.rows[string(key)]), nil
}

// Scan implements Store; fn must not write to the store.
func (m *Memory) Scan(prefix, from []byte, fn func(key, value []byte) bool) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if bytes.Compare(from, prefix) < 0 {
		from = prefix
	}
	i, _ := slices.BinarySearch(m.keys, string(from))
	for ; i < len(m.keys); i++ {
		k := []byte(m.keys[i])
		if !bytes.HasPrefix(k, prefix) || !fn(k, m.rows[m.keys[i]]) {
			break
		}
	}
	return nil
}

// Write implements Store.
func (m *Memory) Write(rows []Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == nil {
		m.rows = make(map[string][]byte)
	}
	for _, r := range rows {
		k := string(r.Key)
		_, had := m.rows[k]
		if r.Value == nil {
			if had {
				delete(m.rows, k)
				i, _ := slices.BinarySearch(m.keys, k)
				m.keys = slices.Delete(m.keys, i, i+1)
			}
			continue
		}
		m.rows[k] = bytes.Clone(r.Value)
		if !had {
			i, _ := slices.BinarySearch(m.keys, k)
			m.keys = slices.Insert(m.keys, i, k)
		}
	}
	return nil
}
