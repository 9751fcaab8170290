package durable

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	b, err := ReadFile(path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := os.WriteFile(path, []byte("older and longer"), 0o644); err != nil {
		t.Fatal(err)
	}
	defer syscall.Umask(syscall.Umask(0o077))
	for _, c := range []struct {
		data string
		perm fs.FileMode
	}{{"first", 0o600}, {"", 0o644}, {strings.Repeat("x", 100_000), 0o400}, {"again", 0o666}} {
		if err := WriteFile(path, []byte(c.data), c.perm); err != nil {
			t.Fatal(err)
		}
		if got := mustRead(t, path); got != c.data {
			t.Fatalf("got %d bytes, want %d", len(got), len(c.data))
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != c.perm {
			t.Errorf("permissions %v, want %v whatever the umask", info.Mode().Perm(), c.perm)
		}
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("folder holds %q, want the file alone", got)
	}
}

func TestWriteFileRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := WriteFile("name", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := names(t, "."); len(got) != 1 || got[0] != "name" {
		t.Fatalf("folder holds %q", got)
	}
}

func TestWriteFileRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"no folder":          filepath.Join(dir, "missing", "file"),
		"target is a folder": filepath.Join(dir, "taken"),
	} {
		err := WriteFile(path, []byte("x"), 0o600)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("a refused write left %q", got)
	}
}

func TestCreateFileNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := CreateFile(path, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := CreateFile(path, []byte("second"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("second create: %v, want fs.ErrExist", err)
	}
	link := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), link); err != nil {
		t.Fatal(err)
	}
	if err := CreateFile(link, []byte("x"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("create over a link: %v, want fs.ErrExist", err)
	}
	if got := mustRead(t, path); got != "first" {
		t.Fatalf("content %q", got)
	}
	if got := names(t, dir); len(got) != 2 {
		t.Errorf("folder holds %q", got)
	}
}

// TestCrashAtEveryStep cuts a write off after each step and looks at the folder
// as the next start would.
func TestCrashAtEveryStep(t *testing.T) {
	for _, at := range []step{stepTemp, stepChmod, stepWrite, stepSync, stepRename} {
		t.Run(string(at), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "state")
			if err := WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			w := writer{after: func(s step) error {
				if s == at {
					return errCrash
				}
				return nil
			}}
			if err := w.write(path, bytesOf([]byte("new")), 0o600, os.Rename); !errors.Is(err, errCrash) {
				t.Fatalf("write: %v", err)
			}
			want, left := "old", 2
			if at == stepRename {
				want, left = "new", 1
			}
			if got := mustRead(t, path); got != want {
				t.Fatalf("content %q, want %q", got, want)
			}
			if got := names(t, dir); len(got) != left {
				t.Fatalf("folder holds %q, want %d entries", got, left)
			}
			// What was left does not disturb the next write, and goes away.
			if err := WriteFile(path, []byte("newer"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := Sweep(dir); err != nil {
				t.Fatal(err)
			}
			if got := names(t, dir); len(got) != 1 || mustRead(t, path) != "newer" {
				t.Fatalf("after the sweep the folder holds %q", got)
			}
		})
	}
}

func TestFailedStepCleansUp(t *testing.T) {
	dir := t.TempDir()
	full := errors.New("disk full")
	w := writer{after: func(s step) error {
		if s == stepWrite {
			return full
		}
		return nil
	}}
	if err := w.write(filepath.Join(dir, "f"), bytesOf([]byte("x")), 0o600, os.Rename); !errors.Is(err, full) {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Fatalf("a failed write left %q", got)
	}
}

func TestSweepTouchesNothingElse(t *testing.T) {
	dir := t.TempDir()
	keep := []string{".hidden", "a" + tempMark + "1", "data", LockName}
	for _, n := range append(keep, ".data"+tempMark+"123") {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != len(keep) {
		t.Fatalf("folder holds %q, want %q", got, keep)
	}
}

func TestReadFileBound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := WriteFile(path, bytes.Repeat([]byte{1}, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadFile(path, 100); err != nil || len(b) != 100 {
		t.Errorf("at the bound: %d bytes, %v", len(b), err)
	}
	if _, err := ReadFile(path, 99); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the bound: %v, want ErrTooLarge", err)
	}
	if _, err := ReadFile(path+"x", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v, want fs.ErrNotExist", err)
	}
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "a", "b", "c")
	for range 2 {
		if err := MkdirAll(deep + "/"); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"a", "a/b", "a/b/c"} {
		info, err := os.Stat(filepath.Join(dir, d))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s has %v, want 0700", d, info.Mode().Perm())
		}
	}
	file := filepath.Join(dir, "file")
	if err := WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{file, filepath.Join(file, "x")} {
		if err := MkdirAll(p); err == nil {
			t.Errorf("made a folder at %s, over a file", p)
		}
	}
}
