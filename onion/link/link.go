package link

import (
	"context"
	"errors"
	"time"

	"tunic/chain"
)

var (
	// ErrClosed means that the link, listener or pool is closed, by this side
	// or the other.
	ErrClosed = errors.New("link: closed")
	// ErrQueueFull means that a frame was not taken because a bounded queue
	// is full. The frame is lost; the caller may send it again later.
	ErrQueueFull = errors.New("link: queue full")
	// ErrIdentity means that the peer holds another identity than the one
	// dialed, or shows a certificate that proves none.
	ErrIdentity = errors.New("link: wrong identity")
	// ErrUnreachable means that nobody answers at the peer's endpoint, or that
	// a failed peer is not tried again yet.
	ErrUnreachable = errors.New("link: peer unreachable")
	// ErrHandshake means that somebody answers who does not speak this
	// protocol.
	ErrHandshake = errors.New("link: handshake failed")
	// ErrNoEndpoint means that no endpoint is known for the peer.
	ErrNoEndpoint = errors.New("link: no endpoint for peer")
	// ErrLimit means that opening one more link would exceed a limit.
	ErrLimit = errors.New("link: too many links")
	// ErrFrame means that a frame has the wrong size, an unknown type or
	// padding that is not zero.
	ErrFrame = errors.New("link: malformed frame")
	// ErrAddressInUse means that another program holds the port to listen on.
	ErrAddressInUse = errors.New("link: address already in use")
	// ErrConfig means that a configuration cannot be used.
	ErrConfig = errors.New("link: invalid configuration")
)

// Transport opens and accepts links under one local identity. The errors of
// Dial never contain the endpoint, so that they may be logged.
type Transport interface {
	// Dial opens a link to the node that holds the identity peer. It returns
	// when the peer has proven it. Errors: ErrIdentity, ErrUnreachable,
	// ErrHandshake, or the context's.
	Dial(ctx context.Context, endpoint string, peer chain.NodeID) (Conn, error)
	// Listen accepts links at endpoint. Its error names the endpoint, which is
	// the caller's own, and is ErrAddressInUse where a port is taken.
	Listen(endpoint string) (Listener, error)
}

// Listener yields the links that others open.
type Listener interface {
	// Accept waits for the next link whose handshake is complete. Failed
	// handshakes are counted and never seen here. ErrClosed after Close.
	Accept() (Conn, error)
	// Addr is the endpoint in use, with the port that was chosen for port 0.
	Addr() string
	// Close stops listening, drops handshakes under way and waits for their
	// goroutines. Links already accepted stay open.
	Close() error
}

// Conn is one link. Send and Close may be called from any goroutine, Recv from
// one at a time.
type Conn interface {
	// Peer is the identity that the other side has proven; false for a client,
	// which has none.
	Peer() (chain.NodeID, bool)
	// Send copies f into the queue of the link and returns without waiting.
	// Errors: ErrFrame, ErrQueueFull, ErrClosed.
	Send(f Frame) error
	// Recv waits for the next frame. Its Data belongs to the link and is valid
	// until the next call of Recv. A cancelled Recv loses nothing: the next one
	// goes on where it stopped. ErrFrame closes the link; ErrClosed is its
	// regular end, after everything that had arrived was returned.
	Recv(ctx context.Context) (Frame, error)
	// Close refuses further frames, gives those queued one second to leave,
	// and closes. It may be called more than once.
	Close() error
}

// Limits bounds what the links of one transport hold in memory. The zero value
// takes the defaults.
type Limits struct {
	// QueueFrames is how many frames may wait on one link (1 MiB of them, at
	// most 256 and at least 64: more bytes fall out of the processor's cache).
	QueueFrames int
	// QueueBytes is how many bytes may wait on all links of the transport
	// together (64 MiB).
	QueueBytes int
	// WriteTimeout closes a link whose peer takes nothing for so long while
	// something waits for it (10 s).
	WriteTimeout time.Duration
}

// DefaultLimits are those of a transport without any, but for QueueFrames, which
// follow from the size of its frames.
func DefaultLimits() Limits {
	l := Limits{QueueFrames: 1}.withDefaults(1)
	l.QueueFrames = 0
	return l
}

func (l Limits) withDefaults(bodySize int) Limits {
	if l.QueueFrames <= 0 {
		l.QueueFrames = max(64, min(256, (1<<20)/FrameSize(bodySize)))
	}
	if l.QueueBytes <= 0 {
		l.QueueBytes = 64 << 20
	}
	if l.WriteTimeout <= 0 {
		l.WriteTimeout = 10 * time.Second
	}
	return l
}

// closeGrace is how long frames queued at Close may take to leave.
const closeGrace = time.Second
