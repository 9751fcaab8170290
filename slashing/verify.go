package slashing

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/registry/directory"
)

// ListLag is how many epochs after the offence's the carried list may be: twice
// the longest life of an onion key that a genesis allows, so that whoever holds
// a descriptor that still counts can use the directory of the day. It may be
// one epoch older than the offence's, since a descriptor is signed and shown in
// the epoch before the one that it is for.
const ListLag = 128

// Anchor is what a proof is held against. CheckHeader returns nil only for a
// header of this network's history whose seal verifies by a key that the
// genesis trusts: where it says so on a ledger it must say so offline too. Of a
// header that it would take but for another that it knows for the height it says
// so by an error that is a TwoHeads.
type Anchor interface {
	Genesis() chain.Hash
	CheckHeader(chain.SealedHeader) error
}

// question is one thing that is asked of a proof. It answers with words for
// people, or with the refusal.
type question struct {
	name     string
	anchored bool // needs an Anchor
	ask      func(*judgement) (string, *chain.Refusal)
}

// judgement is a proof while it is judged.
type judgement struct {
	proof         Proof
	anchor        Anchor // nil when only validating
	first, second statement.Statement
	seals         [2]chain.SealedHeader // of a double-seal
}

// questions, cheap ones first. Each may rely on the answers before it.
var questions = []question{
	{"canonical", false, askCanonical},
	{"kind", false, askKind},
	{"network", true, askNetwork},
	{"statements", false, askStatements},
	{"pair", false, askPair},
	{"fork", false, askFork},
	{"content", false, askContent},
	{"epoch", false, askEpoch},
	{"entry", false, askEntry},
	{"signatures", false, askSignatures},
	{"header", true, askHeader},
}

// Validate judges the proof by itself, without a network: its form and size,
// that the statements make a pair (one label, node, fork and sequence, in
// canonical order) with different content, that the carried list is of the time,
// that the entry stands in the carried header's list, and both signatures. Of a
// double-seal: two headers of one proposer, fork and height, and both seals.
func (p Proof) Validate() error {
	_, err := p.judge(nil, nil)
	return err
}

// Verify asks what Validate asks and, of the anchor, that the proof is of this
// network and its header of this network's history.
func Verify(p Proof, a Anchor) (Offence, error) { return p.judge(a, nil) }

// Step is one question of a judgement and its answer.
type Step struct {
	Name   string // "canonical", "kind", "network", ...
	OK     bool
	Code   string // of the refusal, where OK is false
	Detail string // the answer in plain words
}

// Steps is the judgement of Verify, question by question; with a nil anchor
// that of Validate. The first answer that is no ends it: the last step then
// carries the refusal.
func Steps(p Proof, a Anchor) []Step {
	var steps []Step
	_, _ = p.judge(a, func(s Step) { steps = append(steps, s) }) // the last step says it too
	return steps
}

func (p Proof) judge(a Anchor, note func(Step)) (Offence, error) {
	j := &judgement{proof: p, anchor: a}
	ask := questions
	if p.Kind == DoubleSeal {
		ask = sealQuestions
	}
	for _, q := range ask {
		if q.anchored && a == nil {
			continue
		}
		detail, no := q.ask(j)
		if note != nil {
			if no != nil {
				note(Step{Name: q.name, Code: no.Code, Detail: no.Detail})
			} else {
				note(Step{Name: q.name, OK: true, Detail: detail})
			}
		}
		if no != nil {
			return Offence{}, no
		}
	}
	if p.Kind == DoubleSeal {
		node, epoch, _ := p.Accused()
		return Offence{ID: p.ID(), Kind: p.Kind, Node: node, Epoch: epoch, Basis: p.Kind.Basis(), Height: j.seals[0].Header.Height}, nil
	}
	return Offence{
		ID: p.ID(), Kind: p.Kind, Node: j.first.Node, Operator: p.Entry.Entries[0].Operator,
		Epoch: j.first.Sequence.Epoch(), ListEpoch: p.Header.Header.DirEpoch,
		Basis: p.Kind.Basis(), Height: p.Header.Header.Height,
	}, nil
}

func askCanonical(j *judgement) (string, *chain.Refusal) {
	if j.proof.Kind == DoubleSeal && !j.proof.bare() {
		return "", chain.Refuse(ErrMalformed.Code, "a double-seal has neither entry nor carried header")
	}
	b := j.proof.Encode()
	if _, err := Decode(b); err != nil {
		var r *chain.Refusal
		errors.As(err, &r)
		return "", r
	}
	return fmt.Sprintf("%d bytes, version %d", len(b), j.proof.Version), nil
}

func askKind(j *judgement) (string, *chain.Refusal) {
	k := j.proof.Kind
	if k != DoubleDescriptor && k != DoubleSeal {
		return "", chain.Refuse(ErrUnsupportedKind.Code, "this version does not judge %s", k)
	}
	return fmt.Sprintf("%s, on the basis of: %s", k, k.Basis()), nil
}

func askNetwork(j *judgement) (string, *chain.Refusal) {
	if g := j.anchor.Genesis(); j.proof.Genesis != g {
		return "", chain.Refuse(ErrForeignNetwork.Code, "the proof is of genesis %s, this network's is %s", j.proof.Genesis, g)
	}
	return "genesis " + j.proof.Genesis.String(), nil
}

