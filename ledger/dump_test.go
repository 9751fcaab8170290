package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
)

// A dump goes on elsewhere: the same blocks, a new fork, the clock and what
// waited; time and heights never fall.
func TestDumpAndLoad(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	l := open(t, cfg)
	ctx := ctxFor(t)
	submit(t, l, transfer(cfg.Genesis, "a", "b", 0, 5))
	seal(t, l)
	snapshot(t, l, "s")
	seal(t, l)
	revert(t, l, "s")
	if err := l.Advance(ctx, cfg.Genesis.Params.EpochLength*2+1234); err != nil {
		t.Fatal(err)
	}
	l.Clock().Set(l.Clock().Now() + 777)
	waits := submit(t, l, transfer(cfg.Genesis, "b", "c", 0, 7))
	later := submit(t, l, transfer(cfg.Genesis, "c", "a", 1, 7)) // behind a gap
	var dump bytes.Buffer
	if err := l.Dump(ctx, &dump); err != nil {
		t.Fatal(err)
	}
	now, old := l.Clock().Now(), l.Head().Header

	dir := filepath.Join(t.TempDir(), "loaded")
	r, err := ledger.Load(ctx, dir, sealerKey("1"), bytes.NewReader(dump.Bytes()))
	if err != nil || r.Height != old.Height+1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := ledger.Verify(ctx, dir); err != nil {
		t.Fatal(err)
	}
	m := open(t, config(dir, ledger.ModeManual))
	h := m.Head().Header
	if h.Fork != 2 || h.Parent != old.Hash() || h.Time != now || m.Clock().Now() != now {
		t.Fatalf("%+v at %d, was %d", h, m.Clock().Now(), now)
	}
	for _, id := range []chain.Hash{waits, later} {
		if s, err := m.Tx(id); err != nil || s.State != ledger.TxPending {
			t.Fatalf("%+v, %v", s, err)
		}
	}
	if s := seal(t, m).Header; s.Height != h.Height+1 || s.Time < h.Time || s.Fork != 2 || s.TxCount != 1 {
		t.Fatalf("%+v", s)
	}
	check(t, m)
	m.Close()
	if _, err := ledger.Verify(context.Background(), dir); err != nil {
		t.Fatal(err)
	}
	// Nothing half goes in.
	text := dump.Bytes()
	lines := bytes.SplitAfter(text, []byte("\n"))
	for name, b := range map[string][]byte{
		"cut within the blocks":       bytes.Join(lines[:3], nil),
		"cut within the transactions": bytes.Join(lines[:len(lines)-2], nil),
		"more transactions":           append(bytes.Clone(text), lines[len(lines)-2]...),
		"a block behind":              append(bytes.Clone(text), lines[1]...),
		"an export":                   bytes.Join(lines[1:], nil),
		"empty":                       nil,
	} {
		if _, err := ledger.Load(ctx, filepath.Join(t.TempDir(), "x"), sealerKey("1"), bytes.NewReader(b)); !errors.Is(err, ledger.ErrBlock) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDumpIsOfDevNetworks(t *testing.T) {
	g := testGenesis(genesis.ClockReal)
	g.Dev = false
	l := open(t, ledger.Config{Genesis: g, SealerKey: sealerKey("1"), Mode: ledger.ModeManual})
	if err := l.Dump(ctxFor(t), new(bytes.Buffer)); !errors.Is(err, ledger.ErrNotDev) {
		t.Fatal(err)
	}
}
