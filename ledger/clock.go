package ledger

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"tunic/chain"
)

// ErrClock means that a clock cannot be moved as asked.
var ErrClock = errors.New("ledger: clock cannot be moved")

// Clock tells the sealer the time. It is the machine's clock, the machine's
// clock with an offset, or stands still until it is moved. Safe for concurrent use.
type Clock struct {
	real  bool
	still bool

	mu      sync.Mutex
	offset  time.Duration // where not still
	at      chain.Time    // where still
	changed chan struct{} // closed and replaced when the clock is moved
}

// NewRealClock is the machine's clock. It cannot be moved.
func NewRealClock() *Clock { return &Clock{real: true, changed: make(chan struct{})} }

// NewOffsetClock runs with the machine's clock but shows start now; moving it
// adds to the offset. For dev networks in real time.
func NewOffsetClock(start chain.Time) *Clock {
	c := &Clock{changed: make(chan struct{})}
	c.offset = time.Until(time.UnixMilli(int64(start)))
	return c
}

// NewDrivenClock stands at start until it is moved. For scenarios and tests.
func NewDrivenClock(start chain.Time) *Clock {
	return &Clock{still: true, at: start, changed: make(chan struct{})}
}

// Now is the present time.
func (c *Clock) Now() chain.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *Clock) now() chain.Time {
	if c.still {
		return c.at
	}
	return chain.Time(time.Now().Add(c.offset).UnixMilli())
}

// Movable reports whether Set can move the clock.
func (c *Clock) Movable() bool { return !c.real }

// Set moves the clock forward to t; a time already passed leaves it as it is.
func (c *Clock) Set(t chain.Time) error {
	if c.real {
		return fmt.Errorf("%w: it is the machine's; a dev network with clock: ledger has one that can be", ErrClock)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if t <= now {
		return nil
	}
	if c.still {
		c.at = t
	} else {
		c.offset += time.Duration(t-now) * time.Millisecond
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

// restore shows t now, which may be in the past: a revert brings back its time.
// A clock that cannot be moved stays as it is.
func (c *Clock) restore(t chain.Time) {
	if c.real {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.still {
		c.at = t
	} else {
		c.offset = time.Until(time.UnixMilli(int64(t)))
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// until returns a timer that fires at t, nil where only Set can bring t about,
// and a channel that is closed when the clock is moved.
func (c *Clock) until(t chain.Time) (*time.Timer, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.still {
		return nil, c.changed
	}
	var d time.Duration
	if now := c.now(); t > now {
		d = time.Duration(min(uint64(t-now), uint64(24*time.Hour/time.Millisecond))) * time.Millisecond
	}
	return time.NewTimer(d), c.changed
}
