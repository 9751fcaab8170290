package relay

import (
	"container/heap"
	"context"
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

// heldHeap orders packets by the time when they leave.
type heldHeap []held

func (h heldHeap) Len() int           { return len(h) }
func (h heldHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h heldHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *heldHeap) Push(x any)        { *h = append(*h, x.(held)) }
func (h *heldHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = held{}
	*h = old[:len(old)-1]
	return x
}

// delayQueue holds packets, all with one timer.
type delayQueue struct {
	limit int
	wake  chan struct{} // one token when the earliest packet has changed

	mu     sync.Mutex
	heap   heldHeap
	closed bool
}

func newDelayQueue(limit int) *delayQueue {
	return &delayQueue{limit: limit, wake: make(chan struct{}, 1)}
}

// put takes a packet; false where the queue is full, and stopped where it is
// closed.
func (q *delayQueue) put(h held) (ok, stopped bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.heap) >= q.limit {
		return false, q.closed
	}
	heap.Push(&q.heap, h)
	if q.heap[0].packet == h.packet {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return true, false
}

// hurry makes the packets due that wait for a directory: there is a new one.
func (q *delayQueue) hurry() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.heap {
		if q.heap[i].early != nil {
			q.heap[i].at = time.Time{}
		}
	}
	heap.Init(&q.heap)
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// due removes the packets whose time has come and says how long the next waits;
// negative where there is none.
func (q *delayQueue) due(now time.Time, out []held) ([]held, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.heap) > 0 && !q.heap[0].at.After(now) {
		out = append(out, heap.Pop(&q.heap).(held))
	}
	if len(q.heap) == 0 {
		return out, -1
	}
	return out, q.heap[0].at.Sub(now)
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
		for _, h := range out {
			release(h)
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
	left := q.heap
	q.heap = nil
	q.mu.Unlock()
	for _, h := range left {
		drop(h)
	}
}
