package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/registry/directory"
	"tunic/relay"
)

// Orders of the process that makes the flood.
const (
	floodOpen  = "open"  // be listed
	floodWrap  = "wrap"  // make packets for the list
	floodBegin = "begin" // flood
	floodEnd   = "end"
)

// Who floods: listed nodes with packets to be forwarded, a listed node with
// packets that are junk at the first look inside, and clients with the same.
const (
	floodHonest    = 2 // listed, valid packets
	floodJunk      = 2 // listed, junk
	floodAnonymous = 4 // clients, junk
	floodEnds      = floodHonest + floodJunk + 1
)

// floodOrder is one line to it.
type floodOrder struct {
	Do      string       `json:"do"`
	Entries floodEntries `json:"entries,omitempty"` // with wrap: the whole list
	Relay   chain.NodeID `json:"relay,omitzero"`    // with wrap: whom to flood
	Packets int          `json:"packets,omitempty"` // with wrap: different valid ones
	PerS    int          `json:"per_s,omitempty"`   // with begin: of all together
}

// floodReport answers an order.
type floodReport struct {
	Entries  floodEntries `json:"entries,omitempty"` // with open
	Offered  int64        `json:"offered"`           // frames that were to be sent
	Taken    int64        `json:"taken"`             // of these, those that a link took
	Received int64        `json:"received"`          // packets that came through the relay
	Error    string       `json:"error,omitempty"`
}

// RunFlood obeys the orders on in until it ends.
func RunFlood(ctx context.Context, in io.Reader, out io.Writer) error {
	p := &flooder{}
	defer p.close()
	var err error
	if p.ledger, err = newStillLedger(genesis.Dev, 1); err != nil {
		return fmt.Errorf("make flood: %w", err)
	}
	lines, say := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var o floodOrder
		if err := lines.Decode(&o); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read order: %w", err)
		}
		r, err := p.obey(ctx, o)
		r.Offered, r.Taken, r.Received = p.offered.Load(), p.taken.Load(), p.received.Load()
		if err != nil {
			r.Error = err.Error()
		}
		if err := say.Encode(r); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
}

type flooder struct {
	netList
	ledger *stillLedger
	ends   []*netEnd
	pools  []*link.Pool // of the clients
	relay  chain.NodeID
	valid  []parcel
	junk   []byte

	offered, taken, received atomic.Int64
	stop                     context.CancelFunc
	wg                       sync.WaitGroup
}

func (p *flooder) obey(ctx context.Context, o floodOrder) (r floodReport, err error) {
	switch o.Do {
	case floodOpen:
		var entries []directory.Entry
		for i := range floodEnds {
			e, err := newNetEnd(p.ledger.core, "flood", 100+i, p.resolve)
			if err != nil {
				return r, err
			}
			p.ends, entries = append(p.ends, e), append(entries, e.entry)
		}
		p.ends[floodEnds-1].frame = func(_ *link.Link, f link.Frame) {
			if f.Type == link.Packet {
				p.received.Add(1)
			}
		}
		r.Entries = packEntries(entries)
		return r, nil
	case floodWrap:
		return r, p.wrap(o)
	case floodBegin:
		return r, p.begin(ctx, o.PerS)
	case floodEnd:
		p.end()
		return r, nil
	}
	return r, fmt.Errorf("no such order: %q", o.Do)
}

func (p *flooder) wrap(o floodOrder) error {
	entries, err := o.Entries.unpack()
	if err != nil {
		return err
	}
	if p.list, err = directory.NewList(1, entries); err != nil {
		return err
	}
	p.relay = o.Relay
	hops := []onion.Hop{p.hop(o.Relay), p.hop(p.ends[floodEnds-1].id)}
	p.valid, _, err = makeAll(o.Packets, func(i int) (parcel, error) {
		b, err := onion.Small.Wrap(rand.Reader, p.ledger.hash, onion.ExpiryOf(1), hops, numbered(i))
		return parcel{o.Relay, b}, err
	})
	if err != nil {
		return err
	}
	p.junk = bytes.Clone(p.valid[0].packet)
	p.junk[40] ^= 1 // in the ephemeral key or the MAC: found by opening the header
	for range floodAnonymous {
		t, err := link.NewTLS(link.Config{BodySize: relay.BodySize(p.ledger.core)})
		if err != nil {
			return err
		}
		p.pools = append(p.pools, link.NewPool(t, p.resolve, link.PoolConfig{BackoffMin: time.Millisecond, BackoffMax: 10 * time.Millisecond, MinUptime: time.Nanosecond}))
	}
	return nil
}

// begin floods at a rate that all share evenly. What a link does not take is
// offered all the same: it waits before the relay, or is lost there.
func (p *flooder) begin(ctx context.Context, perS int) error {
	if p.list == nil || p.stop != nil {
		return errors.New("nothing is wrapped, or a flood is under way")
	}
	ctx, p.stop = context.WithCancel(ctx)
	next := new(atomic.Int64)
	valid := func() []byte { return p.valid[int(next.Add(1)-1)%len(p.valid)].packet }
	junk := func() []byte { return p.junk }
	each := perS / (floodHonest + floodJunk + floodAnonymous)
	for i, e := range p.ends[:floodEnds-1] {
		what := valid
		if i >= floodHonest {
			what = junk
		}
		p.wg.Go(func() { p.flood(ctx, e.pool, each, what) })
	}
	for _, pool := range p.pools {
		p.wg.Go(func() { p.flood(ctx, pool, each, junk) })
	}
	return nil
}

func (p *flooder) flood(ctx context.Context, pool *link.Pool, perS int, packet func() []byte) {
	const tick = time.Millisecond
	t := time.NewTicker(tick)
	defer t.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := time.Now()
		n := int(now.Sub(last) * time.Duration(perS) / time.Second)
		last = now
		for range n {
			p.offered.Add(1)
			if pool.Send(p.relay, link.Frame{Type: link.Packet, Data: packet()}) == nil {
				p.taken.Add(1)
			}
		}
	}
}

// end stops the flood and closes the links that it came over.
func (p *flooder) end() {
	if p.stop == nil {
		return
	}
	p.stop()
	p.wg.Wait()
	for _, e := range p.ends[:floodEnds-1] {
		e.pool.Disconnect(p.relay)
	}
	for _, pool := range p.pools {
		pool.Close()
	}
	p.pools = nil
}

func (p *flooder) close() {
	p.end()
	for _, pool := range p.pools {
		pool.Close()
	}
	for _, e := range p.ends {
		e.close()
	}
}
