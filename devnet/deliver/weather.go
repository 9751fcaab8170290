package deliver

import (
	"context"
	"math/rand/v2"
	"sync"

	"tunic/chain"
	"tunic/onion/link"
)

// weather loses packets, and what members of a swarm tell each other, of whoever
// sends: each by lot. Greetings arrive.
type weather struct {
	share chain.BasisPoints

	mu  sync.Mutex // guards rnd
	rnd *rand.Rand
}

func (w *weather) loses(f link.Frame) bool {
	if f.Type != link.Packet && f.Type != link.Swarm {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rnd.IntN(10_000) < int(w.share)
}

// wrap is devnet's hook.
func (w *weather) wrap(_ string, _ chain.NodeID, t link.Transport) link.Transport {
	return &transport{t, w}
}

type transport struct {
	link.Transport
	w *weather
}

func (t *transport) Dial(ctx context.Context, endpoint string, peer chain.NodeID) (link.Conn, error) {
	c, err := t.Transport.Dial(ctx, endpoint, peer)
	if err != nil {
		return nil, err
	}
	return &conn{c, t.w}, nil
}

func (t *transport) Listen(endpoint string) (link.Listener, error) {
	l, err := t.Transport.Listen(endpoint)
	if err != nil {
		return nil, err
	}
	return &listener{l, t.w}, nil
}

type listener struct {
	link.Listener
	w *weather
}

func (l *listener) Accept() (link.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{c, l.w}, nil
}

type conn struct {
	link.Conn
	w *weather
}

// Send takes what will not arrive, as a cable does.
func (c *conn) Send(f link.Frame) error {
	if c.w.loses(f) {
		return nil
	}
	return c.Conn.Send(f)
}
