package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// recovering is the least that a ledger of signed transactions does: of each, it
// recovers the signer of the signature in its last 65 bytes, once, when it first sees
type recovering struct {
	abci.BaseApplication

	mu     sync.Mutex
	known  map[[32]byte]struct{} // of transactions that wait
	height int64
	total  uint64
}

func newRecovering() *recovering { return &recovering{known: map[[32]byte]struct{}{}} }

// signer recovers who signed.
func signer(tx []byte) (who [20]byte, err error) {
	if len(tx) < 66 {
		return who, fmt.Errorf("%d bytes are no signed transaction", len(tx))
	}
	body, sig := tx[:len(tx)-65], tx[len(tx)-65:]
	key, err := crypto.SigToPub(crypto.Keccak256(body), sig)
	if err != nil {
		return who, err
	}
	return crypto.PubkeyToAddress(*key), nil
}

func (a *recovering) Info(context.Context, *abci.RequestInfo) (*abci.ResponseInfo, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return &abci.ResponseInfo{LastBlockHeight: a.height, LastBlockAppHash: a.hash()}, nil
}

func (a *recovering) hash() []byte {
	if a.height == 0 {
		return nil
	}
	h := sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(a.height)), a.total))
	return h[:]
}

func (a *recovering) CheckTx(_ context.Context, r *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	id := sha256.Sum256(r.Tx)
	a.mu.Lock()
	_, waits := a.known[id]
	a.mu.Unlock()
	if waits || r.Type == abci.CheckTxType_Recheck {
		return &abci.ResponseCheckTx{}, nil
	}
	if _, err := signer(r.Tx); err != nil {
		return &abci.ResponseCheckTx{Code: 1}, nil
	}
	a.mu.Lock()
	a.known[id] = struct{}{}
	a.mu.Unlock()
	return &abci.ResponseCheckTx{}, nil
}

func (a *recovering) FinalizeBlock(_ context.Context, r *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	out := &abci.ResponseFinalizeBlock{TxResults: make([]*abci.ExecTxResult, len(r.Txs))}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, tx := range r.Txs {
		out.TxResults[i] = &abci.ExecTxResult{}
		id := sha256.Sum256(tx)
		if _, waits := a.known[id]; waits {
			delete(a.known, id)
		} else if _, err := signer(tx); err != nil {
			out.TxResults[i].Code = 1
			continue
		}
		a.total++
	}
	a.height = r.Height
	out.AppHash = a.hash()
	return out, nil
}
