package ledger

import (
	"context"
	"fmt"

	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/registry/directory"
)

// TxState says where a transaction is.
type TxState string

// The states of a transaction.
const (
	TxPending  TxState = "pending"  // in the mempool
	TxIncluded TxState = "included" // in a block; applied if its code is empty
	TxRefused  TxState = "refused"  // left out of a block and dropped; remembered for a while
)

// TxStatus is where a transaction is and what became of it.
type TxStatus struct {
	ID     chain.Hash
	State  TxState
	Height chain.Height // included: of its block; refused: of the block that left it out
	Index  uint32       // included: place in its block
	Code   string       // why refused; empty: applied or pending
	Detail string       // for people; kept for refused ones alone
	Bytes  []byte       // the canonical encoding; nil for refused ones
}

// Head is the newest sealed header. Before the first block it is a header of
// height 0 without a seal, whose State is that of genesis.
func (l *Ledger) Head() chain.SealedHeader {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.head
}

// Header returns the sealed header at h; ErrPruned below the one before First.
func (l *Ledger) Header(h chain.Height) (chain.SealedHeader, error) {
	l.mu.RLock() // while blocks are read no revert replaces them
	defer l.mu.RUnlock()
	if err := l.within(h); err != nil {
		return chain.SealedHeader{}, err
	}
	return l.sealedHeader(h)
}

// KnownHeader is the header at h, also of a block below First: without a seal, and
// known by the chain of hashes.
func (l *Ledger) KnownHeader(h chain.Height) (chain.Header, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.within(h); err != nil {
		return chain.Header{}, err
	}
	s, err := l.db.header(h)
	return s.Header, err
}

// within refuses heights that have no block; mu is held.
func (l *Ledger) within(h chain.Height) error {
	if head := l.head.Header.Height; h == 0 || h > head {
		return fmt.Errorf("%w: block %d, the head is %d", ErrNotFound, h, head)
	}
	return nil
}

// Block returns the block at h; ErrNotFound above the head and for 0, ErrPruned
// below First.
func (l *Ledger) Block(h chain.Height) (chain.Block, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.block(h)
}

func (l *Ledger) block(h chain.Height) (chain.Block, error) {
	if err := l.within(h); err != nil {
		return chain.Block{}, err
	}
	if err := l.whole(h); err != nil {
		return chain.Block{}, err
	}
	return l.db.block(h)
}

// BlockByHash returns the block whose header has this hash.
func (l *Ledger) BlockByHash(hash chain.Hash) (chain.Block, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	h, err := l.db.heightOf(hash)
	if err != nil {
		return chain.Block{}, err
	}
	return l.block(h)
}

// Results are what became of each transaction of the block at h.
func (l *Ledger) Results(h chain.Height) ([]machine.Result, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.within(h); err != nil {
		return nil, err
	}
	if err := l.whole(h); err != nil {
		return nil, err
	}
	return l.db.results(h)
}

// Tx finds a transaction by its id, in blocks, in the mempool, or among those
// refused lately.
func (l *Ledger) Tx(id chain.Hash) (TxStatus, error) {
	if p, ok := l.pool.get(id); ok {
		return TxStatus{ID: id, State: TxPending, Bytes: p.Bytes}, nil
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	at, err := l.db.tx(id)
	if err == nil && at.height <= l.head.Header.Height {
		b, err := l.db.block(at.height)
		if err != nil {
			return TxStatus{}, err
		}
		if int(at.index) >= len(b.Txs) {
			return TxStatus{}, corrupt("transaction %s is said to stand at %d of block %d", id, at.index, at.height)
		}
		return TxStatus{ID: id, State: TxIncluded, Height: at.height, Index: at.index, Code: at.code, Bytes: b.Txs[at.index]}, nil
	}
	if tx, ok := l.tip.find(id); ok {
		return TxStatus{ID: id, State: TxPending, Bytes: tx}, nil
	}
	if r, ok := l.pool.refusal(id); ok {
		return TxStatus{ID: id, State: TxRefused, Height: r.height, Code: r.why.Code, Detail: r.why.Detail}, nil
	}
	if err == nil {
		err = fmt.Errorf("%w: transaction %s", ErrNotFound, id)
	}
	return TxStatus{}, err
}

// Await waits until a submitted transaction is included or refused.
func (l *Ledger) Await(ctx context.Context, id chain.Hash) (TxStatus, error) {
	for {
		changed := l.feed.changed()
		s, err := l.Tx(id)
		if err != nil || s.State != TxPending {
			return s, err
		}
		if err := l.Err(); err != nil {
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-changed:
		}
	}
}

// Pending are the transactions of the mempool, statements first, then by sender
// and nonce.
func (l *Ledger) Pending() []machine.Prepared { return l.pool.all() }

// Waiting is how many transactions and statements the mempool holds.
func (l *Ledger) Waiting() int { return l.pool.count() }

// NextNonce is the nonce that a's next transaction should carry, those that
// wait included.
func (l *Ledger) NextNonce(a chain.Address) uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.pool.next(a, l.nonce(a))
}

// List returns the frozen directory of an epoch and a sealed header that commits
// to it: the head, or the epoch's first. 0 is the head's epoch. ErrNotFound for an epoch that was
// skipped, has not come, or is more than KeptLists back.
func (l *Ledger) List(e chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	head, list := l.head, l.machine.List()
	if e == 0 || e == head.Header.DirEpoch {
		return list, head, nil
	}
	if e > head.Header.DirEpoch || head.Header.DirEpoch-e >= KeptLists {
		return nil, chain.SealedHeader{}, fmt.Errorf("%w: list of epoch %d, the head's is %d", ErrNotFound, e, head.Header.DirEpoch)
	}
	x, at, err := l.db.list(e)
	if err == nil && at.Header.Height < l.db.first {
		return nil, chain.SealedHeader{}, fmt.Errorf("%w: the block that froze the list of epoch %d", ErrPruned, e)
	}
	return x, at, err
}

// View reads the state after the head. f must not keep the machine, write to
// it, or call the ledger; blocks wait while it runs.
func (l *Ledger) View(f func(*machine.Machine)) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	f(l.machine)
}
