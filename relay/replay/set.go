package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"tunic/chain"
	"tunic/internal/durable"
	"tunic/onion"
)

var (
	// ErrSeen means that the tag was added before.
	ErrSeen = errors.New("replay: tag seen before")
	// ErrFull means that the set holds as many tags as it may.
	ErrFull = errors.New("replay: set is full")
	// ErrNoKey means that the set keeps no tags of that key.
	ErrNoKey = errors.New("replay: no such key")
	// ErrWrite means that the tag could not be written. It counts as seen from
	// then on, in this process.
	ErrWrite = errors.New("replay: tag not written")
)

const (
	folder = "tags"
	suffix = ".tags"
)

// Set is the tags of the keys that a node holds. Its methods may be called from
// several goroutines.
type Set struct {
	dir   string // "" keeps tags in memory only
	limit int64

	n  atomic.Int64 // over all keys
	mu sync.RWMutex // held for reading while a tag is added
	// by first epoch of the key
	keys map[chain.Epoch]*tags
}

// tags are those of one key.
type tags struct {
	table *table
	n     atomic.Int64
	file  *file    // nil in memory
	os    *os.File // the same
}

// Open loads the tags of the keys with these first epochs from the folder tags
// below dir and removes the files of others. An empty dir keeps all in memory.
// The limit is over all keys; more than that are loaded where more are there.
func Open(dir string, limit int, keys []chain.Epoch) (*Set, error) {
	s := &Set{limit: int64(limit), keys: make(map[chain.Epoch]*tags)}
	if dir != "" {
		s.dir = filepath.Join(dir, folder)
		if err := durable.MkdirAll(s.dir); err != nil {
			return nil, fmt.Errorf("open replay tags: %w", err)
		}
	}
	if err := s.Keep(keys); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Set) path(first chain.Epoch) string {
	return filepath.Join(s.dir, strconv.FormatUint(uint64(first), 10)+suffix)
}

// Keep makes room for the keys with these first epochs and forgets the tags of
// all others, whose keys must be destroyed already.
func (s *Set) Keep(keys []chain.Epoch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		return fmt.Errorf("keep replay tags: %w", os.ErrClosed)
	}
	want := make(map[chain.Epoch]bool, len(keys))
	for _, first := range keys {
		want[first] = true
		if s.keys[first] != nil {
			continue
		}
		t, err := s.open(first)
		if err != nil {
			return fmt.Errorf("open replay tags: %w", err)
		}
		s.n.Add(t.n.Load())
		s.keys[first] = t
	}
	for first, t := range s.keys {
		if !want[first] {
			t.close()
			s.n.Add(-t.n.Load())
			delete(s.keys, first)
		}
	}
	return s.sweep(want)
}

func (s *Set) open(first chain.Epoch) (*tags, error) {
	t := &tags{}
	if s.dir == "" {
		t.table = newTable(0)
		return t, nil
	}
	f, size, err := load(s.path(first),
		func(n int) { t.table = newTable(n) },
		func(tag *onion.Tag) {
			if seen, _ := t.table.add(tag, func() bool { return true }); !seen {
				t.n.Add(1)
			}
		})
	if err != nil {
		return nil, err
	}
	t.os, t.file = f, &file{f: f, size: size}
	return t, nil
}

func (t *tags) close() {
	if t.os != nil {
		t.os.Close()
	}
}

// sweep removes the files of keys that are gone.
func (s *Set) sweep(want map[chain.Epoch]bool) error {
	if s.dir == "" {
		return nil
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("open replay tags: %w", err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
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

// Add notes a tag under the key with this first epoch. Nil says that it is new
// and with the operating system; otherwise its packet must be dropped: ErrSeen,
// ErrFull, ErrNoKey or ErrWrite.
func (s *Set) Add(key chain.Epoch, tag onion.Tag) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.keys[key]
	if t == nil {
		return ErrNoKey
	}
	switch seen, full := t.table.add(&tag, s.room); {
	case seen:
		return ErrSeen
	case full:
		return ErrFull
	}
	t.n.Add(1)
	if t.file != nil {
		if err := t.file.write(&tag); err != nil {
			return ErrWrite
		}
	}
	return nil
}

// room takes a place of the limit.
func (s *Set) room() bool {
	if s.n.Add(1) > s.limit {
		s.n.Add(-1)
		return false
	}
	return true
}

// Len is how many tags there are, over all keys.
func (s *Set) Len() int { return int(s.n.Load()) }

// Bytes is what the tags take in memory, free places included.
func (s *Set) Bytes() (n int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, t := range s.keys {
		n += t.table.bytes()
	}
	return n
}

// Sync puts all tags on stable storage, for a clean stop.
func (s *Set) Sync() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.keys {
		if t.os != nil {
			if err := t.os.Sync(); err != nil {
				return fmt.Errorf("sync replay tags: %w", err)
			}
		}
	}
	return nil
}

// Close forgets everything in memory. Nothing can be added any more.
func (s *Set) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.keys {
		t.close()
	}
	s.keys = nil
}
