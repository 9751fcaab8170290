package link

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"tunic/chain"
)

// peer is what a pool knows about one node. The pool's mu guards it.
type peer struct {
	id      chain.NodeID
	links   []*Link // open
	inUse   *Link   // the one of links to send on, nil if there is none
	pending []Frame // wait for a link
	dialing bool    // a goroutine runs dial

	failures int // since the last link that lasted
	retryAt  time.Time
	down     bool // given up; Send refuses until retryAt
}

// choose sets the link to send on. Where both sides have dialed, both choose
// the link that the smaller identity dialed; among equals the newest.
func (pe *peer) choose(self chain.NodeID) {
	mine := slices.Compare(self[:], pe.id[:]) < 0
	pe.inUse = nil
	for _, l := range pe.links {
		u := pe.inUse
		if u == nil || l.dialed != u.dialed && l.dialed == mine || l.dialed == u.dialed && l.serial > u.serial {
			pe.inUse = l
		}
	}
}

// backoff is the pause after the nth failure in a row, n from 1.
func (p *Pool) backoff(n int) time.Duration {
	d := p.cfg.BackoffMax
	if shift := n - 1; shift < 30 && p.cfg.BackoffMin < d>>shift {
		d = p.cfg.BackoffMin << shift
	}
	return d - rand.N(d/2+1)
}

// dial opens a link to pe, trying again until it succeeds or the frames have
// waited long enough, and then runs the link.
func (p *Pool) dial(pe *peer, endpoint string) {
	defer p.wg.Done()
	start := time.Now()
	for {
		p.mu.RLock()
		wait := time.Until(pe.retryAt)
		p.mu.RUnlock()
		if wait > 0 && !p.sleep(wait) {
			p.giveUp(pe, DialFailed)
			return
		}
		if p.pointless(pe) {
			return
		}
		ok := true
		if wait > 0 {
			endpoint, ok = p.resolve(pe.id)
		}
		if !ok {
			p.giveUp(pe, NoEndpoint)
			return
		}
		c, err := p.dialOnce(pe.id, endpoint)
		if err == nil {
			l, err := p.add(c, true)
			if err != nil {
				c.Close()
				p.giveUp(pe, DialFailed)
				return
			}
			p.wg.Go(func() { p.run(l) }) // this goroutine's stack has grown with the handshake
			return
		}
		if p.failed(pe, start, errors.Is(err, ErrIdentity)) {
			return
		}
	}
}

func (p *Pool) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-p.ctx.Done():
		return false
	}
}

func (p *Pool) dialOnce(id chain.NodeID, endpoint string) (Conn, error) {
	select {
	case p.dials <- struct{}{}:
		defer func() { <-p.dials }()
	case <-p.ctx.Done():
		return nil, ErrClosed
	}
	ctx, cancel := context.WithTimeout(p.ctx, p.cfg.DialTimeout)
	defer cancel()
	return p.transport.Dial(ctx, endpoint, id)
}

// pointless ends the dialing where nothing waits any more: the peer has opened
// a link meanwhile and that took the frames, or Disconnect dropped them.
func (p *Pool) pointless(pe *peer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(pe.pending) > 0 {
		return false
	}
	pe.dialing = false
	return true
}

// failed notes a failed attempt and reports whether it was the last one. A
// wrong identity is not asked again, nor is a peer that was given up before.
func (p *Pool) failed(pe *peer, start time.Time, wrong bool) bool {
	p.mu.Lock()
	now := time.Now()
	pe.failures++
	pe.retryAt = now.Add(p.backoff(pe.failures))
	last := p.closed || wrong || pe.down || pe.retryAt.Sub(start) > p.cfg.GiveUp
	p.mu.Unlock()
	if last {
		p.giveUp(pe, DialFailed)
	}
	return last
}

// giveUp drops what waits for pe, unless the peer has opened a link itself.
func (p *Pool) giveUp(pe *peer, r Reason) {
	if p.abandon(pe, r) {
		p.cfg.OnLost(pe.id)
	}
}

// abandon is giveUp but for the hook: true where something was dropped.
func (p *Pool) abandon(pe *peer, r Reason) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	pe.dialing = false
	if pe.inUse != nil {
		return false
	}
	lost := len(pe.pending) > 0
	pe.down = true
	p.dropPending(pe, r)
	if r == NoEndpoint || pe.failures == 0 {
		delete(p.peers, pe.id)
	}
	return lost
}

// dropPending gives up what waits for pe. Called with mu held.
func (p *Pool) dropPending(pe *peer, r Reason) {
	p.cfg.Stats.drop(r, len(pe.pending))
	p.pending -= len(pe.pending)
	pe.pending = nil
}

// attach makes l usable for sending and gives it what waited for its peer.
func (p *Pool) attach(l *Link) {
	if !l.known {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, open := p.links[l]; !open || p.closed {
		return
	}
	pe := p.peers[l.peer]
	if pe == nil {
		if len(p.peers) >= p.cfg.MaxPeers {
			return // it can still answer through the Link itself
		}
		pe = &peer{id: l.peer}
		p.peers[l.peer] = pe
	}
	for _, old := range pe.links {
		// A peer that dials again has lost its former link.
		if !l.dialed && !old.dialed {
			if old.serial > l.serial {
				old = l
			}
			p.closeLink(old)
		}
	}
	pe.links = append(pe.links, l)
	pe.choose(p.cfg.Self)
	pe.down = false
	if l.dialed {
		pe.dialing = false
	} else {
		pe.failures, pe.retryAt = 0, time.Time{}
	}
	for _, f := range pe.pending {
		_ = l.Send(f) // counts what it refuses
	}
	p.pending -= len(pe.pending)
	pe.pending = nil
}

// detach takes l out of use.
func (p *Pool) detach(l *Link) {
	if !l.known {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	pe := p.peers[l.peer]
	if pe == nil {
		return
	}
	i := slices.Index(pe.links, l)
	if i < 0 {
		return
	}
	pe.links = slices.Delete(pe.links, i, i+1)
	pe.choose(p.cfg.Self)
	switch {
	case l.dialed && !l.ours.Load() && time.Since(l.opened) < p.cfg.MinUptime:
		pe.failures++
		pe.retryAt = time.Now().Add(p.backoff(pe.failures))
	case l.dialed:
		pe.failures, pe.retryAt = 0, time.Time{}
	}
	p.forget(pe)
}

// forget drops pe if nothing is known about it any more. Called with mu held.
func (p *Pool) forget(pe *peer) {
	if len(pe.links) == 0 && !pe.dialing && !time.Now().Before(pe.retryAt.Add(p.cfg.BackoffMax)) {
		delete(p.peers, pe.id)
	}
}

// sweep closes idle links and forgets old failures.
func (p *Pool) sweep() {
	defer p.wg.Done()
	period := max(min(p.cfg.IdleTimeout, p.cfg.AcceptIdleTimeout)/4, time.Millisecond)
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return
		}
		p.mu.Lock()
		for l := range p.links {
			limit := p.cfg.IdleTimeout
			if !l.dialed {
				limit = p.cfg.AcceptIdleTimeout
			}
			if l.quietFor(period) >= limit {
				p.closeLink(l)
			}
		}
		for _, pe := range p.peers {
			p.forget(pe)
		}
		p.mu.Unlock()
	}
}
