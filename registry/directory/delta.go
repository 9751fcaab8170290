package directory

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/internal/merkle"
	"tunic/internal/wire"
)

// ErrBase means that a delta was made from another list than the one at hand.
var ErrBase = errors.New("directory: delta of another list")

// Change is what is new in one entry. Only the fields of Fields count in New.
type Change struct {
	Index  uint32 // in the list that the delta was made from
	Fields Fields
	New    Entry
}

// Delta leads from one list to another, field by field. Nodes that leave or
// change are named by their index in the first list.
type Delta struct {
	From, To chain.Epoch
	Base     chain.Hash // root of the first list
	Count    uint32     // entries of the second list
	Removed  []uint32   // ascending
	Changed  []Change   // ascending by index, none of Removed
	Added    []Entry    // strictly ascending by node id
}

// Diff is the delta from a to b.
func Diff(a, b *List) Delta {
	d := Delta{From: a.Epoch, To: b.Epoch, Base: a.Root(), Count: uint32(len(b.Entries))}
	j, hashed := 0, a.hashed() && b.hashed()
	for i := range a.Entries {
		old := &a.Entries[i]
		for j < len(b.Entries) && bytes.Compare(b.Entries[j].Node[:], old.Node[:]) < 0 {
			d.Added = append(d.Added, b.Entries[j])
			j++
		}
		if j == len(b.Entries) || b.Entries[j].Node != old.Node {
			d.Removed = append(d.Removed, uint32(i))
			continue
		}
		if hashed && a.tree.Leaf(i) == b.tree.Leaf(j) {
			j++
			continue
		}
		if f := changed(old, &b.Entries[j]); f != 0 {
			d.Changed = append(d.Changed, Change{Index: uint32(i), Fields: f, New: b.Entries[j]})
		}
		j++
	}
	d.Added = append(d.Added, b.Entries[j:]...)
	return d
}

// apply makes the change in e. A field that is carried and does not differ is
// not canonical, nor is an onion key that the old entry holds as its next.
func (c *Change) apply(e *Entry) error {
	differs := c.Fields.canCarry()
	next := e.OnionNext
	for f := range c.Fields.each {
		var d bool
		switch f {
		case FieldVRF:
			d, e.VRF = e.VRF != c.New.VRF, c.New.VRF
		case FieldOperator:
			d, e.Operator = e.Operator != c.New.Operator, c.New.Operator
		case FieldEndpoints:
			d, e.Endpoints = !slices.Equal(e.Endpoints, c.New.Endpoints), c.New.Endpoints
		case FieldFamily:
			d, e.Family = !slices.Equal(e.Family, c.New.Family), c.New.Family
		case FieldSwarm:
			d, e.Swarm = e.Swarm != c.New.Swarm, c.New.Swarm
		case FieldPreviousSwarm:
			d, e.PreviousSwarm = e.PreviousSwarm != c.New.PreviousSwarm, c.New.PreviousSwarm
		case FieldVersion:
			d, e.Version = e.Version != c.New.Version, c.New.Version
		case FieldStake:
			d, e.Stake = e.Stake != c.New.Stake, c.New.Stake
		case FieldOnionShift:
			d, e.Onion = e.Onion != next, next
		case FieldOnion:
			d, e.Onion = e.Onion != c.New.Onion && next != c.New.Onion, c.New.Onion
		case FieldOnionNext:
			d, e.OnionNext = next != c.New.OnionNext, c.New.OnionNext
		case FieldPerformance:
			d, e.Performance = e.Performance != c.New.Performance, c.New.Performance
		}
		differs = differs && d
	}
	if !differs {
		return fmt.Errorf("%w: delta: change of entry %d carries what does not change", ErrMalformed, c.Index)
	}
	return nil
}

