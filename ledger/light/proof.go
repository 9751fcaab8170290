package light

import (
	"bytes"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/internal/table"
	"tunic/internal/wire"
	"tunic/registry/directory"
)

// List holds l against the newest accepted header.
func (v *Verifier) List(l *directory.List) error {
	newest, ok := v.Newest()
	if !ok {
		return ErrNoHeader
	}
	return l.Check(newest.Header)
}

// ListAt holds l against s, which it verifies.
func (v *Verifier) ListAt(l *directory.List, s chain.SealedHeader) error {
	if err := v.Header(s); err != nil {
		return err
	}
	return l.Check(s.Header)
}

// Membership holds m against the newest accepted header and says whether its
// node is in the list and not among the removals since.
func (v *Verifier) Membership(m directory.Membership) (listed bool, err error) {
	newest, ok := v.Newest()
	if !ok {
		return false, ErrNoHeader
	}
	return membership(m, newest.Header)
}

// MembershipAt is Membership against s, which it verifies.
func (v *Verifier) MembershipAt(m directory.Membership, s chain.SealedHeader) (listed bool, err error) {
	if err := v.CheckHeader(s); err != nil {
		return false, err
	}
	return membership(m, s.Header)
}

func membership(m directory.Membership, h chain.Header) (bool, error) {
	listed, err := m.Verify(h)
	return listed && !Removed(h, m.Node), err
}

// Removed reports whether h takes the node out of its epoch's list.
func Removed(h chain.Header, id chain.NodeID) bool {
	_, found := slices.BinarySearchFunc(h.Removals, id, func(a, b chain.NodeID) int { return bytes.Compare(a[:], b[:]) })
	return found
}

// Part names a part of the state, in the order of the state root.
type Part uint8

// The parts.
const (
	PartAccounts Part = iota
	PartStakes
	PartNodes
	PartOffences
	PartParams
	Parts int = iota
)

// partNames are the words of docs/spec/state.md.
var partNames = [Parts]string{"accounts", "stakes", "nodes", "offences", "params"}

func (p Part) String() string {
	if int(p) < Parts {
		return partNames[p]
	}
	return fmt.Sprintf("part %d", uint8(p))
}

// PartRoot commits to one part.
type PartRoot struct {
	Root  chain.Hash
	Count uint32
}

// StateRoot is SHA-256 over "tunic state" and, part by part, root and count.
func StateRoot(roots [Parts]PartRoot) chain.Hash {
	b := []byte("tunic state")
	for i := range roots {
		b = append(b, roots[i].Root[:]...)
		b = wire.AppendUint32(b, roots[i].Count)
	}
	return chain.SHA256(b)
}

// StateProof shows one key of one part of the state to be present or absent.
type StateProof struct {
	Part  Part
	Roots [Parts]PartRoot
	Row   table.Membership
}

// Encode is the canonical encoding: part, then each root and count, then the row.
func (p StateProof) Encode() []byte {
	b := []byte{byte(p.Part)}
	for i := range p.Roots {
		b = append(b, p.Roots[i].Root[:]...)
		b = wire.AppendUint32(b, p.Roots[i].Count)
	}
	return table.AppendMembership(b, p.Row)
}

// DecodeStateProof reads a state proof and nothing else; it aliases b.
func DecodeStateProof(b []byte) (StateProof, error) {
	r := wire.NewReader(b)
	p := StateProof{Part: Part(r.Uint8())}
	if int(p.Part) >= Parts {
		r.Fail(wire.ErrInvalid)
	}
	for i := range p.Roots {
		r.Copy(p.Roots[i].Root[:])
		p.Roots[i].Count = r.Uint32()
	}
	p.Row = table.ReadMembership(r)
	if err := r.Done(); err != nil {
		return p, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return p, nil
}

// Row holds p against s, which it verifies, and returns the value of key in
// that part after s's block; ok is false where key is shown to be absent.
func (v *Verifier) Row(p StateProof, key []byte, s chain.SealedHeader) (value []byte, ok bool, err error) {
	if err := v.Header(s); err != nil {
		return nil, false, err
	}
	return p.Verify(s.Header.State, key)
}

// Verify holds p against the state root of a verified header and returns the
// value of key; ok is false where key is shown to be absent.
func (p StateProof) Verify(state chain.Hash, key []byte) (value []byte, ok bool, err error) {
	if int(p.Part) >= Parts || StateRoot(p.Roots) != state {
		return nil, false, fmt.Errorf("%w: the parts do not make the state root", ErrProof)
	}
	at := p.Roots[p.Part]
	value, ok, err = p.Row.Verify(at.Root, at.Count, key)
	if err != nil {
		return nil, false, fmt.Errorf("%w: row of %s: %w", ErrProof, p.Part, err)
	}
	return value, ok, nil
}
