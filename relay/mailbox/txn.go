package mailbox

import (
	"bytes"
	"slices"
)

// txn is the view of one group of commands: the store, and over it what the
// commands before in the group have changed. One goroutine owns it.
type txn struct {
	store Store
	over  map[string][]byte // nil: deleted
	order []string          // keys of over, in the order of their first change
	err   error             // the first failure of the store

	items, bundles, marks, heard int // changes in the numbers of the Mailbox
}

func (t *txn) get(key []byte) []byte {
	if v, ok := t.over[string(key)]; ok {
		return v
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

func (t *txn) put(key, value []byte) {
	k := string(key)
	if _, ok := t.over[k]; !ok {
		t.order = append(t.order, k)
	}
	t.over[k] = value
}

func (t *txn) delete(key []byte) { t.put(key, nil) }

// scan returns the rows below prefix, ascending, at most limit of the store's.
func (t *txn) scan(prefix []byte, limit int) []Row {
	var rows []Row
	t.fail(t.store.Scan(prefix, nil, func(k, v []byte) bool {
		if _, changed := t.over[string(k)]; !changed {
			rows = append(rows, Row{bytes.Clone(k), bytes.Clone(v)})
			limit--
		}
		return limit > 0
	}))
	for _, k := range t.order {
		if v := t.over[k]; v != nil && bytes.HasPrefix([]byte(k), prefix) {
			rows = append(rows, Row{[]byte(k), v})
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return bytes.Compare(a.Key, b.Key) })
	return rows
}

func (t *txn) rows() []Row {
	rows := make([]Row, len(t.order))
	for i, k := range t.order {
		rows[i] = Row{[]byte(k), t.over[k]}
	}
	return rows
}
