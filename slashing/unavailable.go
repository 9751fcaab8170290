package slashing

import (
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/merkle"
	"tunic/internal/wire"
	"tunic/registry/directory"
)

// Unavailable is the verdict of a quorum: enough unfit votes of one epoch on one
// subject. The proof shows the whole draw, so that who had a seat and how many
// votes were needed follow from the header's beacon and nobody's word.

// VoteSet is a quorum's entries and votes, without what follows from the rest of
// the proof: the places are those of the draw, the votes' node, epoch, fork,
// label and subject are known.
//
//	subject 32 | entries 4+n each | siblings 4+32 each | votes 4+71 each
type VoteSet struct {
	Subject  chain.NodeID
	Drawn    []directory.Entry // at the drawn places, in the order of the draw
	Siblings []merkle.Hash     // that lead from them to the list's root, as merkle.Tree.MultiPath gives them
	Votes    []SeatVote        // unfit, strictly ascending by Seat
}

// SeatVote is one vote.
//
//	seat 1 | reasons 4 | score 2 | signature 64
type SeatVote struct {
	Seat    uint8 // index in VoteSet.Drawn
	Reasons statement.Reasons
	Score   chain.Permille
	Sig     [64]byte
}

var verdictParts = []part{partVerdict, partHeader, partParams}

var verdictQuestions = []question{
	{"votes", false, askVotes},
	{"fork", false, askVerdictFork},
	{"parameters", false, askParamsInForce},
	{"draw", false, askDraw},
	{"seats", false, askSeats},
	{"number", false, askNumber},
	{"signatures", false, askVoteSignatures},
	{"headers", true, askHeaders},
}

func appendVoteSet(b []byte, p Proof) []byte {
	v := p.Verdict
	b = append(b, v.Subject[:]...)
	b = wire.AppendUint32(b, uint32(len(v.Drawn)))
	for _, e := range v.Drawn {
		b = directory.AppendEntry(b, e)
	}
	b = wire.AppendUint32(b, uint32(len(v.Siblings)))
	for i := range v.Siblings {
		b = append(b, v.Siblings[i][:]...)
	}
	b = wire.AppendUint32(b, uint32(len(v.Votes)))
	for i := range v.Votes {
		b = append(b, v.Votes[i].Seat)
		b = wire.AppendUint32(b, uint32(v.Votes[i].Reasons))
		b = wire.AppendUint16(b, uint16(v.Votes[i].Score))
		b = append(b, v.Votes[i].Sig[:]...)
	}
	return b
}

func readVoteSet(r *wire.Reader, p *Proof) {
	v := &p.Verdict
	r.Copy(v.Subject[:])
	for range r.Count(directory.MaxDrawn, 32) {
		v.Drawn = append(v.Drawn, directory.ReadEntry(r))
	}
	for range r.Count(directory.MaxDrawn*merkle.MaxPath, 32) {
		var h merkle.Hash
		r.Copy(h[:])
		v.Siblings = append(v.Siblings, h)
	}
	for range r.Count(directory.MaxDrawn, 71) {
		x := SeatVote{Seat: r.Uint8(), Reasons: statement.Reasons(r.Uint32()), Score: chain.Permille(r.Uint16())}
		r.Copy(x.Sig[:])
		v.Votes = append(v.Votes, x)
	}
}

// votesEpoch is that of the list which the quorum was drawn from.
func (j *judgement) votesEpoch() chain.Epoch { return j.proof.Header.Header.DirEpoch }

func askVotes(j *judgement) (string, *chain.Refusal) {
	v := j.proof.Verdict
	if e := j.votesEpoch(); e >= 1<<(64-statement.CounterBits) {
		return "", chain.Refuse(ErrWrongEpoch.Code, "no vote can be of epoch %d", e)
	}
	for i, x := range v.Votes {
		if i > 0 && x.Seat <= v.Votes[i-1].Seat || int(x.Seat) >= len(v.Drawn) {
			return "", chain.Refuse(ErrMalformed.Code, "vote %d: not ascending by seat, or of none", i)
		}
		if _, err := statement.DecodeVote(j.proof.vote(x).Body); err != nil {
			return "", chain.Refuse(ErrMalformed.Code, "vote %d: %v", i, err)
		}
		if x.Reasons == 0 {
			return "", chain.Refuse(ErrTooFewVotes.Code, "vote %d finds its subject fit", i)
		}
	}
	return fmt.Sprintf("%d unfit votes on node %s in epoch %d", len(v.Votes), v.Subject, j.votesEpoch()), nil
}

