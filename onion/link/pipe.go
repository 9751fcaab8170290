package link

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"tunic/chain"
)

// memConn is one end of a link in memory: two pipes, one each way.
type memConn struct {
	peer    chain.NodeID
	known   bool
	in, out *pipe
	held    *[]byte     // what the last Recv returned; owned by the caller of Recv
	dealing atomic.Bool // its receiver is at work on it
}

func (c *memConn) Peer() (chain.NodeID, bool) { return c.peer, c.known }

func (c *memConn) Send(f Frame) error { return c.out.put(f) }

func (c *memConn) Recv(ctx context.Context) (Frame, error) {
	c.dealt()
	if c.held != nil {
		c.in.hub.frames.Put(c.held)
		c.held = nil
	}
	t, data, err := c.in.get(ctx)
	if err != nil {
		return Frame{}, err
	}
	c.dealing.Store(true)
	c.held = data
	return Frame{Type: t, Data: *data}, nil
}

// dealt takes the frame of the last Recv off the hub's count.
func (c *memConn) dealt() {
	if c.dealing.Swap(false) {
		c.in.hub.moving.Add(-1)
	}
}

// Close leaves what was sent for the peer to read, as TCP does, and throws
// away what was not received.
func (c *memConn) Close() error {
	c.out.end(false)
	c.in.end(true)
	c.dealt()
	return nil
}

// pipe is a bounded queue of frames in one direction.
type pipe struct {
	hub  *Memory
	twin *pipe         // the other direction
	wake chan struct{} // one token whenever the reader has reason to look

	mu     sync.Mutex
	frames []memFrame // ring, allocated as it fills
	head   int
	n      int
	closed bool
	taken  uint64 // frames read so far
	stall  *time.Timer
}

type memFrame struct {
	t    FrameType
	data *[]byte
}

func newPipes(m *Memory) (there, back *pipe) {
	there = &pipe{hub: m, wake: make(chan struct{}, 1)}
	back = &pipe{hub: m, twin: there, wake: make(chan struct{}, 1)}
	there.twin = back
	return there, back
}

func (p *pipe) put(f Frame) error {
	if err := checkFrame(f, p.hub.body); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrClosed
	}
	if p.n >= p.hub.limits.QueueFrames {
		p.watch()
		return ErrQueueFull
	}
	if !p.hub.budget.take(FrameSize(p.hub.body)) {
		return ErrQueueFull
	}
	p.hub.moving.Add(1)
	p.hub.total.Add(1)
	data := p.hub.frames.Get().(*[]byte)
	*data = append((*data)[:0], f.Data...)
	if p.n == len(p.frames) {
		p.grow()
	}
	p.frames[(p.head+p.n)%len(p.frames)] = memFrame{f.Type, data}
	if p.n++; p.n == 1 {
		p.signal()
	}
	return nil
}

func (p *pipe) grow() {
	next := make([]memFrame, max(4, 2*len(p.frames)))
	for i := range p.n {
		next[i] = p.frames[(p.head+i)%len(p.frames)]
	}
	p.frames, p.head = next, 0
}

// watch closes the link unless the reader takes a frame within the write
// timeout, as the deadline of a TLS link would. Called with mu held and the
// queue full.
func (p *pipe) watch() {
	if p.stall != nil {
		return
	}
	seen := p.taken
	p.stall = time.AfterFunc(p.hub.limits.WriteTimeout, func() {
		p.mu.Lock()
		p.stall = nil
		stuck := p.taken == seen && !p.closed
		p.mu.Unlock()
		if stuck {
			p.end(true)
			p.twin.end(false)
		}
	})
}

func (p *pipe) get(ctx context.Context) (FrameType, *[]byte, error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, nil, err
		}
		p.mu.Lock()
		if p.n > 0 {
			f := p.frames[p.head]
			p.frames[p.head] = memFrame{}
			p.head = (p.head + 1) % len(p.frames)
			p.n--
			p.taken++
			p.hub.budget.give(FrameSize(p.hub.body))
			p.mu.Unlock()
			return f.t, f.data, nil
		}
		closed := p.closed
		p.mu.Unlock()
		if closed {
			return 0, nil, ErrClosed
		}
		select {
		case <-p.wake:
		case <-ctx.Done():
		}
	}
}

// end closes the pipe for the sender; discard also empties it for the reader.
func (p *pipe) end(discard bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.stall != nil {
		p.stall.Stop()
		p.stall = nil
	}
	if discard {
		for p.n > 0 {
			p.hub.frames.Put(p.frames[p.head].data)
			p.frames[p.head] = memFrame{}
			p.head = (p.head + 1) % len(p.frames)
			p.n--
			p.hub.budget.give(FrameSize(p.hub.body))
			p.hub.moving.Add(-1)
		}
	}
	p.signal()
}

func (p *pipe) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
