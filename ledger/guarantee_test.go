package ledger_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"tunic/chain"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// contents are the rows of the whole state but the fork number: what must be
// equal where a fork has had equal inputs.
func contents(t testing.TB, l *ledger.Ledger) (out [machine.Parts]chain.Hash) {
	t.Helper()
	l.View(func(m *machine.Machine) {
		for part := range machine.Parts {
			var all []byte
			for _, r := range m.Rows(machine.Part(part)) {
				// Keys 1 2 of the part of the parameters: docs/spec/state.md.
				if machine.Part(part) == machine.PartParams && bytes.Equal(r.Key, []byte{1, 2}) {
					continue
				}
				all = append(append(append(all, r.Key...), 0xff), r.Value...)
			}
			out[part] = chain.SHA256(all)
		}
	})
	return out
}

// thousand is more than a thousand blocks with the same inputs each time:
// transfers, funds and epochs, from a nonce on. It returns what the state was
// after each.
func thousand(t testing.TB, l *ledger.Ledger, cfg ledger.Config) (all [][machine.Parts]chain.Hash) {
	t.Helper()
	ctx := ctxFor(t)
	first := l.Head().Header.Height
	for n := uint64(0); n < 600; n++ {
		submit(t, l, transfer(cfg.Genesis, "a", "b", 1+n, chain.Amount(n+1)))
		if n%7 == 0 {
			submit(t, l, transfer(cfg.Genesis, "b", "c", n/7, 3))
		}
		if n%50 == 0 {
			if _, err := l.Fund(ctx, address("d"), 1); err != nil {
				t.Fatal(err)
			}
		}
		if n%20 == 0 {
			if err := l.Advance(ctx, cfg.Genesis.Params.EpochLength*16); err != nil {
				t.Fatal(err)
			}
		} else {
			seal(t, l)
		}
		all = append(all, contents(t, l))
	}
	if made := l.Head().Header.Height - first; made < 1000 {
		t.Fatalf("%d blocks", made)
	}
	return all
}

// A snapshot that lies more than a thousand blocks back is what it was, each
// time that it is gone back to; and the same transactions at the same times give
// the same state, block by block, but for the fork number.
func TestRevertOfAThousandBlocks(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, ledger.ModeManual)
	l := open(t, cfg)
	submit(t, l, transfer(cfg.Genesis, "a", "b", 0, 5))
	base, was := seal(t, l), contents(t, l)
	snapshot(t, l, "base")
	first := thousand(t, l, cfg)
	for fork := uint32(1); fork <= 2; fork++ {
		h := revert(t, l, "base").Header
		if h.Fork != fork || h.Parent != base.Header.Hash() || h.Height != base.Header.Height+1 {
			t.Fatalf("%+v", h)
		}
		if got, err := l.Header(base.Header.Height); err != nil || got.Seal != base.Seal {
			t.Fatalf("the snapshot's block is another one: %v", err)
		}
		if contents(t, l) != was {
			t.Fatalf("fork %d does not begin with the snapshot's state", fork)
		}
		if fork == 2 {
			break
		}
		for i, got := range thousand(t, l, cfg) {
			if got != first[i] {
				t.Fatalf("round %d of fork %d: equal inputs, another state", i, fork)
			}
		}
	}
	l.Close()
	if r, err := ledger.Verify(t.Context(), dir); err != nil || r.Height != base.Header.Height+1 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// Both who go on, where the dump was taken and elsewhere, do so from one state;
// loaded twice, a dump is the same twice, and with the same inputs both loads
// stay equal to a byte. What is dumped there, loaded once more, is so too, and
// never earlier.
func TestLoadedDumpsAreEqual(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	l := open(t, cfg)
	ctx := ctxFor(t)
	submit(t, l, transfer(cfg.Genesis, "a", "b", 0, 5))
	if err := l.Advance(ctx, cfg.Genesis.Params.EpochLength*3+17); err != nil {
		t.Fatal(err)
	}
	l.Clock().Set(l.Clock().Now() + 321)
	submit(t, l, transfer(cfg.Genesis, "a", "c", 1, 9)) // waits
	dump := func(l *ledger.Ledger) []byte {
		var b bytes.Buffer
		if err := l.Dump(ctx, &b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	dumped, was, head, clock := dump(l), contents(t, l), l.Head().Header, l.Clock().Now()

	var ends []chain.Hash
	for n := range 2 {
		dir := filepath.Join(t.TempDir(), fmt.Sprint("copy", n))
		if _, err := ledger.Load(ctx, dir, sealerKey("1"), bytes.NewReader(dumped)); err != nil {
			t.Fatal(err)
		}
		m := open(t, config(dir, ledger.ModeManual))
		h := m.Head().Header
		if contents(t, m) != was || h.Height != head.Height+1 || h.Parent != head.Hash() || h.Fork != head.Fork+1 || h.Time < clock || m.Waiting() != 1 {
			t.Fatalf("copy %d: %+v, %d wait", n, h, m.Waiting())
		}
		for _, at := range []chain.Height{1, head.Height} { // what came before is the same
			a, errA := l.Block(at)
			b, errB := m.Block(at)
			if errA != nil || errB != nil || !bytes.Equal(a.Encode(), b.Encode()) {
				t.Fatalf("block %d: %v, %v", at, errA, errB)
			}
		}
		last := h
		for range 20 {
			if err := m.Advance(ctx, 777); err != nil {
				t.Fatal(err)
			}
			s := m.Head().Header
			if s.Time < last.Time || s.Height <= last.Height || s.Fork != last.Fork {
				t.Fatalf("%+v after %+v", s, last)
			}
			last = s
		}
		if balance(m, "c") != 1000*chain.TUN+9 {
			t.Fatal("what waited was lost")
		}
		ends = append(ends, last.Hash())
		if n == 1 {
			again, at := filepath.Join(t.TempDir(), "again"), m.Clock().Now()
			if _, err := ledger.Load(ctx, again, sealerKey("1"), bytes.NewReader(dump(m))); err != nil {
				t.Fatal(err)
			}
			x := open(t, config(again, ledger.ModeManual))
			if h := x.Head().Header; contents(t, x) != contents(t, m) || h.Fork != last.Fork+1 || h.Height != last.Height+1 || h.Time < at {
				t.Fatalf("a dump of what was loaded: %+v", h)
			}
		}
	}
	if ends[0] != ends[1] {
		t.Fatal("two loads of one dump, equal inputs, two histories")
	}
}
