package relay

import (
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"tunic/chain"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/registry/directory"
	"tunic/registry/path"
)

// coverMost bounds the loops that are awaited; beyond it none is sent.
const coverMost = 1 << 14

// cover sends loops: packets over three hops that end at this relay and carry
// nothing, on a Poisson clock that depends on nothing. On every link and to every
// relay on the way they are packets like any other, and probes are hidden among
// them. docs/spec/relay.md, section Cover.
type cover struct {
	*Relay
	mean   chain.Duration // between two loops, milliseconds
	stream io.Reader
	rand   *path.Reader // over stream

	// Owned by run.
	list    *directory.List
	removed []chain.NodeID
	picker  *path.Picker // over list without removed

	mu      sync.Mutex
	epoch   chain.Epoch
	waiting map[onion.Tag]chain.Epoch // last layers of loops under way, with the epoch of their list
}

// newCover is nil where no cover is to be sent: genesis says so, or the clock
// stands still and the time between two loops would be nothing's.
func newCover(r *Relay) (*cover, error) {
	mean := r.cfg.Cover.Milliseconds()
	if !r.params.Cover || r.cfg.StandingClock || mean <= 0 {
		return nil, nil
	}
	// A stream of its own: the owner of the state reads the relay's.
	var seed [32]byte
	if _, err := io.ReadFull(r.cfg.Rand, seed[:]); err != nil {
		return nil, err
	}
	stream := rand.NewChaCha8(seed)
	return &cover{
		Relay: r, mean: chain.Duration(mean), stream: stream, rand: path.FromReader(stream), waiting: make(map[onion.Tag]chain.Epoch),
	}, nil
}

// loop is a packet that is ready to leave.
type loop struct {
	list   *directory.List
	first  chain.NodeID
	packet []byte
	last   onion.Tag // by which this relay will see it come back
}

// run sends until ctx ends.
func (c *cover) run(ctx context.Context) {
	t := time.NewTimer(c.gap())
	defer t.Stop()
	for {
		// Made beforehand: what is due leaves at once, as a packet does whose
		// delay is over.
		next := c.make()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		t.Reset(c.gap())
		v := c.view.Load()
		if next == nil || v.lists[v.epoch] != next.list {
			next = c.make() // the epoch has changed
		}
		if next == nil || !c.expect(next) {
			continue
		}
		// A link that does not take it lets it be missed.
		_ = c.pool.Send(next.first, link.Frame{Type: link.Packet, Data: next.packet})
		c.count.coverSent.Add(1)
	}
}

// gap is the time to the next loop, exponential.
func (c *cover) gap() time.Duration {
	return time.Duration(path.Delay(c.rand.Uint64(), 1000*c.mean)) * time.Microsecond
}

// make makes a loop over the present list; nil where this relay is not in it or
// there is no path.
func (c *cover) make() *loop {
	v := c.view.Load()
	list := v.lists[v.epoch]
	if !v.synced || list == nil {
		return nil
	}
	at, listed := list.Index(c.id)
	if !listed {
		return nil
	}
	if c.picker == nil || c.list != list || !slices.Equal(c.removed, v.removed) {
		c.list, c.removed, c.picker = list, v.removed, path.New(list, v.removed, *c.params)
	}
	way, err := c.picker.Choose(path.Options{Target: c.id}, c.rand)
	if err != nil {
		return nil
	}
	hops := make([]onion.Hop, len(way))
	for i, k := range way {
		e := &list.Entries[k]
		hops[i] = onion.Hop{Index: uint32(k), Key: e.Onion.Key, KeyEpoch: e.Onion.First}
		if k != at {
			hops[i].Delay = path.Delay(c.rand.Uint64(), c.params.MixingMean)
		}
	}
	packet, tags, err := Geometry(c.cfg.Core).WrapTagged(c.stream, c.cfg.Genesis, onion.ExpiryOf(list.Epoch), hops, nil)
	if err != nil {
		return nil // a key of low order on the way
	}
	return &loop{list: list, first: list.Entries[way[0]].Node, packet: packet, last: tags[len(tags)-1]}
}

// expect notes that l is under way; false where too many are.
func (c *cover) expect(l *loop) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.list.Epoch != c.epoch {
		c.epoch = l.list.Epoch
		for tag, e := range c.waiting {
			if e != c.epoch && e+1 != c.epoch {
				delete(c.waiting, tag) // expired: it is not coming
			}
		}
	}
	if len(c.waiting) >= coverMost {
		return false
	}
	c.waiting[l.last] = l.list.Epoch
	return true
}

// returned takes a packet that ends here and carries nothing.
func (c *cover) returned(tag onion.Tag) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, own := c.waiting[tag]; own {
		delete(c.waiting, tag)
		c.count.coverBack.Add(1)
	}
}
