package mailbox

import (
	"bytes"
	"slices"
)

// txn is the view of one group of commands: the store, over it what the group
// before changes, where that is still being written, and over both what the
// commands before in the group have changed. One goroutine owns it; once it is
// written it stays as it is.
type txn struct {
	store  Store
	before *txn           // nil where the store has it all
	rows   []Row          // in the order of their first change
	at     map[string]int // of a key in rows
	err    error          // the first failure of the store

	base   counts // before the group
	room   int    // for items
	counts        // changes
}

// counts are the numbers by which a mailbox bounds what it keeps.
type counts struct {
	items   int
	bundles int
	marks   int // tombstones and mailboxes remembered
	heard   int // tombstones of items that were never here
}

func (c *counts) add(d counts) {
	c.items += d.items
	c.bundles += d.bundles
	c.marks += d.marks
	c.heard += d.heard
}

// rowsPerCommand is how many a store writes.
const rowsPerCommand = 6

func newTxn(s Store, base counts, commands int) *txn {
	return &txn{store: s, base: base, rows: make([]Row, 0, rowsPerCommand*commands), at: make(map[string]int, rowsPerCommand*commands)}
}

// changed is the change of a row that the store may not have yet.
func (t *txn) changed(key []byte) (r Row, ok bool) {
	for ; t != nil; t = t.before {
		if i, ok := t.at[string(key)]; ok {
			return t.rows[i], true
		}
	}
	return r, false
}

func (t *txn) get(key []byte) []byte {
	if r, ok := t.changed(key); ok {
		return r.Value
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
		if _, ok := t.changed(k); !ok {
			rows = append(rows, Row{bytes.Clone(k), bytes.Clone(v)})
			limit--
		}
		return limit > 0
	}))
	add := func(changes []Row, over map[string]int) {
		for _, r := range changes {
			if _, again := over[string(r.Key)]; !again && r.Value != nil && bytes.HasPrefix(r.Key, prefix) {
				rows = append(rows, r)
			}
		}
	}
	if t.before != nil {
		add(t.before.rows, t.at)
	}
	add(t.rows, nil)
	slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.Key, b.Key) })
	return rows
}
