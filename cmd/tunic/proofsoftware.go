package main

import (
	"context"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/slashing"
)

// maxSought is how many blocks are looked through for a heartbeat.
const maxSought = 5000

// makeSoftware makes the proof of a heartbeat in a file.
func (a *app) makeSoftware(ctx context.Context, net, file string) (slashing.Proof, error) {
	b, err := readInput(file, slashing.MaxProof)
	if err != nil {
		return slashing.Proof{}, err
	}
	s, err := statement.Decode(b)
	if err != nil {
		return slashing.Proof{}, fail(exitMalformed, slashing.ErrMalformed.Code, "no statement", "%s: %v", file, err)
	}
	r, err := a.remote(net)
	if err != nil {
		return slashing.Proof{}, err
	}
	params, _, err := r.provenParams(ctx)
	if err != nil {
		return slashing.Proof{}, err
	}
	return r.software(ctx, s, params)
}

// findSoftware makes the proof of the newest heartbeat of a node in the blocks
// that declares a version which the parameters in force do not allow.
func (a *app) findSoftware(ctx context.Context, net, node string) (slashing.Proof, error) {
	r, err := a.remote(net)
	if err != nil {
		return slashing.Proof{}, err
	}
	id, err := r.nodeID(ctx, node)
	if err != nil {
		return slashing.Proof{}, err
	}
	params, row, err := r.provenParams(ctx)
	if err != nil {
		return slashing.Proof{}, err
	}
	head := params.Header.Header
	for n := range min(head.Height, maxSought) {
		b, err := r.block(ctx, head.Height-n)
		if err != nil {
			return slashing.Proof{}, err
		}
		if b.Header.DirEpoch < row.VersionsSince {
			break
		}
		for _, tx := range slices.Backward(b.Txs) {
			if s, ok := heartbeatIn(tx); ok && s.Node == id && !allows(row.Params, s) {
				return r.software(ctx, s, params)
			}
		}
	}
	return slashing.Proof{}, fail(exitFailed, "heartbeat_not_found", "no such heartbeat",
		"the last %d blocks hold none of node %s with a version that is not allowed", maxSought, id.Short())
}

// provenParams is the proven row of the parameters in force at the head.
func (r *remote) provenParams(ctx context.Context) (slashing.InForce, genesis.InForce, error) {
	s, p, err := r.stateProof(ctx, state.PartParams, state.ParamsKey(), 0)
	if err != nil {
		return slashing.InForce{}, genesis.InForce{}, err
	}
	row, err := p.InForce(s.Header.State)
	if err != nil {
		return slashing.InForce{}, genesis.InForce{}, verified(err)
	}
	return slashing.InForce{Header: s, Proof: p}, row, nil
}

func (r *remote) software(ctx context.Context, s statement.Statement, params slashing.InForce) (slashing.Proof, error) {
	return r.assemble(ctx, s, func(e chain.Epoch) (slashing.Proof, error) {
		l, h, err := r.list(ctx, e)
		if err != nil {
			return slashing.Proof{}, err
		}
		return slashing.AssembleSoftware(s.Encode(), h, l, params)
	})
}

// block fetches a block, which nothing is believed of.
func (r *remote) block(ctx context.Context, h chain.Height) (chain.Block, error) {
	enc, err := r.fetch(ctx, fmt.Sprintf("/v1/blocks/%d", h), maxBlock)
	if err != nil {
		return chain.Block{}, err
	}
	b, err := chain.DecodeBlock(enc)
	if err != nil {
		return b, answer(0, nil, err)
	}
	return b, nil
}

// heartbeatIn is the heartbeat that a transaction publishes.
func heartbeatIn(raw []byte) (statement.Statement, bool) {
	tx, err := chain.DecodeTx(raw)
	if err != nil || tx.Kind != chain.KindPublish {
		return statement.Statement{}, false
	}
	s, err := statement.Decode(tx.Payload)
	return s, err == nil && s.Label == statement.LabelHeartbeat
}

func allows(p genesis.Params, s statement.Statement) bool {
	h, err := statement.DecodeHeartbeat(s.Body)
	return err != nil || p.Allows(h.Version)
}
