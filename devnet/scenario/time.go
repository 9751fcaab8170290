package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tunic/chain/genesis"
)

// maxEpochs bounds how long an expectation may wait.
const maxEpochs = 10_000

// span is the time of an expectation: it comes true within so many epochs, or
// holds for so many; zero: it holds now.
type span struct {
	epochs int
	always bool
}

// takeTime takes "within N epochs" or "for N epochs" from the line's end.
func (l *line) takeTime() (span, error) {
	n := len(l.words)
	if n < l.next+3 {
		return span{}, nil
	}
	how, count, unit := l.words[n-3], l.words[n-2], l.words[n-1]
	if how.quoted || how.text != "within" && how.text != "for" || unit.text != "epochs" && unit.text != "epoch" {
		return span{}, nil
	}
	k, err := l.number(count, 1, maxEpochs)
	l.words = l.words[:n-3]
	return span{k, how.text == "for"}, err
}

// over asks an expectation at each epoch of the span.
func (t span) over(run func(context.Context, *world) error) func(context.Context, *world) error {
	now := soon(run)
	if t.epochs == 0 {
		return now
	}
	return func(ctx context.Context, w *world) error {
		var m *mismatch
		for k := 0; ; k++ {
			ask := run
			if k == 0 && t.always {
				ask = now
			}
			err := ask(ctx, w)
			switch {
			case err != nil && !errors.As(err, &m):
				return err
			case err != nil && t.always:
				return &mismatch{fmt.Sprintf("%s for %d epochs", m.want, t.epochs), fmt.Sprintf("%s after %d", m.is, k)}
			case err == nil && !t.always:
				return nil
			case k == t.epochs && !t.always:
				return &mismatch{fmt.Sprintf("%s within %d epochs", m.want, t.epochs), m.is}
			case k == t.epochs:
				return nil
			}
			if err := w.net.AdvanceEpochs(ctx, 1); err != nil {
				return err
			}
			if err := w.invariants(); err != nil {
				return err
			}
		}
	}
}

// askAgain is after how long an expectation is asked again where blocks come by
// themselves.
const askAgain = 50 * time.Millisecond

// soon asks an expectation. On validators no block waits until all have answered
// the one before, so what does not hold yet has an epoch to come true.
func soon(run func(context.Context, *world) error) func(context.Context, *world) error {
	return func(ctx context.Context, w *world) error {
		err := run(ctx, w)
		if w.net.Spec.Engine != genesis.EngineComet {
			return err
		}
		until := w.net.Ledger.Head().Header.DirEpoch + 1
		var m *mismatch
		for errors.As(err, &m) && w.net.Ledger.Head().Header.DirEpoch <= until {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(askAgain):
			}
			err = run(ctx, w)
		}
		return err
	}
}
