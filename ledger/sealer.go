package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tunic/chain"
	"tunic/ledger/light"
	"tunic/ledger/machine"
)

// run is the sealer's loop. It alone decides when to seal; Advance and Seal
// seal in their callers' goroutines.
func (l *Ledger) run(ctx context.Context) {
	defer close(l.done)
	if l.cfg.SealerKey == nil || l.cfg.Mode == ModeManual {
		<-ctx.Done()
		return
	}
	for ctx.Err() == nil {
		timer, moved := l.clock.until(l.nextDue())
		var fired <-chan time.Time
		if timer != nil {
			fired = timer.C
		}
		select {
		case <-ctx.Done():
		case <-fired:
		case <-moved:
		case <-l.wake:
		}
		if timer != nil {
			timer.Stop()
		}
		if ctx.Err() != nil {
			return
		}
		if err := l.sealIfDue(ctx); errors.Is(err, errDriven) {
			select { // Advance nudges when it is done
			case <-ctx.Done():
			case <-l.wake:
			}
		} else if err != nil && ctx.Err() == nil {
			l.log.Error("sealer stops", "error", err)
			return
		}
	}
}

// nextDue is when a block is due though nothing waits.
func (l *Ledger) nextDue() chain.Time {
	h := l.Head().Header
	if h.Height == 0 {
		return l.core.Time
	}
	due := l.core.EpochStart(h.DirEpoch + 1)
	if l.cfg.Mode == ModeInterval || l.cfg.Mode == ModeMixed {
		due = min(due, h.Time+chain.Time(l.core.Params.BlockInterval))
	}
	return due
}

// errDriven means that Advance is at work.
var errDriven = errors.New("ledger: advancing")

// sealIfDue seals where a block is due or, in the modes that seal at once,
// where something waits. While Advance runs it leaves that to it, with errDriven.
// On a clock that stands still the barrier is called after each block.
func (l *Ledger) sealIfDue(ctx context.Context) error {
	if !l.driving.TryLock() {
		return errDriven
	}
	defer l.driving.Unlock()
	if !l.due() {
		return nil
	}
	seal := func() error { _, err := l.seal(ctx); return err }
	if l.clock.still { // as Advance does: time gives nobody a chance to answer
		seal = func() error { return l.instant(ctx) }
	}
	if err := seal(); err != nil {
		return err
	}
	l.nudge() // a full block leaves something
	return nil
}

func (l *Ledger) due() bool {
	now := l.clock.Now()
	if now < l.core.Time {
		return false
	}
	return now >= l.nextDue() || (l.cfg.Mode != ModeInterval && l.cfg.Mode != ModeManual && l.pool.waiting())
}

// nonce is read under mu.
func (l *Ledger) nonce(a chain.Address) uint64 { return l.newest().Account(a).Nonce }

// Seal seals one block of what waits, empty if nothing does.
func (l *Ledger) Seal(ctx context.Context) (chain.SealedHeader, error) {
	if l.cfg.SealerKey == nil {
		return chain.SealedHeader{}, ErrNoSealer
	}
	return l.seal(ctx)
}

// seal makes, stores and then shows one block.
func (l *Ledger) seal(ctx context.Context) (chain.SealedHeader, error) {
	s, _, err := l.sealWith(ctx, nil)
	return s, err
}

// sealWith seals a block that begins with a control of dev networks, made by
// lead (which is called under mu) for its height, or without where that is
// refused. Of a nil lead it is seal.
func (l *Ledger) sealWith(ctx context.Context, lead func(chain.Height) machine.Dev) (chain.SealedHeader, *chain.Refusal, error) {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	if err := ctx.Err(); err != nil {
		return chain.SealedHeader{}, nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.halted != nil {
		return chain.SealedHeader{}, nil, l.halted
	}
	began := time.Now()
	now := max(l.clock.Now(), l.core.Time, l.head.Header.Time)
	txs, fork := l.pool.ready(l.nonce), l.machine.Fork()
	if lead != nil {
		d := lead(l.head.Header.Height + 1)
		if d.Op == machine.DevLoad {
			fork = d.Fork
		}
		txs = slices.Insert(txs, 0, l.intake.Prepare(d.Tx().Encode()))
	}
	out, err := l.machine.Propose(machine.Input{
		Height: l.head.Header.Height + 1, Time: now, Proposer: l.self, Fork: fork, Txs: txs,
	})
	if err != nil {
		return chain.SealedHeader{}, nil, l.halt(err)
	}
	if out.Header.Height <= l.signed {
		return chain.SealedHeader{}, nil, l.halt(fmt.Errorf("height %d is sealed already", out.Header.Height))
	}
	blk := chain.Block{SealedHeader: chain.SealedHeader{Header: out.Header}}
	included := make([]machine.Prepared, len(out.Included))
	for n, i := range out.Included {
		included[n] = txs[i]
		blk.Txs = append(blk.Txs, txs[i].Bytes)
	}
	if err := l.store(blk, &out); err != nil {
		return chain.SealedHeader{}, nil, err
	}
	// Signed only now: whatever happens, no other header can take this height.
	l.signed = out.Header.Height
	blk.SealedHeader = light.Seal(l.cfg.SealerKey, out.Header)
	if err := l.db.putSeal(out.Header.Height, blk.Seal); err != nil {
		return chain.SealedHeader{}, nil, l.halt(err)
	}
	left := make([]machine.Prepared, len(out.Refused))
	why := make([]*chain.Refusal, len(out.Refused))
	var refused *chain.Refusal // of lead
	for n, r := range out.Refused {
		left[n], why[n] = txs[r.Tx], r.Why
		if r.Tx == 0 && lead != nil {
			refused = r.Why
		}
	}
	l.pool.settle(blk.Header.Height, included, left, why, l.nonce)
	l.show(blk.SealedHeader, &out, included)
	l.cfg.Sealed(blk.Header, time.Since(began))
	return blk.SealedHeader, refused, nil
}

// store writes the block. What this ledger seals has no seal before this returns.
func (l *Ledger) store(blk chain.Block, out *machine.Output) error {
	l.cfg.Hook("before-batch")
	if err := l.db.put(blk, out); err != nil {
		return l.halt(err)
	}
	l.cfg.Hook("after-batch")
	return nil
}

// show publishes a stored block of these transactions; mu is held.
func (l *Ledger) show(head chain.SealedHeader, out *machine.Output, txs []machine.Prepared) {
	l.head = head
	l.trace(out, txs)
	l.feed.publish()
	l.cfg.Hook("after-publish")
	l.log.Debug("block", "height", head.Header.Height, "epoch", head.Header.DirEpoch, "txs", head.Header.TxCount)
}

// halt is for an error after which memory and disk may differ; mu is held.
func (l *Ledger) halt(err error) error {
	if l.halted == nil {
		l.halted = fmt.Errorf("%w: %w", ErrHalted, err)
		l.feed.publish()
	}
	return l.halted
}
