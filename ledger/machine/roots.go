package machine

import "tunic/ledger/light"

// The parts of the state and their proofs are those that ledger/light verifies.
type (
	Part       = light.Part
	PartRoot   = light.PartRoot
	StateProof = light.StateProof
)

// The parts. docs/spec/state.md says which tables each holds.
const (
	PartAccounts = light.PartAccounts
	PartStakes   = light.PartStakes
	PartNodes    = light.PartNodes
	PartOffences = light.PartOffences
	PartParams   = light.PartParams
	Parts        = light.Parts
)

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
