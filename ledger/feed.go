package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tunic/chain"
	"tunic/registry"
	"tunic/slashing"
)

// Event is a new block as relays and clients see it.
type Event struct {
	chain.SealedHeader
	Published [][]byte // encodings of the statements that the block applied; not to be changed

	// Unlisted are the nodes that are judged in the epoch though its list does
	// not name them: with the first block of the head's epoch alone, since state
	// does not say who they were in an earlier one.
	Unlisted []registry.Unlisted
	// Challenges are the open ones whose chunk is drawn, with the first block of
	// the head's epoch alone; nil: not said.
	Challenges []slashing.Challenge
	Params     uint32 // number of the parameters in force at the head, when this was read
}

// subscriberQueue is how many events are read ahead of a subscriber.
const subscriberQueue = 16

// feed tells waiters that the head has changed.
type feed struct {
	mu     sync.Mutex
	ch     chan struct{} // closed and replaced with each block
	closed bool
	recent [keptEvents]Event // what the first subscriber has read of the newest blocks, by height
}

// keptEvents is of how many of the newest blocks subscribers share what was read:
// some of many are a few blocks behind at any time.
const keptEvents = 8

func (f *feed) init() { f.ch = make(chan struct{}) }

// changed is closed when the next block is published, or the ledger closed.
func (f *feed) changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ch
}

func (f *feed) publish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		close(f.ch)
		f.ch = make(chan struct{})
	}
}

func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		close(f.ch)
	}
}

// Subscribe gives every block above since, in order and without gap, then new
// ones as they come, until ctx or the ledger ends: then the channel is closed. A
// slow reader costs nothing but its place: blocks are read from the database
// when it is ready for them.
//
// On a dev network a revert takes the subscription back to the block after the
// restored one, which is of a higher fork. Whoever asks for what is above the
// head has seen a fork that was given up, and gets the present one from its
// first block.
func (l *Ledger) Subscribe(ctx context.Context, since chain.Height) <-chan Event {
	out := make(chan Event, subscriberQueue)
	go func() {
		defer close(out)
		f := l.Follow(since)
		for {
			changed := f.Changed()
			s, ok, err := f.Next()
			var e Event
			if ok {
				e, err = l.Event(s)
			}
			switch {
			case ok && errors.Is(err, ErrNotFound): // reverted meanwhile, and f goes back
				continue
			case err != nil:
				l.log.Error("subscription ends", "height", f.next, "error", err)
				return
			case !ok && l.Err() != nil:
				return
			case !ok:
				select {
				case <-ctx.Done():
					return
				case <-changed:
				}
				continue
			}
			select {
			case <-ctx.Done():
				return
			case <-l.done:
				return
			case out <- e:
			}
		}
	}()
	return out
}

// A Follower is a place in the chain that blocks are read from one after the
// other, without a goroutine of its own. One goroutine uses it.
type Follower struct {
	ledger  *Ledger
	next    chain.Height
	reverts int // of this process, taken into account in next

	restored chain.Height // likewise the snapshot that the ledger began from
}

// Follow begins where Subscribe does.
func (l *Ledger) Follow(since chain.Height) *Follower {
	l.mu.RLock()
	defer l.mu.RUnlock()
	next := since + 1
	if l.forkAt > 0 && since > l.head.Header.Height {
		next = l.forkAt
	}
	return &Follower{l, next, len(l.reverts), l.restored}
}

// FollowFork begins behind the block at since of a fork, or with the first block
// of a later fork that took the place of what was read.
func (l *Ledger) FollowFork(since chain.Height, fork uint32) (*Follower, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	f := &Follower{l, since + 1, len(l.reverts), l.restored}
	if l.head.Header.Fork <= fork {
		return f, nil
	}
	at, err := l.db.firstAbove(l.head.Header, fork)
	f.next = min(f.next, at)
	return f, err
}

// Changed is closed when there is a new block, after a revert, and when the
// ledger ends. Take it before Next.
func (f *Follower) Changed() <-chan struct{} { return f.ledger.feed.changed() }

// Read is the height up to which blocks were given.
func (f *Follower) Read() chain.Height { return f.next - 1 }

