package ledger

import (
	"context"
	"sync"

	"tunic/chain"
	"tunic/registry"
)

// Event is a new block as relays and clients see it.
type Event struct {
	chain.SealedHeader
	Published [][]byte // encodings of the statements that the block applied; not to be changed

	// Unlisted are the nodes that are judged in the epoch though its list does
	// not name them: with the first block of the head's epoch alone, since state
	// does not say who they were in an earlier one.
	Unlisted []registry.Unlisted
	Params   uint32 // number of the parameters in force at the head, when this was read
}

// subscriberQueue is how many events are read ahead of a subscriber.
const subscriberQueue = 16

// feed tells waiters that the head has changed.
type feed struct {
	mu     sync.Mutex
	ch     chan struct{} // closed and replaced with each block
	closed bool
	last   Event // what the first subscriber has read of the newest block
}

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
		next, reverts := l.firstAfter(since)
		for {
			changed := l.feed.changed()
			e, ok, err := l.next(&next, &reverts)
			if err != nil {
				l.log.Error("subscription ends", "height", next, "error", err)
				return
			}
			if !ok {
				if l.Err() != nil {
					return
				}
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
				next++
			}
		}
	}()
	return out
}

// firstAfter is the first height that a subscriber who has since gets, and how many
// reverts that takes into account.
func (l *Ledger) firstAfter(since chain.Height) (chain.Height, int) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.forkAt > 0 && since > l.head.Header.Height {
		return l.forkAt, len(l.reverts)
	}
	return since + 1, len(l.reverts)
}

// next reads the event at next, which it first takes back by the reverts that
// the subscriber has not seen; false where there is no such block yet. No
// revert happens meanwhile.
func (l *Ledger) next(next *chain.Height, reverts *int) (Event, bool, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, h := range l.reverts[*reverts:] {
		*next = min(*next, h)
	}
	*reverts = len(l.reverts)
	if *next > l.head.Header.Height {
		return Event{}, false, nil
	}
	if e, ok := l.feed.read(l.head); ok && *next == l.head.Header.Height {
		return e, true, nil
	}
	e, err := l.event(*next)
	e.Params = l.machine.InForce().Number
	if err == nil && *next == l.head.Header.Height {
		l.feed.keep(e)
	}
	return e, err == nil, err
}

// read is the event of the block with this head, if it was read before.
func (f *feed) read(head chain.SealedHeader) (Event, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, f.last.Header.Height > 0 && f.last.Seal == head.Seal
}

func (f *feed) keep(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = e
}

// event is what subscribers see of the block at h.
func (l *Ledger) event(h chain.Height) (Event, error) {
	b, err := l.db.block(h)
	if err != nil {
		return Event{}, err
	}
	e := Event{SealedHeader: b.SealedHeader}
	if e.Unlisted, err = l.unlisted(b.Header); err != nil || len(b.Txs) == 0 {
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

// unlisted reads Event.Unlisted of the block with header h; mu is held.
func (l *Ledger) unlisted(h chain.Header) ([]registry.Unlisted, error) {
	if h.DirEpoch == 0 || h.DirEpoch != l.head.Header.DirEpoch {
		return nil, nil
	}
	if h.Height > 1 {
		before, err := l.db.header(h.Height - 1)
		if err != nil || before.Header.DirEpoch == h.DirEpoch {
			return nil, err
		}
	}
	return l.machine.Registry().Unlisted(), nil
}
