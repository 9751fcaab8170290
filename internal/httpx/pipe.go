package httpx

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// A pipe is a bounded buffer between one writer and one reader, with a deadline
// for writes. It is the body of the answer.
type pipe struct {
	max       int
	onAbandon func() // the reader closed before the end

	mu       sync.Mutex
	changed  *sync.Cond
	whole    *[]byte // from pieces; nil while nothing is in it
	taken    int     // of whole
	end      error   // what Read returns once nothing is held; set once
	closed   bool    // by the reader
	expired  bool    // a write ran into its deadline
	deadline time.Time
	timer    *time.Timer
}

// pieces holds buffers of pipes: one that is empty has none.
var pieces = sync.Pool{New: func() any { return new([]byte) }}

// release gives the buffer back; mu is held.
func (p *pipe) release() {
	if p.whole != nil {
		pieces.Put(p.whole)
	}
	p.whole, p.taken = nil, 0
}

// held is what was written and not read; mu is held.
func (p *pipe) held() []byte {
	if p.whole == nil {
		return nil
	}
	return (*p.whole)[p.taken:]
}

func newPipe(size int) *pipe {
	p := &pipe{max: size}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// Read returns what was written, then the end's error.
func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.closed:
			return 0, http.ErrBodyReadAfterClose
		case p.end != nil && p.end != io.EOF && p.end != io.ErrUnexpectedEOF:
			return 0, p.end // the request was cancelled, or the handler panicked
		case len(p.held()) > 0:
			n := copy(b, p.held())
			if p.taken += n; len(p.held()) == 0 {
				p.release()
			}
			p.changed.Broadcast()
			return n, nil
		case p.end != nil:
			return 0, p.end
		case len(b) == 0:
			return 0, nil
		}
		p.changed.Wait()
	}
}

// Close is the reader's: what the writer still writes is refused.
func (p *pipe) Close() error {
	p.mu.Lock()
	abandoned := !p.closed && p.end == nil
	p.closed = true
	p.release()
	p.changed.Broadcast()
	p.mu.Unlock()
	if abandoned && p.onAbandon != nil {
		p.onAbandon()
	}
	return nil
}

func (p *pipe) Write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if !p.deadline.IsZero() && !time.Now().Before(p.deadline) && p.end == nil {
			p.expired = true
			p.end = io.ErrUnexpectedEOF
			p.changed.Broadcast()
		}
		switch {
		case p.closed:
			return n, io.ErrClosedPipe
		case p.expired:
			return n, fmt.Errorf("write answer: %w", errWriteTimeout)
		case p.end != nil:
			return n, io.ErrClosedPipe
		case len(b) == 0:
			return n, nil
		}
		if room := p.max - len(p.held()); room > 0 {
			k := min(room, len(b))
			if p.whole == nil {
				p.whole = pieces.Get().(*[]byte)
				*p.whole = (*p.whole)[:0]
			}
			if p.taken > p.max { // a reader that never quite catches up must not make it grow
				*p.whole = append((*p.whole)[:0], p.held()...)
				p.taken = 0
			}
			*p.whole = append(*p.whole, b[:k]...)
			b, n = b[k:], n+k
			p.changed.Broadcast()
			continue
		}
		p.changed.Wait()
	}
}

// closeWrite ends the body with err, unless it has ended.
func (p *pipe) closeWrite(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end == nil {
		p.end = err
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.changed.Broadcast()
}

func (p *pipe) setWriteDeadline(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = t
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	if !t.IsZero() && p.end == nil {
		p.timer = time.AfterFunc(time.Until(t), func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.changed.Broadcast()
		})
	}
}

// errWriteTimeout is a deadline's error, as net.Error knows it.
var errWriteTimeout error = writeTimeout{}

type writeTimeout struct{}

func (writeTimeout) Error() string   { return "i/o timeout" }
func (writeTimeout) Timeout() bool   { return true }
func (writeTimeout) Temporary() bool { return true }
