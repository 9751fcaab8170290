package machine

import (
	"tunic/chain"
	"tunic/internal/merkle"
	"tunic/internal/table"
	"tunic/internal/wire"
)

// Part numbers the five parts of the state in the order of the state root.
type Part uint8

// The parts. docs/spec/state.md says which tables each holds.
const (
	PartAccounts Part = iota
	PartStakes
	PartNodes
	PartOffences
	PartParams
	Parts int = iota
)

// partNames are the words of the API and of docs/spec/state.md.
var partNames = [Parts]string{"accounts", "stakes", "nodes", "offences", "params"}

func (p Part) String() string { return partNames[p] }

// ParsePart reads a part's name.
func ParsePart(s string) (Part, bool) {
	for i, n := range partNames {
		if n == s {
			return Part(i), true
		}
	}
	return 0, false
}

// PartRoot commits to one part.
type PartRoot struct {
	Root  merkle.Hash
	Count uint32
}

// StateRoot is SHA-256("tunic state" || root 32 || count 4, for each part in order).
func StateRoot(parts [Parts]PartRoot) chain.Hash {
	b := make([]byte, 0, 11+Parts*36)
	b = append(b, "tunic state"...)
	for i := range parts {
		b = append(b, parts[i].Root[:]...)
		b = wire.AppendUint32(b, parts[i].Count)
	}
	return chain.SHA256(b)
}

// StateProof shows one row of the state, or its absence, against a header's
// state root.
type StateProof struct {
	Part  Part
	Roots [Parts]PartRoot
	Row   table.Membership
}

// Verify checks p against a verified header's state root and returns the value
// of key; ok is false where key is shown to be absent.
func (p StateProof) Verify(state chain.Hash, key []byte) (value []byte, ok bool, err error) {
	if int(p.Part) >= Parts || StateRoot(p.Roots) != state {
		return nil, false, table.ErrProof
	}
	at := p.Roots[p.Part]
	return p.Row.Verify(at.Root, at.Count, key)
}

// Prove shows key in a part (key with its table's prefix byte) as of the head.
func (m *Machine) Prove(part Part, key []byte) StateProof {
	return StateProof{Part: part, Roots: m.roots(), Row: m.parts[part].Prove(key)}
}

func (m *Machine) roots() (r [Parts]PartRoot) {
	for i, p := range m.parts {
		r[i] = PartRoot{Root: p.Root(), Count: uint32(p.Count())}
	}
	return r
}
