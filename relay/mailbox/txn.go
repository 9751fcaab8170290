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

	items, bundles, marks int // changes in the numbers of the Mailbox
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

// op is one command on its way through a group.
type op struct {
	apply func(*txn)
	turn  chan bool // true: lead the next group; false: the op is committed
	err   error
}

// maxGroup bounds the commands that share one write.
const maxGroup = 64

// commit runs apply in a group with the other commands that wait, and returns
// when the group's changes are on stable storage. Whoever finds no group under
// way leads one; when it is done it hands the lead to the first that waits. So
// there is no goroutine while nothing happens, and no wait for company.
func (m *Mailbox) commit(apply func(*txn)) error {
	o := &op{apply: apply, turn: make(chan bool, 1)}
	m.mu.Lock()
	m.queue = append(m.queue, o)
	if m.leading {
		m.mu.Unlock()
		if lead := <-o.turn; !lead {
			return o.err
		}
		m.mu.Lock()
	}
	m.leading = true
	group := slices.Clone(m.queue[:min(len(m.queue), maxGroup)])
	m.queue = slices.Delete(m.queue, 0, len(group))
	m.mu.Unlock()

	err := m.write(group)

	m.mu.Lock()
	if len(m.queue) > 0 {
		m.queue[0].turn <- true
	} else {
		m.leading = false
	}
	m.mu.Unlock()
	for _, other := range group {
		other.err = err
		if other != o {
			other.turn <- false
		}
	}
	return err
}

func (m *Mailbox) write(group []*op) error {
	t := &txn{store: m.cfg.Store, over: make(map[string][]byte)}
	base := int(m.items.Load())
	for _, o := range group {
		m.room = m.cfg.MaxItems - base - t.items - (m.marks+t.marks)/marksPerItem
		o.apply(t)
	}
	if t.err != nil {
		m.failures.Add(1)
		return t.err
	}
	if len(t.order) == 0 {
		return nil
	}
	m.cfg.Kill("before-commit")
	if err := m.cfg.Store.Write(t.rows()); err != nil {
		m.failures.Add(1)
		return err
	}
	m.cfg.Kill("after-commit")
	m.items.Add(int64(t.items))
	m.bundles += t.bundles
	m.marks += t.marks
	return nil
}