// vote is the whole statement of one vote, whose seat and epoch must exist.
func (p Proof) vote(x SeatVote) statement.Statement {
	e := p.Header.Header.DirEpoch
	return statement.Statement{
		Label: statement.LabelVote, Fork: p.Fork, Node: p.Verdict.Drawn[x.Seat].Node, Sequence: statement.NewSequence(e, 0), Sig: x.Sig,
		Body: statement.Vote{Subject: p.Verdict.Subject, Epoch: e, Reasons: x.Reasons, Score: x.Score}.Encode(),
	}
}

func askVerdictFork(j *judgement) (string, *chain.Refusal) { return j.askForkOf("votes") }

// askForkOf holds the header of a proof without statements, but of what, against
// the proof's genesis and fork.
func (j *judgement) askForkOf(what string) (string, *chain.Refusal) {
	switch p, h := j.proof, j.proof.Header.Header; {
	case h.Genesis != p.Genesis:
		return "", chain.Refuse(ErrForeignNetwork.Code, "the proof is of genesis %s, its header of %s", p.Genesis, h.Genesis)
	case h.Fork != p.Fork:
		return "", chain.Refuse(ErrWrongFork.Code, "the proof is of fork %d, the header of %d", p.Fork, h.Fork)
	}
	return fmt.Sprintf("%s and header are of fork %d", what, j.proof.Fork), nil
}

func askParamsInForce(j *judgement) (string, *chain.Refusal) {
	return j.askInForce(j.votesEpoch(), func(f genesis.InForce) chain.Epoch { return f.Since })
}

// askDraw draws again and asks whether the entries are those at the drawn places.
func askDraw(j *judgement) (string, *chain.Refusal) {
	v, h := j.proof.Verdict, j.proof.Header.Header
	if h.DirCount > directory.MaxEntries {
		return "", chain.Refuse(ErrWrongQuorum.Code, "no list has %d entries", h.DirCount)
	}
	places := directory.DrawQuorum(h.Beacon, v.Subject, int(h.DirCount))
	if len(places) != len(v.Drawn) {
		return "", chain.Refuse(ErrWrongQuorum.Code, "%d places are drawn of %d, the proof carries %d entries", len(places), h.DirCount, len(v.Drawn))
	}
	at, leaves := inOrder(places, func(i int) merkle.Hash { return v.Drawn[i].Leaf() })
	root, err := merkle.RootFromMultiPath(leaves, at, int(h.DirCount), v.Siblings)
	if err != nil || root != h.Directory {
		return "", chain.Refuse(ErrWrongQuorum.Code, "the entries do not stand at the drawn places of the header's list")
	}
	return fmt.Sprintf("the beacon of epoch %d draws these %d of %d nodes to judge %s", h.DirEpoch, len(places), h.DirCount, v.Subject.Short()), nil
}

// inOrder gives the places ascending, and the leaf of each.
func inOrder(places []int, leaf func(i int) merkle.Hash) (at []int, leaves []merkle.Hash) {
	by := make([]int, len(places))
	for i := range by {
		by[i] = i
	}
	slices.SortFunc(by, func(a, b int) int { return places[a] - places[b] })
	for _, i := range by {
		at, leaves = append(at, places[i]), append(leaves, leaf(i))
	}
	return at, leaves
}

func askSeats(j *judgement) (string, *chain.Refusal) {
	v := j.proof.Verdict
	voters := v.voters(j.inForce.Params)
	for _, x := range v.Votes {
		if id := v.Drawn[x.Seat].Node; !slices.Contains(voters, id) {
			return "", chain.Refuse(ErrWrongQuorum.Code, "node %s has no seat with a vote on %s", id, v.Subject)
		}
	}
	j.voters = len(voters)
	return fmt.Sprintf("%d have a seat with a vote, the voters among them", len(voters)), nil
}