// Apply makes the second list from the first. ErrBase where from is another
// list; ErrMalformed where the delta is not the canonical one. The caller holds
// the result against the header with List.Check, as any list.
func (d Delta) Apply(from *List) (*List, error) {
	if from.Epoch != d.From || from.Root() != d.Base || !from.hashed() {
		return nil, fmt.Errorf("%w: of epoch %d with root %s", ErrBase, d.From, d.Base)
	}
	if uint64(len(from.Entries))+uint64(len(d.Added)) != uint64(d.Count)+uint64(len(d.Removed)) {
		return nil, fmt.Errorf("%w: delta: it does not lead to %d entries", ErrMalformed, d.Count)
	}
	to := &List{Epoch: d.To, Entries: make([]Entry, 0, d.Count)}
	// The leaf of what stays is known; each of the others is hashed.
	leaves := make([]merkle.Hash, 0, d.Count)
	var enc []byte
	hash := func(e *Entry) {
		enc = e.append(enc[:0])
		leaves = append(leaves, merkle.Leaf(enc))
	}
	put := func(e *Entry) {
		to.Entries = append(to.Entries, *e)
		hash(e)
	}
	removed, chg, added := d.Removed, d.Changed, d.Added
	for i := range from.Entries {
		e := &from.Entries[i]
		for len(added) > 0 && bytes.Compare(added[0].Node[:], e.Node[:]) < 0 {
			put(&added[0])
			added = added[1:]
		}
		if len(added) > 0 && added[0].Node == e.Node {
			return nil, fmt.Errorf("%w: delta: node %s is added and was there", ErrMalformed, e.Node)
		}
		switch {
		case len(removed) > 0 && removed[0] == uint32(i):
			removed = removed[1:]
		case len(chg) > 0 && chg[0].Index == uint32(i):
			to.Entries = append(to.Entries, *e)
			new := &to.Entries[len(to.Entries)-1]
			if err := chg[0].apply(new); err != nil {
				return nil, err
			}
			hash(new)
			chg = chg[1:]
		default:
			to.Entries, leaves = append(to.Entries, *e), append(leaves, from.tree.Leaf(i))
		}
	}
	if len(removed) > 0 || len(chg) > 0 {
		return nil, fmt.Errorf("%w: delta: an index is out of the list or out of order", ErrMalformed)
	}
	for i := range added {
		put(&added[i])
	}
	return to, to.freeze(leaves)
}

// Encode is the canonical encoding. docs/spec/directory.md, section Delta.
func (d Delta) Encode() []byte {
	b := make([]byte, 0, 65+4*len(d.Removed)+16*len(d.Changed)+(minEntry+64)*len(d.Added))
	b = append(b, Version)
	b = wire.AppendUint64(b, uint64(d.From))
	b = wire.AppendUint64(b, uint64(d.To))
	b = append(b, d.Base[:]...)
	b = wire.AppendUint32(b, d.Count)
	b = wire.AppendUint32(b, uint32(len(d.Removed)))
	for _, i := range d.Removed {
		b = wire.AppendUint32(b, i)
	}
	b = wire.AppendUint32(b, uint32(len(d.Changed)))
	for i := range d.Changed {
		c := &d.Changed[i]
		b = wire.AppendUint32(b, c.Index)
		b = wire.AppendUint16(b, uint16(c.Fields))
		for f := range c.Fields.each {
			b = c.New.appendField(b, f)
		}
	}
	b = wire.AppendUint32(b, uint32(len(d.Added)))
	for i := range d.Added {
		b = d.Added[i].append(b)
	}
	return b
}

// DecodeDelta reads a delta and nothing else. What refers to the first list is
// checked by Apply.
func DecodeDelta(b []byte) (Delta, error) {
	r := wire.NewReader(b)
	if v := r.Uint8(); r.Err() == nil && v != Version {
		return Delta{}, fmt.Errorf("%w: delta version %d", ErrMalformed, v)
	}
	d := Delta{From: chain.Epoch(r.Uint64()), To: chain.Epoch(r.Uint64())}
	r.Copy(d.Base[:])
	if d.Count = r.Uint32(); d.Count > MaxEntries {
		r.Fail(wire.ErrTooLong)
	}
	for range r.Count(MaxEntries, 4) {
		i := r.Uint32()
		if n := len(d.Removed); n > 0 && d.Removed[n-1] >= i {
			r.Fail(fmt.Errorf("%w: removals not ascending", ErrMalformed))
		}
		d.Removed = append(d.Removed, i)
	}
	n := r.Count(MaxEntries, 6)
	k := newKeeper(n)
	if n > 0 {
		d.Changed = make([]Change, 0, min(n, 1024))
	}
	for range n {
		c := Change{Index: r.Uint32(), Fields: Fields(r.Uint16())}
		if !c.Fields.canCarry() {
			r.Fail(fmt.Errorf("%w: fields %#x", ErrMalformed, uint16(c.Fields)))
		}
		if n := len(d.Changed); n > 0 && d.Changed[n-1].Index >= c.Index {
			r.Fail(fmt.Errorf("%w: changes not ascending", ErrMalformed))
		}
		for f := range c.Fields.each {
			c.New.readField(r, f, k)
		}
		if r.Err() != nil {
			break
		}
		if _, both := slices.BinarySearch(d.Removed, c.Index); both {
			r.Fail(fmt.Errorf("%w: entry %d changes and is removed", ErrMalformed, c.Index))
		}
		d.Changed = append(d.Changed, c)
	}
	n = r.Count(MaxEntries, minEntry)
	k = newKeeper(n)
	for range n {
		var e Entry
		e.read(r, k)
		if n := len(d.Added); n > 0 && bytes.Compare(d.Added[n-1].Node[:], e.Node[:]) >= 0 {
			r.Fail(fmt.Errorf("%w: additions not ascending", ErrMalformed))
		}
		if r.Err() != nil {
			break
		}
		d.Added = append(d.Added, e)
	}
	if err := r.Done(); err != nil {
		return Delta{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return d, nil
}
