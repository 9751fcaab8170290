package slashing

import (
	"bytes"
	"errors"
	"fmt"
	"math/bits"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/chain/statement"
)

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

// judgement is a proof while it is judged: what the questions so far found out.
type judgement struct {
	proof      Proof
	anchor     Anchor                // nil when only validating
	statements []statement.Statement // of a proof that carries any
	seals      [2]chain.SealedHeader // of a double-seal
	ballots    cometbft.DuplicateVote
	version    string // that a heartbeat declares
	inForce    genesis.InForce
	voters     int // seats with a vote
	promise    statement.Receipt
	lapsed     Challenge
}

// common is asked of every kind, before its own questions.
var common = []question{
	{"canonical", false, askCanonical},
	{"kind", false, askKind},
	{"network", true, askNetwork},
}

// Validate judges the proof by itself, without a network: its form and size, that
// it shows what its kind says, and every signature but the seals of the carried
// headers. Which questions that are stands in docs/spec/slashing.md.
func (p Proof) Validate() error {
	_, err := p.judge(nil, nil)
	return err
}

// Verify asks what Validate asks and, of the anchor, that the proof is of this
// network and its headers of this network's history.
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
	_, steps, _ := Judge(p, a) // the last step says it too
	return steps
}

// Judge is Verify and Steps at once.
func Judge(p Proof, a Anchor) (Offence, []Step, error) {
	var steps []Step
	o, err := p.judge(a, func(s Step) { steps = append(steps, s) })
	return o, steps, err
}

func (p Proof) judge(a Anchor, note func(Step)) (Offence, error) {
	j := &judgement{proof: p, anchor: a}
	ask := common
	if own := p.questions(); own != nil {
		ask = append(ask[:len(ask):len(ask)], own...)
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
	return j.offence(), nil
}

// questions are those of its kind or, of a double-seal, of its form.
func (p *Proof) questions() []question {
	if p.byBallots() {
		return ballotQuestions
	}
	return p.Kind.questions()
}

// questions are those of the kind alone; none for one that is not judged.
func (k Kind) questions() []question {
	if int(k) < len(questions) {
		return questions[k]
	}
	return nil
}

// offence is what the proof shows, once every question is answered.
func (j *judgement) offence() Offence {
	p := j.proof
	c, _ := p.claim() // the questions read it
	o := Offence{ID: p.ID(), Kind: p.Kind, Node: c.node, Epoch: c.epoch, Basis: p.Kind.Basis(),
		ListEpoch: p.Header.Header.DirEpoch, Height: p.Header.Header.Height}
	if len(p.Entry.Entries) == 1 {
		o.Operator = p.Entry.Entries[0].Operator
	}
	switch p.Kind {
	case LostMessage:
		o.Operator = j.lapsed.Operator
	case DoubleSeal:
		o.ListEpoch, o.Height = 0, j.seals[0].Header.Height
		if p.byBallots() {
			o.Height = j.ballots.Height
		}
	case KeyDisclosure:
		o.Commit = p.commitKey()
	}
	return o
}

func askCanonical(j *judgement) (string, *chain.Refusal) {
	b := j.proof.Encode()
	back, err := Decode(b)
	if err != nil {
		var r *chain.Refusal
		errors.As(err, &r)
		return "", r
	}
	if !bytes.Equal(back.full(), j.proof.full()) {
		return "", chain.Refuse(ErrMalformed.Code, "it carries what a proof of %s has not", j.proof.Kind)
	}
	return fmt.Sprintf("%d bytes, version %d", len(b), j.proof.Version), nil
}

func askKind(j *judgement) (string, *chain.Refusal) {
	k := j.proof.Kind
	if k.questions() == nil {
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

// PunishableUntil is the last instant at which o can be punished: the end of
// its epoch plus the evidence age. Of a key-disclosure it is the end of its epoch
// alone: later, nothing shows that the key was known while it was in force.
func PunishableUntil(o Offence, core genesis.Core) chain.Time {
	p := core.Params
	age, less := uint64(p.EvidenceAge), chain.Time(0)
	if o.Kind == KeyDisclosure {
		age, less = 0, 1
	}
	after := uint64(o.Epoch) + 1
	if after == 0 { // a header may name any epoch
		return chain.Time(^uint64(0))
	}
	hi, span := bits.Mul64(after, uint64(p.EpochLength))
	t := uint64(core.Time)
	for _, add := range []uint64{span, age} {
		var carry uint64
		t, carry = bits.Add64(t, add, 0)
		hi |= carry
	}
	if hi != 0 {
		return chain.Time(^uint64(0))
	}
	return chain.Time(t) - less
}
