package link

import (
	"sync"
	"sync/atomic"
	"time"
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

// sendQueue collects frames while the batch before is written: by a writer, or, on a
// link on which little is sent, by the sender itself, who need not wait until a
// writer runs. An idle link holds no buffer and no writer: batches come from a pool
// that all links share, and so do writers.
type sendQueue struct {
	body   int
	limit  int
	budget *budget
	pool   *sync.Pool

	mu      sync.Mutex
	cur     *batch
	n       int
	pace    Pace
	sending bool // a sender writes
	taken   bool // a writer has the queue, and takes all that comes until there is nothing
	rest    bool // a sender left a part of its batch to the writer
	closed  bool
}

func newSendQueue(body int, lim Limits, bud *budget, pool *sync.Pool) *sendQueue {
	return &sendQueue{body: body, limit: lim.QueueFrames, budget: bud, pool: pool}
}

// put lets f wait. Where it returns a batch, the caller writes that itself, and then
// calls sent. start says that the queue wants a writer, which is the caller's to
// find: the queue goes by its having one.
func (q *sendQueue) put(f Frame) (mine *batch, start bool, err error) {
	if err := checkFrame(f, q.body); err != nil {
		return nil, false, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, false, ErrClosed
	}
	if q.n >= q.limit || !q.budget.take(FrameSize(q.body)) {
		return nil, false, ErrQueueFull
	}
	if q.cur == nil {
		q.cur = q.pool.Get().(*batch)
	}
	b, err := AppendFrame(q.cur.b, f, q.body)
	if err != nil {
		q.budget.give(FrameSize(q.body))
		return nil, false, err
	}
	q.cur.b = b
	q.n++
	sparse := q.pace.Sparse(time.Now())
	switch {
	case q.sending || q.taken: // somebody comes back for it
		return nil, false, nil
	case sparse && !q.rest && FrameSize(q.body) <= chunkSize-recordSize:
		q.sending = true
		return q.swap(), false, nil
	}
	q.taken = true
	return nil, true, nil
}

// swap returns everything that waits. Called with mu held.
func (q *sendQueue) swap() *batch {
	b := q.cur
	q.cur, q.n = nil, 0
	return b
}

// sent ends the writing of a batch that put returned, of which a writer has to send
// the rest, or nothing. start is as for put; over says that the queue was closed
// meanwhile and nothing is left.
func (q *sendQueue) sent(b *batch, rest bool) (start, over bool) {
	q.release(b)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sending, q.rest = false, rest
	q.taken = rest || q.cur != nil
	return q.taken, q.closed && !q.taken
}

// take returns, to the queue's writer, everything that waits and whether a sender
// left something that comes before it. Where there is nothing, the queue has no
// writer any more. closed says whether it is closed.
func (q *sendQueue) take() (b *batch, rest, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b, rest = q.swap(), q.rest
	q.taken, q.rest = b != nil || rest, false
	return b, rest, q.closed
}

func (q *sendQueue) release(b *batch) {
	q.budget.give(len(b.b))
	b.b = b.b[:0]
	q.pool.Put(b)
}

// close takes no more frames, and reports whether a writer or a sender has the queue:
// it then sees that it is closed.
func (q *sendQueue) close() (held bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	return q.taken || q.sending
}

// discard closes the queue and returns how many frames it threw away.
func (q *sendQueue) discard() int {
	q.close()
	q.mu.Lock()
	b := q.swap()
	q.mu.Unlock()
	if b == nil {
		return 0
	}
	n := len(b.b) / FrameSize(q.body)
	q.release(b)
	return n
}
