package link

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// chunkSize is how much of a batch leaves in one system call. TLS alone makes
// a call for every record of 16 KiB.
const chunkSize = 64 << 10

// recordSize is what fits one TLS record; a batch up to it needs no gathering.
const recordSize = 16 << 10

// chunkConn sits between TLS and TCP. It joins the records of one batch and
// gives every write a fresh deadline, so that the time-out asks for progress,
// whatever the size of the batch.
type chunkConn struct {
	net.Conn
	now     syscall.RawConn // the same; nil where the system gives none
	timeout time.Duration
	pool    *sync.Pool // of *[]byte with capacity chunkSize

	mu   sync.Mutex // TLS may answer a key update while the writer gathers
	buf  *[]byte    // nil while not gathering
	rest []byte     // of what was tried: goes before all else

	deadlineMu sync.Mutex
	last       time.Time // set by Close: no write may take longer
}

func newChunkConn(c net.Conn, timeout time.Duration, pool *sync.Pool) *chunkConn {
	w := &chunkConn{Conn: c, timeout: timeout, pool: pool}
	if s, ok := c.(syscall.Conn); ok {
		w.now, _ = s.SyscallConn() // fails where everything will
	}
	return w
}

// finishWithin lets writes go on for d and no longer.
func (c *chunkConn) finishWithin(d time.Duration) {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	if c.last.IsZero() {
		c.last = time.Now().Add(d)
		_ = c.Conn.SetWriteDeadline(c.last) // fails where the connection is closed already
	}
}

func (c *chunkConn) extend() error {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	if !c.last.IsZero() {
		return nil
	}
	return c.Conn.SetWriteDeadline(time.Now().Add(c.timeout))
}

// send writes within the deadline, or not at all where none can be set.
func (c *chunkConn) send(p []byte) (int, error) {
	if err := c.extend(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Write implements net.Conn for TLS.
func (c *chunkConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf == nil {
		if err := c.sendRest(); err != nil {
			return 0, err
		}
		return c.send(p)
	}
	if len(*c.buf)+len(p) > chunkSize {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	*c.buf = append(*c.buf, p...)
	return len(p), nil
}

func (c *chunkConn) flush() error {
	if len(*c.buf) == 0 {
		return nil
	}
	err := c.sendRest()
	if err == nil {
		_, err = c.send(*c.buf)
	}
	*c.buf = (*c.buf)[:0]
	return err
}

// gather joins the writes of fn, which come to about size bytes.
func (c *chunkConn) gather(fn func() error, size int) error {
	if size <= recordSize {
		return fn()
	}
	c.begin()
	err := fn()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		err = c.flush()
	}
	c.end()
	return err
}

// begin has writes gathered, end no more. The latter is called with mu held.
func (c *chunkConn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf = c.pool.Get().(*[]byte)
}

func (c *chunkConn) end() {
	*c.buf = (*c.buf)[:0]
	c.pool.Put(c.buf)
	c.buf = nil
}

// try joins the writes of fn, which come to less than chunkSize, and sends what the
// system takes at once. It reports whether a rest is left, which finish sends and
// any other write takes along.
func (c *chunkConn) try(fn func() error) (rest bool, err error) {
	c.begin()
	err = fn()
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.end()
	if err != nil {
		return false, err
	}
	n, err := 0, error(nil)
	if len(c.rest) == 0 && c.now != nil {
		n, err = sendNow(c.now, *c.buf)
	}
	if err != nil {
		return false, err
	}
	c.rest = append(c.rest, (*c.buf)[n:]...)
	return len(c.rest) > 0, nil
}

// finish sends what try left.
func (c *chunkConn) finish() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sendRest()
}

// sendRest is finish, with mu held.
func (c *chunkConn) sendRest() error {
	if len(c.rest) == 0 {
		return nil
	}
	_, err := c.send(c.rest)
	c.rest = nil
	return err
}
