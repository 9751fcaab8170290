package mailbox

import "slices"

// op is one command on its way through a group. apply may be called again, with a
// view in which nothing of the first call shows; then only the last call counts.
type op struct {
	long  bool // brings a content that is a row of its own
	apply func(*txn)
	done  func(error)
}

const (
	maxGroup  = 64 // commands that share one write
	finishing = 2  // groups that are written and whose commands are being answered
)

// flight is a group whose rows are being written.
type flight struct {
	t    *txn
	done chan struct{}
	err  error // when done is closed
}

// enqueue runs apply in a group with the other commands that wait, and then
// done, on another goroutine, when the group's changes are on stable storage or
// have failed. Whoever finds no group under way has one begun; so there is no
// goroutine while nothing happens, and no wait for company. How many commands
// may wait is up to the callers.
func (m *Mailbox) enqueue(long bool, apply func(*txn), done func(error)) {
	m.mu.Lock()
	m.waiting++
	m.queue = append(m.queue, op{long, apply, done})
	if long {
		m.long++
		m.changed.Broadcast()
	}
	begin := !m.leading
	m.leading = true
	m.mu.Unlock()
	if begin {
		go m.lead()
	}
}

// commit is enqueue for who waits. It must not be called from done.
func (m *Mailbox) commit(apply func(*txn)) error {
	wait := make(chan error, 1)
	m.enqueue(false, apply, func(err error) { wait <- err })
	return <-wait
}

// lead writes groups until no command waits, one after the other in three steps:
// its commands are carried out and its long contents put on disk, while the rows of
// the group before are written; its rows are written, while the group behind it has
// its first step; its commands are answered, and their receipts signed.
func (m *Mailbox) lead() {
	for more := true; more; {
		group, base, before := m.take()
		t, write, err := m.prepare(group, base, before)
		if before != nil {
			<-before.done
			if before.err != nil {
				// What the commands have been held against has not come to be.
				if drop := write.drop; drop != nil {
					drop()
				}
				t, write, err = m.prepare(group, base, nil)
			}
		}
		m.answers <- struct{}{}
		f := &flight{t: t, done: make(chan struct{}), err: err}
		t.before = nil

		m.mu.Lock()
		m.flight = f
		more = len(m.queue) > 0
		m.leading = more
		m.mu.Unlock()
		last := func() {
			m.land(f, write.write)
			m.finish(group, f.err)
			<-m.answers
		}
		if more {
			go last()
		} else {
			last()
		}
	}
}

// take takes the next group off the queue, with what the store has and the group
// whose rows are being written, if there is one. It waits for that one where being
// ahead of it gains nothing, so that more commands share the next write.
func (m *Mailbox) take() ([]op, counts, *flight) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.flight != nil && (m.stager == nil || m.long == 0) {
		m.changed.Wait()
	}
	group := slices.Clone(m.queue[:min(len(m.queue), maxGroup)])
	m.queue = slices.Delete(m.queue, 0, len(group))
	for _, o := range group {
		if o.long {
			m.long--
		}
	}
	return group, m.kept, m.flight
}

// staged is the second part of a write; both are nil where there is nothing to
// write.
type staged struct {
	write func() error
	drop  func()
}

// prepare carries out the commands of a group and stages what they change.
func (m *Mailbox) prepare(group []op, base counts, before *flight) (*txn, staged, error) {
	t := newTxn(m.cfg.Store, base, len(group))
	if before != nil {
		t.before = before.t
		t.base.add(before.t.counts)
	}
	for _, o := range group {
		t.room = m.cfg.MaxItems - t.base.items - t.items - (t.base.marks+t.marks)/marksPerItem
		o.apply(t)
	}
	switch {
	case t.err != nil:
		return t, staged{}, t.err
	case len(t.rows) == 0:
		return t, staged{}, nil
	case m.stager == nil:
		return t, staged{write: func() error { return m.cfg.Store.Write(t.rows) }}, nil
	}
	write, drop, err := m.stager.Stage(t.rows)
	if err != nil {
		return t, staged{}, err
	}
	m.cfg.Kill("staged")
	return t, staged{write, drop}, nil
}

// land writes what is staged, if anything is, and ends the flight.
func (m *Mailbox) land(f *flight, write func() error) {
	if write != nil {
		m.cfg.Kill("before-commit")
		if f.err = write(); f.err == nil {
			m.cfg.Kill("after-commit")
		}
	}
	m.mu.Lock()
	if f.err == nil {
		m.kept.add(f.t.counts)
	} else {
		m.failures.Add(1)
	}
	m.flight = nil
	m.changed.Broadcast()
	m.mu.Unlock()
	close(f.done)
}

func (m *Mailbox) finish(group []op, err error) {
	for _, o := range group {
		o.done(err)
	}
	m.cfg.Flush()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting -= len(group); m.waiting == 0 {
		m.changed.Broadcast()
	}
}
