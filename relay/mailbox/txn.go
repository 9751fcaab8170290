package mailbox

import (
	"bytes"
	"slices"
)

// txn is the view of one group of commands: the store, and over it what the
// commands before in the group have changed. One goroutine owns it.
type txn struct {
	store Store
	rows  []Row          // in the order of their first change
	at    map[string]int // of a key in rows
	err   error          // the first failure of the store

	items, bundles, marks, heard int // changes in the numbers of the Mailbox
}

// rowsPerCommand is how many a store writes.
const rowsPerCommand = 6

func newTxn(s Store, commands int) *txn {
	return &txn{store: s, rows: make([]Row, 0, rowsPerCommand*commands), at: make(map[string]int, rowsPerCommand*commands)}
}

func (t *txn) get(key []byte) []byte {
	if i, ok := t.at[string(key)]; ok {
		return t.rows[i].Value
	}
	v, err := t.store.Get(key)
	t.fail(err)
	return v
}

func (t *txn) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// put changes a row; key and value must stay as they are.
func (t *txn) put(key, value []byte) {
	if i, ok := t.at[string(key)]; ok {
		t.rows[i].Value = value
		return
	}
	t.at[string(key)] = len(t.rows)
	t.rows = append(t.rows, Row{key, value})
}

func (t *txn) delete(key []byte) { t.put(key, nil) }

// scan returns the rows below prefix, ascending, at most limit of the store's.
func (t *txn) scan(prefix []byte, limit int) []Row {
	var rows []Row
	t.fail(t.store.Scan(prefix, nil, func(k, v []byte) bool {
		if _, changed := t.at[string(k)]; !changed {
			rows = append(rows, Row{bytes.Clone(k), bytes.Clone(v)})
			limit--
		}
		return limit > 0
	}))
	for _, r := range t.rows {
		if r.Value != nil && bytes.HasPrefix(r.Key, prefix) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.Key, b.Key) })
	return rows
}