// Next is the header of the next block; false where there is none yet. A revert
// takes it back to the first block of the new fork.
func (f *Follower) Next() (chain.SealedHeader, bool, error) {
	l := f.ledger
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, h := range l.reverts[f.reverts:] {
		f.next = min(f.next, h)
	}
	f.reverts = len(l.reverts)
	if f.restored != l.restored { // nobody was told of the blocks below
		f.restored, f.next = l.restored, max(f.next, l.restored+1)
	}
	switch head := l.head.Header.Height; {
	case f.next > head:
		return chain.SealedHeader{}, false, nil
	case f.next == head:
		f.next++
		return l.head, true, nil
	}
	if err := l.whole(f.next); err != nil {
		return chain.SealedHeader{}, false, err
	}
	if e, ok := l.feed.at(f.next); ok {
		f.next++
		return e.SealedHeader, true, nil
	}
	s, err := l.db.header(f.next)
	if err != nil {
		return s, false, err
	}
	f.next++
	return s, true, nil
}

// Event is what subscribers see of a block; ErrNotFound after a revert took its
// place.
func (l *Ledger) Event(s chain.SealedHeader) (Event, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if err := l.stands(s); err != nil {
		return Event{}, err
	}
	e, ok := l.feed.read(s)
	if !ok {
		var err error
		if e, err = l.event(s.Header.Height); err != nil {
			return e, err
		}
		l.feed.keep(e)
	}
	e.Params = l.machine.InForce().Number
	if s.Header.DirEpoch != l.head.Header.DirEpoch {
		e.Unlisted = nil
	}
	return e, nil
}

// stands refuses a header that is not of the present history; mu is held.
func (l *Ledger) stands(s chain.SealedHeader) error {
	h := s.Header.Height
	if err := l.within(h); err != nil {
		return err
	}
	now := l.head
	if e, ok := l.feed.at(h); ok {
		now = e.SealedHeader
	} else if h != now.Header.Height {
		if err := l.whole(h); err != nil {
			return err
		}
		var err error
		if now, err = l.db.header(h); err != nil {
			return err
		}
	}
	if !now.Same(s) {
		return fmt.Errorf("%w: block %d is another after a revert", ErrNotFound, h)
	}
	return nil
}

// read is the event of a block as it was read while its epoch was the head's, if
// it is among those kept.
func (f *feed) read(head chain.SealedHeader) (Event, bool) {
	e, ok := f.at(head.Header.Height)
	return e, ok && e.Same(head)
}

// at is the kept event of a height of the present history.
func (f *feed) at(h chain.Height) (Event, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.recent[h%keptEvents]
	return e, h > 0 && e.Header.Height == h
}

// keep remembers an event in the place of an older one.
func (f *feed) keep(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at := &f.recent[e.Header.Height%keptEvents]; e.Header.Height >= at.Header.Height {
		*at = e
	}
}

// forget drops what was read before a revert: who is judged is read anew.
func (f *feed) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recent = [keptEvents]Event{}
}

// event is what subscribers see of the block at h.
func (l *Ledger) event(h chain.Height) (Event, error) {
	b, err := l.db.block(h)
	if err != nil {
		return Event{}, err
	}
	e := Event{SealedHeader: b.SealedHeader}
	if err := l.judged(&e); err != nil || len(b.Txs) == 0 {
		return e, err
	}
	results, err := l.db.results(h)
	if err != nil {
		return e, err
	}
	for i, tx := range b.Txs {
		if i >= len(results) {
			return e, corrupt("block %d has %d transactions and %d results", h, len(b.Txs), len(results))
		}
		if len(tx) == 0 || chain.Kind(tx[0]) != chain.KindPublish || results[i].Code != "" {
			continue
		}
		t, err := chain.DecodeTx(tx)
		if err != nil {
			return e, corrupt("transaction %d of block %d: %v", i, h, err)
		}
		e.Published = append(e.Published, t.Payload)
	}
	return e, nil
}

// judged reads what an event says in the first block of the head's epoch alone; mu
// is held.
func (l *Ledger) judged(e *Event) error {
	h := e.Header
	if h.DirEpoch == 0 || h.DirEpoch != l.head.Header.DirEpoch {
		return nil
	}
	if h.Height > 1 {
		before, err := l.db.header(h.Height - 1)
		if err != nil || before.Header.DirEpoch == h.DirEpoch {
			return err
		}
	}
	e.Unlisted = l.machine.Registry().Unlisted()
	e.Challenges = []slashing.Challenge{}
	for c := range l.machine.Slashing().Challenges() {
		if c.Lapsed == nil && c.Drawn != 0 {
			e.Challenges = append(e.Challenges, c)
		}
	}
	return nil
}
