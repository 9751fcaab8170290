package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tunic/chain"
	"tunic/ledger"
)

// journal is a closed ledger whose last block spans several blocks of the
// database's journal: its folder, the journal's name and content, and the head.
func journal(t *testing.T) (dir, name string, whole []byte, head chain.Height) {
	t.Helper()
	dir = t.TempDir()
	cfg := config(dir, ledger.ModeManual)
	l := open(t, cfg)
	seal(t, l)
	for n := range uint64(600) {
		submit(t, l, transfer(cfg.Genesis, "a", "b", n, 1))
	}
	head = seal(t, l).Header.Height
	l.Close()
	logs, err := filepath.Glob(filepath.Join(dir, "db", "*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("journals %v, %v", logs, err)
	}
	if whole, err = os.ReadFile(logs[0]); err != nil || len(whole) < 90_000 {
		t.Fatalf("journal of %d bytes, %v", len(whole), err)
	}
	return dir, filepath.Base(logs[0]), whole, head
}

// reopen opens a copy of the folder with another journal.
func reopen(t *testing.T, src, name string, content []byte) (chain.Height, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(src)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "db", name), content, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(context.Background(), config(dir, ledger.ModeManual))
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Head().Header.Height, nil
}

// sealRecord is less than what the seal behind the last block takes in the journal.
const sealRecord = 64

// A journal cut off in the middle of a write, as a crash leaves it, opens with
// the last block that was written whole.
func TestTornJournal(t *testing.T) {
	dir, name, whole, head := journal(t)
	cuts := []int{len(whole)}
	for cut := len(whole) - 1; cut > 3000; cut -= 19_777 {
		cuts = append(cuts, cut)
	}
	for d := -8; d <= 8; d += 2 { // around a block's edge
		cuts = append(cuts, 64<<10+d)
	}
	for _, cut := range cuts {
		want := head - 1
		if cut >= len(whole)-sealRecord { // a seal that is cut off is made again
			want = head
		}
		for _, content := range [][]byte{whole[:cut], append(bytes.Clone(whole[:cut]), make([]byte, 500)...)} {
			h, err := reopen(t, dir, name, content)
			if len(content) != cut && (err != nil || bytes.HasPrefix(content, whole)) {
				continue // zeros within a chunk may also be damage: refused, not lost
			}
			if err != nil || h != want {
				t.Fatalf("cut at %d of %d: height %d, %v", cut, len(whole), h, err)
			}
		}
	}
}

// A flipped bit is never taken for an unfinished write: no block is lost silently.
func TestFlippedJournal(t *testing.T) {
	dir, name, whole, head := journal(t)
	for at := 5; at < len(whole); at += 4_111 {
		b := bytes.Clone(whole)
		b[at] ^= 1 << (at % 8)
		if h, err := reopen(t, dir, name, b); !errors.Is(err, ledger.ErrCorrupt) {
			t.Fatalf("bit at %d of %d: height %d of %d, %v", at, len(whole), h, head, err)
		}
	}
	// The length of the last chunk, a byte more.
	last := len(whole) - 1
	for ; last%(32<<10) != 0; last-- {
	}
	b := bytes.Clone(whole)
	b[last+4]++
	if h, err := reopen(t, dir, name, b); !errors.Is(err, ledger.ErrCorrupt) {
		t.Fatalf("length: height %d of %d, %v", h, head, err)
	}
}
