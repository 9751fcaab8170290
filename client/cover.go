package client

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"tunic/chain"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/registry/path"
)

// Cover says whether a client's packets leave on a clock of their own.
type Cover uint8

// What genesis says is what the others of the network do: whoever does
// otherwise is one of few.
const (
	CoverGenesis Cover = iota // as genesis says
	CoverOn
	CoverOff
)

// covered reports whether packets leave on the clock.
func (cfg *Config) covered() bool {
	return cfg.Cover == CoverOn || cfg.Cover == CoverGenesis && cfg.Core.Params.Cover
}

const (
	// pollsApart is how many times slower than packets polls have to leave, so that
	// they leave room for the rest.
	pollsApart = 4
	// pollLead is for how many ticks a poll is ready before it leaves: soon enough
	// to be made, and late enough for what the one before has brought.
	pollLead = 3
)

// loopsMost bounds the loops that are awaited; beyond it the oldest is given up.
const loopsMost = 1024

// loop is a packet to this client itself: a reply block that it answers.
type loop struct {
	v      *view
	guard  chain.NodeID
	used   []int // of its path
	id     onion.SURBID
	keys   onion.SURBKeys
	packet []byte
	wait   time.Duration // how long it may be under way

	// Of one that has left.
	sent, due time.Time
	state     atomic.Uint32 // how it came back
}

const (
	loopAway  = iota
	loopBack  // as it left
	loopOther // changed on its way
)

// sendClock lets one packet leave at each tick of a Poisson clock: the command
// that has waited longest or, where none waits, a loop. Who watches the client's
// link, and its guard, see one process whatever the client does.
//
// Which ticks are polls is drawn, with the probability that gives them their rate:
// they are a Poisson clock of their own, and the time before one says nothing. What
// waits because its user has asked for it cannot be drawn; the longer a tick is in
// coming, the more likely it finds something.
func (c *Client) sendClock(ctx context.Context) {
	var next *loop // made beforehand, so that it leaves as promptly as what waits
	var away []*loop
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	at := time.Now()
	poll, asked := c.ticksToPoll(), false
	for {
		if poll <= pollLead && !asked && c.pollsReady.Load() == 0 {
			asked = true
			select {
			case c.pollNext <- struct{}{}:
			default: // it was asked before, and has made none
			}
		}
		if next == nil {
			next = c.makeLoop()
		}
		at = at.Add(time.Duration(c.exponential() * float64(c.cfg.Pace)))
		if late := time.Now(); at.Before(late) {
			at = late // no burst after a pause
		}
		t.Reset(time.Until(at))
		select {
		case <-ctx.Done():
			c.forgetLoops(away)
			return
		case <-t.C:
		}
		var ready chan struct{}
		if poll--; poll == 0 {
			ready, poll, asked = c.pollTurns, c.ticksToPoll(), false
		}
		left := false
		select {
		case ready <- struct{}{}:
			left = true
		default:
		}
		if !left {
			select {
			case c.turns <- struct{}{}: // a command waits, and leaves now
				left = true
			default:
			}
		}
		if !left {
			if next != nil && next.v.picker != c.view.Load().picker {
				next = c.makeLoop() // the list has changed
			}
			if next != nil {
				away = append(away, next)
				c.sendLoop(next)
				next = nil
			}
		}
		away = c.settle(away, time.Now())
	}
}

// ticksToPoll draws in how many ticks the next poll leaves, one at least.
func (c *Client) ticksToPoll() int {
	chance := float64(c.cfg.Pace) / float64(c.cfg.Poll)
	return 1 + int(c.exponential()/-math.Log1p(-chance)) // geometric
}

// pollDue waits until the next poll is to be made; false where ctx ended first.
func (c *Client) pollDue(ctx context.Context) bool {
	if c.turns == nil {
		return pass(ctx, time.Duration(c.exponential()*float64(c.cfg.Poll)))
	}
	select {
	case <-c.pollNext:
		return true
	case <-ctx.Done():
		return false
	}
}

