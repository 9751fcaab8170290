// Package ledger is a running ledger: the state machine of ledger/machine with
// a database under it, a mempool and the embedded sealer beside it. It
// implements docs/spec/chain.md, section Sealing, and docs/spec/state.md,
// sections Database and Former states.
//
// Most callers Open one, Submit transactions, read with Head, Block, Tx, List
// and View, or ViewAt for the state after one of the last blocks, and follow it
// with Subscribe, or block by block with Follow; Outcome says what a block did.
// Dev networks move time with Advance and go back with Snapshot and Revert
// (docs/spec/dev.md).
//
// A block is on stable storage (one synced batch) before anybody sees it: Head,
// subscribers and queries show it only afterwards. After a crash the same block
// is shown again, and no height of a fork is ever sealed twice. At Open the chain of
// headers, their seals and the state are verified against each other.
package ledger

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger/machine"
)

// Mode says when the embedded sealer seals. A block, empty if need be, opens
// every epoch in all modes but manual.
type Mode string

// The modes.
const (
	ModeAuto     Mode = "auto"     // as soon as something waits, all of it in one block
	ModeInterval Mode = "interval" // every block interval of genesis
	ModeMixed    Mode = "mixed"    // auto, and every block interval
	ModeManual   Mode = "manual"   // by Seal and Advance alone
)

var (
	// ErrConfig means that a Config cannot be used.
	ErrConfig = errors.New("ledger: configuration")
	// ErrCorrupt means that the database is not what was written.
	ErrCorrupt = errors.New("ledger: database corrupt")
	// ErrGenesis means that the database belongs to another network.
	ErrGenesis = errors.New("ledger: database of another network")
	// ErrNotFound means that there is no such block, transaction or list.
	ErrNotFound = errors.New("ledger: not found")
	// ErrNotKept means that the state after an old block is not kept any more.
	ErrNotKept = errors.New("ledger: state not kept")
	// ErrHalted means that a write failed: nothing is accepted or sealed any more.
	ErrHalted = errors.New("ledger: halted")
	// ErrNotDev means that a control of dev networks was asked for elsewhere.
	ErrNotDev = errors.New("ledger: not a dev network")
	// ErrSnapshot means that a snapshot cannot be taken under this name.
	ErrSnapshot = errors.New("ledger: snapshot refused")
	// ErrNoSealer means that this ledger has no key to seal with.
	ErrNoSealer = errors.New("ledger: no sealer key")
)

// Config is what a ledger needs.
type Config struct {
	Dir       string             // the database's folder, made if missing; empty: in memory
	Genesis   genesis.Genesis    // must be the one that the folder was made with
	SealerKey ed25519.PrivateKey // among the genesis' sealers; nil: blocks come by Import alone
	Mode      Mode               // default auto
	Clock     *Clock             // default: the machine's
	Pool      PoolLimits         // default: DefaultPoolLimits
	// KeepStates is for how many blocks back ViewAt finds the state: default
	// DefaultKeepStates, at most MaxKeepStates. Each block then leaves what undoes
	// it on disk (in memory without Dir), about as much as it changed, and the
	// directory of an epoch stays for as long as the state of one of its blocks.
	KeepStates int
	Logger     *slog.Logger // default: discards
	// Sealed is for metrics: called after each block that this ledger sealed, from
	// the sealer; must not block.
	Sealed func(h chain.Header, took time.Duration)
	Hook   func(point string) // for crash tests: called at before-batch, after-batch, after-publish, before-revert, after-revert, before-decide, after-decide, after-settle
}

// Barrier is called by Advance after each block, with its height, so that
// relays can answer what it says; and after all others where the clock stands
// still and the mode is not manual. It must not wait for a transaction to enter a
// block: what it submits is sealed after it returns.
type Barrier func(ctx context.Context, h chain.Height) error

// Ledger is a running ledger. Its methods are safe for concurrent use.
type Ledger struct {
	cfg    Config
	log    *slog.Logger
	core   genesis.Core
	domain [32]byte // genesis hash
	intake *machine.Intake
	clock  *Clock
	self   chain.NodeID // of the sealer key
	db     *store

	sealing sync.Mutex // held while a block is made and stored; before mu

	// mu guards what follows. Writers also hold sealing.
	mu      sync.RWMutex
	machine *machine.Machine
	head    chain.SealedHeader
	signed  chain.Height // highest that this process has signed or found sealed
	halted  error
	forkAt  chain.Height   // of the present fork's first block; 0 where there was no revert
	reverts []chain.Height // of each revert of this process: the new fork's first block

	restored chain.Height // of the snapshot that the ledger has begun from in this process; 0: none

	pool   *pool
	feed   feed
	states states
	traces traces
	tip    *tip // on an engine that decides blocks elsewhere; nil: this ledger seals or imports

	wake      chan struct{} // the pool has got something
	driving   sync.Mutex    // held by Advance: the loop does not seal meanwhile
	barrierMu sync.Mutex
	barrier   Barrier
	reverting func()

	stop context.CancelFunc
	done chan struct{}
}

