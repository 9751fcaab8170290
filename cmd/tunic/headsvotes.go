package main

import (
	"context"
	"fmt"
	"strings"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/chain/state"
	"tunic/slashing"
)

// makeBallots makes the proof that a validator voted for both of two histories, of
// what a client or relay saved when it halted, and of the validator's row in a
// header that a ledger has.
func (a *app) makeBallots(ctx context.Context, net string, n genesis.Network, path string, saved []byte, node string) (slashing.Proof, error) {
	r, err := a.remote(net)
	if err != nil {
		return slashing.Proof{}, err
	}
	two, err := r.histories(ctx, saved)
	if err != nil {
		return slashing.Proof{}, fail(exitMalformed, slashing.ErrMalformed.Code, "no two histories",
			"%s is none of the files that relays and clients save when they halt: %s, two-heads-HEIGHT.txt, two-heads-HEIGHT (%v)", path, feed.ConflictFile, err)
	}
	found := two.Duplicates(cometbft.ChainID(n.Genesis))
	if node != "" {
		kept := found[:0]
		for _, d := range found {
			if strings.HasPrefix(d.Validator.String(), node) {
				kept = append(kept, d)
			}
		}
		found = kept
	}
	switch {
	case len(found) == 0 && node != "":
		return slashing.Proof{}, fail(exitFalse, "no_duplicate", "no such vote", "no validator %s voted for both in one round", node)
	case len(found) == 0:
		return slashing.Proof{}, fail(exitFalse, "no_duplicate", "no vote twice",
			"the two were decided in different rounds or heights: more than a third of the validators broke the rules, and the commits do not show who")
	case len(found) > 1:
		var names []string
		for _, d := range found {
			names = append(names, d.Validator.String())
		}
		return slashing.Proof{}, usage("%d validators voted for both; make a proof of each with --node: %s", len(found), strings.Join(names, ", "))
	}
	at, _ := slashing.SeatHeights(found[0].Height)
	header, row, err := r.stateProof(ctx, state.PartNodes, state.ValidatorKey(found[0].Validator), at)
	if err != nil {
		return slashing.Proof{}, err
	}
	p, err := slashing.AssembleBallots(found[0], header, row)
	return p, (&judgement{err: err}).refused()
}

// histories reads the evidence of two histories in any of the three forms. Those
// without the validators' sets have them from the ledger.
func (r *remote) histories(ctx context.Context, saved []byte) (*cometbft.TwoHeads, error) {
	if two, err := feed.ParseConflict(saved, r.net); err == nil && two.Certificates != nil {
		return two.Certificates, nil
	}
	first, second, ok := readHeads(saved, r.net)
	if !ok {
		return nil, fmt.Errorf("it does not hold two headers")
	}
	var both [2]cometbft.Certificate
	for i, s := range []chain.SealedHeader{first, second} {
		var err error
		if both[i], err = cometbft.Of(s); err != nil {
			return nil, err
		}
		own, err := r.certificate(ctx, both[i].Header.Height)
		if err != nil {
			return nil, err
		}
		if own.Header.ValidatorsHash == both[i].Header.ValidatorsHash {
			both[i].Set = own.Set
		}
	}
	two := &cometbft.TwoHeads{First: both[0], Second: both[1]}
	return two, two.Verify(cometbft.ChainID(r.net.Genesis))
}

// certificate fetches what the validators decided at a height of theirs, unverified.
func (r *remote) certificate(ctx context.Context, h chain.Height) (cometbft.Certificate, error) {
	b, err := r.fetch(ctx, fmt.Sprintf("/v1/chain/certificates/%d", h), maxHeader)
	if err != nil {
		return cometbft.Certificate{}, err
	}
	return cometbft.DecodeCertificate(b)
}
