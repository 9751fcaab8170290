package api

import (
	"bytes"
	"context"
	"encoding/hex"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/state"
	"tunic/internal/table"
	"tunic/ledger/machine"
)

// prove proves a row of the state, or its absence, against the header of a
// height, the head's where it is nil.
func (s *server) prove(ctx context.Context, height *int64, part state.Part, key []byte) (of chain.SealedHeader, p state.Proof, err error) {
	err = s.at(ctx, height, func(m *machine.Machine, sealed chain.SealedHeader) error {
		if err := provable(sealed); err != nil {
			return err
		}
		of, p = sealed, m.Prove(part, key)
		return nil
	})
	return of, p, err
}

// GetStateProof serves the proof of one row: the sealed header of its height,
// the head's if none is named, then the state proof.
func (s *server) GetStateProof(ctx context.Context, req oas.GetStateProofRequestObject) (oas.GetStateProofResponseObject, error) {
	part, ok := state.ParsePart(string(req.Part))
	key, err := hex.DecodeString(req.Key)
	if !ok || err != nil {
		return nil, field(codeInvalidRequest, "key", "is not a part and a key in hex") // the request was validated: another spelling
	}
	of, p, err := s.prove(ctx, req.Params.Height, part, key)
	if err != nil {
		return nil, err
	}
	b := append(of.Encode(), p.Encode()...)
	return oas.GetStateProof200ApplicationoctetStreamResponse{Body: bytes.NewReader(b), ContentLength: int64(len(b))}, nil
}

// stateProof proves a row, or its absence, against the header of m's head.
func stateProof(m *machine.Machine, head chain.SealedHeader, part machine.Part, key []byte) *oas.StateProof {
	p := m.Prove(part, key)
	out := &oas.StateProof{Header: head.Encode(), Part: part.String(), Key: key, Membership: table.AppendMembership(nil, p.Row)}
	for i, root := range p.Roots {
		out.Parts = append(out.Parts, struct {
			Count int64    `json:"count"`
			Name  string   `json:"name"`
			Root  oas.Hash `json:"root"`
		}{int64(root.Count), machine.Part(i).String(), chain.Hash(root.Root).String()})
	}
	return out
}
