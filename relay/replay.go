package relay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"tunic/chain"
	"tunic/internal/durable"
	"tunic/onion"
)

const (
	tagsFolder = "tags"
	tagsSuffix = ".tags"
	tagSize    = len(onion.Tag{})
)

// replaySet is the exact set of the replay tags seen, for as long as the keys
// live that they were made under. A tag is in its key's file before its packet
// goes on: with write(2) and without fsync, so that a crash of the process
// loses nothing and a crash of the machine costs the keys (see folder).
type replaySet struct {
	dir   string // "" keeps tags in memory only
	limit int

	mu   sync.Mutex
	n    int
	keys map[chain.Epoch]*tags // by first epoch of the key
}

// tags are those of one key.
type tags struct {
	seen map[onion.Tag]struct{}
	file *os.File
	size int64 // of what is valid in file
}

// openReplay loads the tags of the given keys and removes the files of others.
func openReplay(dir string, limit int, keys []chain.Epoch) (*replaySet, error) {
	s := &replaySet{limit: limit, keys: make(map[chain.Epoch]*tags)}
	if dir != "" {
		s.dir = filepath.Join(dir, tagsFolder)
		if err := durable.MkdirAll(s.dir); err != nil {
			return nil, fmt.Errorf("open replay tags: %w", err)
		}
	}
	if err := s.keep(keys); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *replaySet) path(first chain.Epoch) string {
	return filepath.Join(s.dir, strconv.FormatUint(uint64(first), 10)+tagsSuffix)
}

// keep makes room for the keys with these first epochs and forgets the tags of
// all others, whose keys must be destroyed already.
func (s *replaySet) keep(keys []chain.Epoch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := make(map[chain.Epoch]bool, len(keys))
	for _, first := range keys {
		want[first] = true
		if s.keys[first] != nil {
			continue
		}
		t := &tags{seen: make(map[onion.Tag]struct{})}
		if s.dir != "" {
			if err := t.load(s.path(first)); err != nil {
				return fmt.Errorf("open replay tags: %w", err)
			}
		}
		s.n += len(t.seen)
		s.keys[first] = t
	}
	for first, t := range s.keys {
		if !want[first] {
			t.close()
			s.n -= len(t.seen)
			delete(s.keys, first)
		}
	}
	return s.sweep(want)
}

// sweep removes the files of keys that are gone.
func (s *replaySet) sweep(want map[chain.Epoch]bool) error {
	if s.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("open replay tags: %w", err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), tagsSuffix)
		first, err := strconv.ParseUint(name, 10, 64)
		if !ok || err != nil || want[chain.Epoch(first)] {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove replay tags: %w", err)
		}
	}
	return nil
}

// load reads a key's file. What follows the last whole tag was cut off by a
// crash before its packet went on.
func (t *tags) load(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	t.file = f
	in := bufio.NewReaderSize(f, 1<<16)
	for {
		var tag onion.Tag
		_, err := io.ReadFull(in, tag[:])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = f.Truncate(t.size)
			if err == nil {
				return nil
			}
		}
		if err != nil {
			f.Close()
			return err
		}
		t.seen[tag] = struct{}{}
		t.size += int64(tagSize)
	}
}

func (t *tags) close() {
	if t.file != nil {
		t.file.Close()
	}
}

// add notes a tag. ok is false where its packet must be dropped, and why says
// for which reason.
func (s *replaySet) add(key chain.Epoch, tag onion.Tag) (why Drop, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.keys[key]
	if t == nil {
		return DropUnknownKey, false
	}
	if _, seen := t.seen[tag]; seen {
		return DropReplay, false
	}
	if s.n >= s.limit {
		return DropReplayFull, false
	}
	if t.file != nil {
		// At an offset of its own, so that a write cut short by a full disk
		// cannot shift those that follow.
		if _, err := t.file.WriteAt(tag[:], t.size); err != nil {
			return DropReplayWrite, false
		}
		t.size += int64(tagSize)
	}
	t.seen[tag] = struct{}{}
	s.n++
	return 0, true
}

func (s *replaySet) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// sync puts all tags on stable storage, for a clean stop.
func (s *replaySet) sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.keys {
		if t.file != nil {
			if err := t.file.Sync(); err != nil {
				return fmt.Errorf("sync replay tags: %w", err)
			}
		}
	}
	return nil
}

func (s *replaySet) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.keys {
		t.close()
	}
	s.keys = nil
}
