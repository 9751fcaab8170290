package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/syndtr/goleveldb/leveldb"

	"tunic/chain"
	"tunic/ledger"
	"tunic/ledger/light"
	"tunic/ledger/machine"
)

// filled is a closed ledger's folder with a few blocks, and its head.
func filled(t testing.TB) (string, chain.SealedHeader) {
	t.Helper()
	dir := t.TempDir()
	cfg := config(dir, ledger.ModeManual)
	l := open(t, cfg)
	for n := range uint64(6) {
		submit(t, l, transfer(cfg.Genesis, "a", "b", n, chain.Amount(n+1)))
		if err := l.Advance(context.Background(), 4000); err != nil {
			t.Fatal(err)
		}
	}
	head := l.Head()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, head
}

func TestRestart(t *testing.T) {
	dir, head := filled(t)
	cfg := config(dir, ledger.ModeManual)
	l := open(t, cfg)
	if l.Head().Header.Hash() != head.Header.Hash() || l.Head().Seal != head.Seal {
		t.Fatal("another head after a restart")
	}
	if l.Clock().Now() < head.Header.Time {
		t.Fatal("the clock is behind the head")
	}
	submit(t, l, transfer(cfg.Genesis, "a", "b", 6, 1))
	if s := seal(t, l); s.Header.Parent != head.Header.Hash() || s.Header.TxCount != 1 {
		t.Fatalf("next block %+v", s.Header)
	}
	check(t, l)
	l.Close()
	other := cfg
	other.Genesis.ChainID++
	if _, err := ledger.Open(context.Background(), other); !errors.Is(err, ledger.ErrGenesis) {
		t.Fatalf("another genesis: %v", err)
	}
	if _, err := l.Submit(context.Background(), nil); !errors.Is(err, ledger.ErrHalted) {
		t.Fatalf("after Close: %v", err)
	}
}

