// Package table keeps the ledger's state: typed tables of rows whose encodings
// stand, in strictly ascending key order, as the leaves of one Merkle tree per
// part of the state. It implements docs/spec/state.md, section Parts.
//
// A reducer declares a Table on a Part, reads with Get and writes with Set and
// Delete. The machine calls Commit once per block: it brings the tree up to
// date and returns the changed rows for the disk, each with what undoes it. Nothing here is safe for
// concurrent use; the machine's owner serialises.
package table

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sort"
	"strings"

	"tunic/internal/merkle"
	"tunic/internal/wire"
)

// Row is one entry of a part: the key begins with its table's prefix byte.
type Row struct {
	Key, Value []byte
}

// LeafHash is the hash under which a row stands in its part's tree.
func (r Row) LeafHash() merkle.Hash {
	b := make([]byte, 0, 4+len(r.Key)+len(r.Value))
	b = wire.AppendBytes(b, r.Key)
	return merkle.Leaf(append(b, r.Value...))
}

// Part is one subtree of the state root. The zero value is empty and ready.
type Part struct {
	tables map[byte]rows
	dirty  map[string][]byte // keys written since the last Commit, with the value before; nil: there was none
	keys   []string          // ascending, as of the last Commit
	tree   merkle.Tree
}

// rows is what a Part asks of its tables.
type rows interface {
	encode(key string) (value []byte, ok bool)
	load(key, value []byte) error
}

// Change is a row to write, or to delete where Value is nil. Former is the
// value as of the Commit before, nil where there was no such row; the two differ.
type Change struct {
	Row
	Former []byte
}

// Commit brings the tree up to date and returns what changed since the last
// Commit, ascending by key. A row that was written and has its former value
// again has not changed.
func (p *Part) Commit() []Change {
	if len(p.dirty) == 0 {
		return nil
	}
	dirty := p.dirty
	touched := slices.Sorted(maps.Keys(dirty))
	p.dirty = nil
	changes := make([]Change, 0, len(touched))
	at := make([]int, 0, len(touched))
	leaves := make([]merkle.Hash, 0, len(touched))
	reshaped := false
	for _, k := range touched {
		value, present := p.tables[k[0]].encode(k)
		i, known := slices.BinarySearch(p.keys, k)
		former := dirty[k]
		if present == known && bytes.Equal(value, former) {
			continue // also: written and deleted again between two commits
		}
		c := Change{Row{Key: []byte(k), Value: value}, former}
		changes = append(changes, c)
		if present != known {
			reshaped = true
		}
		if present && known {
			at = append(at, i)
			leaves = append(leaves, c.LeafHash())
		}
	}
	p.tree.SetMany(at, func(n int) merkle.Hash { return leaves[n] })
	if reshaped {
		p.reshape(changes)
	}
	return changes
}

// reshape merges inserted and deleted rows into keys and tree.
func (p *Part) reshape(changes []Change) {
	keys := make([]string, 0, len(p.keys)+len(changes))
	leaves := make([]merkle.Hash, 0, len(p.keys)+len(changes))
	i := 0
	keep := func() {
		keys = append(keys, p.keys[i])
		leaves = append(leaves, p.tree.Leaf(i))
		i++
	}
	for _, c := range changes {
		k := string(c.Key)
		for i < len(p.keys) && p.keys[i] < k {
			keep()
		}
		known := i < len(p.keys) && p.keys[i] == k
		switch {
		case known && c.Value == nil:
			i++
		case known:
			keep() // its leaf was set before
		case c.Value != nil:
			keys = append(keys, k)
			leaves = append(leaves, c.LeafHash())
		}
	}
	for i < len(p.keys) {
		keep()
	}
	p.keys = keys
	p.tree.Reset(leaves)
}

// Load fills the part's tables from stored rows, in any order, and builds the
// tree. The part must be empty.
func (p *Part) Load(all []Row) error {
	sort.Slice(all, func(i, j int) bool { return bytes.Compare(all[i].Key, all[j].Key) < 0 })
	leaves := make([]merkle.Hash, 0, len(all))
	for _, r := range all {
		if len(r.Key) == 0 || p.tables[r.Key[0]] == nil {
			return fmt.Errorf("table: row of an unknown table, key %x", r.Key)
		}
		if err := p.tables[r.Key[0]].load(r.Key, r.Value); err != nil {
			return fmt.Errorf("table: row %x: %w", r.Key, err)
		}
		p.keys = append(p.keys, string(r.Key))
		leaves = append(leaves, r.LeafHash())
	}
	p.tree.Reset(leaves)
	return nil
}

// Root and Count commit to the part as of the last Commit.
func (p *Part) Root() merkle.Hash { return p.tree.Root() }

// Count is the number of rows as of the last Commit.
func (p *Part) Count() int { return len(p.keys) }

// Rows gives all rows ascending by key as of the last Commit.
func (p *Part) Rows() iter.Seq[Row] {
	return func(yield func(Row) bool) {
		for _, k := range p.keys {
			v, _ := p.tables[k[0]].encode(k)
			if !yield(Row{Key: []byte(k), Value: v}) {
				return
			}
		}
	}
}

