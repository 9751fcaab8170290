package link

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"tunic/chain"
)

// Config configures a TLS transport.
type Config struct {
	// Identity is the node's key. Nil makes a client: it presents no
	// certificate and cannot listen.
	Identity ed25519.PrivateKey
	// BodySize is the network's frame body in bytes, the size of its onion
	// packets. Both ends must agree.
	BodySize int
	// Limits bounds queues and slow readers.
	Limits
	// HandshakeTimeout bounds a TLS handshake on either side (5 s).
	HandshakeTimeout time.Duration
	// MaxHandshakes bounds the handshakes under way at one listener; a newer
	// connection displaces the oldest (512).
	MaxHandshakes int
	// Dial opens the connection that a link runs over, as through a proxy; it
	// gets the endpoint as it was given (net.Dialer's). What it opens in another
	// way than TCP has no probes of a silent peer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Stats receives the counts; nil for counts of its own.
	Stats *Stats
}

// TLS is the transport over TCP and TLS 1.3.
type TLS struct {
	cfg     Config
	cert    *tls.Certificate // nil for a client
	budget  *budget
	batches *sync.Pool
	chunks  *sync.Pool
	frames  *sync.Pool // of *[]byte, one frame each
	writers writers
}

// NewTLS returns the transport of one identity.
func NewTLS(cfg Config) (*TLS, error) {
	if err := checkBodySize(cfg.BodySize); err != nil {
		return nil, err
	}
	cfg.Limits = cfg.Limits.withDefaults(cfg.BodySize)
	if cfg.QueueBytes < FrameSize(cfg.BodySize) {
		return nil, fmt.Errorf("%w: queue bytes %d hold no frame", ErrConfig, cfg.QueueBytes)
	}
	if cfg.HandshakeTimeout <= 0 {
		cfg.HandshakeTimeout = 5 * time.Second
	}
	if cfg.MaxHandshakes <= 0 {
		cfg.MaxHandshakes = 512
	}
	if cfg.Dial == nil {
		cfg.Dial = new(net.Dialer).DialContext
	}
	if cfg.Stats == nil {
		cfg.Stats = new(Stats)
	}
	t := &TLS{
		cfg:     cfg,
		budget:  &budget{limit: int64(cfg.QueueBytes)},
		batches: &sync.Pool{New: func() any { return new(batch) }},
		frames:  &sync.Pool{New: func() any { b := make([]byte, FrameSize(cfg.BodySize)); return &b }},
		chunks:  &sync.Pool{New: func() any { b := make([]byte, 0, chunkSize); return &b }},
	}
	if cfg.Identity != nil {
		if len(cfg.Identity) != ed25519.PrivateKeySize {
			return nil, fmt.Errorf("%w: identity key of %d bytes", ErrConfig, len(cfg.Identity))
		}
		cert, err := selfSigned(cfg.Identity)
		if err != nil {
			return nil, err
		}
		t.cert = &cert
	}
	return t, nil
}

// Dial implements Transport. endpoint is host:port.
func (t *TLS) Dial(ctx context.Context, endpoint string, peer chain.NodeID) (Conn, error) {
	raw, err := t.cfg.Dial(ctx, "tcp", endpoint)
	if err != nil {
		return nil, dialError(ctx, err)
	}
	tune(raw, t.cfg.WriteTimeout)
	w := newChunkConn(raw, t.cfg.WriteTimeout, t.chunks)
	sec := tls.Client(w, clientConfig(t.cert, peer))
	hctx, cancel := context.WithTimeout(ctx, t.cfg.HandshakeTimeout)
	defer cancel()
	if err := sec.HandshakeContext(hctx); err != nil {
		raw.Close()
		switch {
		case ctx.Err() != nil:
			return nil, fmt.Errorf("dial link: %w", ctx.Err())
		case errors.Is(err, ErrIdentity):
			return nil, fmt.Errorf("dial link: %w", ErrIdentity)
		case hctx.Err() != nil:
			return nil, fmt.Errorf("dial link: %w: timed out", ErrHandshake)
		}
		return nil, fmt.Errorf("dial link: %w", ErrHandshake)
	}
	return t.newConn(w, sec, peer, true), nil
}

// dialError keeps the reason of a failed dial and leaves out the address,
// which net's own error would print.
func dialError(ctx context.Context, err error) error {
	var errno syscall.Errno
	var ne net.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("dial link: %w", ctx.Err())
	case errors.As(err, &errno):
		return fmt.Errorf("dial link: %w: %w", ErrUnreachable, errno)
	case errors.As(err, &ne) && ne.Timeout():
		return fmt.Errorf("dial link: %w: timed out", ErrUnreachable)
	}
	return fmt.Errorf("dial link: %w", ErrUnreachable)
}

// Listen implements Transport. endpoint is host:port; port 0 chooses one.
func (t *TLS) Listen(endpoint string) (Listener, error) {
	if t.cert == nil {
		return nil, fmt.Errorf("listen on %s: %w: a client has no identity to show", endpoint, ErrConfig)
	}
	ln, err := net.Listen("tcp", endpoint)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: %w: another program holds this port", endpoint, ErrAddressInUse)
	}
	if err != nil {
		var errno syscall.Errno
		if errors.As(err, &errno) {
			err = errno
		}
		return nil, fmt.Errorf("listen on %s: %w", endpoint, err)
	}
	return newTLSListener(t, ln), nil
}
