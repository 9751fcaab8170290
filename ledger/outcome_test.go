package ledger_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
)

// outcomes reads what the blocks from first to the head did.
func outcomes(t *testing.T, l *ledger.Ledger, first chain.Height) (out []ledger.Outcome) {
	t.Helper()
	for h := first; h <= l.Head().Header.Height; h++ {
		s, err := l.Header(h)
		if err != nil {
			t.Fatal(err)
		}
		o, err := l.Outcome(s)
		if err != nil {
			t.Fatalf("block %d: %v", h, err)
		}
		out = append(out, o)
	}
	return out
}

func outcomesFrom(t *testing.T, l *ledger.Ledger) chain.Height {
	t.Helper()
	first, err := l.OutcomesFrom()
	if err != nil {
		t.Fatal(err)
	}
	return first
}

// What blocks did is the same while they are sealed, later, and of a ledger that
// was opened anew, as far back as that can know it.
func TestOutcomes(t *testing.T) {
	cfg := council(config(t.TempDir(), ledger.ModeManual))
	g, ctx := cfg.Genesis, ctxFor(t)
	cfg.KeepStates = 1 // else lists stay for as long as states
	l := open(t, cfg)
	seal(t, l)
	if first := outcomesFrom(t, l); first != 1 {
		t.Fatalf("from %d on", first)
	}
	nonce := uint64(0)
	change := func(number uint32, epoch chain.Epoch) {
		c := genesis.Change{Number: number, Epoch: epoch, Params: g.Params}
		c.Params.BlockReward += chain.Amount(number)
		submit(t, l, approve(g, "a", nonce, c))
		submit(t, l, approve(g, "b", nonce, c))
		nonce++
		seal(t, l)
		if err := l.AdvanceTo(ctx, g.EpochStart(epoch)); err != nil {
			t.Fatal(err)
		}
	}
	change(1, 3)
	submit(t, l, transfer(g, "c", "a", 0, 7))
	seal(t, l)
	live := outcomes(t, l, 1)
	var epochs, params, txs int
	for _, o := range live {
		if o.Epoch != nil {
			epochs++
		}
		if o.Params > 0 {
			params++
			if o.Params != 1 || o.Epoch == nil || o.Header.DirEpoch != 3 {
				t.Errorf("%+v", o)
			}
		}
		for _, x := range o.Txs {
			txs++
			if x.Code != "" || x.Sender.IsZero() || !x.Kind.Signed() {
				t.Errorf("%+v", x)
			}
		}
	}
	if epochs != 3 || params != 1 || txs != 3 {
		t.Errorf("%d epochs, %d params, %d transactions", epochs, params, txs)
	}
	reopen := func() {
		t.Helper()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = open(t, cfg)
	}
	reopen()
	if first := outcomesFrom(t, l); first != 1 {
		t.Fatalf("opened anew: from %d on", first)
	}
	if d := cmp.Diff(live, outcomes(t, l, 1)); d != "" {
		t.Fatalf("opened anew: %s", d)
	}

	// When a change before the last came into force nobody knows any more.
	change(2, 5)
	seal(t, l)
	live = outcomes(t, l, 1)
	reopen()
	first := outcomesFrom(t, l)
	if o := live[first-1]; o.Params != 2 {
		t.Fatalf("after two changes: from %d on, %+v", first, o)
	}
	if d := cmp.Diff(live[first-1:], outcomes(t, l, first)); d != "" {
		t.Fatalf("after two changes: %s", d)
	}

	// Lists are forgotten: the window begins behind the first that has none before it.
	if err := l.AdvanceTo(ctx, g.EpochStart(5+ledger.KeptLists)); err != nil {
		t.Fatal(err)
	}
	live = outcomes(t, l, first)
	reopen()
	later := outcomesFrom(t, l)
	if later <= first {
		t.Fatalf("with lists forgotten: from %d on, it was %d", later, first)
	}
	if d := cmp.Diff(live[later-first:], outcomes(t, l, later)); d != "" {
		t.Fatalf("with lists forgotten: %s", d)
	}
	s, err := l.Header(later - 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Outcome(s); !errors.Is(err, ledger.ErrNotKept) {
		t.Fatalf("before the window: %v", err)
	}
}

// A revert takes outcomes with the blocks.
func TestOutcomesOfForks(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	l := open(t, cfg)
	g := cfg.Genesis
	seal(t, l)
	_ = outcomesFrom(t, l)
	snapshot(t, l, "s")
	submit(t, l, transfer(g, "a", "b", 0, 1))
	gone := seal(t, l)
	if o, err := l.Outcome(gone); err != nil || len(o.Txs) != 1 {
		t.Fatalf("%+v, %v", o, err)
	}
	revert(t, l, "s")
	if _, err := l.Outcome(gone); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("of a block given up: %v", err)
	}
	if _, err := l.Event(gone); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("event of a block given up: %v", err)
	}
	if o, err := l.Outcome(l.Head()); err != nil || len(o.Txs) != 1 || o.Txs[0].Kind != chain.KindDev || o.Header.Fork != 1 {
		t.Fatalf("the fork's first: %+v, %v", o, err)
	}
	submit(t, l, transfer(g, "a", "c", 0, 2))
	seal(t, l)
	all := outcomes(t, l, 1)
	if len(all) != 3 || len(all[2].Txs) != 1 || all[2].Txs[0].Sender != address("a") {
		t.Fatalf("%+v", all)
	}
	for _, c := range []struct {
		since chain.Height
		fork  uint32
		next  chain.Height
	}{{2, 0, 2}, {1, 0, 2}, {0, 0, 1}, {2, 1, 3}, {9, 0, 2}} {
		f, err := l.FollowFork(c.since, c.fork)
		if err != nil {
			t.Fatal(err)
		}
		if s, ok, err := f.Next(); !ok || err != nil || s.Header.Height != c.next {
			t.Errorf("behind %d of fork %d: block %d, %v, %v; want %d", c.since, c.fork, s.Header.Height, ok, err, c.next)
		}
	}
}