// edit changes the database behind the ledger's back, checksums intact.
func edit(t testing.TB, dir string, f func(*leveldb.DB) error) {
	t.Helper()
	db, err := leveldb.OpenFile(filepath.Join(dir, "db"), nil)
	if err == nil {
		err = f(db)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// flip changes one bit of the first value whose key begins with prefix, at
// offset at (from the end if negative).
func flip(prefix byte, at int) func(*leveldb.DB) error {
	return func(db *leveldb.DB) error {
		it := db.NewIterator(nil, nil)
		defer it.Release()
		if !it.Seek([]byte{prefix}) || it.Key()[0] != prefix {
			return errors.New("no such key")
		}
		v := bytes.Clone(it.Value())
		i := at
		if i < 0 {
			i += len(v)
		}
		v[i] ^= 1
		return db.Put(it.Key(), v, nil)
	}
}

func TestCorruptionIsFound(t *testing.T) {
	drop := func(prefix byte) func(*leveldb.DB) error {
		return func(db *leveldb.DB) error {
			it := db.NewIterator(nil, nil)
			defer it.Release()
			if !it.Seek([]byte{prefix}) || it.Key()[0] != prefix {
				return errors.New("no such key")
			}
			return db.Delete(bytes.Clone(it.Key()), nil)
		}
	}
	for name, f := range map[string]func(*leveldb.DB) error{
		"header":             flip('b', 50),
		"seal":               flip('b', 400),
		"transaction":        flip('b', -1),
		"state row":          flip('r', 3),
		"list":               flip('d', 9),
		"head":               flip('m', -1),
		"missing block":      drop('b'),
		"missing row":        drop('r'),
		"missing list":       drop('d'),
		"every block":        func(db *leveldb.DB) error { return dropAll(db, 'b') },
		"a row not of state": func(db *leveldb.DB) error { return db.Put([]byte("r\x00\x01x"), []byte("y"), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, head := filled(t)
			if name == "list" || name == "missing list" { // only the last one counts
				edit(t, dir, func(db *leveldb.DB) error { return dropAllBut(db, 'd', byte(head.Header.DirEpoch)) })
			}
			edit(t, dir, f)
			_, err := ledger.Open(context.Background(), config(dir, ledger.ModeManual))
			if !errors.Is(err, ledger.ErrCorrupt) || !strings.Contains(err.Error(), "tunic db repair") {
				t.Fatalf("%v", err)
			}
		})
	}
}

func dropAll(db *leveldb.DB, prefix byte) error { return dropAllBut(db, prefix, 0) }

func dropAllBut(db *leveldb.DB, prefix, last byte) error {
	it := db.NewIterator(nil, nil)
	defer it.Release()
	b := new(leveldb.Batch)
	for ok := it.Seek([]byte{prefix}); ok && it.Key()[0] == prefix; ok = it.Next() {
		if k := it.Key(); last == 0 || k[len(k)-1] != last {
			b.Delete(bytes.Clone(k))
		}
	}
	return db.Write(b, nil)
}

// Verify recomputes everything: one unit in any account or bond, one row too
// many or too few of any kind, an index that points elsewhere.
func TestVerifyRecomputesEverything(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir, ledger.ModeManual)
	rich(&cfg)
	l := open(t, cfg)
	submit(t, l, register(cfg.Genesis, "n", "a", 0))
	for n := range uint64(3) {
		submit(t, l, transfer(cfg.Genesis, "b", "c", n, 1))
		if err := l.Advance(context.Background(), 11_000); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	good := func() {
		t.Helper()
		if _, err := ledger.Verify(context.Background(), dir); err != nil {
			t.Fatal(err)
		}
	}
	good()
	type change struct {
		key     string
		was, is []byte // nil: no row
	}
	var changes []change
	edit(t, dir, func(db *leveldb.DB) error {
		it := db.NewIterator(nil, nil)
		defer it.Release()
		before := byte(0)
		for it.Next() {
			k, v := string(it.Key()), bytes.Clone(it.Value())
			// An unsealed head is sealed again at the next start, and the lowest undo
			// record is missing where fewer states were kept: the second is not.
			if k[0] != before && k[0] != 's' && k[0] != 'u' || strings.HasPrefix(k, "u") && strings.HasSuffix(k, "\x02") {
				changes = append(changes, change{k, v, nil})
			}
			before = k[0]
			bad, at := bytes.Clone(v), len(v)-1
			if k[0] == 'r' {
				at = min(at, 7) // an account's last digit
			}
			bad[at]++
			changes = append(changes, change{k, v, bad})
		}
		return it.Error()
	})
	for _, k := range []string{"x", "mx", "b12345678", "d\x00\x00\x00\x00\x00\x00\x00\x63", "h" + strings.Repeat("1", 32), "t" + strings.Repeat("1", 32), "r\x00\x01x", "u\x00\x00\x00\x00\x00\x00\x00\x63", "u1"} {
		changes = append(changes, change{k, nil, make([]byte, 12)})
	}
	if len(changes) < 40 {
		t.Fatalf("%d changes", len(changes))
	}
	set := func(b *leveldb.Batch, k string, v []byte) {
		if v == nil {
			b.Delete([]byte(k))
		} else {
			b.Put([]byte(k), v)
		}
	}
	for i, c := range append(changes, change{key: "x"}) {
		edit(t, dir, func(db *leveldb.DB) error {
			b := new(leveldb.Batch)
			if i > 0 {
				set(b, changes[i-1].key, changes[i-1].was)
			}
			set(b, c.key, c.is)
			return db.Write(b, nil)
		})
		if i == len(changes) {
			break
		}
		if _, err := ledger.Verify(context.Background(), dir); err == nil {
			t.Errorf("%q, %x made %x: not found out", c.key, c.was, c.is)
		}
	}
	good()
}

// What was applied stays found as applied though a later block repeats it.
func TestRepeatedTransaction(t *testing.T) {
	cfg := config(t.TempDir(), ledger.ModeManual)
	cfg.SealerKey = nil
	m, err := machine.New(cfg.Genesis, nil)
	if err != nil {
		t.Fatal(err)
	}
	tx := transfer(cfg.Genesis, "a", "b", 0, 7)
	var blocks []chain.Block
	for h, txs := range [][][]byte{{tx, tx}, {tx}} {
		out, err := m.Apply(machine.Input{Height: chain.Height(h + 1), Time: start, Proposer: cfg.Genesis.Sealers[0], Txs: m.PrepareAll(txs)})
		if err != nil {
			t.Fatal(err)
		}
		blocks = append(blocks, chain.Block{SealedHeader: light.Seal(sealerKey("1"), out.Header), Txs: txs})
	}
	l := open(t, cfg)
	if _, err := l.Import(context.Background(), func(yield func([]byte, error) bool) {
		for _, b := range blocks {
			if !yield(b.Encode(), nil) {
				return
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if s, err := l.Tx(chain.SHA256(tx)); err != nil || s.Code != "" || s.Height != 1 || s.Index != 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	l.Close()
	if r, err := ledger.Verify(context.Background(), cfg.Dir); err != nil || r.Txs != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// An import takes lines of an export and nothing else.
func TestImportFileIsStrict(t *testing.T) {
	ctx := context.Background()
	dir, _ := filled(t)
	var file bytes.Buffer
	if _, err := ledger.Export(ctx, dir, &file); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(file.String(), "\n")
	for name, f := range map[string]func(l []string){
		"unknown field":    func(l []string) { l[2] = strings.Replace(l[2], "{", `{"x":1,`, 1) },
		"trailing bytes":   func(l []string) { l[2] = strings.Replace(l[2], "\n", " {}\n", 1) },
		"another height":   func(l []string) { l[2] = strings.Replace(l[2], `"height":2`, `"height":3`, 1) },
		"a block left out": func(l []string) { l[2] = "" },
		"genesis again":    func(l []string) { l[2] = l[0] },
		"block in genesis": func(l []string) { l[0] = strings.Replace(l[0], "{", `{"height":1,`, 1) },
		"loose base64":     func(l []string) { l[2] = strings.Replace(l[2], `"block":"`, `"block":"\n`, 1) },
		"no block":         func(l []string) { l[2] = "{\"height\":2}\n" },
	} {
		bad := slices.Clone(lines)
		f(bad)
		if strings.Join(bad, "") == file.String() {
			t.Fatalf("%s: nothing changed", name)
		}
		if _, err := ledger.ImportFile(ctx, t.TempDir(), strings.NewReader(strings.Join(bad, ""))); !errors.Is(err, ledger.ErrBlock) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A bit flipped in a file is refused by name, and Repair brings back a chain
// that verifies, state rebuilt.
func TestBitFlipOnDiskAndRepair(t *testing.T) {
	dir, head := filled(t)
	logs, err := filepath.Glob(filepath.Join(dir, "db", "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatal("no journal")
	}
	raw, err := os.ReadFile(logs[len(logs)-1])
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 4
	if err := os.WriteFile(logs[len(logs)-1], raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Open(context.Background(), config(dir, ledger.ModeManual)); !errors.Is(err, ledger.ErrCorrupt) {
		t.Fatalf("open: %v", err)
	}
	if _, err := ledger.Verify(context.Background(), dir); !errors.Is(err, ledger.ErrCorrupt) {
		t.Fatalf("verify: %v", err)
	}
	r, err := ledger.Repair(context.Background(), dir)
	if err != nil {
		t.Skipf("nothing could be rescued: %v", err)
	}
	if r.Height > head.Header.Height {
		t.Fatalf("%+v", r)
	}
	if v, err := ledger.Verify(context.Background(), dir); err != nil || v.Height != r.Height {
		t.Fatalf("after repair: %+v, %v", v, err)
	}
}

func TestRepairRebuildsState(t *testing.T) {
	dir, head := filled(t)
	edit(t, dir, flip('r', 3))
	r, err := ledger.Repair(context.Background(), dir)
	if err != nil || r.Height != head.Header.Height || r.Head != head.Header.Hash() {
		t.Fatalf("%+v, %v", r, err)
	}
	if l := open(t, config(dir, ledger.ModeManual)); l.Head().Seal != head.Seal {
		t.Fatal("another head")
	}
	dir, _ = filled(t)
	edit(t, dir, func(db *leveldb.DB) error { return db.Delete([]byte{'b', 0, 0, 0, 0, 0, 0, 0, 4}, nil) })
	if r, err := ledger.Repair(context.Background(), dir); err != nil || r.Height != 3 {
		t.Fatalf("%+v, %v", r, err)
	}
}

func TestExportAndImport(t *testing.T) {
	ctx := context.Background()
	dir, head := filled(t)
	var file bytes.Buffer
	h, err := ledger.Export(ctx, dir, &file)
	if err != nil || h != head.Header.Height {
		t.Fatalf("%d, %v", h, err)
	}
	copied := filepath.Join(t.TempDir(), "copy")
	r, err := ledger.ImportFile(ctx, copied, bytes.NewReader(file.Bytes()))
	if err != nil || r.Head != head.Header.Hash() {
		t.Fatalf("%+v, %v", r, err)
	}
	a, errA := ledger.Verify(ctx, dir)
	b, errB := ledger.Verify(ctx, copied)
	if errA != nil || errB != nil || a != b || a.Txs != 6 {
		t.Fatalf("%+v %v, %+v %v", a, errA, b, errB)
	}
	if _, err := ledger.ImportFile(ctx, copied, bytes.NewReader(file.Bytes())); !errors.Is(err, ledger.ErrConfig) {
		t.Fatalf("over a database: %v", err)
	}
	if _, err := ledger.ImportFile(ctx, t.TempDir(), strings.NewReader("{}\n")); !errors.Is(err, ledger.ErrBlock) {
		t.Fatalf("no genesis: %v", err)
	}
	if _, err := ledger.Verify(ctx, t.TempDir()); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("no database: %v", err)
	}
}

// A follower takes only what its machine gives itself, and goes on after a
// refused block.
func TestImportRefuses(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	src := open(t, cfg)
	for n := range uint64(3) {
		submit(t, src, transfer(cfg.Genesis, "a", "b", n, 1))
		seal(t, src)
	}
	blocks := make([]chain.Block, 3)
	for i := range blocks {
		b, err := src.Block(chain.Height(i + 1))
		if err != nil {
			t.Fatal(err)
		}
		blocks[i] = b
	}
	follower := config("", ledger.ModeManual)
	follower.SealerKey = nil
	l := open(t, follower)
	feed := func(bs ...chain.Block) error {
		_, err := l.Import(context.Background(), func(yield func([]byte, error) bool) {
			for _, b := range bs {
				if !yield(b.Encode(), nil) {
					return
				}
			}
		})
		return err
	}
	badSeal, badState, badTxs := blocks[0], blocks[0], blocks[0]
	badSeal.Seal[5] ^= 1
	badState.Header.State[0] ^= 1
	badState.SealedHeader = light.Seal(sealerKey("1"), badState.Header)
	badTxs.Txs = blocks[1].Txs
	stranger := blocks[0]
	stranger.SealedHeader = light.Seal(sealerKey("2"), stranger.Header)
	for name, b := range map[string]chain.Block{"seal": badSeal, "state": badState, "transactions": badTxs, "stranger": stranger, "gap": blocks[1]} {
		if err := feed(b); !errors.Is(err, ledger.ErrBlock) || l.Head().Header.Height != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := feed(blocks...); err != nil || l.Head().Header.Hash() != src.Head().Header.Hash() {
		t.Fatalf("after refusals: %v", err)
	}
	if err := feed(blocks[2]); !errors.Is(err, ledger.ErrBlock) {
		t.Errorf("again: %v", err)
	}
	check(t, l)
}
