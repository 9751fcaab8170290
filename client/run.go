package client

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"

	"tunic/chain"
	"tunic/internal/flaw"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/registry/path"
)

// Client is one account at work in one network. Its methods may be called from
// any goroutine.
type Client struct {
	cfg      Config
	flaws    flaw.Set // in tests alone
	log      *slog.Logger
	rand     io.Reader
	geometry onion.Geometry
	format   mail.Format
	parts    parts
	store    *store
	limit    *rate.Limiter
	// One for each packet that may leave, and of these for each of the poll clock;
	// pollNext asks it for its next. Nil without cover.
	turns, pollTurns, pollNext chan struct{}
	pollsReady                 atomic.Int32 // polls of the clock that wait for their turn
	// greetings bounds the work that guards' greetings can make.
	greetings *rate.Limiter

	refreshing sync.Mutex // held while the view is made
	view       atomic.Pointer[view]
	ready      chan struct{} // closed when the bundle is at a member
	readyOne   sync.Once
	relisted   chan struct{} // capacity 1: the list changed
	wake       chan struct{} // capacity 1: something may be due

	// Set by Run before anything uses them.
	running atomic.Bool
	pool    *link.Pool
	token   onion.Token
	stop    context.CancelCauseFunc
	wg      sync.WaitGroup

	headsMu sync.Mutex
	heads   map[headKey]chain.SealedHeader

	waitMu sync.Mutex
	waits  map[onion.SURBID]*waiting

	mu sync.Mutex // guards what follows, and the order of commits
	state
	strikes    path.Strikes
	lastAnswer time.Time                // when something was answered last
	silent     map[chain.NodeID]silence // guards
	spurned    map[chain.NodeID]bool    // guards that are avoided for their silence
	conducts   map[chain.NodeID]conduct // members
	busy       map[mail.AccountID]bool
	pairs      map[pairName]pairBox       // the mailboxes that were read last: to derive one takes two keys
	told       map[chain.NodeID]int       // how many bundles a member said that it has to hand out once
	dry        map[chain.NodeID]time.Time // members that did not answer to such a bundle, until when they are left alone
	tried      map[seenKey]bool           // contact requests that were worked on
	unsettled  int                        // times in a row that no member said what is published of the account
	looked     chain.Time                 // when one did
	sweep      chain.Time                 // when sessions and prekeys are looked through next
	hearing    hearing
	erasing    int           // deletions under way
	changed    chan struct{} // closed and replaced at every change
	subs       map[chan Event]struct{}
	halted     error
	broken     error // of the store: nothing may leave any more
}

// New opens the account's state. A client that was halted stays so: ErrTwoHeads.
func New(cfg Config) (*Client, error) { return newClient(cfg, flaw.Set{}) }

func newClient(cfg Config, flaws flaw.Set) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("new client: %w", err)
	}
	c := &Client{
		cfg: cfg, flaws: flaws, log: cfg.Logger, rand: &lockedReader{r: cfg.Rand},
		geometry: onion.Geometry(0x10 | cfg.Core.Params.Geometry),
		format:   mail.FormatOf(onion.Geometry(0x10 | cfg.Core.Params.Geometry)),
		limit:    rate.NewLimiter(rate.Limit(cfg.Rate), sendBurst), greetings: rate.NewLimiter(1, 16),
		ready: make(chan struct{}), relisted: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		heads: map[headKey]chain.SealedHeader{}, waits: map[onion.SURBID]*waiting{},
		state: newState(), strikes: path.Strikes{}, silent: map[chain.NodeID]silence{}, spurned: map[chain.NodeID]bool{},
		conducts: map[chain.NodeID]conduct{}, busy: map[mail.AccountID]bool{},
		told: map[chain.NodeID]int{}, dry: map[chain.NodeID]time.Time{}, tried: map[seenKey]bool{},
		changed: make(chan struct{}), subs: map[chan Event]struct{}{},
		stop: func(error) {},
	}
	c.parts = partsOf(c.format)
	s, rows, err := openStore(cfg.Dir, cfg.Account.storage, cfg.Genesis, c.rand)
	if err != nil {
		return nil, fmt.Errorf("new client: %w", err)
	}
	c.store = s
	if cfg.covered() {
		c.turns, c.pollTurns, c.pollNext = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	}
	if err = c.load(rows); err == nil {
		err = haltedBefore(c.meta)
	}
	if err != nil {
		_ = s.close()
		return nil, fmt.Errorf("new client: %w", err)
	}
	return c, nil
}

