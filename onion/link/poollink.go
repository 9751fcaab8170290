package link

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"tunic/chain"
)

// Link is an open link of a Pool.
type Link struct {
	// Data is what the pool's owner keeps with the link: set in OnOpen, read in
	// hooks.
	Data any

	pool      *Pool
	conn      Conn
	peer      chain.NodeID
	known     bool // peer has proven an identity
	dialed    bool
	opened    time.Time
	anonymous bool   // counts against the limits for clients; guarded by pool.mu
	serial    uint64 // counts the pool's links, so that a newer one has a larger one

	ours    atomic.Bool   // this side closed it
	frames  atomic.Uint64 // both ways
	dropped atomic.Uint64

	// Set by the pool's sweep, under pool.mu.
	seen  uint64
	quiet time.Duration

	// Owned by the link's goroutine.
	limiter *rate.Limiter // nil for a known node
	excess  int
	gate    *gate // nil once admitted
	asked   bool  // was sent a challenge and admitted without its answer
	solved  bool  // has answered a challenge
}

// Peer is the identity that the other side has proven; false for a client.
func (l *Link) Peer() (chain.NodeID, bool) { return l.peer, l.known }

// Anonymous reports whether the limits for clients hold for what arrives on this
// link. It may be called by OnOpen and OnFrame alone, and change between two
// frames, when the directory has come to list the peer.
func (l *Link) Anonymous() bool { return l.limiter != nil }

// Dialed reports whether this side opened the link.
func (l *Link) Dialed() bool { return l.dialed }

// Dropped is how many frames were lost on this link, in either direction,
// because a queue was full or a limit exceeded.
func (l *Link) Dropped() uint64 { return l.dropped.Load() }

// Send queues f on this link; see Conn.Send. It is how a guard answers a
// client, and what OnOpen uses.
func (l *Link) Send(f Frame) error {
	err := l.send(f)
	if errors.Is(err, ErrClosed) {
		l.pool.cfg.Stats.drop(Unsent, 1)
	}
	return err
}

// send leaves ErrClosed uncounted, for the pool has another try.
func (l *Link) send(f Frame) error {
	err := l.conn.Send(f)
	switch {
	case err == nil:
		l.frames.Add(1)
		l.pool.cfg.Stats.framesOut.Add(1)
	case errors.Is(err, ErrQueueFull):
		l.drop(QueueFull)
	case errors.Is(err, ErrFrame):
		l.pool.cfg.Stats.drop(BadFrame, 1)
	}
	return err
}

// Close closes the link.
func (l *Link) Close() error {
	l.ours.Store(true)
	return l.conn.Close()
}

func (l *Link) drop(r Reason) {
	l.dropped.Add(1)
	l.pool.cfg.Stats.drop(r, 1)
}

// quietFor is how long no frame has passed, in steps of period. Counting steps
// spares a look at the clock for every frame.
func (l *Link) quietFor(period time.Duration) time.Duration {
	if n := l.frames.Load(); n != l.seen {
		l.seen, l.quiet = n, 0
	} else {
		l.quiet += period
	}
	return l.quiet
}

// accept takes over a connection from a listener, or refuses it.
func (p *Pool) accept(c Conn) {
	l, err := p.add(c, false)
	if err != nil {
		p.wg.Add(1) // Serve holds the group open
		go func() { defer p.wg.Done(); c.Close() }()
		return
	}
	go func() {
		defer p.wg.Done()
		p.run(l)
	}()
}

