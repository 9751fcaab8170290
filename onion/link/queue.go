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
// An idle link holds no buffer and no writer: batches come from a pool that all
// links share, and so do writers.
type sendQueue struct {
	body   int
	limit  int
	budget *budget
	pool   *sync.Pool

	mu     sync.Mutex
	cur    *batch
	n      int
	taken  bool // by a writer, which takes all that comes until there is nothing
	closed bool
}

func newSendQueue(body int, lim Limits, bud *budget, pool *sync.Pool) *sendQueue {
	return &sendQueue{body: body, limit: lim.QueueFrames, budget: bud, pool: pool}
}

// put lets f wait. start says that the queue wants a writer, which is the
// caller's to find: the queue goes by its having one.
func (q *sendQueue) put(f Frame) (start bool, err error) {
	if err := checkFrame(f, q.body); err != nil {
		return false, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false, ErrClosed
	}
	if q.n >= q.limit || !q.budget.take(FrameSize(q.body)) {
		return false, ErrQueueFull
	}
	if q.cur == nil {
		q.cur = q.pool.Get().(*batch)
	}
	b, err := AppendFrame(q.cur.b, f, q.body)
	if err != nil {
		q.budget.give(FrameSize(q.body))
		return false, err
	}
	q.cur.b = b
	q.n++
	start = !q.taken
	q.taken = true
	return start, nil
}

// take returns everything that waits to the queue's writer; nil if nothing does,
// and then the queue has no writer any more. closed says whether it is closed.
func (q *sendQueue) take() (b *batch, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b = q.cur
	q.cur, q.n = nil, 0
	q.taken = b != nil
	return b, q.closed
}

func (q *sendQueue) release(b *batch) {
	q.budget.give(len(b.b))
	b.b = b.b[:0]
	q.pool.Put(b)
}

// close takes no more frames, and reports whether a writer has the queue: it then
// sees that it is closed.
func (q *sendQueue) close() (taken bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	return q.taken
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
