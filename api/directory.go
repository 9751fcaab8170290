package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/ledger"
	"tunic/registry/directory"
)

// epochOf reads an epoch parameter; 0, as none, is the head's epoch.
func epochOf(p *int64) chain.Epoch {
	if p == nil {
		return 0
	}
	return chain.Epoch(*p)
}

// explainList turns the ledger's answer to List into this server's.
func explainList(e chain.Epoch, err error) error {
	if errors.Is(err, ledger.ErrNotFound) {
		return notFound(codeEpochUnknown, fmt.Sprintf("the list of epoch %d is not kept; the last %d are", e, ledger.KeptLists))
	}
	return err
}

// GetDirectory serves the whole list of an epoch.
func (s *server) GetDirectory(ctx context.Context, req oas.GetDirectoryRequestObject) (oas.GetDirectoryResponseObject, error) {
	form, err := negotiate(requestOf(ctx))
	if err != nil {
		return nil, err
	}
	b, err := s.dirs.list(epochOf(req.Params.Epoch), form)
	if err != nil {
		return nil, err
	}
	return b.serve(requestOf(ctx), cacheRevalidate), nil
}

// GetDirectoryDelta serves what changed between two lists.
func (s *server) GetDirectoryDelta(ctx context.Context, req oas.GetDirectoryDeltaRequestObject) (oas.GetDirectoryDeltaResponseObject, error) {
	b, err := s.dirs.delta(chain.Epoch(req.Params.Since), epochOf(req.Params.Epoch))
	if err != nil {
		return nil, err
	}
	return b.serve(requestOf(ctx), cacheRevalidate), nil
}

// GetDirectoryProof proves a node's presence in a list, or its absence.
func (s *server) GetDirectoryProof(_ context.Context, req oas.GetDirectoryProofRequestObject) (oas.GetDirectoryProofResponseObject, error) {
	id, err := nodeID("node", req.Node)
	if err != nil {
		return nil, err
	}
	e := epochOf(req.Params.Epoch)
	l, header, err := s.ledger.List(e)
	if err != nil {
		return nil, explainList(e, err)
	}
	if header.Header.Height == 0 {
		return nil, problem(http.StatusServiceUnavailable, codeNoHead, "there is no block yet").after(retryAfterNoHead)
	}
	out := oas.GetDirectoryProof200JSONResponse{
		Node: id.String(), Epoch: int64(l.Epoch), Header: header.Encode(),
		Membership: directory.AppendMembership(nil, l.Prove(id)),
		Removed:    slices.Contains(header.Header.Removals, id),
	}
	if entry, ok := l.Find(id); ok {
		shown := entryOf(entry)
		out.Listed, out.Entry = true, &shown
	}
	return out, nil
}
