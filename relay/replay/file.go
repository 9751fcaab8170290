package replay

import (
	"errors"
	"io"
	"os"
	"sync"

	"tunic/onion"
)

// tagSize is what a tag takes in a file, which has nothing else in it.
const tagSize = len(onion.Tag{})

// file is the tags of one key on disk. Those who add at the same time share a
// system call: while one writes, the others leave their tags for the next call.
type file struct {
	f io.WriterAt

	one [tagSize]byte // of whoever writes a tag alone

	mu      sync.Mutex
	size    int64  // of what is valid
	open    *group // collects; nil while nobody waits
	writing bool
}

// group is tags that are written together.
type group struct {
	tags []byte
	done chan struct{} // closed when err is set
	err  error
}

// write returns when the tag is with the operating system.
func (f *file) write(tag *onion.Tag) error {
	f.mu.Lock()
	if !f.writing { // the usual case on few cores: nobody to share with
		f.writing = true
		at := f.size
		f.mu.Unlock()
		f.one = *tag
		_, err := f.f.WriteAt(f.one[:], at)
		f.mu.Lock()
		if err == nil {
			f.size += int64(tagSize)
		}
		f.next()
		f.mu.Unlock()
		return err
	}
	g := f.open
	if g == nil {
		g = &group{done: make(chan struct{})}
		f.open = g
	}
	g.tags = append(g.tags, tag[:]...)
	f.mu.Unlock()
	<-g.done
	return g.err
}

// next writes what has been left meanwhile. Called with mu held by whoever
// writes, and returns so, with nobody writing.
func (f *file) next() {
	for f.open != nil {
		g, at := f.open, f.size
		f.open = nil
		f.mu.Unlock()
		// At an offset of its own, so that a write cut short by a full disk
		// cannot shift those that follow.
		_, g.err = f.f.WriteAt(g.tags, at)
		close(g.done)
		f.mu.Lock()
		if g.err == nil {
			f.size += int64(len(g.tags))
		}
	}
	f.writing = false
}

// load opens a key's file and hands out its tags. What follows the last whole
// tag was cut off by a crash before its packet went on.
func load(path string, begin func(tags int), each func(*onion.Tag)) (*os.File, int64, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, 0, err
	}
	size, err := read(f, begin, each)
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

func read(f *os.File, begin func(tags int), each func(*onion.Tag)) (size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	begin(int(info.Size()) / tagSize)
	buf := make([]byte, 1<<16)
	for {
		n, err := io.ReadFull(f, buf)
		n -= n % tagSize
		for b := buf[:n]; len(b) > 0; b = b[tagSize:] {
			each((*onion.Tag)(b))
		}
		size += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return size, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
