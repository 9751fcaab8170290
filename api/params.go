package api

import (
	"context"
	"net/http"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/httpx"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/ledger/machine"
)

// GetParams serves the parameters in force after a block, the head if none is
// named, and what the council was about to make of them then: as JSON, or as the proof alone in canonical bytes.
func (s *server) GetParams(ctx context.Context, req oas.GetParamsRequestObject) (oas.GetParamsResponseObject, error) {
	form, err := negotiate(requestOf(ctx))
	if err != nil {
		return nil, err
	}
	prove := form == asOctets || req.Params.Proof != nil && *req.Params.Proof
	var out oas.Params
	var octets []byte
	err = s.at(ctx, req.Params.Height, func(m *machine.Machine, of chain.SealedHeader) (err error) {
		if prove {
			if err := provable(of); err != nil {
				return err
			}
		}
		if form == asOctets {
			p := m.Prove(machine.PartParams, light.InForceKey())
			octets = append(wire.AppendBytes(nil, of.Encode()), p.Encode()...)
			return nil
		}
		if out, err = paramsOf(m); prove {
			out.Proof = stateProof(m, of, machine.PartParams, light.InForceKey())
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if form == asJSON {
		if octets, err = httpx.EncodeJSON(out); err != nil {
			return nil, err
		}
	}
	return reply(func(w http.ResponseWriter) error {
		w.Header().Set("Content-Type", form.mediaType())
		w.Header().Add("Vary", "Accept")
		_, err := w.Write(octets)
		return err
	}), nil
}

func paramsOf(m *machine.Machine) (oas.Params, error) {
	core, f := m.Core(), m.InForce()
	values, err := object(f.Params)
	if err != nil {
		return oas.Params{}, err
	}
	out := oas.Params{
		Height: int64(m.Head().Height), Epoch: int64(m.Head().DirEpoch), Number: int64(f.Number), SinceEpoch: int64(f.Since),
		VersionsSinceEpoch: int64(f.VersionsSince), Params: values, Encoding: f.Params.Encode(),
		Council: addresses(core.Council), CouncilMin: int(core.CouncilMin), Approvals: []oas.ParamsChange{},
	}
	if c, ok := m.Scheduled(); ok {
		shown, err := changeOf(f.Params, c, nil)
		if err != nil {
			return out, err
		}
		out.Scheduled = &shown
	}
	for _, a := range m.Approvals() {
		shown, err := changeOf(f.Params, a.Change, a.Members)
		if err != nil {
			return out, err
		}
		out.Approvals = append(out.Approvals, shown)
	}
	return out, nil
}

// changeOf is a change beside the parameters that it would replace.
func changeOf(inForce genesis.Params, c genesis.Change, members []chain.Address) (oas.ParamsChange, error) {
	values, err := object(c.Params)
	return oas.ParamsChange{Hash: c.Hash().String(), Number: int64(c.Number), Epoch: int64(c.Epoch), Params: values,
		Changed: texts(inForce.Diff(c.Params)), Encoding: c.Params.Encode(), ApprovedBy: addresses(members)}, err
}

func addresses(all []chain.Address) []oas.Address {
	out := make([]oas.Address, len(all))
	for i, a := range all {
		out[i] = a.String()
	}
	return out
}
