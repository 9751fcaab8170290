package mailbox_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"tunic/relay/mailbox"
)

// Rows whose write a crash or a full disk cut off are as if nobody had written
// them; what was written before is there, and the database opens.
func TestTornRows(t *testing.T) {
	dir := t.TempDir()
	l, err := mailbox.OpenLevel(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	logs := func(dir string) string {
		t.Helper()
		all, err := filepath.Glob(filepath.Join(dir, "*.log"))
		if err != nil || len(all) != 1 {
			t.Fatalf("journals %v, %v", all, err)
		}
		return all[0]
	}
	length := func() int64 {
		t.Helper()
		info, err := os.Stat(logs(dir))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	write := func(key byte) {
		t.Helper()
		if err := l.Write([]mailbox.Row{{Key: []byte{'t', key}, Value: bytes.Repeat([]byte{key}, 40_000)}}); err != nil {
			t.Fatal(err)
		}
	}
	write(1)
	first := length()
	write(2)
	for cut := length() - 1; cut > first; cut -= 3_001 {
		copied := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(logs(copied), cut); err != nil {
			t.Fatal(err)
		}
		l, err := mailbox.OpenLevel(copied, 0)
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, length(), err)
		}
		one, err1 := l.Get([]byte{'t', 1})
		two, err2 := l.Get([]byte{'t', 2})
		if err1 != nil || err2 != nil || len(one) != 40_000 || two != nil {
			t.Errorf("cut at %d: %d bytes %v, %d bytes %v", cut, len(one), err1, len(two), err2)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