func askStatements(j *judgement) (_ string, no *chain.Refusal) {
	read := func(which string, b []byte) statement.Statement {
		s, err := statement.Decode(b)
		if err != nil && no == nil {
			no = chain.Refuse(ErrMalformed.Code, "%s statement: %v", which, err)
		}
		return s
	}
	j.first, j.second = read("first", j.proof.First), read("second", j.proof.Second)
	if no != nil {
		return "", no
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

func askPair(j *judgement) (string, *chain.Refusal) {
	a, b := j.first, j.second
	switch {
	case a.Label != statement.LabelDescriptor || b.Label != statement.LabelDescriptor:
		return "", chain.Refuse(ErrWrongPair.Code, "a %s and a %s, not two descriptors", a.Label, b.Label)
	case a.Node != b.Node:
		return "", chain.Refuse(ErrWrongPair.Code, "of two nodes, %s and %s", a.Node, b.Node)
	case a.Sequence != b.Sequence:
		return "", chain.Refuse(ErrWrongPair.Code, "of two sequences, %d and %d", a.Sequence, b.Sequence)
	}
	return fmt.Sprintf("two descriptors of node %s with sequence %d (epoch %d, number %d)",
		a.Node, a.Sequence, a.Sequence.Epoch(), a.Sequence.Counter()), nil
}

func askFork(j *judgement) (string, *chain.Refusal) {
	p := j.proof
	if j.first.Fork != p.Fork || j.second.Fork != p.Fork || p.Header.Header.Fork != p.Fork {
		return "", chain.Refuse(ErrWrongFork.Code, "the proof is of fork %d, the statements of %d and %d, the header of %d",
			p.Fork, j.first.Fork, j.second.Fork, p.Header.Header.Fork)
	}
	if p.Header.Header.Genesis != p.Genesis {
		return "", chain.Refuse(ErrForeignNetwork.Code, "the proof is of genesis %s, its header of %s", p.Genesis, p.Header.Header.Genesis)
	}
	return fmt.Sprintf("statements and header are of fork %d", p.Fork), nil
}

func askContent(j *judgement) (string, *chain.Refusal) {
	if bytes.Equal(j.first.Body, j.second.Body) {
		return "", chain.Refuse(ErrSameContent.Code, "the statements differ only in their signatures")
	}
	return fmt.Sprintf("they differ: contents %s and %s", chain.SHA256(j.first.Body), chain.SHA256(j.second.Body)), nil
}

func askEpoch(j *judgement) (string, *chain.Refusal) {
	offence, list := j.first.Sequence.Epoch(), j.proof.Header.Header.DirEpoch
	// offence is below 2^44, so that neither sum wraps around
	if offence > 0 && list < offence-1 || list > offence+ListLag {
		return "", chain.Refuse(ErrWrongEpoch.Code, "the list of epoch %d says nothing of an offence of epoch %d; use one of epoch %d to %d",
			list, offence, max(offence, 1)-1, offence+ListLag)
	}
	return fmt.Sprintf("offence of epoch %d, list of epoch %d", offence, list), nil
}

func askEntry(j *judgement) (string, *chain.Refusal) {
	m := j.proof.Entry
	if m.Node != j.first.Node {
		return "", chain.Refuse(ErrNotListed.Code, "the entry is of %s, the statements of %s", m.Node, j.first.Node)
	}
	listed, err := m.Verify(j.proof.Header.Header)
	switch {
	case errors.Is(err, directory.ErrMalformed):
		return "", chain.Refuse(ErrMalformed.Code, "entry: %v", err)
	case err != nil:
		return "", chain.Refuse(ErrNotListed.Code, "the entry does not stand in the header's list: %v", err)
	case !listed:
		return "", chain.Refuse(ErrNotListed.Code, "the carried path shows that the node is not in the list")
	}
	return fmt.Sprintf("the node is entry %d of %d, of operator %s", m.Places[0].Index+1, m.Places[0].Count, m.Entries[0].Operator), nil
}

func askSignatures(j *judgement) (string, *chain.Refusal) {
	d := statement.Domain{Genesis: j.proof.Genesis, Fork: j.proof.Fork}
	for i, s := range []statement.Statement{j.first, j.second} {
		if err := s.Verify(d); err != nil {
			return "", chain.Refuse(ErrBadSignature.Code, "%s statement: %v", [...]string{"first", "second"}[i], err)
		}
	}
	return "the node's key signed both", nil
}

func askHeader(j *judgement) (string, *chain.Refusal) {
	h := j.proof.Header
	if err := j.anchor.CheckHeader(h); err != nil {
		return "", chain.Refuse(ErrBadHeader.Code, "height %d: %v", h.Header.Height, err)
	}
	return fmt.Sprintf("header %s at height %d is this network's", h.Header.Hash(), h.Header.Height), nil
}

// PunishableUntil is the last instant at which o can be punished: the end of
// its epoch plus the evidence age.
func PunishableUntil(o Offence, core genesis.Core) chain.Time {
	p := core.Params
	after := uint64(o.Epoch) + 1
	if after == 0 { // a header may name any epoch
		return chain.Time(^uint64(0))
	}
	hi, span := bits.Mul64(after, uint64(p.EpochLength))
	t := uint64(core.Time)
	for _, add := range []uint64{span, uint64(p.EvidenceAge)} {
		var carry uint64
		t, carry = bits.Add64(t, add, 0)
		hi |= carry
	}
	if hi != 0 {
		return chain.Time(^uint64(0))
	}
	return chain.Time(t)
}
