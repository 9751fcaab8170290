package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/internal/httpx"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// maxChanges is how many changes of the validators one answer has.
const maxChanges = 32

func (f reply) VisitGetCertificateResponse(w http.ResponseWriter) error { return f(w) }

// GetCertificate serves the certificate of an engine's height, with both sets.
func (s *server) GetCertificate(ctx context.Context, req oas.GetCertificateRequestObject) (oas.GetCertificateResponseObject, error) {
	form, err := negotiate(requestOf(ctx))
	if err != nil {
		return nil, err
	}
	c, err := s.ledger.Certificate(chain.Height(req.Height))
	switch {
	case errors.Is(err, ledger.ErrEngine):
		return nil, notFound(codeCertificateUnknown, "this network's headers are sealed by the keys in genesis; there are no certificates")
	case err != nil:
		return nil, s.explainMissing(err, codeCertificateUnknown, "there is no certificate of height "+decimal(uint64(req.Height)))
	}
	body := c.Encode()
	if form == asJSON {
		if body, err = httpx.EncodeJSON(certificateOf(&c)); err != nil {
			return nil, err
		}
	}
	tag := `"certificate-` + c.Commit.BlockID.Hash.String()[:32] + "-" + strconv.Itoa(int(form)) + `"`
	return stored{media: []string{form.mediaType()}, plain: tagged(body, tag)}.serve(requestOf(ctx), cacheRevalidate), nil
}

func certificateOf(c *cometbft.Certificate) oas.Certificate {
	out := oas.Certificate{Height: int64(c.Header.Height), Hash: c.Commit.BlockID.Hash.String(), ChainId: c.Header.ChainID,
		TimeMs: int64(c.Header.Time.Millis()), Round: int64(c.Commit.Round), Parent: c.Header.LastBlockID.Hash.String(),
		HeaderHash: c.Header.AppHash.String(), ValidatorsHash: c.Header.ValidatorsHash.String(), NextValidatorsHash: c.Header.NextValidatorsHash.String(),
		Signed: c.Commit.Votes(), NextValidators: nodeIDs(c.Next.Nodes())}
	for i := range c.Set.Len() {
		v, signed := c.Set.At(i), c.Commit.Signatures[i]
		if cometbft.AddressOf(v.Key) == c.Header.ProposerAddress {
			out.Proposer = v.Key.String()
		}
		x := oas.CertifiedVote{Node: v.Key.String(), Power: int64(v.Power), Vote: signed.Flag.String()}
		if signed.Flag != cometbft.FlagAbsent {
			at := int64(signed.Time.Millis())
			x.TimeMs = &at
		}
		out.Validators = append(out.Validators, x)
	}
	return out
}

// ListValidators serves who decides a height, and the changes before it.
func (s *server) ListValidators(_ context.Context, req oas.ListValidatorsRequestObject) (oas.ListValidatorsResponseObject, error) {
	at := s.ledger.Head().Header.Height + 1
	if req.Params.Height != nil {
		at = chain.Height(*req.Params.Height)
	}
	core := s.ledger.Core()
	sets := []ledger.ValidatorSet{{From: 1, Nodes: core.Sealers}}
	if core.Engine == genesis.EngineComet {
		var err error
		sets, err = s.ledger.ValidatorSets(at, maxChanges+1)
		if errors.Is(err, ledger.ErrNotFound) && len(sets) == 0 {
			return nil, notFound(codeHeightUnknown, "who decides height "+decimal(at)+" is not known")
		}
		if err != nil && len(sets) == 0 {
			return nil, err
		}
	} else if at > s.ledger.Head().Header.Height+2 {
		return nil, notFound(codeHeightUnknown, "who seals height "+decimal(at)+" is not known")
	}
	out := oas.ListValidators200JSONResponse{Height: int64(at), Engine: string(core.Engine), From: int64(sets[0].From),
		Validators: []oas.ValidatorBrief{}, Changes: []oas.ValidatorsChange{}}
	s.ledger.View(func(m *machine.Machine) {
		for _, id := range sets[0].Nodes {
			x := oas.ValidatorBrief{Node: id.String()}
			if n, ok := m.Registry().Node(id); ok {
				operator := n.Operator.String()
				x.Operator = &operator
			}
			out.Validators = append(out.Validators, x)
		}
	})
	for i := 1; i < len(sets); i++ {
		now, before := sets[i-1], sets[i]
		out.Changes = append(out.Changes, oas.ValidatorsChange{From: int64(now.From), Count: len(now.Nodes),
			Joined: nodeIDs(without(now.Nodes, before.Nodes)), Left: nodeIDs(without(before.Nodes, now.Nodes))})
	}
	return out, nil
}

// without are those of a that are not in b; both ascend.
func without(a, b []chain.NodeID) []chain.NodeID {
	return slices.DeleteFunc(slices.Clone(a), func(id chain.NodeID) bool {
		_, is := slices.BinarySearchFunc(b, id, func(x, y chain.NodeID) int { return bytes.Compare(x[:], y[:]) })
		return is
	})
}