func (cfg *Config) check() error {
	p := &cfg.Core.Params
	geometry := onion.Geometry(0x10 | p.Geometry)
	if cfg.Hops == 0 {
		cfg.Hops = path.DefaultHops
	}
	switch {
	case cfg.Account == nil || cfg.Ledger == nil || cfg.Transport == nil:
		return fmt.Errorf("%w: account, ledger and transport are required", ErrConfig)
	case geometry.PayloadSize() == 0:
		return fmt.Errorf("%w: packet geometry %d", ErrConfig, p.Geometry)
	case cfg.Hops < 2 || cfg.Hops > path.MaxHops:
		return fmt.Errorf("%w: %d hops, 2 to %d", ErrConfig, cfg.Hops, path.MaxHops)
	case len(cfg.Note) > MaxNote || !utf8.ValidString(cfg.Note):
		return fmt.Errorf("%w: the note has more than %d bytes or is not UTF-8", ErrConfig, MaxNote)
	case cfg.Poll < 0 || cfg.Timeout < 0 || cfg.Resend < 0 || cfg.Compare < 0 || cfg.Pace < 0:
		return fmt.Errorf("%w: a negative duration", ErrConfig)
	}
	if err := cfg.Core.Validate(); err != nil {
		return err
	}
	quick := cfg.Core.Dev
	pick := func(d *time.Duration, dev, real time.Duration) {
		if *d == 0 && quick {
			*d = dev
		} else if *d == 0 {
			*d = real
		}
	}
	pick(&cfg.Timeout, 3*time.Second, 3*time.Second)
	pick(&cfg.Resend, 10*time.Second, 5*time.Minute)
	pick(&cfg.Pace, 50*time.Millisecond, DefaultPace)
	if cfg.covered() { // packets leave all the time: polls among them cost no more than loops
		cfg.Poll = max(cfg.Poll, pollsApart*cfg.Pace)
	}
	pick(&cfg.Poll, 300*time.Millisecond, 10*time.Second)
	if cfg.Compare == 0 {
		cfg.Compare = time.Duration(p.EpochLength) * time.Millisecond / 2
	}
	if cfg.Rate <= 0 {
		cfg.Rate = 40
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// lockedReader makes one source of randomness serve several goroutines.
type lockedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *lockedReader) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return io.ReadFull(l.r, b)
}

// Polls is the mean time between two polls.
func (c *Client) Polls() time.Duration { return c.cfg.Poll }

// ID is the account.
func (c *Client) ID() mail.AccountID { return c.cfg.Account.id }

// Run connects, publishes the bundle, sends what waits and polls, until ctx
// ends (nil) or the client has to stop: *TwoHeadsError, or an error of the
// store. It can be called once.
func (c *Client) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return fmt.Errorf("run client: %w: it ran already", ErrConfig)
	}
	if _, err := io.ReadFull(c.rand, c.token[:]); err != nil {
		return fmt.Errorf("run client: read randomness: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	c.mu.Lock()
	c.stop = stop
	c.pool = c.newPool()
	c.hearing.since = time.Now()
	if err := cmp.Or(c.halted, c.broken); err != nil {
		stop(err) // halted, or the store failed, before there was a Run to end
	}
	c.mu.Unlock()
	c.wg.Go(func() { c.watch(ctx) })
	c.wg.Go(func() { c.publish(ctx) })
	c.wg.Go(func() { c.stock(ctx) })
	c.wg.Go(func() { c.pollClock(ctx) })
	c.wg.Go(func() { c.askHeads(ctx) })
	if c.turns != nil {
		c.wg.Go(func() { c.sendClock(ctx) })
	}
	c.dispatch(ctx)
	c.wg.Wait()
	c.pool.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.subs {
		close(s)
		delete(c.subs, s)
	}
	c.changedLocked()
	switch {
	case c.halted != nil:
		return c.halted
	case c.broken != nil:
		return c.broken
	}
	return nil
}

// Close closes the state. Run must have returned.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		c.broken = fmt.Errorf("%w: closed", ErrNotRunning)
		c.changedLocked()
	}
	return c.store.close()
}

