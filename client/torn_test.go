package client

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// A write that a crash or a full disk cut off is as if it had not been begun,
// whether or not the database has begun another journal since. One that was changed
// is damage.
func TestTornWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	open := func(dir string) (*store, []row, error) { return openStore(dir, [32]byte{1}, [32]byte{2}, rand.Reader) }
	s, _, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	done := sync.OnceValue(s.close)
	defer done()
	const journal, next = "state/000001.log", "state/000002.log"
	var ends []int
	for n := range 3 {
		if err := s.commit(row{rowContact, fmt.Sprint(n), bytes.Repeat([]byte{byte(n)}, 20_000)}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, journal))
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, len(b))
	}
	whole, err := os.ReadFile(filepath.Join(dir, journal))
	if err != nil {
		t.Fatal(err)
	}
	reopen := func(change func(dir string) error) ([]row, error) {
		t.Helper()
		copied := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := change(copied); err != nil {
			t.Fatal(err)
		}
		s, rows, err := open(copied)
		if err == nil {
			err = s.close()
		}
		return rows, err
	}
	for cut := ends[2]; cut > ends[0]; cut -= 2_999 {
		want := 1
		for _, end := range ends[1:] {
			if cut >= end {
				want++
			}
		}
		for _, newer := range []bool{false, true} {
			rows, err := reopen(func(dir string) error {
				if newer {
					if err := os.WriteFile(filepath.Join(dir, next), nil, 0o600); err != nil {
						return err
					}
				}
				return os.Truncate(filepath.Join(dir, journal), int64(cut))
			})
			if err != nil || len(rows) != want {
				t.Fatalf("cut at %d of %v, a newer journal %v: %d rows, want %d; %v", cut, ends, newer, len(rows), want, err)
			}
		}
	}
	for at := 10; at < len(whole); at += 4_999 {
		_, err := reopen(func(dir string) error {
			b := bytes.Clone(whole)
			b[at] ^= 1
			return os.WriteFile(filepath.Join(dir, journal), b, 0o600)
		})
		if !errors.Is(err, ErrStore) || !errors.Is(err, ErrDamaged) {
			t.Fatalf("byte %d changed: %v", at, err)
		}
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openStore(dir, [32]byte{9}, [32]byte{2}, rand.Reader); !errors.Is(err, ErrStore) || errors.Is(err, ErrDamaged) {
		t.Errorf("another account's: %v", err)
	}
}
