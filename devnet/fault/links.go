package fault

import (
	"context"
	"fmt"

	"tunic/chain"
	"tunic/onion/link"
)

// Drop lets the relay throw away a share of the packets that it sends on; zero
// ends it. Greetings are not packets and go through.
func (t *Twin) Drop(of chain.BasisPoints) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.drop = nil; of > 0 {
		t.drop = newShare(of, t.net.Seed^uint64(t.id[0])<<16)
	}
}

// Delay lets the relay keep each packet for so long, by the network's clock.
func (t *Twin) Delay(d chain.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delay = d
}

// Silence cuts the relay off from everybody, the ledger included. It goes on
// living and knows nothing of it.
func (t *Twin) Silence() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.silent = true
	t.sever()
}

// deaf reports whether nothing passes between the relay and peer; of a client,
// known is false.
func (t *Twin) deaf(peer chain.NodeID, known bool) bool {
	t.mu.Lock()
	silent := t.silent
	t.mu.Unlock()
	return silent || known && t.net.apart(t.id, peer)
}

// transport is what the relay sends with.
type transport struct {
	t     *Twin
	inner link.Transport
}

func (x *transport) Dial(ctx context.Context, endpoint string, peer chain.NodeID) (link.Conn, error) {
	if x.t.deaf(peer, true) {
		return nil, fmt.Errorf("dial link: %w", link.ErrUnreachable)
	}
	c, err := x.inner.Dial(ctx, endpoint, peer)
	if err != nil {
		return nil, err
	}
	return &conn{x.t, c}, nil
}

func (x *transport) Listen(endpoint string) (link.Listener, error) {
	l, err := x.inner.Listen(endpoint)
	if err != nil {
		return nil, err
	}
	return &listener{l, x.t}, nil
}

type listener struct {
	link.Listener
	t *Twin
}

func (l *listener) Accept() (link.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if peer, known := c.Peer(); !l.t.deaf(peer, known) {
			return &conn{l.t, c}, nil
		}
		c.Close()
	}
}

// conn is a link on which frames get lost and late.
type conn struct {
	t     *Twin
	inner link.Conn
}

func (c *conn) Peer() (chain.NodeID, bool) { return c.inner.Peer() }
func (c *conn) Close() error               { return c.inner.Close() }

// Send takes what it will lose, as a cable does.
func (c *conn) Send(f link.Frame) error {
	peer, known := c.inner.Peer()
	if c.t.deaf(peer, known) {
		return nil
	}
	if f.Type != link.Packet {
		return c.inner.Send(f)
	}
	c.t.mu.Lock()
	drop, wait := c.t.drop, c.t.delay
	c.t.mu.Unlock()
	lost := drop.next()
	if known {
		l, d := c.t.net.fate(c.t.id, peer)
		lost, wait = lost || l, wait+d
	}
	switch {
	case lost:
		return nil
	case wait > 0:
		c.t.net.hold(c.inner, f, wait)
		return nil
	}
	return c.inner.Send(f)
}

func (c *conn) Recv(ctx context.Context) (link.Frame, error) {
	for {
		f, err := c.inner.Recv(ctx)
		if err != nil {
			return f, err
		}
		if peer, known := c.inner.Peer(); !c.t.deaf(peer, known) {
			return f, nil
		}
	}
}
