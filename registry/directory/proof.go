package directory

import (
	"bytes"
	"fmt"

	"tunic/chain"
	"tunic/internal/merkle"
	"tunic/internal/wire"
)

// Membership shows that a node is in a list (its own entry) or not (the
// neighbours on both sides; one at an edge; none for an empty list).
type Membership struct {
	Node    chain.NodeID
	Entries []Entry
	Places  []merkle.Proof
}

// Prove makes the membership of id.
func (l *List) Prove(id chain.NodeID) Membership {
	m := Membership{Node: id}
	add := func(i int) {
		m.Entries = append(m.Entries, l.Entries[i])
		m.Places = append(m.Places, l.tree.Prove(i))
	}
	i, found := l.Index(id)
	switch {
	case found:
		add(i)
	default:
		if i > 0 {
			add(i - 1)
		}
		if i < len(l.Entries) {
			add(i)
		}
	}
	return m
}

// Verify checks m against a verified header and says whether the node is listed.
func (m Membership) Verify(h chain.Header) (listed bool, err error) {
	if len(m.Entries) != len(m.Places) || len(m.Entries) > 2 {
		return false, fmt.Errorf("%w: %d entries, %d places", ErrMalformed, len(m.Entries), len(m.Places))
	}
	for i, e := range m.Entries {
		if m.Places[i].Count != h.DirCount || m.Places[i].Verify(h.Directory, e.Leaf()) != nil {
			return false, ErrRoot
		}
	}
	if len(m.Entries) == 1 && m.Entries[0].Node == m.Node {
		return true, nil
	}
	switch len(m.Entries) {
	case 0:
		if h.DirCount != 0 || h.Directory != merkle.Empty() {
			return false, ErrRoot
		}
	case 1:
		c, at := bytes.Compare(m.Node[:], m.Entries[0].Node[:]), m.Places[0].Index
		if !(c < 0 && at == 0) && !(c > 0 && at == h.DirCount-1) {
			return false, ErrRoot
		}
	case 2:
		if bytes.Compare(m.Entries[0].Node[:], m.Node[:]) >= 0 || bytes.Compare(m.Node[:], m.Entries[1].Node[:]) >= 0 ||
			m.Places[0].Index+1 != m.Places[1].Index {
			return false, ErrRoot
		}
	}
	return false, nil
}

// AppendMembership appends m's canonical encoding.
func AppendMembership(b []byte, m Membership) []byte {
	b = append(b, m.Node[:]...)
	b = wire.AppendUint32(b, uint32(len(m.Entries)))
	for i, e := range m.Entries {
		b = AppendEntry(b, e)
		b = merkle.AppendProof(b, m.Places[i])
	}
	return b
}

// ReadMembership reads what AppendMembership wrote.
func ReadMembership(r *wire.Reader) Membership {
	var m Membership
	r.Copy(m.Node[:])
	for range r.Count(2, minEntry) {
		m.Entries = append(m.Entries, ReadEntry(r))
		m.Places = append(m.Places, merkle.ReadProof(r))
	}
	return m
}

// DecodeMembership reads a membership and nothing else; ErrMalformed for all
// other bytes.
func DecodeMembership(b []byte) (Membership, error) {
	r := wire.NewReader(b)
	m := ReadMembership(r)
	if err := r.Done(); err != nil {
		return m, fmt.Errorf("%w: membership: %w", ErrMalformed, err)
	}
	return m, nil
}

// Siblings are what leads, with the entries at the strictly ascending places at,
// to the list's root (merkle.RootFromMultiPath).
func (l *List) Siblings(at []int) []merkle.Hash { return l.tree.MultiPath(at) }
