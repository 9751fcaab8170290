package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tunic/chain"
	"tunic/ledger"
)

// A block's time is the median of its voters' clocks. drift is how far that of this
// machine may be from it, beside what a block takes.
const drift = 10 * time.Second

// watch tells, once each time, when the clock of this machine and the network's part,
// when this node begins or ends to be a validator, until ctx ends.
func (e *engine) watch(ctx context.Context, log *slog.Logger) {
	defer close(e.done)
	var clock clockWatch
	voted := e.validates()
	f := e.ledger.Follow(e.ledger.Head().Header.Height)
	for ctx.Err() == nil {
		changed := f.Changed()
		h, ok, err := f.Next()
		switch {
		case errors.Is(err, ledger.ErrPruned): // it has begun from a snapshot
			f = e.ledger.Follow(e.ledger.Head().Header.Height)
			continue
		case err != nil, !ok && e.ledger.Err() != nil:
			return
		case !ok:
			select {
			case <-ctx.Done():
			case <-changed:
			}
			continue
		}
		if s, ok := e.Node.State(); ok && !s.Syncing {
			clock.see(h.Header.Time, time.Now(), time.Duration(e.ledger.Core().Params.BlockInterval)*time.Millisecond, log)
		}
		if votes := e.validates(); votes != voted {
			voted = votes
			log.Warn("this node's part has changed", "validator", votes, "height", h.Header.Height)
		}
	}
}

// clockWatch remembers what was said of the clock.
type clockWatch struct {
	off  string
	late int // blocks in a row that came late
}

// see compares the time of a block that was just shown with the clock. The block
// before the newest is shown, so that up to two intervals are no sign.
func (w *clockWatch) see(block chain.Time, now time.Time, interval time.Duration, log *slog.Logger) {
	behind := time.UnixMilli(int64(block)).Sub(now) // of this clock
	off := ""
	switch {
	case behind > drift:
		off = "behind"
	case behind < -drift-3*interval:
		if w.late++; w.late >= 3 { // one may have waited for its successor
			off = "ahead"
		}
	default:
		w.late = 0
	}
	if off == w.off {
		return
	}
	w.off = off
	if off == "" {
		log.Warn("the clock of this machine and the network's agree again")
		return
	}
	log.Warn("the clock of this machine is not the network's; set it (chrony, systemd-timesyncd)", "it_is", off, "by", behind.Abs().Round(time.Second))
}