// turn waits until a command's packet may leave. One that does not wait is a poll
// of the clock: with cover it has ticks of its own; without, it leaves at once,
// where the rate is reached too, and what leaves after it waits longer.
func (c *Client) turn(ctx context.Context, wait bool) error {
	switch {
	case c.turns == nil && wait:
		return c.limit.Wait(ctx)
	case c.turns == nil:
		c.limit.Reserve()
		return nil
	}
	turns := c.turns
	if !wait {
		turns = c.pollTurns
		c.pollsReady.Add(1)
		defer c.pollsReady.Add(-1)
	}
	select {
	case <-turns:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// loopHops is how many relays a loop passes before it comes back to the guard: as
// many as hold a command and its answer for a delay, so that it takes as long.
func (c *Client) loopHops() int { return min(2*c.cfg.Hops-1, path.MaxHops) }

// makeLoop makes a loop; nil where there is no path for one. It goes through the
// guard that a command to a relay drawn by lot would go through. A network with
// few relays has shorter ones.
func (c *Client) makeLoop() *loop {
	v := c.view.Load()
	if v == nil || len(v.list.Entries) == 0 {
		return nil
	}
	target := v.list.Entries[path.FromReader(c.rand).N(uint64(len(v.list.Entries)))].Node
	way, err := c.choose(v, target, true)
	if err != nil {
		return nil // also where the target was removed since: the next tick draws another
	}
	l := &loop{v: v, guard: v.list.Entries[way[0]].Node}
	for hops := c.loopHops(); hops > 1; hops-- {
		if l.used, err = c.loopPath(v, l.guard, hops); err == nil {
			break
		}
	}
	if err != nil {
		return nil
	}
	if err := c.wrapLoop(l); err != nil {
		c.log.Debug("cannot make a loop", "code", codeOf(err))
		return nil
	}
	return l
}

// loopPath draws a way of so many hops from the guard back to it.
func (c *Client) loopPath(v *view, guard chain.NodeID, hops int) ([]int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := path.Options{Hops: hops, Guard: guard, Avoid: c.avoidLocked(c.nowAt(v))}
	p, err := v.picker.Choose(o, path.FromReader(c.rand))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoPath, err)
	}
	return append(p, p[0]), nil
}

// wrapLoop makes the packet: a reply block, answered at once with nothing.
func (c *Client) wrapLoop(l *loop) error {
	if _, err := io.ReadFull(c.rand, l.id[:]); err != nil {
		return fmt.Errorf("read randomness: %w", err)
	}
	hops, sum := c.hops(l.v, l.used)
	surb, keys, err := c.geometry.NewSURB(c.rand, c.cfg.Genesis, onion.ExpiryOf(l.v.epoch()), hops, c.token, l.id)
	if err != nil {
		return fmt.Errorf("make reply block: %w", err)
	}
	_, l.packet, err = surb.Reply(nil)
	l.keys, l.wait = keys, c.cfg.Timeout+time.Duration(sum)*time.Millisecond
	return err
}

// sendLoop lets a loop leave.
func (c *Client) sendLoop(l *loop) {
	c.waitMu.Lock()
	c.waits[l.id] = &waiting{keys: l.keys, loop: l}
	c.waitMu.Unlock()
	l.sent = time.Now()
	l.due = l.sent.Add(l.wait)
	// What the link does not take is missed like what is lost.
	_ = c.pool.Send(l.guard, link.Frame{Type: link.Packet, Data: l.packet})
	l.packet = nil
}

// settle judges the loops that are back or overdue and returns the others. One
// that stays away is held against the relays of its path as a command's answer is,
// and one that was changed likewise.
func (c *Client) settle(away []*loop, now time.Time) []*loop {
	left := away[:0]
	for i, l := range away {
		state := l.state.Load()
		if state == loopAway && now.Before(l.due) && len(away)-i <= loopsMost {
			left = append(left, l)
			continue
		}
		if state == loopAway {
			c.forgetLoops([]*loop{l})
		}
		good, bad := []int(nil), slices.Clone(l.used)
		if state == loopBack {
			good, bad = bad, nil
		}
		c.judge(l.v, good, bad, l.guard, chain.NodeID{}, l.sent)
	}
	clear(away[len(left):])
	return left
}

// forgetLoops takes back the keys of loops that are not awaited any more.
func (c *Client) forgetLoops(loops []*loop) {
	c.waitMu.Lock()
	defer c.waitMu.Unlock()
	for _, l := range loops {
		if w := c.waits[l.id]; w != nil {
			w.keys.Destroy()
			delete(c.waits, l.id)
		}
	}
}

// loopCame takes what came back under the id of a loop.
func (c *Client) loopCame(w *waiting, payload []byte) {
	state := uint32(loopBack)
	if _, err := w.keys.Open(payload); err != nil {
		state = loopOther
	}
	w.loop.state.Store(state)
}
