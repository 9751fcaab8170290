package slashing

import (
	"fmt"

	"tunic/chain"
)

// Fault is what an engine finds of a validator.
type Fault uint8

// The faults. Numbers are CometBFT's.
const (
	DuplicateVote Fault = 1 // two votes in one round
	LightAttack   Fault = 2 // a part in showing light clients another history
)

func (f Fault) String() string {
	switch f {
	case DuplicateVote:
		return "duplicate vote"
	case LightAttack:
		return "attack on light clients"
	}
	return fmt.Sprintf("fault %d", uint8(f))
}

// Known reports whether f is one of the faults.
func (f Fault) Known() bool { return f == DuplicateVote || f == LightAttack }

// Conclusion is what validators agree on of one of them. CometBFT hands the
// ledger this and not the votes; those stand in its block's evidence, of which
// whoever has it makes the proof.
type Conclusion struct {
	Fault  Fault
	Node   chain.NodeID
	Height chain.Height // at which it was done
	Time   chain.Time   // of the block at that height
	Power  uint64       // of the validator then
	Total  uint64       // of all
}

// id is the offence's: that of a proof of two votes, where there can be one.
func (c Conclusion) id(gen chain.Hash, fork uint32) chain.Hash {
	x := claim{node: c.Node, number: uint64(c.Height)}
	if c.Fault != DuplicateVote {
		x.about = []byte{byte(c.Fault)}
	}
	return offenceID(DoubleSeal, x, gen, fork)
}

// Conclude punishes a validator for a double-seal that two thirds of all agree on,
// once. Nobody has reported it: what is taken burns. It asks what Punish asks of a
// proof that holds. A refusal changes nothing.
func (s *Slashing) Conclude(c Conclusion, ctx Context, bonds Bonds, nodes Nodes) (Record, error) {
	o := Offence{ID: c.id(s.genesis, ctx.Fork), Kind: DoubleSeal, Node: c.Node, Epoch: s.core.EpochAt(c.Time), Basis: DoubleSeal.Basis(), Height: c.Height}
	if err := s.askable(o, ctx, bonds, nodes); err != nil {
		return Record{}, err
	}
	rec := Record{Offence: o, Stake: bonds.StakeAt(o.Node, o.Epoch), At: ctx.Height, Time: ctx.Time, Correlation: s.correlation(ctx), Concluded: &c}
	rec.Slashed = bonds.Slash(o.Node, Taking{Amount: DoubleSeal.Penalty(&s.core.Params).Of(rec.Stake), HoldUntil: rec.Correlation.Due})
	nodes.Tombstone(o.Node, DoubleSeal.String(), o.ID)
	s.put(rec)
	return rec, nil
}

// check is the invariant of a recorded conclusion.
func (c *Conclusion) check(r Record, gen chain.Hash) error {
	switch {
	case r.Kind != DoubleSeal || !c.Fault.Known() || c.Node != r.Node || c.Height != r.Height:
		return fmt.Errorf("it concludes another offence")
	case c.id(gen, 0) != r.ID:
		return fmt.Errorf("its conclusion gives another id")
	case r.Reward != 0 || len(r.Proof) > 0:
		return fmt.Errorf("a conclusion with a reporter or a proof")
	}
	return r.amounts()
}
