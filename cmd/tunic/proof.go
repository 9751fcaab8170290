package main

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/internal/durable"
	"tunic/slashing"
)

func (a *app) proofCommand() *cobra.Command {
	return noun("proof", "Proofs of offences: files that anyone can judge",
		a.proofVerify(), a.proofShow(), a.txProof("submit FILE"), a.proofGet(), a.proofMake(), a.proofReceipts(), a.proofChallenge(), a.proofChallenges())
}

// step is one question that is asked of a proof.
type step struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// judgement is what `proof verify` and `proof show` print.
type judgement struct {
	Verdict  string         `json:"verdict,omitempty"`
	Code     string         `json:"code,omitempty"`
	Offence  *chain.Hash    `json:"offence,omitempty"`
	Kind     string         `json:"kind,omitempty"`
	Basis    slashing.Basis `json:"basis,omitempty"`
	Node     *chain.NodeID  `json:"node,omitempty"`
	Operator *chain.Address `json:"operator,omitempty"`
	Epoch    chain.Epoch    `json:"epoch,omitempty"`
	Until    chain.Time     `json:"punishable_until_ms,omitempty"`
	Amount   *chain.Amount  `json:"amount,omitempty"` // that was taken, or would be
	Steps    []step         `json:"steps"`

	offence slashing.Offence
	err     error // the refusal that the judgement ended with
}

// add notes an answer; a refusal ends the judgement.
func (j *judgement) add(name, detail string, err error) {
	s := step{Name: name, OK: err == nil, Detail: detail}
	var r *chain.Refusal
	if errors.As(err, &r) {
		s.Code, s.Detail = r.Code, r.Detail
	}
	if err != nil {
		j.err = err
	}
	j.Steps = append(j.Steps, s)
}

// judge asks what can be asked without a ledger and, with a nil anchor, without a
// network.
func judge(p slashing.Proof, anchor slashing.Anchor) *judgement {
	j := &judgement{Steps: []step{}}
	var steps []slashing.Step
	j.offence, steps, j.err = slashing.Judge(p, anchor)
	for _, s := range steps {
		j.Steps = append(j.Steps, step{s.Name, s.OK, s.Code, s.Detail})
	}
	j.Kind, j.Basis = p.Kind.String(), p.Kind.Basis()
	if node, epoch, ok := p.Accused(); ok {
		id := p.ID()
		j.Offence, j.Node, j.Epoch = &id, &node, epoch
	}
	if len(p.Entry.Entries) == 1 {
		j.Operator = &p.Entry.Entries[0].Operator
	}
	if j.err == nil && p.Kind == slashing.LostMessage {
		j.Operator = &j.offence.Operator
	}
	return j
}

func (j *judgement) print(w io.Writer) {
	rows := [][]string{}
	for _, s := range j.Steps {
		mark, detail := "ok", s.Detail
		if !s.OK {
			mark, detail = "NO", strings.TrimPrefix(s.Code+": "+s.Detail, ": ")
		}
		rows = append(rows, []string{mark, s.Name, detail})
	}
	table(w, rows...)
}

// exitOf is the exit code of each verdict.
var exitOf = map[slashing.Verdict]int{
	slashing.Valid: exitDone, slashing.Invalid: exitFalse, slashing.Malformed: exitMalformed,
	slashing.Expired: exitExpired, slashing.AlreadyPunished: exitPunished,
}

// refused is a judgement's refusal as a problem.
func (j *judgement) refused() error {
	if j.err == nil {
		return nil
	}
	v := slashing.VerdictOf(j.err)
	code, detail := v.String(), j.err.Error()
	var r *chain.Refusal
	if errors.As(j.err, &r) {
		code, detail = r.Code, r.Detail
	}
	return fail(exitOf[v], code, "the proof is "+v.String(), "%s", detail)
}

// readProof reads a proof file; what is none is malformed.
func readProof(path string) (slashing.Proof, []byte, error) {
	b, err := readInput(path, slashing.MaxProof)
	if errors.Is(err, durable.ErrTooLarge) {
		err = fail(exitMalformed, slashing.ErrMalformed.Code, "the proof is malformed", "%s has over %d bytes", path, slashing.MaxProof)
	}
	if err != nil {
		return slashing.Proof{}, nil, err
	}
	p, err := slashing.Decode(b)
	if err != nil {
		malformed := (&judgement{err: err}).refused()
		if of := problemOf(malformed); len(b) > 0 && (b[0] == 0 || b[0] == '{') {
			of.Detail += "; lists and proofs of the directory are for `tunic directory verify`"
			malformed = of
		}
		return p, b, malformed
	}
	return p, b, nil
}
