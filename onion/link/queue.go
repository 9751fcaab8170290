package link

import (
	"sync"
	"sync/atomic"
)

// budget bounds the bytes that wait on all links of a transport.
type budget struct {
	limit int64
	used  atomic.Int64
}

func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) > b.limit {
		b.used.Add(-int64(n))
		return false
	}
	return true
}

func (b *budget) give(n int) { b.used.Add(-int64(n)) }

// batch is a run of encoded frames that leave in one write.
type batch struct{ b []byte }

// sendQueue collects frames while the writer is busy with the batch before.
// An idle link holds no buffer: batches come from a pool that all links share.
type sendQueue struct {
	body   int
	limit  int
	budget *budget
	pool   *sync.Pool
	wake   chan struct{} // one token whenever the queue turns non-empty or closes

	mu     sync.Mutex
	cur    *batch
	n      int
	closed bool
}

func newSendQueue(body int, lim Limits, bud *budget, pool *sync.Pool) *sendQueue {
	return &sendQueue{body: body, limit: lim.QueueFrames, budget: bud, pool: pool, wake: make(chan struct{}, 1)}
}

func (q *sendQueue) put(f Frame) error {
	if err := checkFrame(f, q.body); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if q.n >= q.limit || !q.budget.take(FrameSize(q.body)) {
		return ErrQueueFull
	}
	if q.cur == nil {
		q.cur = q.pool.Get().(*batch)
	}
	b, err := AppendFrame(q.cur.b, f, q.body)
	if err != nil {
		q.budget.give(FrameSize(q.body))
		return err
	}
	q.cur.b = b
	if q.n++; q.n == 1 {
		q.signal()
	}
	return nil
}

// take returns everything that waits, nil if nothing does, and whether the
// queue is closed.
func (q *sendQueue) take() (*batch, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.cur
	q.cur, q.n = nil, 0
	return b, q.closed
}

func (q *sendQueue) release(b *batch) {
	q.budget.give(len(b.b))
	b.b = b.b[:0]
	q.pool.Put(b)
}

func (q *sendQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.signal()
	q.mu.Unlock()
}

// discard closes the queue and returns how many frames it threw away.
func (q *sendQueue) discard() int {
	q.close()
	b, _ := q.take()
	if b == nil {
		return 0
	}
	n := len(b.b) / FrameSize(q.body)
	q.release(b)
	return n
}

func (q *sendQueue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
