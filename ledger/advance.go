package ledger

import (
	"context"
	"fmt"

	"tunic/chain"
	"tunic/registry"
)

// maxAnswers bounds how many blocks are sealed at one instant of Advance for
// what the barrier submitted.
const maxAnswers = 8

// Advance moves the clock forward by d and seals at each instant at which
// something is due on the way, and at the end.
func (l *Ledger) Advance(ctx context.Context, d chain.Duration) error {
	return l.AdvanceTo(ctx, l.clock.Now()+chain.Time(d))
}

// AdvanceTo moves the clock to t. Due are: epoch boundaries, which are never
// skipped; heartbeats, while there are nodes that send them; stakes that
// mature; offences whose correlation is to be settled; and t itself. After each block the barrier is called, and what it
// submitted is sealed at the same instant. The sealer's loop rests meanwhile.
// ErrClock on a clock that cannot be moved.
func (l *Ledger) AdvanceTo(ctx context.Context, t chain.Time) error {
	switch {
	case l.cfg.SealerKey == nil:
		return ErrNoSealer
	case !l.clock.Movable():
		return l.clock.Set(t)
	}
	l.driving.Lock()
	defer l.driving.Unlock()
	defer l.nudge() // for what was submitted while the loop rested
	if t < l.core.Time {
		return l.clock.Set(t)
	}
	for {
		now := l.clock.Now()
		if h := l.Head().Header; h.Height > 0 {
			now = max(now, h.Time)
		}
		due := min(l.dueAfter(now), t)
		if l.overdue(now) {
			due = now
		}
		if due < now {
			return nil
		}
		if err := l.clock.Set(due); err != nil {
			return err
		}
		if err := l.instant(ctx); err != nil {
			return fmt.Errorf("advance to %d: %w", due, err)
		}
		if due >= t {
			return nil
		}
	}
}

// overdue reports whether a boundary has been passed without a block.
func (l *Ledger) overdue(now chain.Time) bool {
	h := l.Head().Header
	return now >= l.core.Time && (h.Height == 0 || l.core.EpochAt(now) > h.DirEpoch)
}

// instant seals one block, calls the barrier, and seals what it brought.
func (l *Ledger) instant(ctx context.Context) error {
	for n := 0; ; n++ {
		s, err := l.seal(ctx)
		if err != nil {
			return err
		}
		if err := l.awaitBarrier(ctx, s); err != nil {
			return err
		}
		if n == maxAnswers || !l.pool.waiting() {
			return nil
		}
	}
}

func (l *Ledger) awaitBarrier(ctx context.Context, s chain.SealedHeader) error {
	l.barrierMu.Lock()
	barrier := l.barrier
	l.barrierMu.Unlock()
	if barrier == nil {
		return nil
	}
	if err := barrier(ctx, s.Header.Height); err != nil {
		return fmt.Errorf("barrier after block %d: %w", s.Header.Height, err)
	}
	return nil
}

// dueAfter is the next instant after now at which something is due.
func (l *Ledger) dueAfter(now chain.Time) chain.Time {
	prm := l.core.Params
	if now < l.core.Time {
		return l.core.Time
	}
	due := l.core.EpochStart(l.core.EpochAt(now) + 1)
	l.mu.RLock()
	defer l.mu.RUnlock()
	for n := range l.machine.Registry().All() {
		if s := n.State; s == registry.Registered || s == registry.Active || s == registry.Decommissioned {
			every := uint64(prm.HeartbeatEvery)
			due = min(due, l.core.Time+chain.Time((uint64(now-l.core.Time)/every+1)*every))
			break
		}
	}
	if at, ok := l.machine.Slashing().NextDue(); ok && at > now {
		due = min(due, at)
	}
	if at, ok := l.machine.Slashing().NextLapse(); ok && at > now {
		due = min(due, at)
	}
	for b := range l.machine.Staking().All() {
		if at := b.MaturesAt(); b.Closed() && at > now {
			due = min(due, at)
		}
	}
	return due
}
