package relay

import (
	"context"
	"math"
	"sync"
	"time"

	"tunic/chain"
	"tunic/onion"
)

// held is a packet that waits for its delay or, where early is set, for the
// directory that it was made from. It then goes to the node next or, where client
// is set, to the client that it names. One that is own is an answer of this node's
// mailboxes, and is not counted among what came.
type held struct {
	at     time.Time
	next   chain.NodeID
	early  *onion.Routing
	client *onion.Routing
	own    bool
	packet *[]byte
}

// due is the place of a packet in the heap.
type due struct {
	at   time.Duration // since the queue was made
	slot int32
}

// delayQueue holds packets, all with one timer, in a heap by the time when they
// leave. What moves in the heap is small; the packets stay in their slots.
type delayQueue struct {
	limit int
	wake  chan struct{} // one token when the earliest packet has changed
	base  time.Time

	mu     sync.Mutex
	heap   []due
	slots  []held
	free   []int32 // slots without a packet
	closed bool
}

func newDelayQueue(limit int) *delayQueue {
	return &delayQueue{limit: limit, wake: make(chan struct{}, 1), base: time.Now()}
}

// put takes a packet; false where the queue is full, and stopped where it is
// closed.
func (q *delayQueue) put(h held) (ok, stopped bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.heap) >= q.limit {
		return false, q.closed
	}
	d := due{at: h.at.Sub(q.base)}
	if n := len(q.free); n > 0 {
		d.slot, q.free = q.free[n-1], q.free[:n-1]
		q.slots[d.slot] = h
	} else {
		d.slot = int32(len(q.slots))
		q.slots = append(q.slots, h)
	}
	q.heap = append(q.heap, d)
	if q.up(len(q.heap) - 1); q.heap[0].slot == d.slot {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return true, false
}

// up and down put the packet at i of the heap into its place, towards the front
// or the end.
func (q *delayQueue) up(i int) {
	d := q.heap[i]
	for i > 0 && d.at < q.heap[(i-1)/2].at {
		q.heap[i] = q.heap[(i-1)/2]
		i = (i - 1) / 2
	}
	q.heap[i] = d
}

func (q *delayQueue) down(i int) {
	d := q.heap[i]
	for {
		child := 2*i + 1
		if child+1 < len(q.heap) && q.heap[child+1].at < q.heap[child].at {
			child++
		}
		if child >= len(q.heap) || d.at <= q.heap[child].at {
			break
		}
		q.heap[i] = q.heap[child]
		i = child
	}
	q.heap[i] = d
}

// pop takes the earliest packet out.
func (q *delayQueue) pop() held {
	slot, last := q.heap[0].slot, len(q.heap)-1
	q.heap[0] = q.heap[last]
	if q.heap = q.heap[:last]; last > 0 {
		q.down(0)
	}
	h := q.slots[slot]
	q.slots[slot] = held{}
	q.free = append(q.free, slot)
	return h
}

// hurry makes the packets due that wait for a directory: there is a new one.
func (q *delayQueue) hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.heap {
		if q.slots[q.heap[i].slot].early != nil {
			q.heap[i].at = math.MinInt64 / 2
			q.up(i) // those before it are in order, and it is the first of them now
		}
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// dueBatch is how many packets leave the queue while those who put others into it
// wait.
const dueBatch = 64

// due removes packets whose time has come, a batch of them at most, and says how
// long the next waits; negative where there is none.
func (q *delayQueue) due(now time.Time, out []held) ([]held, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := now.Sub(q.base)
	for len(q.heap) > 0 && q.heap[0].at <= at && len(out) < dueBatch {
		out = append(out, q.pop())
	}
	if len(q.heap) == 0 {
		return out, -1
	}
	return out, max(0, q.heap[0].at-at)
}

// run hands packets to release when they are due, until ctx ends; what is left
// then goes to drop.
func (q *delayQueue) run(ctx context.Context, release, drop func(held)) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var out []held
	for ctx.Err() == nil {
		var wait time.Duration
		out, wait = q.due(time.Now(), out[:0])
		for i, h := range out {
			release(h)
			out[i] = held{}
		}
		if len(out) > 0 {
			continue
		}
		if wait < 0 {
			wait = time.Hour
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-q.wake:
		case <-ctx.Done():
		}
	}
	q.mu.Lock()
	q.closed = true
	var left []held
	for _, d := range q.heap {
		left = append(left, q.slots[d.slot])
	}
	q.heap, q.slots, q.free = nil, nil, nil
	q.mu.Unlock()
	for _, h := range left {
		drop(h)
	}
}
