// Package state is how a header commits to the ledger's state: the five parts,
// their roots, and the proof that one row stands in a part or does not. It
// implements docs/spec/state.md, sections Roots and Proofs.
//
// Most callers decode a Proof and hold it against the state root of a header
// that they have verified. It is plain data: what the rows mean is their
// modules' business.
package state

import (
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/internal/table"
	"tunic/internal/wire"
)

// ErrProof means that a proof does not hold under the state root.
var ErrProof = errors.New("state: proof does not hold")

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

// ParsePart reads a part's name.
func ParsePart(s string) (Part, bool) {
	for i, n := range partNames {
		if n == s {
			return Part(i), true
		}
	}
	return 0, false
}

// Keys of the singletons in the params part, after the prefix of their table.
const (
	KeyParams uint8 = 1 // the parameters in force
	KeyFork   uint8 = 2
	KeySupply uint8 = 3 // all units that exist, reward pool included
)

// PrefixSingletons is the table of the singletons.
const PrefixSingletons = 1

// ParamsKey is the row key of the parameters in force.
func ParamsKey() []byte { return []byte{PrefixSingletons, KeyParams} }

// PartRoot commits to one part.
type PartRoot struct {
	Root  chain.Hash
	Count uint32
}

// Root is SHA-256 over "tunic state" and, part by part, root and count.
func Root(roots [Parts]PartRoot) chain.Hash {
	b := []byte("tunic state")
	for i := range roots {
		b = append(b, roots[i].Root[:]...)
		b = wire.AppendUint32(b, roots[i].Count)
	}
	return chain.SHA256(b)
}

// Proof shows one key of one part of the state to be present or absent.
type Proof struct {
	Part  Part
	Roots [Parts]PartRoot
	Row   table.Membership
}

// Encode is the canonical encoding: part, then each root and count, then the row.
func (p Proof) Encode() []byte {
	b := []byte{byte(p.Part)}
	for i := range p.Roots {
		b = append(b, p.Roots[i].Root[:]...)
		b = wire.AppendUint32(b, p.Roots[i].Count)
	}
	return table.AppendMembership(b, p.Row)
}

// ReadProof reads a state proof, which aliases the input.
func ReadProof(r *wire.Reader) Proof {
	p := Proof{Part: Part(r.Uint8())}
	if int(p.Part) >= Parts {
		r.Fail(wire.ErrInvalid)
	}
	for i := range p.Roots {
		r.Copy(p.Roots[i].Root[:])
		p.Roots[i].Count = r.Uint32()
	}
	p.Row = table.ReadMembership(r)
	return p
}

// DecodeProof reads a state proof and nothing else; it aliases b.
func DecodeProof(b []byte) (Proof, error) {
	r := wire.NewReader(b)
	p := ReadProof(r)
	if err := r.Done(); err != nil {
		return p, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return p, nil
}

// Verify holds p against the state root of a verified header and returns the
// value of key; ok is false where key is shown to be absent.
func (p Proof) Verify(root chain.Hash, key []byte) (value []byte, ok bool, err error) {
	if int(p.Part) >= Parts || Root(p.Roots) != root {
		return nil, false, fmt.Errorf("%w: the parts do not make the state root", ErrProof)
	}
	at := p.Roots[p.Part]
	value, ok, err = p.Row.Verify(at.Root, at.Count, key)
	if err != nil {
		return nil, false, fmt.Errorf("%w: row of %s: %w", ErrProof, p.Part, err)
	}
	return value, ok, nil
}
