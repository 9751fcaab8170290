package feed

import (
	"context"
	"fmt"
	"net/http"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/wire"
	"tunic/ledger/light"
)

// Params asks for the parameters in force. They are shown against the sealed
// header that is returned with them.
func (f *Feed) Params(ctx context.Context) (genesis.InForce, chain.SealedHeader, error) {
	var in genesis.InForce
	var at chain.SealedHeader
	err := f.each(ctx, f.order(), f.cfg.Timeout, func(ctx context.Context, s *server) (err error) {
		in, at, err = f.fetchParams(ctx, s)
		if newest, _ := f.Newest(); err == nil && newest.Header.DirEpoch > at.Header.DirEpoch {
			return errBehind
		}
		return err
	})
	if c := f.Conflict(); c != nil {
		err = c
	}
	if err == nil {
		err = f.fresh()
	}
	if err != nil {
		return genesis.InForce{}, chain.SealedHeader{}, err
	}
	return in, at, nil
}

// fetchParams asks one server, and holds the header against the network and the
// parameters against the header.
func (f *Feed) fetchParams(ctx context.Context, s *server) (genesis.InForce, chain.SealedHeader, error) {
	none := genesis.InForce{}
	res, err := s.api.GetParams(ctx, &client.GetParamsParams{}, accepting(octets))
	res, err = answer(res, err, http.StatusOK, octets)
	if err != nil {
		return none, chain.SealedHeader{}, err
	}
	defer res.Body.Close()
	b, err := readAll(res.Body, maxHeader+maxSmall)
	if err != nil {
		return none, chain.SealedHeader{}, err
	}
	r := wire.NewReader(b)
	header := r.Bytes(maxHeader)
	if r.Err() != nil {
		return none, chain.SealedHeader{}, fmt.Errorf("%w: %w", errAnswer, r.Err())
	}
	h, err := chain.DecodeSealedHeader(header)
	if err != nil {
		return none, h, fmt.Errorf("%w: %w", errAnswer, err)
	}
	p, err := light.DecodeStateProof(r.Fixed(r.Len()))
	if err != nil {
		return none, h, err
	}
	if err := f.acceptPast(ctx, s, h); err != nil {
		return none, h, err
	}
	in, err := p.InForce(h.Header.State)
	return in, h, err
}

// proven is what a follower knows of the parameters.
type proven struct {
	params *genesis.InForce // nil: nothing yet
	fork   uint32           // on which they are in force
	told   bool             // an event has carried them
}

// params are the parameters that the event of h has to carry: those in force, if
// no event of its fork has carried them. hint is the number that the server says
// is in force; only where it is above the one that is known is a proof fetched.
// A server that claims a number and cannot show it is not followed.
func (w *follower) params(ctx context.Context, s *server, h chain.Header, hint uint32) (*genesis.InForce, error) {
	if w.known.params == nil || w.known.fork != h.Fork || hint > w.known.params.Number {
		ctx, cancel := context.WithTimeout(ctx, w.feed.cfg.Timeout)
		defer cancel()
		in, at, err := w.feed.fetchParams(ctx, s)
		switch {
		case err != nil:
			return nil, fmt.Errorf("parameters in force: %w", err)
		case at.Header.Fork > h.Fork:
			return nil, nil // a revert came; so will its block
		case at.Header.Fork < h.Fork || at.Header.Height < h.Height:
			return nil, fmt.Errorf("%w: parameters shown against height %d, asked after block %d", errEvent, at.Header.Height, h.Height)
		case in.Number < hint:
			return nil, fmt.Errorf("%w: parameters %d are said to be in force, and %d are", errEvent, hint, in.Number)
		}
		w.known = proven{params: &in, fork: h.Fork}
	}
	if w.known.told || h.DirEpoch < w.known.params.Since {
		return nil, nil
	}
	return w.known.params, nil
}
