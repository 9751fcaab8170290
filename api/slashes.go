package api

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/slashing"
)

func slashOf(r slashing.Record) oas.Slash {
	out := oas.Slash{
		Offence: r.ID.String(), Kind: r.Kind.String(), Basis: oas.SlashBasis(r.Basis), Node: r.Node.String(),
		Operator: r.Operator.String(), Epoch: int64(r.Epoch), Height: int64(r.At), TimeMs: int64(r.Time),
		Stake: amount(r.Stake), Slashed: amount(r.Total), Reward: amount(r.Reward), Burned: amount(r.Burned),
		Reporter: r.Reporter.String(), Losses: []oas.Contribution{},
	}
	for _, l := range r.Losses {
		out.Losses = append(out.Losses, oas.Contribution{Account: l.Account.String(), Amount: amount(l.Amount)})
	}
	return out
}

// ListSlashes pages through the offences punished.
func (s *server) ListSlashes(_ context.Context, req oas.ListSlashesRequestObject) (oas.ListSlashesResponseObject, error) {
	var node string
	if req.Params.Node != nil {
		node = *req.Params.Node
	}
	l, err := list(req.Params.Limit, req.Params.Cursor, "slashes", node)
	if err != nil {
		return nil, err
	}
	var out oas.ListSlashes200JSONResponse
	s.ledger.View(func(m *machine.Machine) {
		all := m.Slashing().All()
		if node != "" {
			all = slices.DeleteFunc(all, func(r slashing.Record) bool { return r.Node.String() != node })
		}
		out.Height = int64(m.Head().Height)
		out.Items, out.NextCursor, out.Total = page(l, m.Head().Height, slices.Values(all),
			func(r slashing.Record) []byte { return r.ID[:] }, slashOf)
	})
	return out, nil
}

// record finds a punished offence.
func (s *server) record(text string) (slashing.Record, error) {
	id, err := chain.ParseHash(text)
	if err != nil {
		return slashing.Record{}, field(codeInvalidRequest, "offence", "is not a hash")
	}
	var (
		r  slashing.Record
		ok bool
	)
	s.ledger.View(func(m *machine.Machine) { r, ok = m.Slashing().Record(id) })
	if !ok {
		return r, notFound(codeOffenceUnknown, "offence "+text+" was not punished")
	}
	return r, nil
}

// GetSlash serves one slash.
func (s *server) GetSlash(_ context.Context, req oas.GetSlashRequestObject) (oas.GetSlashResponseObject, error) {
	r, err := s.record(req.Offence)
	if err != nil {
		return nil, err
	}
	return oas.GetSlash200JSONResponse(slashOf(r)), nil
}

// GetSlashProof serves the proof file behind a slash.
func (s *server) GetSlashProof(_ context.Context, req oas.GetSlashProofRequestObject) (oas.GetSlashProofResponseObject, error) {
	r, err := s.record(req.Offence)
	if err != nil {
		return nil, err
	}
	return oas.GetSlashProof200ApplicationoctetStreamResponse{Body: bytes.NewReader(r.Proof), ContentLength: int64(len(r.Proof))}, nil
}

// JudgeProof judges a proof file as the next block would, step by step, and
// changes nothing.
func (s *server) JudgeProof(_ context.Context, req oas.JudgeProofRequestObject) (oas.JudgeProofResponseObject, error) {
	b, err := readAll(req.Body)
	if err != nil {
		return nil, err
	}
	p, err := slashing.Decode(b)
	if err != nil {
		out := verdict(err)
		addStep(&out, slashing.Step{Name: "canonical", Detail: refusalText(err)})
		return oas.JudgeProof200JSONResponse(out), nil
	}
	var out oas.Verdict
	s.ledger.View(func(m *machine.Machine) {
		steps := slashing.Steps(p, m)
		offence, err := slashing.Verify(p, m)
		if err == nil {
			err = m.CheckProof(p)
			last := slashing.Step{Name: "punishable", OK: err == nil, Detail: "the ledger would punish it now"}
			if err != nil {
				last.Detail = refusalText(err)
			}
			steps = append(steps, last)
			out = verdict(err)
			id, kind, basis, node := offence.ID.String(), offence.Kind.String(), string(offence.Basis), offence.Node.String()
			until := int64(min(slashing.PunishableUntil(offence, m.Core()), 1<<63-1))
			out.Offence, out.Kind, out.Basis, out.Node, out.PunishableUntilMs = &id, &kind, &basis, &node, &until
		} else {
			out = verdict(err)
			kind := p.Kind.String()
			out.Kind = &kind
		}
		for _, st := range steps {
			addStep(&out, st)
		}
	})
	return oas.JudgeProof200JSONResponse(out), nil
}

// verdict is the outcome that an error of a judgement means.
func verdict(err error) oas.Verdict {
	var out oas.Verdict
	out.Verdict = oas.VerdictVerdict(strings.ReplaceAll(slashing.VerdictOf(err).String(), " ", "_"))
	if r := (*chain.Refusal)(nil); errors.As(err, &r) {
		out.Code = &r.Code
	}
	return out
}

func addStep(v *oas.Verdict, st slashing.Step) {
	v.Steps = append(v.Steps, struct {
		Detail *string `json:"detail,omitempty"`
		Name   string  `json:"name"`
		Ok     bool    `json:"ok"`
	}{nonEmpty(clip(st.Detail, maxProblemDetail)), st.Name, st.OK})
}

// refusalText is a refusal's detail without its code.
func refusalText(err error) string {
	if r := (*chain.Refusal)(nil); errors.As(err, &r) && r.Detail != "" {
		return r.Detail
	}
	return err.Error()
}
