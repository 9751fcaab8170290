package replay

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"tunic/chain"
	"tunic/onion"
)

var errDisk = errors.New("no space left")

// failing is a file whose disk is full for a while.
type failing struct {
	*os.File
	mu   sync.Mutex
	full bool
}

func (f *failing) WriteAt(b []byte, at int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full {
		n, _ := f.File.WriteAt(b[:len(b)/2], at) // some of it gets there
		return n, errDisk
	}
	return f.File.WriteAt(b, at)
}

// TestWriteFailures: a tag that could not be written is refused, and leaves the
// file whole for those that come after.
func TestWriteFailures(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	f, _, err := load(path, func(int) {}, func(*onion.Tag) {})
	if err != nil {
		t.Fatal(err)
	}
	disk := &failing{File: f}
	w := &file{f: disk}
	s := &Set{limit: 100, keys: map[chain.Epoch]*tags{1: {table: newTable(0), file: w, os: f}}}
	for i := range byte(9) {
		disk.mu.Lock()
		disk.full = i%3 == 1
		disk.mu.Unlock()
		err := s.Add(1, onion.Tag{i + 1})
		if want := i%3 == 1; errors.Is(err, ErrWrite) != want || (err != nil) != want {
			t.Fatalf("tag %d: %v", i, err)
		}
	}
	if err := s.Add(1, onion.Tag{2}); !errors.Is(err, ErrSeen) {
		t.Fatal("a tag that was not written:", err)
	}
	s.Close()
	var got []byte
	f, size, err := load(path, func(int) {}, func(tag *onion.Tag) { got = append(got, tag[0]) })
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if want := string([]byte{1, 3, 4, 6, 7, 9}); string(got) != want || size != 96 {
		t.Fatalf("file holds %v, %d bytes", got, size)
	}
}

// blocking is a file that holds the first write until it is let go, and notes
// the sizes of all.
type blocking struct {
	*os.File
	begun, free chan struct{}
	mu          sync.Mutex
	sizes       []int
}

func (b *blocking) WriteAt(p []byte, at int64) (int, error) {
	b.mu.Lock()
	first := len(b.sizes) == 0
	b.sizes = append(b.sizes, len(p))
	b.mu.Unlock()
	if first {
		close(b.begun)
		<-b.free
	}
	return b.File.WriteAt(p, at)
}

// TestWritersShareACall: what is added while a write is under way goes into one
// write after it, and nobody returns before its own tag is written.
func TestWritersShareACall(t *testing.T) {
	f, _, err := load(filepath.Join(t.TempDir(), "x"), func(int) {}, func(*onion.Tag) {})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := &blocking{File: f, begun: make(chan struct{}), free: make(chan struct{})}
	w := &file{f: b}
	var wg sync.WaitGroup
	add := func(i byte) {
		wg.Go(func() {
			if err := w.write(&onion.Tag{i}); err != nil {
				t.Error(err)
			}
			if info, err := f.Stat(); err != nil || info.Size() < 16 {
				t.Error("returned before anything was written")
			}
		})
	}
	add(1)
	<-b.begun
	const more = 20
	for i := range byte(more) {
		add(2 + i)
	}
	for waiting := 0; waiting < more*tagSize; runtime.Gosched() {
		w.mu.Lock()
		if w.open != nil {
			waiting = len(w.open.tags)
		}
		w.mu.Unlock()
	}
	close(b.free)
	wg.Wait()
	if len(b.sizes) != 2 || b.sizes[0] != 16 || b.sizes[1] != more*16 {
		t.Fatalf("writes of %v bytes", b.sizes)
	}
}
