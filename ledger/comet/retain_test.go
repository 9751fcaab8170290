package comet_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"tunic/chain"
	"tunic/ledger"
	"tunic/ledger/comet"
)

// TestKeepBlocks: a validator that keeps few blocks gives up old ones, CometBFT's
// too, as soon as nothing needs them, and goes on from what is left.
func TestKeepBlocks(t *testing.T) {
	g, keys := network(t, 1, "a")
	const ms = chain.Duration(1)
	p := &g.Params
	p.BlockInterval, p.EpochLength, p.HeartbeatEvery, p.HeartbeatValid = 100*ms, 200*ms, 100*ms, 500*ms
	p.ReceiptHorizon, p.ChallengeWindow, p.EvidenceAge, p.CorrelationWindow = 300*ms, 300*ms, 200*ms, 200*ms
	p.UnlockDelay, p.DeregisterLock = 1200*ms, 1200*ms
	p.CreditStart, p.CreditMost, p.CreditLeast = 200*ms, 300*ms, 100*ms
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(until func(*ledger.Ledger, *comet.Node) bool) {
		t.Helper()
		l, err := ledger.Open(t.Context(), ledger.Config{Dir: filepath.Join(dir, "ledger"), Genesis: g, KeepStates: 20})
		if err != nil {
			t.Fatal(err)
		}
		n, err := comet.Start(t.Context(), l, comet.Config{Dir: filepath.Join(dir, "engine"), Key: keys[0], Listen: freePort(t), Local: true, KeepBlocks: 40,
			Pace: comet.Pace{Propose: time.Second, Vote: time.Second, Commit: time.Millisecond, Empty: 5 * time.Millisecond, Gossip: 5 * time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
		defer stop()
		for !until(l, n) {
			select {
			case <-ctx.Done():
				t.Fatalf("height %d, first %d", l.Head().Header.Height, l.First())
			case <-n.Done():
				t.Fatal(n.Stop())
			case <-time.After(20 * time.Millisecond):
			}
		}
		(&validator{l, n}).stop(t)
	}
	var first, head chain.Height
	run(func(l *ledger.Ledger, n *comet.Node) bool {
		first, head = l.First(), l.Head().Header.Height
		return first > 1 && n.Engine().BlockStore().Base() == int64(first)
	})
	if head < first+39 {
		t.Fatalf("blocks from %d to %d are left, 40 were to stay", first, head)
	}
	if r, err := ledger.Verify(t.Context(), filepath.Join(dir, "ledger")); err != nil || r.Height < head {
		t.Fatalf("%+v, %v", r, err)
	}
	run(func(l *ledger.Ledger, _ *comet.Node) bool {
		return l.Head().Header.Height > head+50 && l.First() > first
	})
}
