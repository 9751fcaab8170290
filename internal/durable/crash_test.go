package durable

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// childEnv tells the test binary, started again, what to do until it is killed.
const childEnv = "TUNIC_DURABLE_CHILD"

func TestMain(m *testing.M) {
	what, dir, _ := strings.Cut(os.Getenv(childEnv), ":")
	switch what {
	case "write":
		for i := 0; ; i++ {
			if err := WriteFile(filepath.Join(dir, "state"), content(i), 0o600); err != nil {
				fmt.Println("error", err)
				os.Exit(1)
			}
			fmt.Println(i)
		}
	case "stream":
		at, dir, _ := strings.Cut(dir, ":")
		n, _ := strconv.Atoi(at)
		err := WriteFrom(filepath.Join(dir, "state"), 0o600, func(w io.Writer) error {
			for i := range streamed {
				if i == n {
					syscall.Kill(os.Getpid(), syscall.SIGKILL)
					select {}
				}
				if _, err := w.Write(content(1)[i*streamPiece : (i+1)*streamPiece]); err != nil {
					return err
				}
			}
			return nil
		})
		fmt.Println("done", err)
		os.Exit(0)
	case "lock":
		if _, err := Lock(dir); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("locked")
		select {}
	}
	os.Exit(m.Run())
}

// content is long enough for many pages, and tells a mix of two writes.
func content(i int) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("%08d\n", i), 5000))
}

// child starts the test binary for what in dir and returns its lines of output
// and a function that kills it as SIGKILL does: without any last word.
func child(t *testing.T, what, dir string) (*bufio.Scanner, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+what+":"+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return bufio.NewScanner(out), cmd
}

// A streamed file is content(1) in so many pieces.
const (
	streamed    = 9
	streamPiece = 5000
)

// Killed before each of its writes, and not at all: the old file is there,
// whole, until the new one is.
func TestKilledStreamLeavesOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := WriteFile(path, content(0), 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range streamed + 1 {
		lines, cmd := child(t, fmt.Sprint("stream:", n), dir)
		for lines.Scan() {
			if n < streamed || lines.Text() != "done <nil>" {
				t.Fatalf("killed before write %d, the child said %q", n, lines.Text())
			}
		}
		cmd.Wait()
		want := content(0)
		if n == streamed {
			want = content(1)
		}
		if got := mustRead(t, path); got != string(want) {
			t.Fatalf("killed before write %d: %d bytes that are not the old file", n, len(got))
		}
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Fatalf("after the sweep the folder holds %q", got)
	}
}

// What ends with an error leaves the old file, and nothing beside it.
func TestStreamThatFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	if err := WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	cut := errors.New("cut")
	err := WriteFrom(path, 0o600, func(w io.Writer) error {
		w.Write([]byte("new"))
		return cut
	})
	if !errors.Is(err, cut) || mustRead(t, path) != "old" || len(names(t, dir)) != 1 {
		t.Fatalf("%v, %q, %q", err, mustRead(t, path), names(t, dir))
	}
}

func TestKilledWriterLeavesWholeFile(t *testing.T) {
	dir := t.TempDir()
	for run := range 5 {
		lines, cmd := child(t, "write", dir)
		acknowledged := -1
		for range 3 + run*5 {
			if !lines.Scan() {
				t.Fatal("the writer ended by itself")
			}
			if _, err := fmt.Sscan(lines.Text(), &acknowledged); err != nil {
				t.Fatalf("the writer said %q", lines.Text())
			}
		}
		cmd.Process.Kill()
		for lines.Scan() {
			fmt.Sscan(lines.Text(), &acknowledged)
		}
		cmd.Wait()
		got := mustRead(t, filepath.Join(dir, "state"))
		i, err := strconv.Atoi(got[:min(8, len(got))])
		if err != nil || got != string(content(i)) {
			t.Fatalf("run %d: the file is not one whole write (%d bytes)", run, len(got))
		}
		if i < acknowledged {
			t.Fatalf("run %d: write %d was acknowledged, the file holds %d", run, acknowledged, i)
		}
	}
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Fatalf("after the sweep the folder holds %q", got)
	}
}

func TestLockEndsWithItsProcess(t *testing.T) {
	dir := t.TempDir()
	lines, cmd := child(t, "lock", dir)
	if !lines.Scan() || lines.Text() != "locked" {
		t.Fatalf("the child said %q", lines.Text())
	}
	_, err := Lock(dir)
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("a held folder: %v, want ErrLocked", err)
	}
	if pid := fmt.Sprint(cmd.Process.Pid); !strings.Contains(err.Error(), "process "+pid+"; stop it first") {
		t.Errorf("the message names neither the holder %s nor what to do: %v", pid, err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatalf("after the holder was killed: %v", err)
	}
	unlock()
}

func TestLockWithinOneProcess(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b := mustRead(t, filepath.Join(dir, LockName)); b != fmt.Sprintln(os.Getpid()) {
		t.Errorf("lock file holds %q", b)
	}
	_, err = Lock(dir)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "this same process") {
		t.Errorf("second lock: %v", err)
	}
	unlock()
	unlock()
	again, err := Lock(dir)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	again()
	if _, err := Lock(filepath.Join(dir, "missing")); err == nil {
		t.Error("locked a folder that does not exist")
	}
	// Nonsense in the file, or the id of a process long gone, locks nobody out.
	if err := os.WriteFile(filepath.Join(dir, LockName), []byte("not a pid"), 0o600); err != nil {
		t.Fatal(err)
	}
	last, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	last()
}
