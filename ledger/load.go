package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/merkle"
	"tunic/internal/table"
	"tunic/ledger/light"
	"tunic/ledger/machine"
)

// load verifies what the database holds and makes the machine of its head, or
// begins a new database.
func (l *Ledger) load(ctx context.Context) error {
	stored, err := l.db.genesis()
	if errors.Is(err, ErrNotFound) {
		return l.begin()
	}
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	if got := stored.Hash(); got != l.domain {
		return fmt.Errorf("%w: it is of genesis %s, not %s; name another folder or that genesis", ErrGenesis, chain.Hash(got), chain.Hash(l.domain))
	}
	head, err := verifyChain(ctx, l.db, stored)
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	if head.Header.Height == 0 {
		return l.begin()
	}
	stale, err := l.db.findUndo(head.Header.Height)
	if err == nil && stale {
		l.log.Warn("former states are forgotten: blocks were added without what undoes them")
		err = l.db.dropUndo()
	}
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	m, err := rebuild(l.db, stored, head.Header)
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	if head.Seal == ([64]byte{}) {
		if head, err = l.resume(head.Header); err != nil {
			return fmt.Errorf("open ledger: %w", err)
		}
	}
	l.machine, l.head = m, head
	if l.forkAt, err = l.db.forkAt(head.Header); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	l.log.Info("ledger opened", "height", head.Header.Height, "epoch", head.Header.DirEpoch, "hash", head.Header.Hash())
	return nil
}

// resume seals the head that a crash left without: the same bytes again, since
// Ed25519 signatures are deterministic.
func (l *Ledger) resume(head chain.Header) (chain.SealedHeader, error) {
	if l.cfg.SealerKey == nil || l.self != head.Proposer {
		return chain.SealedHeader{}, fmt.Errorf("%w: block %d is stored and not sealed yet; open it once with its sealer's key", ErrNoSealer, head.Height)
	}
	s := light.Seal(l.cfg.SealerKey, head)
	return s, l.db.putSeal(head.Height, s.Seal)
}

func (l *Ledger) begin() error {
	m, err := machine.New(l.cfg.Genesis, l.db)
	if err != nil {
		return err
	}
	if err := l.db.putGenesis(l.cfg.Genesis, m); err != nil {
		return err
	}
	l.machine, l.head = m, chain.SealedHeader{Header: m.Head()}
	return nil
}

// rebuild makes the machine of a verified head from the stored rows.
func rebuild(db *store, g genesis.Genesis, head chain.Header) (*machine.Machine, error) {
	rows, err := db.rows()
	if err != nil {
		return nil, err
	}
	return assemble(db, g, head, rows, db)
}

// assemble makes the machine of a header from its rows and the stored list of its
// epoch.
func assemble(db *store, g genesis.Genesis, head chain.Header, rows [machine.Parts][]table.Row, index machine.HeaderIndex) (m *machine.Machine, err error) {
	list := machine.EmptyList()
	if head.DirEpoch > 0 {
		list, _, err = db.list(head.DirEpoch)
		if errors.Is(err, ErrNotFound) {
			err = corrupt("the list of epoch %d is missing", head.DirEpoch)
		}
		if err != nil {
			return nil, err
		}
	}
	m, err = machine.Load(g.Core, g.Hash(), head, rows, list, index)
	if err != nil {
		return nil, corrupt("%v", err)
	}
	return m, nil
}

// verifyChain reads all blocks and holds each against the one before: heights
// without gap, parents, times, seals by genesis' sealers, transaction roots. It
// returns the last. Seals are checked on all cores.
func verifyChain(ctx context.Context, db *store, g genesis.Genesis) (chain.SealedHeader, error) {
	height, want, err := db.head()
	if err != nil || height == 0 {
		return chain.SealedHeader{}, err
	}
	seals := newSealChecker(g)
	defer seals.wait()
	parent, before := g.Hash(), g.Time
	var last chain.SealedHeader
	if db.first > height+1 {
		return chain.SealedHeader{}, corrupt("the first whole block is said to be %d, the head is %d", db.first, height)
	}
	for h := chain.Height(1); h <= height; h++ {
		if err := ctx.Err(); err != nil {
			return last, err
		}
		b, err := chainLink(db, h)
		if errors.Is(err, ErrNotFound) {
			return last, corrupt("block %d is missing, the head is %d", h, height)
		}
		if err != nil {
			return last, err
		}
		if b.Header.Parent != parent || b.Header.Genesis != g.Hash() || b.Header.Time < before {
			return last, corrupt("block %d does not follow block %d", h, h-1)
		}
		if h >= db.first && (int(b.Header.TxCount) != len(b.Txs) || txRoot(b.Txs) != b.Header.TxRoot) {
			return last, corrupt("block %d does not hold the transactions that its header commits to", h)
		}
		if h < db.first && h+1 != db.first {
			// A header alone: the chain is all that is known of it.
		} else if h < height || b.Seal != ([64]byte{}) { // the head may wait for its seal: see resume
			seals.check(b.SealedHeader)
		}
		last, parent, before = b.SealedHeader, b.Header.Hash(), b.Header.Time
	}
	if parent != want {
		return last, corrupt("the head's block has hash %s, not %s", parent, want)
	}
	if bad := seals.wait(); bad != 0 {
		return last, corrupt("the seal of block %d is not valid", bad)
	}
	return last, nil
}

// chainLink is the block at h or, where it is not whole, its header.
func chainLink(db *store, h chain.Height) (chain.Block, error) {
	if h >= db.first {
		return db.block(h)
	}
	s, err := db.prunedHeader(h)
	return chain.Block{SealedHeader: s}, err
}

func txRoot(txs [][]byte) chain.Hash {
	leaves := make([]merkle.Hash, len(txs))
	for i, tx := range txs {
		leaves[i] = merkle.Leaf(tx)
	}
	return merkle.Root(leaves)
}

// sealChecker verifies seals in the background and keeps the lowest bad height.
type sealChecker struct {
	in   chan chain.SealedHeader
	wg   sync.WaitGroup
	once sync.Once
	mu   sync.Mutex
	bad  chain.Height
}

func newSealChecker(g genesis.Genesis) *sealChecker {
	c := &sealChecker{in: make(chan chain.SealedHeader, 64)}
	hash := g.Hash()
	for range runtime.GOMAXPROCS(0) {
		c.wg.Go(func() {
			for s := range c.in {
				if machine.VerifySeal(g.Core, hash, s) != nil {
					c.mu.Lock()
					if c.bad == 0 || s.Header.Height < c.bad {
						c.bad = s.Header.Height
					}
					c.mu.Unlock()
				}
			}
		})
	}
	return c
}

func (c *sealChecker) check(s chain.SealedHeader) { c.in <- s }

func (c *sealChecker) wait() chain.Height {
	c.once.Do(func() { close(c.in) })
	c.wg.Wait()
	return c.bad
}
