package registry

import (
	"slices"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/registry/directory"
)

// checkVote asks what is special to a vote: is all of it of this epoch and its
// only one on the subject, is the subject judged, has the voter a seat, is it
// signed. docs/spec/judgement.md, section Refusals.
func (r *Registry) checkVote(st statement.Statement, ctx Context) error {
	v, err := statement.DecodeVote(st.Body)
	if err != nil {
		return chain.Refuse(CodeMalformed, "%v", err)
	}
	// In front of an epoch's first block its beacon is not known to anybody.
	if v.Epoch != ctx.Epoch || st.Sequence != statement.NewSequence(ctx.Epoch, 0) || ctx.List == nil || ctx.List.Epoch != ctx.Epoch {
		return chain.Refuse(CodeWrongEpoch, "a vote of epoch %d with sequence %d; this is epoch %d", v.Epoch, st.Sequence, ctx.Epoch)
	}
	subject, known := r.Node(v.Subject)
	switch {
	case !known:
		return chain.Refuse(CodeNotJudged, "node %s is not registered", v.Subject.Short())
	case !subject.judged():
		return chain.Refuse(CodeNotJudged, "node %s is %s", v.Subject.Short(), subject.State)
	}
	voters, needed := r.voters(v.Subject, ctx)
	if needed == 0 {
		return chain.Refuse(CodeNotJudged, "%d could vote on node %s", len(voters), v.Subject.Short())
	}
	if !slices.Contains(voters, st.Node) {
		return chain.Refuse(CodeNotInQuorum, "node %s has no vote on %s in epoch %d", st.Node.Short(), v.Subject.Short(), ctx.Epoch)
	}
	// A vote of a fork that was given up binds nobody.
	if old, ok := r.votes.Get(voteKey{v.Subject, st.Node}); ok && old.Fork == ctx.Fork {
		return chain.Refuse(CodeAlreadyVoted, "node %s has voted on %s in epoch %d", st.Node.Short(), v.Subject.Short(), ctx.Epoch)
	}
	return r.checkSignature(st, ctx)
}

// judged reports whether quorums vote on the node.
func (n Node) judged() bool { return n.State == Active || n.State == Decommissioned }

// voters gives the seats that have a vote on subject in the epoch of ctx.List,
// in the order of the draw, and how many of them must agree: 0 if they are too
// few.
func (r *Registry) voters(subject chain.NodeID, ctx Context) (voters []chain.NodeID, needed int) {
	prm := &r.core.Params
	voters = ctx.List.Voters(ctx.Beacon, subject, int(prm.QuorumSize))
	return voters, directory.VotesNeeded(len(voters), int(prm.QuorumSize), int(prm.QuorumVotes))
}

// cast keeps a vote that was checked until it is counted.
func (r *Registry) cast(st statement.Statement) {
	v, _ := statement.DecodeVote(st.Body)
	r.votes.Set(voteKey{v.Subject, st.Node}, st)
}

// Votes are the votes on a node that were cast in the present epoch, ascending
// by voter, as of the last block.
func (r *Registry) Votes(subject chain.NodeID) []Ballot {
	var out []Ballot
	for k, st := range r.votes.From(voteKey{subject: subject}) {
		if k.subject != subject {
			break
		}
		out = append(out, ballotOf(st))
	}
	return out
}

// Ballot is a vote as it is counted.
type Ballot struct {
	Voter   chain.NodeID
	Reasons statement.Reasons // none: fit
	Score   chain.Permille
}

// ballotOf reads a vote that was taken.
func ballotOf(st statement.Statement) Ballot {
	v, err := statement.DecodeVote(st.Body)
	if err != nil {
		panic("registry: internal error: stored vote: " + err.Error())
	}
	return Ballot{st.Node, v.Reasons, v.Score}
}

// checkCommitment asks whether all of a probe commitment is of this epoch and
// the first in it, and whether it is signed. What it says is for those who
// score: the ledger keeps no beacon of two epochs before to verify a draw with.
func (r *Registry) checkCommitment(n Node, st statement.Statement, ctx Context) (Node, error) {
	c, err := statement.DecodeCommitment(st.Body)
	if err != nil {
		return n, chain.Refuse(CodeMalformed, "%v", err)
	}
	if c.Epoch != ctx.Epoch || st.Sequence.Epoch() != ctx.Epoch {
		return n, chain.Refuse(CodeWrongEpoch, "a commitment of epoch %d with sequence %d; this is epoch %d", c.Epoch, st.Sequence, ctx.Epoch)
	}
	hash := chain.SHA256(st.Encode())
	if !n.CommitmentHash.IsZero() {
		switch last := n.CommitmentSequence; {
		case hash == n.CommitmentHash:
			return n, chain.Refuse(CodeDuplicate, "taken already")
		case st.Sequence <= last:
			return n, chain.Refuse(CodeStaleSequence, "sequence %d; the last taken was %d", st.Sequence, last)
		case last.Epoch() == ctx.Epoch:
			return n, chain.Refuse(CodeTooSoon, "one was taken in epoch %d already", ctx.Epoch)
		}
	}
	if err := r.checkSignature(st, ctx); err != nil {
		return n, err
	}
	n.CommitmentSequence, n.CommitmentHash = st.Sequence, hash
	return n, nil
}
