package mailbox

import "slices"

// op is one command on its way through a group.
type op struct {
	apply func(*txn)
	done  func(error)
}

const (
	maxGroup  = 64 // commands that share one write
	finishing = 2  // groups that are written and whose commands are being answered
)

// enqueue runs apply in a group with the other commands that wait, and then
// done, on another goroutine, when the group's changes are on stable storage or
// have failed. Whoever finds no group under way has one begun; so there is no
// goroutine while nothing happens, and no wait for company. How many commands
// may wait is up to the callers.
func (m *Mailbox) enqueue(apply func(*txn), done func(error)) {
	m.mu.Lock()
	m.waiting++
	m.queue = append(m.queue, op{apply, done})
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
	m.enqueue(apply, func(err error) { wait <- err })
	return <-wait
}

// lead writes groups until no command waits. The commands of one group are
// answered, and their receipts signed, while the next is written.
func (m *Mailbox) lead() {
	for more := true; more; {
		m.mu.Lock()
		group := slices.Clone(m.queue[:min(len(m.queue), maxGroup)])
		m.queue = slices.Delete(m.queue, 0, len(group))
		m.mu.Unlock()

		err := m.write(group)

		m.mu.Lock()
		more = len(m.queue) > 0
		m.leading = more
		m.mu.Unlock()
		if !more {
			m.finish(group, err)
			return
		}
		m.finishing <- struct{}{}
		go func() {
			m.finish(group, err)
			<-m.finishing
		}()
	}
}

func (m *Mailbox) finish(group []op, err error) {
	for _, o := range group {
		o.done(err)
	}
	m.cfg.Flush()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting -= len(group); m.waiting == 0 {
		m.none.Broadcast()
	}
}

func (m *Mailbox) write(group []op) error {
	t := newTxn(m.cfg.Store, len(group))
	base := int(m.items.Load())
	for _, o := range group {
		m.room = m.cfg.MaxItems - base - t.items - (m.marks+t.marks)/marksPerItem
		o.apply(t)
	}
	if t.err != nil {
		m.failures.Add(1)
		return t.err
	}
	if len(t.rows) == 0 {
		return nil
	}
	m.cfg.Kill("before-commit")
	if err := m.cfg.Store.Write(t.rows); err != nil {
		m.failures.Add(1)
		return err
	}
	m.cfg.Kill("after-commit")
	m.items.Add(int64(t.items))
	m.bundles += t.bundles
	m.marks += t.marks
	m.heard += t.heard
	return nil
}