// add registers a link if the limits allow it. For an accepted link it also
// adds to the wait group.
func (p *Pool) add(c Conn, dialed bool) (*Link, error) {
	id, known := c.Peer()
	anonymous := false
	if !dialed {
		// An identity proves nothing but itself: whoever the directory does
		// not list is a client like any other.
		listed := false
		if known {
			_, listed = p.resolve(id)
		}
		anonymous = !listed
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	full := len(p.links) >= p.cfg.MaxLinks
	if full && known && !anonymous && p.leaving < displacing {
		full = !p.displace()
	}
	if full || anonymous && p.anonymous >= p.cfg.MaxAnonymous {
		p.cfg.Stats.drop(OverLimit, 1)
		return nil, ErrLimit
	}
	l := &Link{pool: p, conn: c, peer: id, known: known, dialed: dialed, anonymous: anonymous, opened: time.Now()}
	p.serial++
	l.serial = p.serial
	if anonymous {
		p.anonymous++
		l.limiter = rate.NewLimiter(p.cfg.AnonymousRate, p.cfg.AnonymousBurst)
		if p.cfg.PuzzleAbove >= 0 && p.anonymous > p.cfg.PuzzleAbove {
			l.gate = newGate(p.cfg.Self, p.cfg.PuzzleBits)
		}
	}
	p.links[l] = struct{}{}
	if !dialed {
		p.wg.Add(1)
	}
	p.cfg.Stats.opened.Add(1)
	return l, nil
}

// displacing is how many links may be closing at once to make room for others.
// So many may be open beyond MaxLinks for the moment that it takes.
const displacing = 16

// displace closes the link with a listed node on which nothing has passed for
// longest, and reports whether there is one. Called with mu held.
func (p *Pool) displace() bool {
	var quietest *Link
	for l := range p.links {
		if l.anonymous || l.ours.Load() || quietest != nil && !l.quieter(quietest) {
			continue
		}
		quietest = l
	}
	if quietest == nil {
		return false
	}
	quietest.ours.Store(true)
	p.leaving++
	p.wg.Go(func() {
		quietest.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.leaving--
	})
	return true
}

// quieter reports whether l is the one of two links to give up: nothing has
// passed on it for longer, or else it is the older. Called with the pool's mu
// held.
func (l *Link) quieter(than *Link) bool {
	a, b := l.stillQuiet(), than.stillQuiet()
	if a != b {
		return a > b
	}
	return l.serial < than.serial
}

// stillQuiet is what the last sweep found, or -1 where a frame has passed since.
func (l *Link) stillQuiet() time.Duration {
	if l.frames.Load() != l.seen {
		return -1
	}
	return l.quiet
}

// run lives as long as the link.
func (p *Pool) run(l *Link) {
	if l.gate != nil {
		_ = l.Send(l.gate.challenge()) // who does not get it is closed by the timer
		t := time.AfterFunc(p.cfg.PuzzleTimeout, func() { l.Close() })
		l.gate.timer = t
		defer t.Stop()
	}
	p.cfg.OnOpen(l)
	p.attach(l)
	l.read()
	if l.gate != nil {
		p.cfg.Stats.drop(Unadmitted, len(l.gate.held))
	}
	l.conn.Close()
	p.detach(l)
	p.mu.Lock()
	delete(p.links, l)
	if l.anonymous {
		p.anonymous--
	}
	p.mu.Unlock()
	p.cfg.Stats.closed.Add(1)
	p.cfg.OnClose(l)
}

// A link over its rate is not read for a while each time that so many frames
// were dropped: its sender has to wait, and decrypting what is thrown away does
// not cost what other links need.
const (
	excessRead  = 8
	excessPause = 10 * time.Millisecond
)

func (l *Link) read() {
	ctx, stats := context.Background(), l.pool.cfg.Stats
	for {
		f, err := l.conn.Recv(ctx)
		if err != nil {
			if errors.Is(err, ErrFrame) {
				stats.drop(BadFrame, 1)
			}
			return
		}
		l.frames.Add(1)
		stats.framesIn.Add(1)
		switch {
		case f.Type == challenge || f.Type == answer:
			if !l.puzzle(f) {
				stats.drop(BadFrame, 1)
				return
			}
		case !l.within() && !l.promote():
			l.drop(RateLimited)
			if l.excess > l.pool.cfg.MaxExcess {
				stats.drop(OverLimit, 1)
				return
			}
			if l.excess%excessRead == 0 {
				time.Sleep(excessPause)
			}
		case l.gate != nil && !l.promote():
			if !l.gate.hold(f) {
				l.drop(Unadmitted)
			}
		default:
			l.pool.cfg.OnFrame(l, f)
		}
	}
}

// promote lifts the limits of a node that the directory has come to list since
// its link opened, as happens when two nodes enter an epoch one after the other.
func (l *Link) promote() bool {
	if !l.known {
		return false
	}
	if _, listed := l.pool.resolve(l.peer); !listed {
		return false
	}
	l.limiter = nil
	if l.gate != nil {
		l.asked = true
		l.admit()
	}
	l.pool.mu.Lock()
	defer l.pool.mu.Unlock()
	if l.anonymous {
		l.anonymous = false
		l.pool.anonymous--
	}
	return true
}

// within reports whether the link keeps to its rate. excess grows with every
// frame over it and shrinks with every one within.
func (l *Link) within() bool {
	if l.limiter == nil {
		return true
	}
	if l.limiter.Allow() {
		l.excess = max(0, l.excess-1)
		return true
	}
	l.excess++
	return false
}
