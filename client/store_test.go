package client

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What a row held before is in no file once the store is told to forget.
func TestStoreForgets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, _, err := openStore(dir, [32]byte{1}, [32]byte{2}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.close() })
	var former [][]byte
	for i := range 50 {
		for _, r := range []row{{rowContact, "bob", fmt.Appendf(nil, "state %d", i)}, {rowPrekey, fmt.Sprint(i), []byte("seed")}} {
			if err := s.commit(r); err != nil {
				t.Fatal(err)
			}
			v, err := s.db.Get(s.key(r), nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.kind == rowPrekey {
				r.value = nil
				if err := s.commit(r); err != nil {
					t.Fatal(err)
				}
				former = append(former, v)
			} else if i < 49 {
				former = append(former, v)
			}
		}
	}
	found := func() (n int) {
		t.Helper()
		err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed meanwhile
			}
			for _, v := range former {
				if bytes.Contains(b, v) {
					n++
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := found(); n < len(former) {
		t.Fatalf("%d of %d former values are in the files: the test sees nothing", n, len(former))
	}
	if err := s.forget(); err != nil {
		t.Fatal(err)
	}
	// The database removes a file once nobody reads it any more, on a goroutine of its own.
	left := found()
	for end := time.Now().Add(20 * time.Second); left != 0 && time.Now().Before(end); left = found() {
		time.Sleep(10 * time.Millisecond)
	}
	if left != 0 {
		t.Errorf("%d of %d former values are still in the files", left, len(former))
	}
}
