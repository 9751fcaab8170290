package fault

import (
	"errors"
	"sync"
	"time"

	"tunic/relay/mailbox"
)

var (
	// ErrDiskFull means that a disk takes nothing more.
	ErrDiskFull = errors.New("fault: the disk is full")
	// ErrDiskGone means that the process died: what it writes from then on
	// reaches no disk.
	ErrDiskGone = errors.New("fault: the disk is gone")
)

// Disk is the disk under a relay's mailboxes, over all of its lives: it can be
// slow, full or dead, and it can lie. The zero Disk has no store yet.
type Disk struct {
	mu      sync.Mutex // guards what follows
	store   mailbox.Store
	slow    time.Duration // of each write, by the machine's clock
	full    bool
	dead    bool
	forgets bool
}

// Open gives the disk the store of a new life.
func (d *Disk) Open(s mailbox.Store) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.store, d.dead = s, false
}

// Slow lets each write take so long; zero ends it.
func (d *Disk) Slow(by time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow = by
}

// Full lets the disk refuse writes, or take them again.
func (d *Disk) Full(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = on
}

// Kill ends the life of whoever writes: nothing reaches the disk any more.
func (d *Disk) Kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
}

// Forget lets the disk say that it has what it throws away.
func (d *Disk) Forget(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forgets = on
}

func (d *Disk) state() (s mailbox.Store, slow time.Duration, forgets bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.dead:
		err = ErrDiskGone
	case d.full:
		err = ErrDiskFull
	}
	return d.store, d.slow, d.forgets, err
}

// Get implements mailbox.Store.
func (d *Disk) Get(key []byte) ([]byte, error) {
	s, _, _, err := d.state()
	if errors.Is(err, ErrDiskGone) {
		return nil, err
	}
	return s.Get(key)
}

// Scan implements mailbox.Store.
func (d *Disk) Scan(prefix, from []byte, fn func(key, value []byte) bool) error {
	s, _, _, err := d.state()
	if errors.Is(err, ErrDiskGone) {
		return err
	}
	return s.Scan(prefix, from, fn)
}

// Write implements mailbox.Store.
func (d *Disk) Write(rows []mailbox.Row) error {
	s, slow, forgets, err := d.state()
	if err != nil {
		return err
	}
	time.Sleep(slow)
	if _, _, _, err := d.state(); err != nil { // it died meanwhile
		return err
	}
	if forgets {
		return nil
	}
	return s.Write(rows)
}
