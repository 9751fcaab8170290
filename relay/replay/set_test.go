package replay_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"tunic/chain"
	"tunic/onion"
	"tunic/relay/replay"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("TUNIC_REPLAY_CHILD"); dir != "" {
		addForever(dir)
		return
	}
	os.Exit(m.Run())
}

func tag(i int) (t onion.Tag) {
	binary.BigEndian.PutUint64(t[4:], uint64(i))
	return t
}

func open(t testing.TB, dir string, limit int, keys ...chain.Epoch) *replay.Set {
	t.Helper()
	s, err := replay.Open(dir, limit, keys)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func add(t testing.TB, s *replay.Set, key chain.Epoch, i int, want error) {
	t.Helper()
	if err := s.Add(key, tag(i)); !errors.Is(err, want) {
		t.Fatalf("tag %d under %d: %v, want %v", i, key, err, want)
	}
}

func TestSet(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		s := open(t, dir, 4, 1, 7)
		add(t, s, 1, 1, nil)
		add(t, s, 7, 1, nil) // another key's
		add(t, s, 1, 1, replay.ErrSeen)
		add(t, s, 2, 1, replay.ErrNoKey)
		add(t, s, 1, 2, nil)
		add(t, s, 1, 3, nil)
		// Full: what is new is refused, what was seen still is.
		add(t, s, 7, 4, replay.ErrFull)
		add(t, s, 7, 4, replay.ErrFull)
		add(t, s, 1, 2, replay.ErrSeen)
		if s.Len() != 4 {
			t.Fatal(s.Len())
		}
		// A key that goes takes its tags along and makes room.
		if err := s.Keep([]chain.Epoch{7, 9}); err != nil {
			t.Fatal(err)
		}
		add(t, s, 1, 2, replay.ErrNoKey)
		add(t, s, 7, 1, replay.ErrSeen)
		add(t, s, 9, 2, nil)
		if s.Len() != 2 {
			t.Fatal(s.Len())
		}
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		s.Close()
		add(t, s, 7, 8, replay.ErrNoKey)
		if dir == "" {
			continue
		}
		if files, _ := filepath.Glob(filepath.Join(dir, "tags", "*")); len(files) != 2 {
			t.Fatalf("files %v", files)
		}
		s = open(t, dir, 1, 7, 9)
		add(t, s, 7, 1, replay.ErrSeen)
		add(t, s, 9, 2, replay.ErrSeen)
		add(t, s, 9, 3, replay.ErrFull) // two are there, one may be
	}
}

// TestAddedOnce: of many goroutines that add the same tags, exactly one is told
// that a tag is new, and every tag is in the file.
func TestAddedOnce(t *testing.T) {
	const tags, adders = 5000, 8
	dir := t.TempDir()
	s := open(t, dir, 1<<20, 1)
	var fresh atomic.Int64
	var wg sync.WaitGroup
	for a := range adders {
		wg.Go(func() {
			for i := range tags {
				switch err := s.Add(1, tag((i*7+a*613)%tags)); {
				case err == nil:
					fresh.Add(1)
				case !errors.Is(err, replay.ErrSeen):
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if fresh.Load() != tags || s.Len() != tags {
		t.Fatalf("%d were new, %d are there", fresh.Load(), s.Len())
	}
	s.Close()
	if info, err := os.Stat(filepath.Join(dir, "tags", "1.tags")); err != nil || info.Size() != 16*tags {
		t.Fatal(info.Size(), err)
	}
	s = open(t, dir, 1<<20, 1)
	for i := range tags {
		add(t, s, 1, i, replay.ErrSeen)
	}
	add(t, s, 1, tags, nil)
}

// Part of a tag at the end of a file was never answered for.
func TestTornTag(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 10, 1)
	add(t, s, 1, 1, nil)
	s.Close()
	name := filepath.Join(dir, "tags", "1.tags")
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Write(make([]byte, 9))
	f.Close()
	s = open(t, dir, 10, 1)
	add(t, s, 1, 1, replay.ErrSeen)
	add(t, s, 1, 2, nil)
	s.Close()
	if info, err := os.Stat(name); err != nil || info.Size() != 32 {
		t.Fatal(info.Size(), err)
	}
}

// Files that cannot be used are an error, and nothing is deleted.
func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "tags", "1.tags"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := replay.Open(dir, 1, []chain.Epoch{1}); err == nil {
		t.Error("a folder in the place of a file")
	}
	other := filepath.Join(dir, "tags", "readme")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "tags", "1.tags")); err != nil {
		t.Fatal(err)
	}
	open(t, dir, 1, 1)
	if _, err := os.Stat(other); err != nil {
		t.Error(err)
	}
}

// addForever says each tag's number as soon as Add has returned.
func addForever(dir string) {
	s, err := replay.Open(dir, 1<<24, []chain.Epoch{5})
	if err != nil {
		panic(err)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for a := range 4 {
		wg.Go(func() {
			for i := a; ; i += 4 {
				if err := s.Add(5, tag(i)); err != nil {
					panic(err)
				}
				mu.Lock()
				os.Stdout.WriteString(strconv.Itoa(i) + "\n")
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// TestKilledProcessForgetsNothing kills a process that adds tags on several
// goroutines: whatever it had said was added is still there.
func TestKilledProcessForgetsNothing(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for range 5 {
		child := exec.Command(exe)
		child.Env = append(os.Environ(), "TUNIC_REPLAY_CHILD="+filepath.Join(dir, "state"))
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var said []int
		for lines := bufio.NewScanner(out); lines.Scan(); {
			i, err := strconv.Atoi(lines.Text())
			if err != nil {
				break // cut off
			}
			if said = append(said, i); len(said) == 3000 {
				child.Process.Kill()
			}
		}
		child.Wait()
		if len(said) < 3000 {
			t.Fatalf("the process said %d tags", len(said))
		}
		s := open(t, filepath.Join(dir, "state"), 1<<24, 5)
		for _, i := range said[:len(said)-1] { // the last line may be a part of one
			add(t, s, 5, i, replay.ErrSeen)
		}
		s.Close()
	}
}
