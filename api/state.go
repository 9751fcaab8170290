package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"net/http"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/state"
	"tunic/ledger/machine"
)

// prove proves a row of the state, or its absence, against the head's header.
func (s *server) prove(part state.Part, key []byte) (head chain.SealedHeader, p state.Proof, err error) {
	for same := false; !same; {
		if head = s.ledger.Head(); head.Header.Height == 0 {
			return head, p, problem(http.StatusServiceUnavailable, codeNoHead, "there is no block yet to prove against").after(retryAfterNoHead)
		}
		s.ledger.View(func(m *machine.Machine) {
			// A block may have come between the two reads.
			if same = m.HeadHash() == head.Header.Hash(); same {
				p = m.Prove(part, key)
			}
		})
	}
	return head, p, nil
}

// GetStateProof serves the proof of one row: the head's sealed header, then the
// state proof.
func (s *server) GetStateProof(_ context.Context, req oas.GetStateProofRequestObject) (oas.GetStateProofResponseObject, error) {
	part, ok := state.ParsePart(string(req.Part))
	key, err := hex.DecodeString(req.Key)
	if !ok || err != nil {
		return nil, field(codeInvalidRequest, "key", "is not a part and a key in hex") // the request was validated: another spelling
	}
	head, p, err := s.prove(part, key)
	if err != nil {
		return nil, err
	}
	b := append(head.Encode(), p.Encode()...)
	return oas.GetStateProof200ApplicationoctetStreamResponse{Body: bytes.NewReader(b), ContentLength: int64(len(b))}, nil
}
