package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"tunic/chain"
)

// tlsConn is a link over TLS. A writer of the transport writes while frames wait;
// the caller of Recv reads.
type tlsConn struct {
	raw   *chunkConn
	sec   *tls.Conn
	peer  chain.NodeID
	known bool
	q     *sendQueue
	stats *Stats
	by    *writers

	// Owned by the caller of Recv.
	size int
	buf  *[]byte // one frame; nil while none has begun to arrive
	have int     // how much of it has arrived
	got  bool    // the last Recv returned it
	head [1]byte // what a link waits for without a buffer
	free *sync.Pool

	over    sync.Once
	written chan struct{} // closed when nothing is written any more
}

func (t *TLS) newConn(raw *chunkConn, sec *tls.Conn, peer chain.NodeID, known bool) *tlsConn {
	c := &tlsConn{
		raw: raw, sec: sec, peer: peer, known: known,
		q:       newSendQueue(t.cfg.BodySize, t.cfg.Limits, t.budget, t.batches),
		stats:   t.cfg.Stats,
		size:    FrameSize(t.cfg.BodySize),
		free:    t.frames,
		by:      &t.writers,
		written: make(chan struct{}),
	}
	c.by.enter()
	return c
}

func (c *tlsConn) Peer() (chain.NodeID, bool) { return c.peer, c.known }

func (c *tlsConn) Send(f Frame) error {
	b, start, err := c.q.put(f)
	if b != nil {
		var rest, over bool
		rest, err := c.raw.try(func() error {
			_, err := c.sec.Write(b.b)
			return err
		})
		if err != nil {
			c.stats.drop(Unsent, len(b.b)/c.size)
			c.abort()
		}
		if start, over = c.q.sent(b, rest); over {
			c.end()
		}
	}
	if start {
		c.by.write(c)
	}
	return err // of one that was queued and lost, as others are whose link fails, none
}

func (c *tlsConn) Close() error {
	held := c.q.close()
	c.raw.finishWithin(closeGrace)
	if !held {
		c.end()
	}
	<-c.written
	return nil
}

// abort closes without a grace.
func (c *tlsConn) abort() {
	held := c.q.close()
	c.raw.Close()
	if !held {
		c.end()
	}
}

// end is what comes after the last write.
func (c *tlsConn) end() {
	c.over.Do(func() {
		c.raw.Close()
		c.stats.drop(Unsent, c.q.discard())
		c.by.leave()
		close(c.written)
	})
}

// write writes what waits. The writer that has the queue calls it.
func (c *tlsConn) write() {
	for {
		b, rest, closed := c.q.take()
		if b == nil && !rest {
			if closed {
				c.end()
			}
			return
		}
		var err error
		if rest {
			err = c.raw.finish()
		}
		if b != nil {
			if err == nil {
				err = c.raw.gather(func() error {
					_, err := c.sec.Write(b.b)
					return err
				}, len(b.b))
			}
			if err != nil {
				c.stats.drop(Unsent, len(b.b)/c.size)
			}
			c.q.release(b)
		}
		if err != nil {
			c.end()
			return
		}
	}
}

func (c *tlsConn) Recv(ctx context.Context) (Frame, error) {
	if ctx.Done() != nil {
		if err := ctx.Err(); err != nil {
			return Frame{}, err
		}
		fired := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // fails where a read fails too
			close(fired)
		})
		defer func() {
			if !stop() {
				<-fired
				_ = c.raw.SetReadDeadline(time.Time{})
			}
		}()
	}
	if c.got {
		c.free.Put(c.buf)
		c.buf, c.have, c.got = nil, 0, false
	}
	for c.have < c.size {
		n, err := c.read()
		c.have += n
		if err == nil {
			continue
		}
		var ne net.Error
		if ctx.Err() != nil && errors.As(err, &ne) && ne.Timeout() {
			return Frame{}, ctx.Err()
		}
		if c.have == c.size {
			break // the error comes again with the next Recv
		}
		c.abort()
		// The cause would name the peer's address.
		return Frame{}, ErrClosed
	}
	c.got = true
	f, err := ParseFrame(*c.buf)
	if err != nil {
		c.abort()
		return Frame{}, fmt.Errorf("receive frame: %w", err)
	}
	return f, nil
}

// read reads what there is of a frame. A link on which nothing arrives holds no
// buffer for it.
func (c *tlsConn) read() (int, error) {
	if c.buf != nil {
		return c.sec.Read((*c.buf)[c.have:])
	}
	n, err := c.sec.Read(c.head[:])
	if n > 0 {
		c.buf = c.free.Get().(*[]byte)
		(*c.buf)[0] = c.head[0]
	}
	return n, err
}
