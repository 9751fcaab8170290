package api

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/state"
	"tunic/internal/httpx"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/slashing"
)

func slashOf(r slashing.Record) oas.Slash {
	out := oas.Slash{
		Offence: r.ID.String(), Kind: r.Kind.String(), Basis: oas.SlashBasis(r.Basis), Node: r.Node.String(),
		Operator: r.Operator.String(), Epoch: int64(r.Epoch), Height: int64(r.At), TimeMs: int64(r.Time),
		Stake: amount(r.Stake), Slashed: amount(r.Total), Reward: amount(r.Reward), Burned: amount(r.Burned),
		Reporter: r.Reporter.String(),
	}
	out.Losses = lossesOf(r.Slashed)
	if c := r.Correlation; c.Due != 0 {
		out.Correlation = &oas.Correlation{DueMs: int64(c.Due), Bonded: amount(c.Bonded), Before: amount(c.Before)}
		if x := c.Settled; x != nil {
			out.Correlation.Settled = &oas.Settlement{Height: int64(x.At), TimeMs: int64(x.Time), Sum: amount(x.Sum), Stake: amount(x.Stake),
				Slashed: amount(x.Total), FractionPpm: int(c.Fraction()), Losses: lossesOf(x.Slashed)}
		}
	}
	if j := r.Judged; j != nil {
		out.Judged = &oas.Judged{All: texts(j.All.Names()), Any: texts(j.Any.Names()), Score: int(j.Score), Deregistered: j.Deregistered, Votes: j.Votes}
	}
	if c := r.Concluded; c != nil {
		out.Concluded = &oas.Concluded{Fault: c.Fault.String(), Height: int64(c.Height), TimeMs: int64(c.Time), Power: int64(c.Power), Total: int64(c.Total)}
	}
	if r.Kind == slashing.KeyDisclosure {
		if p, err := slashing.Decode(r.Proof); err == nil { // it was taken: it can be read
			o := p.Opening
			out.Disclosed = &oas.Disclosed{Key: oas.DisclosedKey(o.Key.String()), FirstEpoch: int64(o.First), CommittedEpoch: int64(o.Committed)}
		}
	}
	return out
}

func lossesOf(s slashing.Slashed) []oas.Contribution {
	out := []oas.Contribution{}
	for _, l := range s.Losses {
		out = append(out, oas.Contribution{Account: l.Account.String(), Amount: amount(l.Amount)})
	}
	return out
}

// slashOrder is by what a list of offences is ordered, with a minus descending.
type slashOrder string

// key orders records: the id, or the height of the block that punished and then
// the id. Ones' complement of all bytes is the other way round.
func (o slashOrder) key(r slashing.Record) []byte {
	name, descends := strings.CutPrefix(string(o), "-")
	key := make([]byte, 0, 40)
	if name == "height" {
		key = binary.BigEndian.AppendUint64(key, uint64(r.At))
	}
	key = append(key, r.ID[:]...)
	if descends {
		for i := range key {
			key[i] = ^key[i]
		}
	}
	return key
}

// ListSlashes pages through the offences punished.
func (s *server) ListSlashes(ctx context.Context, req oas.ListSlashesRequestObject) (oas.ListSlashesResponseObject, error) {
	node := text(req.Params.Node)
	order := slashOrder("offence") // as the state has them
	if req.Params.Order != nil {
		order = slashOrder(*req.Params.Order)
	}
	l, err := list(req.Params.Limit, req.Params.Cursor, "slashes", node, string(order))
	if err != nil {
		return nil, err
	}
	var out oas.ListSlashes200JSONResponse
	err = s.pinned(ctx, &l, req.Params.Height, func(m *machine.Machine) error {
		all := m.Slashing().All()
		if node != "" {
			all = slices.DeleteFunc(all, func(r slashing.Record) bool { return r.Node.String() != node })
		}
		if order != "offence" {
			slices.SortFunc(all, func(a, b slashing.Record) int { return bytes.Compare(order.key(a), order.key(b)) })
		}
		out.Height = int64(m.Head().Height)
		out.Items, out.NextCursor, out.Total = page(&l, slices.Values(all), order.key, slashOf)
		return nil
	})
	return out, err
}

// record finds an offence punished up to a height, the head where it is nil.
func (s *server) record(ctx context.Context, height *int64, text string) (slashing.Record, error) {
	id, err := chain.ParseHash(text)
	if err != nil {
		return slashing.Record{}, field(codeInvalidRequest, "offence", "is not a hash")
	}
	var r slashing.Record
	err = s.at(ctx, height, func(m *machine.Machine, _ chain.SealedHeader) error {
		var ok bool
		if r, ok = m.Slashing().Record(id); !ok {
			return notFound(codeOffenceUnknown, "offence "+text+" was not punished")
		}
		return nil
	})
	return r, err
}

// GetSlash serves one slash.
func (s *server) GetSlash(ctx context.Context, req oas.GetSlashRequestObject) (oas.GetSlashResponseObject, error) {
	r, err := s.record(ctx, req.Params.Height, req.Offence)
	if err != nil {
		return nil, err
	}
	return oas.GetSlash200JSONResponse(slashOf(r)), nil
}

// GetSlashProof serves the proof file behind a slash. That of what validators
// concluded is kept by those that had the votes. That of a verdict is made of
// its votes, the list of their epoch and the parameters in force now: while the
// list is kept and the parameters are the same.
func (s *server) GetSlashProof(ctx context.Context, req oas.GetSlashProofRequestObject) (oas.GetSlashProofResponseObject, error) {
	r, err := s.record(ctx, nil, req.Offence)
	if err != nil {
		return nil, err
	}
	proof := r.Proof
	switch {
	case r.Judged != nil:
		p, err := s.verdictProof(ctx, r)
		if err != nil {
			return nil, err
		}
		proof = p.Encode()
	case r.Concluded != nil:
		p, err := s.ledger.Proof(r.ID)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil, notFound(codeOffenceUnknown, "validators found it, and this copy of the ledger has no votes that show it; ask a validator's")
		}
		if err != nil {
			return nil, err
		}
		proof = p.Encode()
	}
	return oas.GetSlashProof200ApplicationoctetStreamResponse{Body: bytes.NewReader(proof), ContentLength: int64(len(proof))}, nil
}

func (s *server) verdictProof(ctx context.Context, r slashing.Record) (slashing.Proof, error) {
	list, header, err := s.ledger.List(r.Epoch)
	if err != nil {
		return slashing.Proof{}, explainList(r.Epoch, err)
	}
	head, row, err := s.prove(ctx, nil, state.PartParams, state.ParamsKey())
	if err != nil {
		return slashing.Proof{}, err
	}
	p, err := slashing.AssembleVerdict(r.Node, r.Judged.Votes, header, list, slashing.InForce{Header: head, Proof: row})
	if err != nil {
		return p, notFound(codeOffenceUnknown, "no proof can be made of the record any more: "+refusalText(err))
	}
	return p, nil
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
		offence, steps, err := slashing.Judge(p, m)
		if err == nil {
			err = m.Punishable(offence, p.Fork)
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
	}{nonEmpty(httpx.Clip(st.Detail, maxProblemDetail)), st.Name, st.OK})
}

// refusalText is a refusal's detail without its code.
func refusalText(err error) string {
	if r := (*chain.Refusal)(nil); errors.As(err, &r) && r.Detail != "" {
		return r.Detail
	}
	return err.Error()
}
