package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// follower opens a ledger in dir that follows an engine which decides nothing.
func follower(t *testing.T, dir string, g genesis.Genesis) *ledger.Ledger {
	t.Helper()
	l := open(t, ledger.Config{Dir: dir, Genesis: g})
	if err := l.Attach(func(context.Context, []byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return l
}

// frozen imports blocks into a new ledger, and gives it with a state file of its
// head.
func frozen(t *testing.T, g genesis.Genesis, blocks []chain.Block) (*ledger.Ledger, ledger.StateFile, []byte) {
	t.Helper()
	l := open(t, ledger.Config{Dir: t.TempDir(), Genesis: g})
	if n, err := l.Import(t.Context(), encodings(blocks)); err != nil || n != len(blocks) {
		t.Fatalf("%d of %d blocks: %v", n, len(blocks), err)
	}
	write, err := l.Freeze([]byte("note"), 2)
	if err != nil {
		t.Fatal(err)
	}
	f, err := write(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for i, want := range f.Chunks {
		c, err := l.StateChunkAt(f.Height, uint32(i))
		if err != nil || chain.SHA256(c) != want {
			t.Fatalf("piece %d: %v", i, err)
		}
		all = append(all, c...)
	}
	if _, err := l.StateChunkAt(f.Height, uint32(len(f.Chunks))); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("a piece behind the last: %v", err)
	}
	return l, f, all
}

// TestRestore: a ledger that begins from a state file goes on like one that has
// seen all blocks, evidence about old headers included, and says what it has not.
func TestRestore(t *testing.T) {
	g, blocks := fourValidators(t)
	for _, at := range []int{2, len(blocks) / 2, len(blocks) - 20} {
		old, f, file := frozen(t, g, blocks[:at])
		if f.Height != chain.Height(at) || f.Header != blocks[at-1].Header.Hash() || string(f.Note) != "note" {
			t.Fatalf("%+v", f)
		}
		dir := t.TempDir()
		l := follower(t, dir, g)
		before := l.Follow(0)
		if err := l.Restore(t.Context(), bytes.NewReader(file), old.Certificate); err != nil {
			t.Fatalf("at %d: %v", at, err)
		}
		// Whoever follows an empty ledger goes on behind the state.
		if _, ok, err := before.Next(); ok || err != nil || before.Read() != f.Height {
			t.Fatalf("a follower of before: %t, %v, read %d", ok, err, before.Read())
		}
		if h, hash := l.Tip(); h != f.Height || hash != f.Header || l.Head().Header.Hash() != hash || l.First() != f.Height+1 {
			t.Fatalf("tip %d %s, first %d", h, hash, l.First())
		}
		if err := l.Restore(t.Context(), bytes.NewReader(file), old.Certificate); !errors.Is(err, ledger.ErrConfig) {
			t.Fatalf("over blocks: %v", err)
		}
		l.Close()

		l = open(t, ledger.Config{Dir: dir, Genesis: g, KeepStates: 8})
		if s := l.Head(); machine.VerifySeal(l.Core(), g.Hash(), s) != nil {
			t.Fatalf("the head's seal: %+v", s)
		}
		if n, err := l.Import(t.Context(), encodings(blocks[at:])); err != nil || n != len(blocks)-at {
			t.Fatalf("from %d: %d blocks, %v", at, n, err)
		}
		check(t, l)
		if got, want := l.Head().Header.Hash(), blocks[len(blocks)-1].Header.Hash(); got != want {
			t.Fatalf("from %d the head is %s, not %s", at, got, want)
		}
		for _, err := range []error{
			second(l.Block(f.Height)), second(l.Header(f.Height - 1)), second(l.Results(f.Height)), second(l.BlockByHash(f.Header)),
			second(l.Certificate(f.Height)),
		} {
			if !errors.Is(err, ledger.ErrNotFound) {
				t.Errorf("below the first block: %v", err)
			}
		}
		if _, err := l.Block(f.Height); !errors.Is(err, ledger.ErrPruned) {
			t.Errorf("below the first block: %v", err)
		}
		if b, err := l.Block(f.Height + 1); err != nil || b.Header.Hash() != blocks[at].Header.Hash() {
			t.Errorf("the first block: %v", err)
		}
		if _, err := l.Certificate(f.Height + 2); err != nil {
			t.Errorf("a certificate: %v", err)
		}
		if sets, err := l.ValidatorSets(f.Height+1, 10); err != nil || len(sets) == 0 {
			t.Errorf("validators: %v, %v", sets, err)
		}
		if _, err := l.OutcomesFrom(); err != nil {
			t.Error(err)
		}
		if _, _, err := l.Follow(0).Next(); !errors.Is(err, ledger.ErrPruned) {
			t.Errorf("from the beginning: %v", err)
		}
		l.Close()
		if r, err := ledger.Verify(t.Context(), dir); err != nil || int(r.Height) != len(blocks) {
			t.Fatalf("verify: %+v, %v", r, err)
		}
		if _, err := ledger.Export(t.Context(), dir, new(bytes.Buffer)); !errors.Is(err, ledger.ErrPruned) {
			t.Errorf("export: %v", err)
		}
		if _, err := ledger.Repair(t.Context(), dir); !errors.Is(err, ledger.ErrPruned) {
			t.Errorf("repair: %v", err)
		}
		if r, err := ledger.Verify(t.Context(), dir); err != nil || int(r.Height) != len(blocks) {
			t.Fatalf("verify after that: %+v, %v", r, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// TestRestoreRefuses: nothing of a file is used that is not the state which the
// certificate names; the ledger stays empty and takes another.
func TestRestoreRefuses(t *testing.T) {
	g, blocks := fourValidators(t)
	const at = 60
	old, _, file := frozen(t, g, blocks[:at])
	dir := t.TempDir()
	l := follower(t, dir, g)
	refuse := func(what string, file []byte, c func(chain.Height) (cometbft.Certificate, error)) {
		t.Helper()
		if err := l.Restore(t.Context(), bytes.NewReader(file), c); !errors.Is(err, ledger.ErrStateFile) {
			t.Fatalf("%s: %v", what, err)
		}
		if h, _ := l.Tip(); h != 0 || l.Err() != nil {
			t.Fatalf("%s: height %d, %v", what, h, l.Err())
		}
	}
	rng := rand.New(rand.NewPCG(3, 3))
	for range 400 {
		forged := bytes.Clone(file)
		i := rng.IntN(len(forged))
		forged[i] ^= 1 << rng.IntN(8)
		refuse("a bit", forged, old.Certificate)
	}
	for range 50 {
		refuse("cut off", file[:rng.IntN(len(file))], old.Certificate)
	}
	refuse("longer", append(bytes.Clone(file), 0), old.Certificate)
	refuse("of another height", file, func(h chain.Height) (cometbft.Certificate, error) { return old.Certificate(h - 1) })
	none := errors.New("no certificate")
	if err := l.Restore(t.Context(), bytes.NewReader(file), func(h chain.Height) (cometbft.Certificate, error) {
		return cometbft.Certificate{}, none
	}); !errors.Is(err, none) {
		t.Fatalf("without certificates: %v", err)
	}
	if err := l.Restore(t.Context(), bytes.NewReader(file), old.Certificate); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := ledger.Verify(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
}

// TestStateFilesAgree: whoever has a state writes the same file, wherever its own
// blocks begin; only the newest are kept.
func TestStateFilesAgree(t *testing.T) {
	g, blocks := fourValidators(t)
	const at, to = 100, 140
	old, _, file := frozen(t, g, blocks[:at])
	dir := t.TempDir()
	l := follower(t, dir, g)
	if err := l.Restore(t.Context(), bytes.NewReader(file), old.Certificate); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = open(t, ledger.Config{Dir: dir, Genesis: g})
	for h := at; h < to; h += 10 {
		for _, x := range []*ledger.Ledger{old, l} {
			if n, err := x.Import(t.Context(), encodings(blocks[h:h+10])); err != nil || n != 10 {
				t.Fatalf("%d, %v", n, err)
			}
			write, err := x.Freeze(nil, 2)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := write(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		a, err1 := old.StateFiles()
		b, err2 := l.StateFiles()
		if err1 != nil || err2 != nil || a[0].Hash() != b[0].Hash() || a[0].Height != chain.Height(h+10) {
			t.Fatalf("height %d: %+v, %+v, %v, %v", h+10, a[0], b[0], err1, err2)
		}
	}
	if all, err := l.StateFiles(); err != nil || len(all) != 2 || all[0].Height != to || all[1].Height != to-10 {
		t.Fatalf("%+v, %v", all, err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "states", "*")); len(names) != 4 {
		t.Fatalf("files %v", names)
	}
	// An index that is damaged is no snapshot.
	if err := os.WriteFile(filepath.Join(dir, "states", "140.index"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := l.StateFiles(); err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
}

// TestPrune: blocks below a height go, as far as nothing that is kept needs them.
func TestPrune(t *testing.T) {
	g, blocks := fourValidators(t)
	dir := t.TempDir()
	l := open(t, ledger.Config{Dir: dir, Genesis: g, KeepStates: 10})
	half := len(blocks) / 2
	if n, err := l.Import(t.Context(), encodings(blocks[:half])); err != nil || n != half {
		t.Fatalf("%d, %v", n, err)
	}
	if first, err := l.Prune(20); err != nil || first != 20 || l.First() != 20 {
		t.Fatalf("first %d, %v", first, err)
	}
	if first, err := l.Prune(10); err != nil || first != 20 {
		t.Fatalf("first %d, %v", first, err)
	}
	if _, err := l.Block(19); !errors.Is(err, ledger.ErrPruned) {
		t.Fatalf("block 19: %v", err)
	}
	l.Close()
	if r, err := ledger.Verify(t.Context(), dir); err != nil || int(r.Height) != half {
		t.Fatalf("%+v, %v", r, err)
	}
	l = open(t, ledger.Config{Dir: dir, Genesis: g, KeepStates: 10})
	if n, err := l.Import(t.Context(), encodings(blocks[half:])); err != nil || n != len(blocks)-half {
		t.Fatalf("%d, %v", n, err)
	}
	// Of all the rest what is asked for stays: the directories of 16 epochs, and ten
	// states.
	first, err := l.Prune(1 << 40)
	if err != nil || first <= 20 || int(first) > len(blocks)-10 {
		t.Fatalf("first %d, %v", first, err)
	}
	for e := l.Head().Header.DirEpoch; e > l.Head().Header.DirEpoch-ledger.KeptLists; e-- {
		if _, s, err := l.List(e); err != nil || s.Commit == nil {
			t.Fatalf("list of epoch %d: %+v, %v", e, s.Header.Height, err)
		}
	}
	for h := l.KeptFrom(); h <= l.Head().Header.Height; h++ {
		if err := l.ViewAt(t.Context(), h, func(*machine.Machine) {}); err != nil {
			t.Fatalf("state after block %d: %v", h, err)
		}
	}
	check(t, l)
	l.Close()
	if r, err := ledger.Verify(t.Context(), dir); err != nil || int(r.Height) != len(blocks) {
		t.Fatalf("%+v, %v", r, err)
	}
}
