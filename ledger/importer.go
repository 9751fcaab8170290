package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/machine"
)

// ErrBlock means that a block to import is not valid here.
var ErrBlock = errors.New("ledger: invalid block")

// importAhead is how many blocks are decoded and have their signatures
// recovered while an earlier one is applied and written.
const importAhead = 2

type prepared struct {
	block chain.Block
	txs   []machine.Prepared
	err   error
}

// Import executes and stores blocks (canonical encodings) that follow the head,
// as a copy of a ledger does, and returns how many it took. Seals, headers and
// every transaction are verified. Signatures of the next block are recovered
// while one is applied and synced.
func (l *Ledger) Import(ctx context.Context, blocks iter.Seq2[[]byte, error]) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ahead := make(chan prepared, importAhead)
	go func() {
		defer close(ahead)
		for b, err := range blocks {
			p := prepared{err: err}
			if err == nil {
				p = l.prepare(b)
			}
			select {
			case ahead <- p:
			case <-ctx.Done():
				return
			}
			if p.err != nil {
				return
			}
		}
	}()
	n := 0
	for p := range ahead {
		if p.err != nil {
			return n, fmt.Errorf("import block: %w", p.err)
		}
		if err := l.importOne(ctx, p); err != nil {
			return n, fmt.Errorf("import block %d: %w", p.block.Header.Height, err)
		}
		n++
	}
	return n, ctx.Err()
}

// prepare does what needs no state.
func (l *Ledger) prepare(b []byte) prepared {
	blk, err := chain.DecodeBlock(b)
	if err != nil {
		return prepared{err: fmt.Errorf("%w: %w", ErrBlock, err)}
	}
	if err := machine.VerifySeal(l.core, l.domain, blk.SealedHeader); err != nil {
		return prepared{err: fmt.Errorf("%w: height %d: %w", ErrBlock, blk.Header.Height, err)}
	}
	return prepared{block: blk, txs: l.intake.PrepareAll(blk.Txs)}
}

func (l *Ledger) importOne(ctx context.Context, p prepared) error {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.halted != nil {
		return l.halted
	}
	if l.core.Engine == genesis.EngineComet {
		if err := l.machine.VerifyNext(p.block.SealedHeader); err != nil {
			return fmt.Errorf("%w: %w", ErrBlock, err)
		}
	}
	out, err := l.machine.Replay(p.block.Header, p.txs)
	switch {
	case errors.Is(err, machine.ErrInput):
		return fmt.Errorf("%w: %w", ErrBlock, err)
	case errors.Is(err, machine.ErrMismatch):
		// The machine went astray with it: go back to what is stored.
		m, lerr := l.reload()
		if lerr != nil {
			return l.halt(errors.Join(err, lerr))
		}
		l.machine = m
		return fmt.Errorf("%w: %w", ErrBlock, err)
	case err != nil:
		return l.halt(err)
	}
	if err := l.store(p.block, &out); err != nil {
		return err
	}
	l.signed = p.block.Header.Height
	if l.tip == nil { // else the pool is settled already
		l.pool.settle(p.block.Header.Height, p.txs, nil, nil, l.nonce)
	}
	l.show(p.block.SealedHeader, &out, p.txs)
	return nil
}

func (l *Ledger) reload() (*machine.Machine, error) {
	if l.head.Header.Height == 0 {
		return machine.New(l.cfg.Genesis, l.db)
	}
	return rebuild(l.db, l.cfg.Genesis, l.head.Header)
}
