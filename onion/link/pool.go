package link

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tunic/chain"
)

// Resolver says where a node listens, false for one that the directory does
// not list. It is called from several goroutines.
type Resolver func(chain.NodeID) (endpoint string, ok bool)

// PoolConfig configures a Pool. Zero fields take the defaults in parentheses.
type PoolConfig struct {
	// Self is the node's own identity; zero for a client.
	Self chain.NodeID

	// OnOpen runs once for every new link, before any of its frames arrive and
	// before frames that wait for the peer leave: what it sends comes first.
	OnOpen func(*Link)
	// OnFrame gets every frame of a link in order, on that link's goroutine;
	// while it runs the link is not read. Frame.Data is valid until it returns.
	OnFrame func(*Link, Frame)
	// OnClose runs once after the last OnFrame of a link.
	OnClose func(*Link)
	// OnLost runs when frames that waited for a link to a peer are given up,
	// because it cannot be opened.
	OnLost func(chain.NodeID)

	// IdleTimeout closes a link that this side dialed when no frame went either
	// way for so long, or up to a quarter longer (2 min). AcceptIdleTimeout does
	// so for accepted links, whose dialer should have closed them (10 min).
	IdleTimeout, AcceptIdleTimeout time.Duration

	// MaxLinks bounds the open links (4096): where there are so many, a new one
	// with a node that the resolver knows takes the place of the quietest such.
	// MaxAnonymous bounds those among them from clients and from other nodes
	// (1024).
	MaxLinks, MaxAnonymous int
	// AnonymousRate is how many frames a second an anonymous link may send
	// (50), AnonymousBurst how many at once (200). What exceeds it is dropped;
	// a link that is MaxExcess frames over it is closed (1000).
	AnonymousRate             rate.Limit
	AnonymousBurst, MaxExcess int

	// PuzzleAbove asks new anonymous links for a puzzle while there are more
	// of them than this (half of MaxAnonymous; negative: never). PuzzleBits is
	// how hard it is (18, at most MaxPuzzleBits), PuzzleTimeout how long the
	// answer may take (15 s).
	PuzzleAbove   int
	PuzzleBits    int
	PuzzleTimeout time.Duration

	// MaxPeers bounds the peers with a link, waiting frames or a recent failure
	// (4096); Pending the frames that wait for one peer's link to open (64; no
	// more than a link's queue takes);
	// PendingTotal those for all peers together (2048).
	MaxPeers, Pending, PendingTotal int

	// MaxDials bounds the dials under way (64), DialTimeout each of them (10 s).
	MaxDials    int
	DialTimeout time.Duration
	// GiveUp is how long frames wait for a peer that does not answer (15 s).
	GiveUp time.Duration
	// BackoffMin and BackoffMax bound the pause after a failure, which doubles
	// each time and is shortened at random by up to half (250 ms, 1 min). A
	// link that breaks within MinUptime counts as a failure (10 s).
	BackoffMin, BackoffMax, MinUptime time.Duration

	// Stats receives the counts; nil for counts of its own.
	Stats *Stats
}

// DefaultPool are the bounds that a PoolConfig without them has.
func DefaultPool() PoolConfig { return PoolConfig{}.withDefaults() }

func (c PoolConfig) withDefaults() PoolConfig {
	num := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	dur := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	dur(&c.IdleTimeout, 2*time.Minute)
	dur(&c.AcceptIdleTimeout, 10*time.Minute)
	num(&c.MaxLinks, 4096)
	num(&c.MaxAnonymous, 1024)
	if c.AnonymousRate <= 0 {
		c.AnonymousRate = 50
	}
	num(&c.AnonymousBurst, 200)
	num(&c.MaxExcess, 1000)
	if c.PuzzleAbove == 0 {
		c.PuzzleAbove = c.MaxAnonymous / 2
	}
	num(&c.PuzzleBits, 18)
	c.PuzzleBits = min(c.PuzzleBits, MaxPuzzleBits)
	dur(&c.PuzzleTimeout, 15*time.Second)
	num(&c.MaxPeers, 4096)
	num(&c.Pending, 64)
	num(&c.PendingTotal, 2048)
	num(&c.MaxDials, 64)
	dur(&c.DialTimeout, 10*time.Second)
	dur(&c.GiveUp, 15*time.Second)
	dur(&c.BackoffMin, 250*time.Millisecond)
	dur(&c.BackoffMax, time.Minute)
	dur(&c.MinUptime, 10*time.Second)
	if c.OnOpen == nil {
		c.OnOpen = func(*Link) {}
	}
	if c.OnFrame == nil {
		c.OnFrame = func(*Link, Frame) {}
	}
	if c.OnClose == nil {
		c.OnClose = func(*Link) {}
	}
	if c.OnLost == nil {
		c.OnLost = func(chain.NodeID) {}
	}
	if c.Stats == nil {
		c.Stats = new(Stats)
	}
	return c
}

// Pool manages the links of one node or client.
type Pool struct {
	transport Transport
	resolve   Resolver
	cfg       PoolConfig
	dials     chan struct{} // a token for each dial under way
	ctx       context.Context
	stop      context.CancelFunc
	wg        sync.WaitGroup

	mu        sync.RWMutex
	closed    bool
	peers     map[chain.NodeID]*peer
	links     map[*Link]struct{}
	anonymous int // among links
	leaving   int // among links, to make room for others
	serial    uint64
	pending   int // frames, over all peers
	listeners map[Listener]struct{}
}

