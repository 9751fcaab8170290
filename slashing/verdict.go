package slashing

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/statement"
)

// QuorumVerdict is what the ledger counted in the first block after an epoch of
// votes. Votes are the unfit ones, as encoded statements, ascending by voter.
type QuorumVerdict struct {
	Node     chain.NodeID
	Operator chain.Address
	Epoch    chain.Epoch // of the votes
	Judged
}

// RecordVerdict writes the record of a verdict that put a node out of the list.
// It takes nothing: absence costs credit. A verdict that is recorded already
// stays as it is. The caller has counted the votes and verified each when it was
// published.
func (s *Slashing) RecordVerdict(v QuorumVerdict, ctx Context) Record {
	id := offenceID(Unavailable, claim{node: v.Node, number: uint64(v.Epoch)}, s.genesis, ctx.Fork)
	if r, ok := s.records.Get(id); ok {
		return r
	}
	judged := v.Judged
	r := Record{
		Offence: Offence{ID: id, Kind: Unavailable, Node: v.Node, Operator: v.Operator, Epoch: v.Epoch, ListEpoch: v.Epoch, Basis: Unavailable.Basis()},
		At:      ctx.Height, Time: ctx.Time, Judged: &judged,
	}
	s.put(r)
	return r
}

// check is the invariant of a recorded verdict: each vote is unfit, of its epoch
// and subject, and signed; each voter voted once; the reason bits are theirs.
func (j *Judged) check(r Record, gen chain.Hash) error {
	all, any := ^statement.Reasons(0), statement.Reasons(0)
	var last chain.NodeID
	for i, b := range j.Votes {
		st, err := statement.Decode(b)
		if err != nil {
			return fmt.Errorf("vote %d: %w", i, err)
		}
		v, err := statement.DecodeVote(st.Body)
		switch {
		case err != nil:
			return fmt.Errorf("vote %d: %w", i, err)
		case st.Label != statement.LabelVote || v.Subject != r.Node || v.Epoch != r.Epoch || v.Reasons == 0:
			return fmt.Errorf("vote %d is no unfit vote on the node in epoch %d", i, r.Epoch)
		case i > 0 && string(st.Node[:]) <= string(last[:]):
			return fmt.Errorf("votes not ascending by voter")
		case st.Verify(statement.Domain{Genesis: gen, Fork: st.Fork}) != nil:
			return fmt.Errorf("vote %d is not signed", i)
		case offenceID(Unavailable, claim{node: r.Node, number: uint64(r.Epoch)}, gen, st.Fork) != r.ID:
			return fmt.Errorf("vote %d is of another fork", i)
		}
		last = st.Node
		all, any = all&v.Reasons, any|v.Reasons
	}
	if len(j.Votes) == 0 || all != j.All || any != j.Any {
		return fmt.Errorf("its %d votes give the reasons %s and %s, it says %s and %s", len(j.Votes), all, any, j.All, j.Any)
	}
	return nil
}
