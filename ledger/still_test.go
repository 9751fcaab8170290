package ledger_test

import (
	"context"
	"testing"

	"tunic/chain"
	"tunic/ledger"
)

// On a clock that stands still what is submitted is sealed at once, the barrier
// is called for its block, and what the barrier submits is sealed after it, all
// at one time. In manual mode it waits.
func TestStillClock(t *testing.T) {
	ctx := ctxFor(t)
	cfg := config("", ledger.ModeAuto)
	l := open(t, cfg)
	head := l.Head().Header
	seen := make(chan chain.Height, 16)
	answers := make(chan chain.Hash, 1)
	l.SetBarrier(func(_ context.Context, h chain.Height) error {
		if h == head.Height+1 {
			answers <- submit(t, l, transfer(cfg.Genesis, "b", "a", 0, 1))
		}
		seen <- h
		return nil
	})
	first := submit(t, l, transfer(cfg.Genesis, "a", "b", 0, 1))
	for i, id := range []chain.Hash{first, <-answers} {
		s, err := l.Await(ctx, id)
		if want := head.Height + 1 + chain.Height(i); err != nil || s.Height != want || <-seen != want {
			t.Fatalf("transaction %d: %+v, %v", i, s, err)
		}
	}
	if now := l.Head().Header; now.Time != head.Time || now.Height != head.Height+2 {
		t.Fatalf("%+v after %+v", now, head)
	}

	manual := open(t, config("", ledger.ModeManual))
	if _, err := manual.Seal(ctx); err != nil {
		t.Fatal(err)
	}
	submit(t, manual, transfer(cfg.Genesis, "a", "b", 0, 1))
	if manual.Waiting() != 1 || manual.Head().Header.Height != 1 {
		t.Fatal("sealed, and nobody told it to")
	}
}
