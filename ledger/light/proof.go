package light

import (
	"bytes"
	"slices"

	"tunic/chain"
	"tunic/chain/state"
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

// The state's parts and proofs are those of chain/state.
type (
	Part       = state.Part
	PartRoot   = state.PartRoot
	StateProof = state.Proof
)

// The parts.
const (
	PartAccounts = state.PartAccounts
	PartStakes   = state.PartStakes
	PartNodes    = state.PartNodes
	PartOffences = state.PartOffences
	PartParams   = state.PartParams
	Parts        = state.Parts
)

// StateRoot is SHA-256 over "tunic state" and, part by part, root and count.
func StateRoot(roots [Parts]PartRoot) chain.Hash { return state.Root(roots) }

// DecodeStateProof reads a state proof and nothing else; it aliases b.
func DecodeStateProof(b []byte) (StateProof, error) { return state.DecodeProof(b) }

// Row holds p against s, which it verifies, and returns the value of key in
// that part after s's block; ok is false where key is shown to be absent.
func (v *Verifier) Row(p StateProof, key []byte, s chain.SealedHeader) (value []byte, ok bool, err error) {
	if err := v.Header(s); err != nil {
		return nil, false, err
	}
	return p.Verify(s.Header.State, key)
}
