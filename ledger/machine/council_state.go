package machine

import (
	"bytes"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/table"
	"tunic/internal/wire"
)

// Prefixes of the council's tables in the part params.
const (
	prefixApprovals = 2
	prefixScheduled = 3
)

// maxCouncil is the most members that a genesis may name.
const maxCouncil = 64

// council is what its members have approved and agreed on.
type council struct {
	inForce   genesis.InForce // as decoded from its singleton; core.Params are its
	approvals *table.Table[chain.Hash, Approval]
	scheduled *table.Table[struct{}, genesis.Change] // one at most
}

func newCouncil(p *table.Part) council {
	return council{
		approvals: table.New(p, table.Codec[chain.Hash, Approval]{
			Prefix:    prefixApprovals,
			AppendKey: func(b []byte, h chain.Hash) []byte { return append(b, h[:]...) },
			ReadKey:   func(r *wire.Reader) (h chain.Hash) { r.Copy(h[:]); return h },
			AppendValue: func(b []byte, a Approval) []byte {
				b = wire.AppendUint32(append(b, a.Change.Encode()...), uint32(len(a.Members)))
				for i := range a.Members {
					b = append(b, a.Members[i][:]...)
				}
				return b
			},
			ReadValue: func(r *wire.Reader) Approval {
				a := Approval{Change: genesis.ReadChange(r)}
				a.Members = make([]chain.Address, r.Count(maxCouncil, len(chain.Address{})))
				for i := range a.Members {
					r.Copy(a.Members[i][:])
				}
				return a
			},
		}),
		scheduled: table.New(p, table.Codec[struct{}, genesis.Change]{
			Prefix:      prefixScheduled,
			AppendKey:   func(b []byte, _ struct{}) []byte { return b },
			ReadKey:     func(*wire.Reader) struct{} { return struct{}{} },
			AppendValue: func(b []byte, c genesis.Change) []byte { return append(b, c.Encode()...) },
			ReadValue:   genesis.ReadChange,
		}),
	}
}

// checkCouncil verifies what must hold of the parameters in force, the change
// that is scheduled and those that are approved.
func (m *Machine) checkCouncil() error {
	row, _ := m.params.Get(keyParams)
	if !bytes.Equal(row, m.inForce.Encode()) || len(m.core.Params.Diff(m.inForce.Params)) > 0 {
		return fmt.Errorf("parameters in force are not those of the state")
	}
	if err := m.inForce.Params.Validate(); err != nil {
		return fmt.Errorf("parameters in force: %w", err)
	}
	s, pending := m.Scheduled()
	if pending && (s.Number != m.inForce.Number+1 || s.Epoch <= m.head.DirEpoch) {
		return fmt.Errorf("number %d of epoch %d is scheduled, in force is %d in epoch %d", s.Number, s.Epoch, m.inForce.Number, m.head.DirEpoch)
	}
	seen := map[chain.Address]bool{}
	for hash, a := range m.approvals.All() {
		switch {
		case pending:
			return fmt.Errorf("approval %s beside a scheduled change", hash)
		case hash != a.Change.Hash(), a.Number != m.inForce.Number+1, a.Epoch < m.earliest(m.head.DirEpoch):
			return fmt.Errorf("approval %s of number %d for epoch %d", hash, a.Number, a.Epoch)
		case len(a.Members) == 0 || len(a.Members) >= int(m.core.CouncilMin):
			return fmt.Errorf("approval %s by %d members", hash, len(a.Members))
		}
		for _, who := range a.Members {
			if seen[who] || !slices.Contains(m.core.Council, who) {
				return fmt.Errorf("approval %s by %s, who is no member or has another", hash, who)
			}
			seen[who] = true
		}
	}
	return nil
}
