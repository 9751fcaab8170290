package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"time"

	"tunic/api/client"
	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/registry/directory"
	"tunic/slashing"
)

// maxHeader bounds a sealed header in bytes.
const maxHeader = chain.MaxSealedHeader

// header fetches a header by height, hash or "latest", and verifies it against
// the network file.
func (r *remote) header(ctx context.Context, block string) (chain.SealedHeader, error) {
	s, err := r.fetchHeader(ctx, block)
	if err == nil {
		_, err = r.verifier(ctx, s)
	}
	return s, err
}

// fetchHeader is header without verifying it.
func (r *remote) fetchHeader(ctx context.Context, block string) (chain.SealedHeader, error) {
	b, err := r.fetch(ctx, "/v1/headers/"+block, maxHeader)
	if err != nil {
		return chain.SealedHeader{}, err
	}
	s, err := chain.DecodeSealedHeader(b)
	if err != nil {
		return s, answer(0, nil, err)
	}
	return s, nil
}

// verifier has the header s verified as news: where validators commit headers it
// asks the ledger for the certificates that lead there.
func (r *remote) verifier(ctx context.Context, s chain.SealedHeader) (*light.Verifier, error) {
	v, err := light.New(r.net)
	if err != nil {
		return nil, err
	}
	return v, r.check(ctx, v, s)
}

// check is CheckHeader of v; of a committed header, with whatever it takes.
func (r *remote) check(ctx context.Context, v *light.Verifier, s chain.SealedHeader) error {
	if r.net.Engine == genesis.EngineComet {
		err := light.Reach(v, s, chain.Time(time.Now().UnixMilli()), r.certificates(ctx))
		if err != nil && !errors.Is(err, light.ErrOld) { // an older one may be of validators that are known
			return verified(err)
		}
	}
	return verified(v.CheckHeader(s))
}

// certificates fetches them.
func (r *remote) certificates(ctx context.Context) light.Fetch {
	return func(h chain.Height) (cometbft.Certificate, error) {
		b, err := r.fetch(ctx, fmt.Sprintf("/v1/chain/certificates/%d", h), chain.MaxCommit)
		if err != nil {
			return cometbft.Certificate{}, err
		}
		c, err := cometbft.DecodeCertificate(b)
		if err != nil {
			return c, answer(0, nil, err)
		}
		return c, nil
	}
}

// judge is an anchor for a proof of whatever age. With a ledger, nil for none, it
// knows the validators of the proof's headers where those of the network file do.
func judgeOf(ctx context.Context, n genesis.Network, r *remote, p slashing.Proof) (*light.Verifier, error) {
	v, err := light.NewJudge(n)
	if err != nil || n.Engine != genesis.EngineComet {
		return v, err
	}
	headers := []chain.SealedHeader{p.Header, p.Params.Header}
	for _, b := range [][]byte{p.First, p.Second} {
		if s, err := chain.DecodeSealedHeader(b); p.Kind == slashing.DoubleSeal && err == nil {
			headers = append(headers, s)
		}
	}
	slices.SortFunc(headers, func(a, b chain.SealedHeader) int { return cmp.Compare(a.Header.Height, b.Header.Height) })
	for _, s := range headers {
		if s.Header.Genesis != n.Genesis || !s.Header.Committed {
			continue // not there, or what the judgement says of it
		}
		if r != nil {
			if err := light.Reach(v, s, s.Header.Time, r.certificates(ctx)); err != nil && v.Conflict() != nil {
				return nil, verified(err)
			}
		}
		if err := v.CheckHeader(s); errors.Is(err, light.ErrValidators) {
			return nil, verified(err)
		}
	}
	return v, nil
}

// verified says what it means that something does not verify.
func verified(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, light.ErrTwoHeads):
		return fail(exitFalse, "two_heads", "the ledger sealed two histories", "%v; trust neither, ask whoever runs the ledger", err)
	case errors.Is(err, light.ErrValidators):
		return fail(exitFailed, "validators_unknown", "cannot be told", "%v", err)
	case errors.Is(err, light.ErrExpired):
		return fail(exitFailed, "checkpoint_needed", "the network file is too old", "%v", err)
	case errors.Is(err, light.ErrNetwork):
		return fail(exitFalse, "foreign_network", "of another network", "%v; get the network file from whoever runs this ledger", err)
	case errors.Is(err, light.ErrSealer), errors.Is(err, light.ErrSeal), errors.Is(err, light.ErrCheckpoint), errors.Is(err, light.ErrHeader),
		errors.Is(err, light.ErrOld), errors.Is(err, light.ErrFuture), errors.Is(err, light.ErrOrder), errors.Is(err, light.ErrFork),
		errors.Is(err, light.ErrProof), errors.Is(err, light.ErrNode), errors.Is(err, directory.ErrRoot), errors.Is(err, directory.ErrEpoch),
		errors.Is(err, directory.ErrMalformed), errors.Is(err, wire.ErrShort), errors.Is(err, wire.ErrTrailing), errors.Is(err, wire.ErrInvalid):
		return fail(exitFalse, "not_verified", "does not verify", "%v", err)
	}
	return err
}

// fed says what an error of a feed means.
func fed(err error) error {
	var p *problem
	var r *chain.Refusal
	var u *url.Error
	switch err = verified(err); {
	case err == nil || errors.As(err, &p):
		return err
	case errors.As(err, &r):
		return fail(exitFailed, r.Code, "the ledger does not have it", "%s", r.Detail)
	case errors.As(err, &u):
		return answer(0, nil, err)
	case errors.As(err, new(*net.OpError)):
		return fail(exitUnreachable, "unreachable", "the ledger is unreachable", "%v; is it running? the network file says where", err)
	case errors.Is(err, feed.ErrStale):
		return fail(exitUnreachable, "stale", "the ledger stands still", "%v", err)
	}
	return fail(exitUnreachable, "unreachable", "no usable answer from the ledger", "%v", err)
}

// list fetches and verifies the directory of an epoch, 0 for the newest.
func (r *remote) list(ctx context.Context, e chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	f, err := r.feed()
	if err != nil {
		return nil, chain.SealedHeader{}, fed(err)
	}
	l, s, err := f.Directory(ctx, e)
	return l, s, fed(err)
}

// asked is the ledger of a network file, which is of this network, and its status.
func (a *app) asked(ctx context.Context, file string) (*remote, *client.Status, error) {
	r, err := a.remote(file)
	if err != nil {
		return nil, nil, err
	}
	s, err := r.status(ctx)
	return r, s, err
}

// status asks the ledger for its status and that it is of this network.
func (r *remote) status(ctx context.Context) (*client.Status, error) {
	res, err := r.api.GetStatusWithResponse(ctx)
	if err != nil {
		return nil, answer(0, nil, err)
	}
	s, err := decoded(res.StatusCode(), res.Body, res.JSON200)
	if err != nil {
		return nil, err
	}
	if got := s.GenesisHash; got != r.net.Genesis.String() {
		return nil, fail(exitFalse, "foreign_network", "of another network",
			"the ledger is of genesis %s, the network file of %s; get the network file from whoever runs this ledger", got, r.net.Genesis)
	}
	return s, nil
}
