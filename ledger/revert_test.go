package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/ledger/machine"
)

func snapshot(t testing.TB, l *ledger.Ledger, name string) ledger.Snapshot {
	t.Helper()
	s, err := l.Snapshot(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func revert(t testing.TB, l *ledger.Ledger, name string) chain.SealedHeader {
	t.Helper()
	s, err := l.Revert(ctxFor(t), name)
	if err != nil {
		t.Fatal(err)
	}
	check(t, l)
	return s
}

func fork(l *ledger.Ledger) (f uint32) {
	l.View(func(m *machine.Machine) { f = m.Fork() })
	return f
}

// Reverted twice by one name, with blocks and epochs between: state, clock and
// balances are the snapshot's each time, the fork rises each time, and the
// database holds nothing else.
func TestRevertTwiceByOneName(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, ledger.ModeManual)
	l := open(t, cfg)
	ctx := ctxFor(t)
	submit(t, l, transfer(cfg.Genesis, "a", "b", 0, 5))
	seal(t, l)
	if err := l.Advance(ctx, cfg.Genesis.Params.EpochLength*3); err != nil {
		t.Fatal(err)
	}
	base := snapshot(t, l, "base")
	was := balance(l, "b")
	for n := uint32(1); n <= 2; n++ {
		lost := submit(t, l, transfer(cfg.Genesis, "a", "b", 1, 7))
		seal(t, l)
		snapshot(t, l, "later")
		// More epochs than lists are kept: those of the snapshot come back.
		if err := l.Advance(ctx, cfg.Genesis.Params.EpochLength*(ledger.KeptLists+2)); err != nil {
			t.Fatal(err)
		}
		if balance(l, "b") == was {
			t.Fatal("nothing to undo")
		}
		head := revert(t, l, "base")
		h := head.Header
		if h.Height != base.Height+1 || h.Parent != base.Hash || h.Fork != n || h.Time != base.Time || fork(l) != n || h.TxCount != 1 {
			t.Fatalf("%+v", h)
		}
		if balance(l, "b") != was || l.Clock().Now() != base.Time || l.Statements().Fork != n {
			t.Fatalf("balance %s, clock %d", balance(l, "b"), l.Clock().Now())
		}
		if s, err := l.Tx(lost); err != nil || s.State != ledger.TxRefused || s.Code != ledger.CodeForked {
			t.Fatalf("a transaction of a block given up: %+v, %v", s, err)
		}
		if all, err := l.Snapshots(); err != nil || len(all) != 1 || all[0] != base {
			t.Fatalf("%+v, %v", all, err)
		}
		if _, err := l.Revert(ctx, "later"); !errors.Is(err, ledger.ErrNotFound) {
			t.Fatalf("to a snapshot given up: %v", err)
		}
		before := h.Time
		for range 3 {
			l.Clock().Set(l.Clock().Now() + 500)
			s := seal(t, l).Header
			if s.Time < before || s.Fork != n {
				t.Fatalf("%+v", s)
			}
			before = s.Time
		}
	}
	l.Close()
	r, err := ledger.Verify(context.Background(), dir)
	if err != nil || r.Height != base.Height+4 {
		t.Fatalf("%+v, %v", r, err)
	}
	again := open(t, cfg)
	if fork(again) != 2 || again.Head().Header.Height != base.Height+4 {
		t.Fatal("opened again on another fork")
	}
	checkStates(t, again, rand.New(rand.NewPCG(1, 1)), 0)
	if revert(t, again, "base").Header.Fork != 3 {
		t.Fatal("a snapshot outlives a restart")
	}
}

// To before the first block, and to a snapshot of the fork that a revert began.
func TestRevertFromRevert(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	l := open(t, cfg)
	snapshot(t, l, "empty")
	submit(t, l, transfer(cfg.Genesis, "a", "b", 0, 5))
	seal(t, l)
	snapshot(t, l, "one")
	seal(t, l)
	revert(t, l, "one")
	if _, err := l.Mine(ctxFor(t), 3); err != nil {
		t.Fatal(err)
	}
	snapshot(t, l, "two")
	seal(t, l)
	if h := revert(t, l, "two").Header; h.Height != 6 || h.Fork != 2 {
		t.Fatalf("%+v", h)
	}
	if h := revert(t, l, "empty").Header; h.Height != 1 || h.Fork != 3 || balance(l, "b") != 1000*chain.TUN {
		t.Fatalf("%+v", h)
	}
	// The same transaction is as good as ever.
	id := submit(t, l, transfer(cfg.Genesis, "a", "b", 0, 5))
	seal(t, l)
	if s, err := l.Tx(id); err != nil || s.State != ledger.TxIncluded || s.Height != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
}

func TestMempoolAfterRevert(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	l := open(t, cfg)
	seal(t, l)
	snapshot(t, l, "s")
	inBlock := submit(t, l, transfer(cfg.Genesis, "a", "b", 0, 5))
	seal(t, l)
	gap := submit(t, l, transfer(cfg.Genesis, "a", "b", 1, 6)) // needs the one in the block
	good := submit(t, l, transfer(cfg.Genesis, "b", "c", 0, 7))
	rich := submit(t, l, transfer(cfg.Genesis, "c", "a", 0, 8))
	revert(t, l, "s")
	for id, want := range map[chain.Hash]string{inBlock: ledger.CodeForked, gap: ledger.CodeForked, good: "", rich: ""} {
		s, err := l.Tx(id)
		if err != nil || s.Code != want || (want == "") != (s.State == ledger.TxPending) {
			t.Errorf("%+v, %v; want %q", s, err, want)
		}
	}
	seal(t, l)
	if s, err := l.Tx(good); err != nil || s.State != ledger.TxIncluded || l.Waiting() != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	check(t, l)
}

// Each height once, in order, but for reverts: they take a subscriber back,
// whatever it had read.
func TestSubscribersFollowForks(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	l := open(t, cfg)
	ctx := ctxFor(t)
	seal(t, l)
	snapshot(t, l, "s")
	ahead, lazy := l.Subscribe(ctx, 0), l.Subscribe(ctx, 0)
	var want []string
	say := func(s chain.SealedHeader) string { return fmt.Sprint(s.Header.Fork, "/", s.Header.Height) }
	want = append(want, "0/1")
	for range 4 {
		want = append(want, say(seal(t, l)))
	}
	for i, w := range want {
		if e := <-ahead; say(e.SealedHeader) != w {
			t.Fatalf("event %d: %s, want %s", i, say(e.SealedHeader), w)
		}
	}
	revert(t, l, "s")
	seal(t, l)
	gone := l.Subscribe(ctx, 5) // was ahead of what is there now
	for _, c := range []<-chan ledger.Event{ahead, gone} {
		for _, w := range []string{"1/2", "1/3"} {
			if e := <-c; say(e.SealedHeader) != w || e.Seal == ([64]byte{}) {
				t.Fatalf("after the revert: %s, want %s", say(e.SealedHeader), w)
			}
		}
	}
	last := chain.Height(0)
	for forked := false; !forked || last < 3; {
		e := <-lazy
		if e.Header.Fork == 1 && !forked {
			forked, last = true, 1
		}
		if last++; e.Header.Height != last {
			t.Fatalf("%s after height %d", say(e.SealedHeader), last-1)
		}
	}
}

func TestFund(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, ledger.ModeManual)
	l := open(t, cfg)
	ctx := ctxFor(t)
	for range 2 {
		if _, err := l.Fund(ctx, address("new"), 3); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Fund(ctx, address("new"), chain.TUN); !errors.Is(err, chain.Refuse(machine.CodeInsufficientFunds, "")) {
		t.Fatalf("more than the pool holds: %v", err)
	}
	check(t, l)
	if balance(l, "new") != 6 || l.Head().Header.Height != 2 {
		t.Fatal(balance(l, "new"))
	}
	// Nobody gets such a transaction in from outside.
	for _, d := range []machine.Dev{{Op: machine.DevFund, Height: 3, To: address("a"), Amount: 1}, {Op: machine.DevRevert, Height: 3, Fork: 1}} {
		refusedWith(t, l, d.Tx().Encode(), machine.CodeDevOnly)
	}
	l.Close()
	if _, err := ledger.Verify(context.Background(), dir); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotNames(t *testing.T) {
	l := open(t, config("", ledger.ModeManual))
	for _, name := range []string{"", "a b", "a/b", "ä", string(bytes.Repeat([]byte("x"), 65))} {
		if _, err := l.Snapshot(name); !errors.Is(err, ledger.ErrSnapshot) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for i := range ledger.MaxSnapshots {
		snapshot(t, l, fmt.Sprint("s", i))
	}
	for _, name := range []string{"s0", "other"} {
		if _, err := l.Snapshot(name); !errors.Is(err, ledger.ErrSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := l.DropSnapshot("s3"); err != nil {
		t.Fatal(err)
	}
	if err := l.DropSnapshot("s3"); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
	snapshot(t, l, "other")
}

func TestControlsAreOfDevNetworks(t *testing.T) {
	g := testGenesis(genesis.ClockReal)
	g.Dev = false
	l := open(t, ledger.Config{Genesis: g, SealerKey: sealerKey("1"), Mode: ledger.ModeManual})
	ctx := ctxFor(t)
	for name, f := range map[string]func() error{
		"snapshot":  func() error { _, err := l.Snapshot("a"); return err },
		"snapshots": func() error { _, err := l.Snapshots(); return err },
		"drop":      func() error { return l.DropSnapshot("a") },
		"revert":    func() error { _, err := l.Revert(ctx, "a"); return err },
		"mine":      func() error { _, err := l.Mine(ctx, 1); return err },
		"fund":      func() error { _, err := l.Fund(ctx, address("a"), 1); return err },
	} {
		if err := f(); !errors.Is(err, ledger.ErrNotDev) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A revert that fails its checks changes nothing.
func TestRevertIsValidatedFirst(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	l := open(t, cfg)
	seal(t, l)
	snapshot(t, l, "s")
	seal(t, l)
	before := l.Head()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Revert(ctx, "s"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := l.Revert(ctxFor(t), "unknown"); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
	if l.Head().Seal != before.Seal || l.Err() != nil || fork(l) != 0 {
		t.Fatal("a failed revert changed something")
	}
	seal(t, l)
}

// Killed before or after the batch of a revert: the old chain or the new one is
// there, whole, and goes on.
func TestCrashInRevert(t *testing.T) {
	for _, point := range []string{"before-revert", "after-revert"} {
		dir := t.TempDir()
		lines, cmd := startChild(t, point, 1, dir)
		for lines.Scan() {
			if bytes.HasPrefix(lines.Bytes(), []byte("error")) {
				t.Fatal(lines.Text())
			}
		}
		cmd.Wait()
		if _, err := ledger.Verify(context.Background(), dir); err != nil {
			t.Fatalf("%s: %v", point, err)
		}
		l := open(t, config(dir, ledger.ModeManual))
		want, height := uint32(0), chain.Height(6)
		if point == "after-revert" {
			want, height = 1, 4
		}
		if fork(l) != want || l.Head().Header.Height != height {
			t.Fatalf("%s: fork %d, height %d", point, fork(l), l.Head().Header.Height)
		}
		check(t, l)
		rng := rand.New(rand.NewPCG(1, 1))
		checkStates(t, l, rng, 0)
		if revert(t, l, "three").Header.Fork != want+1 {
			t.Fatal(point)
		}
		seal(t, l)
		checkStates(t, l, rng, 0)
		l.Close()
		if r, err := ledger.Verify(context.Background(), dir); err != nil || r.Height != 5 {
			t.Fatalf("%s: %+v, %v", point, r, err)
		}
	}
}
