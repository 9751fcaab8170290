package ledger_test

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"slices"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/ledger/comettest"
)

// changing is a network of four validators with changes: e joins in block 2, a and
// b leave in 4, and after that nothing changes up to block 8.
func changing(t *testing.T) (*comettest.Chain, []chain.Block) {
	t.Helper()
	first := []string{"a", "b", "c", "d"}
	c := comettest.New(t, comettest.Genesis(t, first, []string{"e"}), "a", "b", "c", "d", "e")
	var blocks []chain.Block
	for h := chain.Height(1); h <= 8; h++ {
		var txs [][]byte
		switch h {
		case 2:
			txs = c.Join("e")
		case 4:
			txs = [][]byte{c.Leave("a"), c.Leave("b")}
		}
		blocks = append(blocks, c.OK(comettest.Began+chain.Time(h)*1000, txs...))
	}
	return c, blocks
}

func encodings(blocks []chain.Block) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, b := range blocks {
			if !yield(b.Encode(), nil) {
				return
			}
		}
	}
}

func nodes(names ...string) []chain.NodeID {
	var out []chain.NodeID
	for _, n := range names {
		out = append(out, comettest.Node(n))
	}
	slices.SortFunc(out, func(a, b chain.NodeID) int { return slices.Compare(a[:], b[:]) })
	return out
}

// TestValidatorsOfAnImport: a copy that follows without CometBFT knows who decides
// each height, also after it was opened anew, and has the certificates.
func TestValidatorsOfAnImport(t *testing.T) {
	c, blocks := changing(t)
	dir := t.TempDir()
	l := open(t, ledger.Config{Dir: dir, Genesis: c.Genesis})
	if n, err := l.Import(t.Context(), encodings(blocks)); err != nil || n != len(blocks) {
		t.Fatalf("%d blocks, %v", n, err)
	}
	before := ledger.ValidatorSet{From: 1, Nodes: nodes("a", "b", "c", "d")}
	joined := ledger.ValidatorSet{From: 4, Nodes: nodes("a", "b", "c", "d", "e")}
	left := ledger.ValidatorSet{From: 6, Nodes: nodes("c", "d", "e")}
	look := func(l *ledger.Ledger) {
		t.Helper()
		for h, want := range []ledger.ValidatorSet{{}, before, before, before, joined, joined, left, left, left, left, left} {
			got, err := l.ValidatorsAt(chain.Height(h))
			if want.From == 0 {
				if !errors.Is(err, ledger.ErrNotFound) {
					t.Errorf("height %d: %v", h, err)
				}
			} else if err != nil || !slices.Equal(got, want.Nodes) {
				t.Errorf("height %d: %v, %v", h, got, err)
			}
		}
		if _, err := l.ValidatorsAt(11); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("three above the head: %v", err)
		}
		all, err := l.ValidatorSets(10, 10)
		if err != nil || len(all) != 3 || all[0].From != left.From || all[1].From != joined.From || all[2].From != before.From || !slices.Equal(all[2].Nodes, before.Nodes) {
			t.Errorf("all: %+v, %v", all, err)
		}
		if some, err := l.ValidatorSets(5, 1); err != nil || len(some) != 1 || some[0].From != joined.From {
			t.Errorf("one up to 5: %+v, %v", some, err)
		}
		for h := chain.Height(2); h <= 9; h++ {
			got, err := l.Certificate(h)
			if err != nil {
				t.Fatal(err)
			}
			own := cometbft.Certificate{Header: got.Header, Commit: got.Commit}
			if got.Header.Height != h || string(own.Encode()) != string(blocks[h-2].Commit) {
				t.Errorf("height %d is not the commit behind header %d", h, h-1)
			}
			if got.Next == nil || (got.Set == got.Next) != (h != 3 && h != 5) {
				t.Errorf("height %d: sets %v and %v", h, got.Set, got.Next)
			}
			if err := got.Set.VerifyCommit(cometbft.ChainID(c.Genesis.Hash()), h, got.Commit.BlockID, &got.Commit); err != nil {
				t.Errorf("height %d: %v", h, err)
			}
			if again, err := cometbft.DecodeCertificate(got.Encode()); err != nil || again.Set == nil || again.Next == nil {
				t.Errorf("height %d is not read again: %v", h, err)
			}
		}
		for _, h := range []chain.Height{0, 1, 10, 11} {
			if _, err := l.Certificate(h); !errors.Is(err, ledger.ErrNotFound) {
				t.Errorf("certificate of %d: %v", h, err)
			}
		}
	}
	look(l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Verify(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	l = open(t, ledger.Config{Dir: dir, Genesis: c.Genesis})
	look(l)
	l.Close()

	// A set that the blocks do not give is found out, and one too few.
	for name, spoil := range map[string]func(db *leveldb.DB) error{
		"another set": func(db *leveldb.DB) error {
			return db.Put([]byte("v\x00\x00\x00\x00\x00\x00\x00\x02"), make([]byte, 64), nil)
		},
		"a set too many": func(db *leveldb.DB) error {
			return db.Put([]byte("v\x00\x00\x00\x00\x00\x00\x00\x03"), make([]byte, 32), nil)
		},
		"one missing": func(db *leveldb.DB) error { return db.Delete([]byte("v\x00\x00\x00\x00\x00\x00\x00\x04"), nil) },
	} {
		dir := t.TempDir()
		l := open(t, ledger.Config{Dir: dir, Genesis: c.Genesis})
		if _, err := l.Import(context.Background(), encodings(blocks)); err != nil {
			t.Fatal(err)
		}
		l.Close()
		db, err := leveldb.OpenFile(filepath.Join(dir, "db"), nil)
		if err == nil {
			err = errors.Join(spoil(db), db.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ledger.Verify(t.Context(), dir); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestImportRefusesTheWrongSet: a block that those who have left would decide, or
// too few, is refused.
func TestImportRefusesTheWrongSet(t *testing.T) {
	c, blocks := changing(t)
	l := open(t, ledger.Config{Genesis: c.Genesis})
	if _, err := l.Import(t.Context(), encodings(blocks[:7])); err != nil {
		t.Fatal(err)
	}
	above, set := c.Engine()
	few := blocks[7]
	few.SealedHeader = c.Certify(few.Header, above, set, 0)
	former, err := cometbft.SetOf(nodes("a", "b", "c", "d"))
	if err != nil {
		t.Fatal(err)
	}
	wrong := blocks[7]
	above.ValidatorsHash = former.Hash()
	wrong.SealedHeader = c.Certify(wrong.Header, above, former)
	for _, b := range []chain.Block{few, wrong} {
		if _, err := l.Import(t.Context(), encodings([]chain.Block{b})); !errors.Is(err, ledger.ErrBlock) {
			t.Fatalf("imported: %v", err)
		}
	}
	if _, err := l.Import(t.Context(), encodings(blocks[7:])); err != nil {
		t.Fatal(err)
	}
}

// TestNoValidatorsOfSealers: where sealers of genesis seal, nobody else does.
func TestNoValidatorsOfSealers(t *testing.T) {
	l := open(t, config("", ledger.ModeManual))
	if _, err := l.ValidatorsAt(1); !errors.Is(err, ledger.ErrEngine) {
		t.Fatal(err)
	}
	if _, err := l.Certificate(2); !errors.Is(err, ledger.ErrEngine) {
		t.Fatal(err)
	}
	if l.Core().Engine != genesis.EngineSealer {
		t.Fatal("another engine")
	}
}
