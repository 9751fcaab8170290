package slashing

import (
	"bytes"
	"fmt"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/registry/directory"
)

// A double-descriptor and a double-vote are two statements by one node under one
// sequence, with the directory entry that shows whose key it was.

var pairParts = []part{partFirst, partSecond, partEntry, partHeader}

// descriptorQuestions are those of a double-descriptor.
var descriptorQuestions = pairQuestions(func(j *judgement) (string, *chain.Refusal) { return j.pairOf(statement.LabelDescriptor) })

// voteQuestions are those of a double-vote. Whether the signer had a seat is not
// asked: nobody honest signs two verdicts on one subject.
var voteQuestions = pairQuestions(askVotePair)

// pairQuestions are those of two statements, of which pair asks whether they
// contradict each other.
func pairQuestions(pair func(*judgement) (string, *chain.Refusal)) []question {
	return []question{
		{"statements", false, askStatements},
		{"pair", false, pair},
		{"fork", false, askFork},
		{"content", false, askContent},
		{"epoch", false, askEpoch},
		{"entry", false, askEntry},
		{"signatures", false, askSignatures},
		{"header", true, askHeader},
	}
}

func askStatements(j *judgement) (string, *chain.Refusal) {
	for i, b := range [][]byte{j.proof.First, j.proof.Second} {
		s, err := statement.Decode(b)
		if err != nil {
			return "", chain.Refuse(ErrMalformed.Code, "%s statement: %v", ordinal(i), err)
		}
		j.statements = append(j.statements, s)
	}
	return j.ascending("statement")
}

// ascending holds the two halves, which are of this sort, to their one order.
func (j *judgement) ascending(half string) (string, *chain.Refusal) {
	switch bytes.Compare(j.proof.First, j.proof.Second) {
	case 0:
		return "", chain.Refuse(ErrSameContent.Code, "it is one %s twice", half)
	case 1:
		return "", chain.Refuse(ErrMalformed.Code, "the %ss are not in ascending order", half)
	}
	return "two " + half + "s in ascending order", nil
}

func ordinal(i int) string { return [...]string{"first", "second"}[i] }

// pairOf asks that both statements are of this label, node and sequence.
func (j *judgement) pairOf(l statement.Label) (string, *chain.Refusal) {
	a, b := j.statements[0], j.statements[1]
	switch {
	case a.Label != l || b.Label != l:
		return "", chain.Refuse(ErrWrongPair.Code, "a %s and a %s, not two %ss", a.Label, b.Label, l)
	case a.Node != b.Node:
		return "", chain.Refuse(ErrWrongPair.Code, "of two nodes, %s and %s", a.Node, b.Node)
	case a.Sequence != b.Sequence:
		return "", chain.Refuse(ErrWrongPair.Code, "of two sequences, %d and %d", a.Sequence, b.Sequence)
	}
	return fmt.Sprintf("two %ss of node %s with sequence %d (epoch %d, number %d)",
		l, a.Node, a.Sequence, a.Sequence.Epoch(), a.Sequence.Counter()), nil
}

// askVotePair asks also that both are votes as the ledger takes them, on one
// subject: all votes of a node and epoch have one sequence.
func askVotePair(j *judgement) (string, *chain.Refusal) {
	if say, no := j.pairOf(statement.LabelVote); no != nil {
		return say, no
	}
	var votes [2]statement.Vote
	for i, s := range j.statements {
		v, err := statement.DecodeVote(s.Body)
		if err != nil {
			return "", chain.Refuse(ErrMalformed.Code, "%s statement: %v", ordinal(i), err)
		}
		if s.Sequence.Counter() != 0 || v.Epoch != s.Sequence.Epoch() {
			return "", chain.Refuse(ErrWrongPair.Code, "the %s vote is of epoch %d under sequence %d; a vote's is epoch << 20", ordinal(i), v.Epoch, s.Sequence)
		}
		votes[i] = v
	}
	if votes[0].Subject != votes[1].Subject {
		return "", chain.Refuse(ErrWrongPair.Code, "on two subjects, %s and %s", votes[0].Subject, votes[1].Subject)
	}
	return fmt.Sprintf("two votes of node %s on %s in epoch %d: %s with score %d, and %s with score %d", j.statements[0].Node, votes[0].Subject,
		votes[0].Epoch, votes[0].Reasons, votes[0].Score, votes[1].Reasons, votes[1].Score), nil
}

func askContent(j *judgement) (string, *chain.Refusal) {
	a, b := j.statements[0].Body, j.statements[1].Body
	if bytes.Equal(a, b) {
		return "", chain.Refuse(ErrSameContent.Code, "the statements differ only in their signatures")
	}
	return fmt.Sprintf("they differ: contents %s and %s", chain.SHA256(a), chain.SHA256(b)), nil
}

func claimOfPair(p Proof) (claim, bool) {
	s, err := statement.Decode(p.First)
	return claim{node: s.Node, number: uint64(s.Sequence), epoch: s.Sequence.Epoch()}, err == nil
}

func claimOfVotes(p Proof) (claim, bool) {
	c, ok := claimOfPair(p)
	if !ok {
		return c, false
	}
	s, _ := statement.Decode(p.First) // as claimOfPair did
	v, err := statement.DecodeVote(s.Body)
	c.about = v.Subject[:]
	return c, err == nil
}

// Assemble makes the proof of a double-descriptor or double-vote from two encoded
// statements, in any order, and a header with its list, which must hold the node.
// It validates what it made, so that its refusals are those of Validate. A header
// with hundreds of removals may make the proof too large: take an earlier one of
// the epoch.
func Assemble(kind Kind, a, b []byte, header chain.SealedHeader, list *directory.List) (Proof, error) {
	if kind == DoubleSeal || kind == KeyDisclosure || kind == Unauthorised || kind == Unavailable || kind == LostMessage {
		return Proof{}, chain.Refuse(ErrMalformed.Code, "%s is not made of two statements", kind)
	}
	first, err := statement.Decode(a)
	if err != nil {
		return Proof{}, chain.Refuse(ErrMalformed.Code, "first statement: %v", err)
	}
	p := Proof{Version: Version, Kind: kind, Genesis: header.Header.Genesis, Fork: first.Fork}
	p.First, p.Second = ordered(a, b)
	if err := p.hold(first.Node, header, list); err != nil {
		return Proof{}, err
	}
	return p, p.Validate()
}