// NewPool returns a pool that dials over t. Close it to end its goroutines.
func NewPool(t Transport, r Resolver, cfg PoolConfig) *Pool {
	cfg = cfg.withDefaults()
	p := &Pool{
		transport: t,
		resolve:   r,
		cfg:       cfg,
		dials:     make(chan struct{}, cfg.MaxDials),
		peers:     make(map[chain.NodeID]*peer),
		links:     make(map[*Link]struct{}),
		listeners: make(map[Listener]struct{}),
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.wg.Add(1)
	go p.sweep()
	return p
}

// Stats are the pool's counts.
func (p *Pool) Stats() *Stats { return p.cfg.Stats }

// Count is how many links are open, and how many of them are anonymous.
func (p *Pool) Count() (links, anonymous int) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.links), p.anonymous
}

// Send queues f for the node id, on an open link if there is one; otherwise f
// waits, bounded, for a link that is opened in the background. It never waits
// itself and copies f. Errors, each of which means that f is lost and counted:
// ErrQueueFull, ErrNoEndpoint, ErrUnreachable, ErrLimit, ErrFrame, ErrClosed.
// Frames to one peer may change order when the link in use changes.
func (p *Pool) Send(id chain.NodeID, f Frame) error {
	if l := p.inUse(id); l != nil {
		err := l.send(f)
		if !errors.Is(err, ErrClosed) {
			return err
		}
		p.detach(l) // its reader is about to find out
	}
	endpoint, ok := p.resolve(id)
	p.mu.Lock()
	defer p.mu.Unlock()
	pe := p.peers[id]
	switch {
	case p.closed:
		return p.refuse(Unsent, ErrClosed)
	case pe != nil && pe.inUse != nil:
		return pe.inUse.Send(f)
	case !ok:
		return p.refuse(NoEndpoint, ErrNoEndpoint)
	case len(f.Data) > MaxBodySize:
		return p.refuse(BadFrame, ErrFrame)
	case pe == nil && len(p.peers) >= p.cfg.MaxPeers:
		return p.refuse(QueueFull, ErrLimit)
	case pe != nil && pe.down && time.Now().Before(pe.retryAt):
		return p.refuse(DialFailed, ErrUnreachable)
	case pe != nil && len(pe.pending) >= p.cfg.Pending || p.pending >= p.cfg.PendingTotal:
		return p.refuse(QueueFull, ErrQueueFull)
	}
	if pe == nil {
		pe = &peer{id: id}
		p.peers[id] = pe
	}
	pe.pending = append(pe.pending, Frame{f.Type, append([]byte(nil), f.Data...)})
	p.pending++
	if !pe.dialing {
		pe.dialing = true
		p.wg.Add(1)
		go p.dial(pe, endpoint)
	}
	return nil
}

// Connected reports whether a link to the node id is open.
func (p *Pool) Connected(id chain.NodeID) bool { return p.inUse(id) != nil }

// Pending is how many frames wait for a link to open.
func (p *Pool) Pending() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.pending
}

// Links are the open links, in no particular order, for what goes to every
// peer.
func (p *Pool) Links() []*Link {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := make([]*Link, 0, len(p.links))
	for l := range p.links {
		out = append(out, l)
	}
	return out
}

// Disconnect closes the links of the node id and drops what waits for it, for
// a node that the directory has removed. It does not keep id from dialing again.
func (p *Pool) Disconnect(id chain.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	for l := range p.links {
		if l.known && l.peer == id {
			p.closeLink(l)
		}
	}
	if pe := p.peers[id]; pe != nil {
		p.dropPending(pe, Unsent)
	}
}

func (p *Pool) inUse(id chain.NodeID) *Link {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if pe := p.peers[id]; pe != nil {
		return pe.inUse
	}
	return nil
}

func (p *Pool) refuse(r Reason, err error) error {
	p.cfg.Stats.drop(r, 1)
	return fmt.Errorf("send frame: %w", err)
}

// Serve accepts the links of l until ctx ends, l closes or the pool does; it
// closes l and returns nil then, and ErrClosed where the pool was closed before.
// It may run for several listeners.
func (p *Pool) Serve(ctx context.Context, l Listener) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		l.Close()
		return ErrClosed
	}
	p.listeners[l] = struct{}{}
	p.wg.Add(1)
	p.mu.Unlock()
	defer p.wg.Done()

	// The listener's goroutines have ended when Serve returns.
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { l.Close(); close(ended) })
	defer func() {
		if stop() {
			l.Close()
		} else {
			<-ended
		}
		p.mu.Lock()
		delete(p.listeners, l)
		p.mu.Unlock()
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			return nil
		}
		p.accept(c)
	}
}

// Close closes the listeners being served and all links, drops what waits, and
// returns when every goroutine of the pool has ended. It must not be called
// from a hook.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.stop()
	for l := range p.listeners {
		p.wg.Add(1)
		go func() { defer p.wg.Done(); l.Close() }()
	}
	for l := range p.links {
		p.closeLink(l)
	}
	p.mu.Unlock()
	p.wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cfg.Stats.drop(Unsent, p.pending)
	p.pending = 0
	return nil
}

// closeLink closes l without waiting for it. Called with mu held.
func (p *Pool) closeLink(l *Link) {
	p.wg.Add(1)
	go func() { defer p.wg.Done(); l.Close() }()
}