// voters are the nodes that have a seat with a vote.
func (v VoteSet) voters(prm genesis.Params) []chain.NodeID {
	return directory.Voters(v.Drawn, v.Subject, int(prm.QuorumSize))
}

func askNumber(j *judgement) (string, *chain.Refusal) {
	prm := j.inForce.Params
	have, need := len(j.proof.Verdict.Votes), directory.VotesNeeded(j.voters, int(prm.QuorumSize), int(prm.QuorumVotes))
	switch {
	case need == 0:
		return "", chain.Refuse(ErrTooFewVotes.Code, "where only %d can vote nobody is judged", j.voters)
	case have < need:
		return "", chain.Refuse(ErrTooFewVotes.Code, "%d votes, of %d voters %d are needed", have, j.voters, need)
	}
	return fmt.Sprintf("%d votes, of %d voters %d are needed", have, j.voters, need), nil
}

func askVoteSignatures(j *judgement) (string, *chain.Refusal) {
	d := statement.Domain{Genesis: j.proof.Genesis, Fork: j.proof.Fork}
	for _, x := range j.proof.Verdict.Votes {
		if s := j.proof.vote(x); s.Verify(d) != nil {
			return "", chain.Refuse(ErrBadSignature.Code, "the vote of %s", s.Node)
		}
	}
	return "each voter's key signed its vote", nil
}

func claimOfVerdict(p Proof) (claim, bool) {
	e := p.Header.Header.DirEpoch
	return claim{node: p.Verdict.Subject, number: uint64(e), epoch: e}, true
}

// counted is why the ledger takes no such proof.
func counted(*genesis.Core) *chain.Refusal {
	return chain.Refuse(ErrCounted.Code, "the proof holds, but votes count where they are published, in the first block of the next epoch")
}

// AssembleVerdict makes the proof that node is unavailable from encoded votes of
// one epoch, of which those that find it unfit and are of a seat are taken, the
// header and list of that epoch, and the parameters in force. Where not all fit
// it takes as many as are needed. It validates what it made.
func AssembleVerdict(subject chain.NodeID, votes [][]byte, header chain.SealedHeader, list *directory.List, params InForce) (Proof, error) {
	if err := list.Check(header.Header); err != nil {
		return Proof{}, chain.Refuse(ErrWrongQuorum.Code, "the list is not the header's: %v", err)
	}
	p := Proof{Version: Version, Kind: Unavailable, Genesis: header.Header.Genesis, Fork: header.Header.Fork, Header: header, Params: params,
		Verdict: VoteSet{Subject: subject}}
	v := &p.Verdict
	places := directory.DrawQuorum(header.Header.Beacon, subject, len(list.Entries))
	for _, at := range places {
		v.Drawn = append(v.Drawn, list.Entries[at])
	}
	at, _ := inOrder(places, func(int) merkle.Hash { return merkle.Hash{} })
	v.Siblings = list.Siblings(at)
	row, err := params.Proof.InForce(params.Header.Header.State)
	if err != nil {
		return Proof{}, chain.Refuse(ErrBadState.Code, "parameters in force: %v", err)
	}
	voters := v.voters(row.Params)
	for i, b := range votes {
		s, err := statement.Decode(b)
		if err != nil {
			return Proof{}, chain.Refuse(ErrMalformed.Code, "vote %d: %v", i, err)
		}
		body, err := statement.DecodeVote(s.Body)
		seat := slices.IndexFunc(v.Drawn, func(e directory.Entry) bool { return e.Node == s.Node })
		if err != nil || s.Label != statement.LabelVote || body.Subject != subject || body.Reasons == 0 || seat < 0 || !slices.Contains(voters, s.Node) {
			continue
		}
		v.Votes = append(v.Votes, SeatVote{uint8(seat), body.Reasons, body.Score, s.Sig})
	}
	slices.SortFunc(v.Votes, func(a, b SeatVote) int { return int(a.Seat) - int(b.Seat) })
	need := directory.VotesNeeded(len(voters), int(row.Params.QuorumSize), int(row.Params.QuorumVotes))
	for len(v.Votes) > need && len(p.Encode()) > MaxProof {
		v.Votes = v.Votes[:len(v.Votes)-1]
	}
	return p, p.Validate()
}