// Prove shows that key is present (one row with its place) or absent (its
// neighbours, adjacent or at an edge). Call it between Commit and the next write.
func (p *Part) Prove(key []byte) Membership {
	i, found := slices.BinarySearch(p.keys, string(key))
	m := Membership{Count: uint32(len(p.keys))}
	add := func(i int) {
		v, _ := p.tables[p.keys[i][0]].encode(p.keys[i])
		m.Rows = append(m.Rows, Row{Key: []byte(p.keys[i]), Value: v})
		m.Places = append(m.Places, p.tree.Prove(i))
	}
	if found {
		add(i)
		return m
	}
	if i > 0 {
		add(i - 1)
	}
	if i < len(p.keys) {
		add(i)
	}
	return m
}

// Table is a typed view of the rows of one part that share a prefix byte.
// Values are replaced whole: whoever changes a slice inside one copies it first.
type Table[K comparable, V any] struct {
	part  *Part
	codec Codec[K, V]
	rows  map[K]V
}

// Codec says how a table's keys and values are written. Keys of one table have
// one length, so that their order is the order of their bytes.
type Codec[K comparable, V any] struct {
	Prefix      byte
	AppendKey   func([]byte, K) []byte
	ReadKey     func(*wire.Reader) K
	AppendValue func([]byte, V) []byte
	ReadValue   func(*wire.Reader) V
}

// New adds an empty table to p; the prefix must be free.
func New[K comparable, V any](p *Part, c Codec[K, V]) *Table[K, V] {
	if p.tables == nil {
		p.tables = map[byte]rows{}
	}
	if p.tables[c.Prefix] != nil {
		panic("table: internal error: prefix used twice")
	}
	t := &Table[K, V]{part: p, codec: c, rows: map[K]V{}}
	p.tables[c.Prefix] = t
	return t
}

// Key is the row key of k in its part.
func (t *Table[K, V]) Key(k K) []byte { return t.codec.AppendKey([]byte{t.codec.Prefix}, k) }

// Get returns the value of k and whether there is one.
func (t *Table[K, V]) Get(k K) (V, bool) { v, ok := t.rows[k]; return v, ok }

// Set writes v under k.
func (t *Table[K, V]) Set(k K, v V) {
	t.touch(k)
	t.rows[k] = v
}

// Delete removes k, if it is there.
func (t *Table[K, V]) Delete(k K) {
	if _, ok := t.rows[k]; ok {
		t.touch(k)
		delete(t.rows, k)
	}
}

// touch notes that k is about to be written and, the first time since the last
// Commit, what is there.
func (t *Table[K, V]) touch(k K) {
	if t.part.dirty == nil {
		t.part.dirty = map[string][]byte{}
	}
	key := t.Key(k)
	if _, ok := t.part.dirty[string(key)]; ok {
		return
	}
	var former []byte
	if v, ok := t.rows[k]; ok {
		former = t.codec.AppendValue([]byte{}, v)
	}
	t.part.dirty[string(key)] = former
}

// Len is the number of rows, uncommitted ones included.
func (t *Table[K, V]) Len() int { return len(t.rows) }

// All gives the rows ascending by encoded key, as they were when it began; the
// loop may write. It sorts: O(n log n).
func (t *Table[K, V]) All() iter.Seq2[K, V] {
	type entry struct {
		enc string
		k   K
	}
	entries := make([]entry, 0, len(t.rows))
	for k := range t.rows {
		entries = append(entries, entry{string(t.Key(k)), k})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.enc, b.enc) })
	return func(yield func(K, V) bool) {
		for _, e := range entries {
			v, ok := t.rows[e.k]
			if ok && !yield(e.k, v) {
				return
			}
		}
	}
}

// From gives the rows from k on, ascending by encoded key, as of the last
// Commit. To begin costs O(log n) and nothing is copied; the loop must not write.
func (t *Table[K, V]) From(k K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		keys := t.part.keys
		for i, _ := slices.BinarySearch(keys, string(t.Key(k))); i < len(keys) && keys[i][0] == t.codec.Prefix; i++ {
			at := t.codec.ReadKey(wire.NewReader([]byte(keys[i][1:])))
			if v, ok := t.rows[at]; ok && !yield(at, v) {
				return
			}
		}
	}
}

func (t *Table[K, V]) encode(key string) ([]byte, bool) {
	r := wire.NewReader([]byte(key[1:]))
	v, ok := t.rows[t.codec.ReadKey(r)]
	if !ok {
		return nil, false
	}
	return t.codec.AppendValue([]byte{}, v), true
}

func (t *Table[K, V]) load(key, value []byte) error {
	rk := wire.NewReader(key[1:])
	k := t.codec.ReadKey(rk)
	if err := rk.Done(); err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	rv := wire.NewReader(bytes.Clone(value))
	v := t.codec.ReadValue(rv)
	if err := rv.Done(); err != nil {
		return fmt.Errorf("read value: %w", err)
	}
	t.rows[k] = v
	return nil
}
