package traffic

import (
	"sync"
	"time"
)

// calm notes when the machine does not keep up: what was due meanwhile then happens
// at once, and times say nothing of who asked for them.
type calm struct {
	begun time.Time

	mu   sync.Mutex
	late []span
}

type span struct{ from, to time.Time }

const (
	look      = 10 * time.Millisecond
	lateness  = 60 * time.Millisecond
	aftermath = 700 * time.Millisecond // until the packets that left late are at their ends, mostly
)

func newCalm() *calm { return &calm{begun: time.Now()} }

// run looks at the clock until over.
func (c *calm) run(over func() bool) {
	for before := time.Now(); !over(); {
		time.Sleep(look)
		now := time.Now()
		if now.Sub(before) > look+lateness {
			c.mu.Lock()
			if n := len(c.late); n > 0 && !before.After(c.late[n-1].to) {
				c.late[n-1].to = now.Add(aftermath)
			} else {
				c.late = append(c.late, span{before, now.Add(aftermath)})
			}
			c.mu.Unlock()
		}
		before = now
	}
}

// quiet is how long the machine has kept up.
func (c *calm) quiet() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := time.Since(c.begun)
	for _, s := range c.late {
		d -= s.to.Sub(s.from)
	}
	return d
}

// share is the part of the time for which it has kept up, in all.
func (c *calm) share() float64 { return float64(c.quiet()) / float64(time.Since(c.begun)) }

// at reports whether it kept up at a moment.
func (c *calm) at(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.late {
		if t.After(s.from) && t.Before(s.to) {
			return false
		}
	}
	return true
}
