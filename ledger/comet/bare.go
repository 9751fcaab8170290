package comet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/mempool"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/types"

	"tunic/chain"
)

// StartBare runs an application that is no ledger under the same engine: what a ledger
// is measured against. cfg.Pace and cfg.Key must be given.
func StartBare(ctx context.Context, app abci.Application, chainID string, began time.Time, validators []chain.NodeID, cfg Config) (*Node, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := makeFolders(cfg.Dir); err != nil {
		return nil, fmt.Errorf("start application: %w", err)
	}
	link, err := p2p.LoadOrGenNodeKey(linkFile(cfg.Dir))
	if err != nil {
		return nil, fmt.Errorf("start application: %w", err)
	}
	signer, err := signerOf(cfg)
	if err != nil {
		return nil, fmt.Errorf("start application: %w", err)
	}
	p := types.DefaultConsensusParams()
	p.Block.MaxBytes = maxTxBytes + 1<<20
	doc := &types.GenesisDoc{GenesisTime: began, ChainID: chainID, InitialHeight: 1, ConsensusParams: p}
	for _, v := range validators {
		key := ed25519.PubKey(v[:])
		doc.Validators = append(doc.Validators, types.GenesisValidator{Address: key.Address(), PubKey: key, Power: 1})
	}
	c := engineConfig(cfg)
	dbs, err := openStores(c)
	if err != nil {
		return nil, fmt.Errorf("start application: %w", err)
	}
	n := &Node{ended: make(chan struct{})}
	beside, end := context.WithCancel(context.WithoutCancel(ctx))
	n.end = end
	if err := n.begin(ctx, cfg.Logger, parts{c, app, signer, link, doc, dbs, nil}, func() {}); err != nil {
		end()
		return nil, errors.Join(fmt.Errorf("start application: %w", err), dbs.close())
	}
	n.beside.Go(func() { n.redial(beside, cfg) })
	return n, nil
}

// ErrFull means that CometBFT's mempool takes nothing more now.
var ErrFull = errors.New("comet: the mempool is full")

// Give hands a transaction to CometBFT's mempool, and returns once the application has
// judged it.
func (n *Node) Give(tx []byte) error {
	var code uint32
	err := n.node.Mempool().CheckTx(tx, func(r *abci.ResponseCheckTx) { code = r.Code }, mempool.TxInfo{})
	full := mempool.ErrMempoolIsFull{}
	switch {
	case errors.As(err, &full):
		return ErrFull
	case err != nil:
		return err
	case code != abci.CodeTypeOK:
		return fmt.Errorf("comet: the application refuses it with code %d", code)
	}
	return nil
}

// Blocks calls seen for each block that is decided and committed from now on, in order,
// with its transactions, until ctx ends.
func (n *Node) Blocks(ctx context.Context, seen func(height chain.Height, txs [][]byte)) error {
	const ahead = 1024 // blocks; who is slower is told of no more
	s, err := n.node.EventBus().Subscribe(ctx, "blocks", types.EventQueryNewBlock, ahead)
	if err != nil {
		return err
	}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.Canceled():
				return
			case m := <-s.Out():
				if b, ok := m.Data().(types.EventDataNewBlock); ok {
					seen(chain.Height(b.Block.Height), b.Block.Txs.ToSliceOfBytes())
				}
			}
		}
	}()
	return nil
}
