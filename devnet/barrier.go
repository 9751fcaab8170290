package devnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"tunic/chain"
	"tunic/onion/link"
)

// gate keeps what clients send while the network comes to rest: they poll on
// the machine's clock and would never let it. Nobody waits at it, since clients
// also send while they deal with what they got.
type gate struct {
	mu     sync.Mutex // guards what follows; held while a frame goes through
	closed int        // by how many that wait for rest
	kept   []kept
}

type kept struct {
	conn link.Conn
	link.Frame
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed++
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed--; g.closed > 0 {
		return
	}
	for _, k := range g.kept {
		_ = k.conn.Send(k.Frame) // a link that closed meanwhile loses it
	}
	g.kept = nil
}

// gated is a client's transport behind the gate.
type gated struct {
	link.Transport
	g *gate
}

func (t *gated) Dial(ctx context.Context, endpoint string, peer chain.NodeID) (link.Conn, error) {
	c, err := t.Transport.Dial(ctx, endpoint, peer)
	if err != nil {
		return nil, err
	}
	return &gatedConn{c, t.g}, nil
}

type gatedConn struct {
	link.Conn
	g *gate
}

func (c *gatedConn) Send(f link.Frame) error {
	c.g.mu.Lock()
	defer c.g.mu.Unlock()
	if c.g.closed > 0 {
		c.g.kept = append(c.g.kept, kept{c.Conn, link.Frame{Type: f.Type, Data: bytes.Clone(f.Data)}})
		return nil
	}
	return c.Conn.Send(f)
}

// restLimit is how long packets may take to come to rest, by the machine's
// clock. With mixing they are held for that long in earnest.
const restLimit = 30 * time.Second

// barrier waits until every running relay has acted on the block at h and what
// they sent has arrived: on a driven clock the next block must not come before,
// or it would depend on scheduling what a relay has received by then.
func (n *Network) barrier(ctx context.Context, h chain.Height) error {
	begin := time.Now()
	defer func() { n.waited.Add(int64(time.Since(begin))) }()
	if !n.Spec.Live {
		n.faults.Release()
	}
	for _, r := range n.Relays {
		if err := r.awaitSynced(ctx, n, h); err != nil {
			return err
		}
	}
	if !n.onComet() { // else tellOver does
		n.tell(ctx)
	}
	if n.hub == nil || n.Spec.Live {
		return nil // sockets hold packets that nobody counts; and time passes anyway
	}
	return n.rest(ctx)
}

// rest returns when no packet is under way. It believes what it sees twice: all
// counts at zero, and nothing sent in between. Then every relay's counters balance.
func (n *Network) rest(ctx context.Context) error {
	n.gate.close()
	defer n.gate.open()
	until := time.Now().Add(restLimit)
	var before uint64
	for quiet, tries := false, 0; ; tries++ {
		now, total := n.motion()
		if quiet && now == 0 && total == before {
			return n.settled()
		}
		quiet, before = now == 0, total
		switch {
		case quiet || tries < 64:
			runtime.Gosched()
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(until):
			return errors.Join(fmt.Errorf("devnet: %d packets are still under way after %v", now, restLimit), n.settled())
		}
		time.Sleep(50 * time.Microsecond)
	}
}

// settled holds the counters of each relay that runs, one by one: in the sum what
// one counts twice and another not at all would not be seen.
func (n *Network) settled() error {
	for _, r := range n.Relays {
		if r.runs() {
			if err := r.settled(r.Daemon.Counters()); err != nil {
				return err
			}
		}
	}
	return nil
}

// motion sums what links and relays have under way, and what was ever sent.
func (n *Network) motion() (now int64, total uint64) {
	now, total = n.hub.Moving()
	for _, r := range n.Relays {
		if r.runs() {
			x, sum := r.Daemon.Motion()
			now, total = now+x, total+sum
		}
	}
	return now, total
}