// Open opens or creates a ledger, verifies it, and starts its sealer. It
// returns ErrCorrupt, ErrGenesis, or durable.ErrLocked where another process
// has the folder.
func Open(ctx context.Context, cfg Config) (*Ledger, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	hash := cfg.Genesis.Hash()
	l := &Ledger{
		cfg: cfg, log: cfg.Logger, core: cfg.Genesis.Core, domain: hash,
		intake: machine.NewIntake(cfg.Genesis.ChainID, hash),
		clock:  cfg.Clock, pool: newPool(cfg.Pool),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	l.feed.init()
	l.states.init()
	if cfg.SealerKey != nil {
		l.self = chain.NodeID(cfg.SealerKey.Public().(ed25519.PublicKey))
		if !slices.Contains(cfg.Genesis.Sealers, l.self) {
			return nil, fmt.Errorf("%w: key %s is not among the genesis' sealers", ErrConfig, l.self.Short())
		}
	}
	db, err := openStore(cfg.Dir)
	if err != nil {
		return nil, err
	}
	l.db, db.keep = db, chain.Height(cfg.KeepStates)
	if db.torn > 0 {
		l.log.Warn("cut off a write that a crash left unfinished; nothing acknowledged was in it", "bytes", db.torn)
	}
	if db.cleared {
		l.log.Warn("threw away a snapshot that was not restored to the end")
	}
	if err := l.load(ctx); err != nil {
		db.close()
		return nil, err
	}
	if l.clock.Movable() {
		if err := l.clock.Set(l.head.Header.Time); err != nil {
			db.close()
			return nil, fmt.Errorf("open ledger: %w", err)
		}
	}
	l.signed = l.head.Header.Height
	if err := l.takeWaiting(); err != nil {
		db.close()
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	if cfg.SealerKey != nil && cfg.Mode != ModeManual && l.due() {
		if _, err := l.seal(ctx); err != nil {
			db.close()
			return nil, fmt.Errorf("open ledger: %w", err)
		}
	}
	// The loop ends with Close, not with the context of Open.
	loop, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	go l.run(loop)
	return l, nil
}

func (c *Config) complete() error {
	if c.Mode == "" {
		c.Mode = ModeAuto
	}
	switch c.Mode {
	case ModeAuto, ModeInterval, ModeMixed, ModeManual:
	default:
		return fmt.Errorf("%w: mode %q; use auto, interval, mixed or manual", ErrConfig, c.Mode)
	}
	if c.Clock == nil {
		c.Clock = NewRealClock()
	}
	if c.Clock.Movable() && c.Genesis.Clock != genesis.ClockLedger {
		return fmt.Errorf("%w: a clock that can be moved needs a genesis with clock: ledger", ErrConfig)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Pool == (PoolLimits{}) {
		c.Pool = DefaultPoolLimits
	}
	if c.KeepStates == 0 {
		c.KeepStates = DefaultKeepStates
	}
	if c.KeepStates < 1 || c.KeepStates > MaxKeepStates {
		return fmt.Errorf("%w: %d states to keep; 1 to %d", ErrConfig, c.KeepStates, MaxKeepStates)
	}
	if c.Sealed == nil {
		c.Sealed = func(chain.Header, time.Duration) {}
	}
	if c.Hook == nil {
		c.Hook = func(string) {}
	}
	if err := c.Genesis.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return nil
}

// Close stops the sealer and closes the database. What waits in the mempool is lost.
func (l *Ledger) Close() error {
	l.stop()
	<-l.done
	l.sealing.Lock()
	defer l.sealing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.halted == nil {
		l.halted = fmt.Errorf("%w: closed", ErrHalted)
	}
	l.feed.close()
	return l.db.close()
}

// SetBarrier sets what Advance calls after each block; nil for nothing.
func (l *Ledger) SetBarrier(b Barrier) {
	l.barrierMu.Lock()
	l.barrier = b
	l.barrierMu.Unlock()
}

// SetReverting sets what is called when a revert is on stable storage and not
// shown yet: heights up to the head will come again. It must not call the ledger.
func (l *Ledger) SetReverting(f func()) {
	l.barrierMu.Lock()
	l.reverting = f
	l.barrierMu.Unlock()
}

// Err is why the ledger halted, nil while it runs.
func (l *Ledger) Err() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.halted
}

// Submit checks a transaction's canonical bytes and puts it into the mempool.
// A refusal is a *chain.Refusal. Its id is returned also where it waits already.
func (l *Ledger) Submit(ctx context.Context, tx []byte) (chain.Hash, error) {
	if err := ctx.Err(); err != nil {
		return chain.Hash{}, err
	}
	if len(tx) > chain.MaxTx {
		return chain.Hash{}, chain.Refuse(machine.CodeMalformed, "%d bytes, at most %d", len(tx), chain.MaxTx)
	}
	if id := chain.SHA256(tx); l.pool.has(id) {
		return id, nil // before its signature costs anything
	}
	p := l.intake.Prepare(slices.Clone(tx))
	if err := l.submit(&p); err != nil {
		return p.ID, err
	}
	l.nudge()
	return p.ID, l.gossip(ctx, p.Bytes)
}

// nudge lets the sealer's loop look whether something is due.
func (l *Ledger) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Ledger) submit(p *machine.Prepared) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.halted != nil {
		return l.halted
	}
	if l.pool.has(p.ID) {
		return nil
	}
	m := l.newest()
	if err := m.CheckTx(p, l.clock.Now()); err != nil {
		return err
	}
	return l.pool.add(p, m.Account(p.Sender))
}

// Publish submits a node's statement (its canonical encoding).
func (l *Ledger) Publish(ctx context.Context, statement []byte) (chain.Hash, error) {
	return l.Submit(ctx, chain.Tx{Kind: chain.KindPublish, Payload: statement}.Encode())
}

// Domain is what account transactions of this network are signed under.
func (l *Ledger) Domain() chain.Domain { return chain.NewDomain(l.core.ChainID, l.domain) }

// Statements is what nodes' statements are signed under now.
func (l *Ledger) Statements() statement.Domain {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return statement.Domain{Genesis: l.domain, Fork: l.machine.Fork()}
}

// Core is the network's genesis without its allocations.
func (l *Ledger) Core() genesis.Core { return l.core }

// Genesis is the network's genesis.
func (l *Ledger) Genesis() genesis.Genesis { return l.cfg.Genesis }

// Clock is the clock that the sealer goes by.
func (l *Ledger) Clock() *Clock { return l.clock }