// Ready waits until the client has a directory and its bundle is at a member, or it is
// known that a later state of the account is at work elsewhere.
func (c *Client) Ready(ctx context.Context) error {
	for {
		c.mu.Lock()
		err, changed := errors.Join(c.halted, c.broken), c.changed
		c.mu.Unlock()
		if err != nil {
			return err
		}
		select {
		case <-c.ready:
			return nil
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for the network: %w", ctx.Err())
		}
	}
}

func (c *Client) published() { c.readyOne.Do(func() { close(c.ready) }) }

// Halted is the reason why the client has stopped for good, nil if it has not.
func (c *Client) Halted() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.halted
}

// Flush waits until every message has left for a member and every
// confirmation and deletion is done, so that the program may end. For messages to
// accounts of which nothing is published it does not wait: that may take days.
func (c *Client) Flush(ctx context.Context) error {
	for {
		c.mu.Lock()
		waiting := len(c.deletes)
		for _, o := range c.out {
			if s := State(o.State); (s == Queued || s == Sent) && o.Reason != string(waitBundle) && !c.overdueLocked(o) {
				waiting++
			}
		}
		err, changed := errors.Join(c.halted, c.broken), c.changed
		c.mu.Unlock()
		if waiting == 0 || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d things have not left yet: %w", waiting, ctx.Err())
		}
	}
}

// Guard is the relay through which the client enters the network, if it has
// chosen one.
func (c *Client) Guard() (chain.NodeID, bool) {
	v := c.view.Load()
	if v == nil {
		return chain.NodeID{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.meta.Guards.Current(v.picker, c.strikes, c.nowAt(v))
}

// Online reports whether the client has a directory and a link to its guard, and
// the guard is not silent.
func (c *Client) Online() bool {
	guard, ok := c.Guard()
	if !ok {
		return false
	}
	c.mu.Lock()
	pool, silent := c.pool, c.silent[guard].misses > 0
	c.mu.Unlock()
	return pool != nil && !silent && pool.Connected(guard)
}

// dispatch starts what is due, until ctx ends.
func (c *Client) dispatch(ctx context.Context) {
	workers := make(chan struct{}, 8)
	for {
		next := c.start(ctx, workers)
		t := time.NewTimer(max(time.Until(next), time.Millisecond))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-c.wake:
			t.Stop()
		case <-t.C:
		}
	}
}

// start hands due work to free workers: at most one for each contact.
func (c *Client) start(ctx context.Context, workers chan struct{}) (next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	due, next := c.dueLocked(now)
	if c.view.Load() == nil {
		return now.Add(time.Minute) // listChanged wakes us
	}
	run := func(f func(), done func()) bool {
		select {
		case workers <- struct{}{}:
		default:
			return false // whoever ends wakes us
		}
		c.wg.Go(func() {
			defer func() {
				c.mu.Lock()
				done()
				c.mu.Unlock()
				<-workers
				c.wakeUp()
			}()
			f()
		})
		return true
	}
	for to, list := range due {
		if c.busy[to] {
			continue
		}
		c.busy[to] = run(func() { c.serve(ctx, to, list) }, func() { delete(c.busy, to) })
	}
	for _, d := range c.deletes {
		switch {
		case d.due.After(now):
			if d.due.Before(next) {
				next = d.due
			}
		case c.erasing < 4:
			d.due = now.Add(time.Hour) // until it is done
			c.erasing++
			if !run(func() { c.deleteItem(ctx, d) }, func() { c.erasing-- }) {
				c.erasing--
				d.due = now
			}
		}
	}
	return next
}

// saveLocked writes rows, all or none. After a failure nothing may leave any
// more: memory is ahead of the disk, and a session's next state must be on disk
// before what it sealed is seen. So it lasts, Run ends with it, and whoever
// waits is told.
func (c *Client) saveLocked(rows ...row) error {
	if c.broken != nil || len(rows) == 0 {
		return c.broken
	}
	if err := c.store.commit(rows...); err != nil {
		c.broken = err
		c.log.Error("cannot write the state", "err", err)
		c.changedLocked()
		c.stop(err)
		return err
	}
	return nil
}

// persistLocked is saveLocked for what nobody waits for: Run reports its failure.
func (c *Client) persistLocked(rows ...row) { _ = c.saveLocked(rows...) }

func (c *Client) changedLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Client) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
