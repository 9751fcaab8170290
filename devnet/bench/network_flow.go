package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tunic/chain"
	"tunic/onion"
	"tunic/onion/link"
)

// parcel is one packet that is ready to be sent.
type parcel struct {
	first  chain.NodeID
	packet []byte
}

// flow sends parcels with so many under way at a time and notes when each is
// done, which whoever takes what comes back says by its number.
type flow struct {
	from    *netEnd
	parcels []parcel
	sent    []time.Time
	took    []atomic.Int64  // nanoseconds, 0 while it is under way
	under   chan struct{}   // a token for each parcel under way
	gaps    []time.Duration // before each parcel; nil: none
	done    atomic.Int64
	all     chan struct{} // closed when all are done
}

// stall is how long a flow waits for what is under way before it gives up.
const stall = 10 * time.Second

func newFlow(from *netEnd, parcels []parcel, underWay int) *flow {
	return &flow{from: from, parcels: parcels, sent: make([]time.Time, len(parcels)), took: make([]atomic.Int64, len(parcels)),
		under: make(chan struct{}, underWay), all: make(chan struct{})}
}

// arrived says that parcel i is done. Every parcel is counted once.
func (f *flow) arrived(i int) {
	if i < 0 || i >= len(f.took) || !f.took[i].CompareAndSwap(0, max(1, int64(time.Since(f.sent[i])))) {
		return
	}
	<-f.under
	if f.done.Add(1) == int64(len(f.parcels)) {
		close(f.all)
	}
}

// flowResult is what came of a flow.
type flowResult struct {
	took  time.Duration   // from the first sent to the last done
	times []time.Duration // of each, ascending
	order []time.Duration // of each, as they were sent
}

func (r flowResult) perSecond() float64 { return float64(len(r.times)) / r.took.Seconds() }

// run sends all and waits until they are done.
func (f *flow) run(ctx context.Context) (r flowResult, err error) {
	begin := time.Now()
	timer := time.NewTimer(stall)
	defer timer.Stop()
	due := begin
	for i, p := range f.parcels {
		if f.gaps != nil {
			due = due.Add(f.gaps[i])
			if err := sleep(ctx, time.Until(due)); err != nil {
				return r, err
			}
		}
		select {
		case f.under <- struct{}{}:
		default:
			timer.Reset(stall)
			select {
			case f.under <- struct{}{}:
			case <-timer.C:
				return r, fmt.Errorf("%d of %d messages were lost on their way", i-int(f.done.Load()), len(f.parcels))
			case <-ctx.Done():
				return r, ctx.Err()
			}
		}
		f.sent[i] = time.Now()
		if err := f.from.pool.Send(p.first, link.Frame{Type: link.Packet, Data: p.packet}); err != nil {
			return r, err
		}
	}
	timer.Reset(stall)
	select {
	case <-f.all:
	case <-timer.C:
		return r, fmt.Errorf("%d of %d messages were lost on their way", len(f.parcels)-int(f.done.Load()), len(f.parcels))
	case <-ctx.Done():
		return r, ctx.Err()
	}
	r.took = time.Since(begin)
	for i := range f.took {
		r.order = append(r.order, time.Duration(f.took[i].Load()))
	}
	r.times = slices.Sorted(slices.Values(r.order))
	return r, nil
}

// makeAll makes parcels on all cores and says what one took on one core.
func makeAll(n int, one func(i int) (parcel, error)) ([]parcel, time.Duration, error) {
	out := make([]parcel, n)
	var next, spent atomic.Int64
	var wg sync.WaitGroup
	var once sync.Once
	var failed error
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			begin := time.Now()
			defer func() { spent.Add(int64(time.Since(begin))) }()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				p, err := one(i)
				if err != nil {
					once.Do(func() { failed = err })
					return
				}
				out[i] = p
			}
		})
	}
	wg.Wait()
	return out, time.Duration(spent.Load() / int64(max(1, n))), failed
}

// rotation is so many different relays in a row, another first one each time, so
// that all of them stand in every place.
func rotation(i, length, relays int) []int {
	out := make([]int, length)
	for k := range out {
		out[k] = (i + k) % relays
	}
	return out
}

// numbered is a message that says which one it is.
func numbered(i int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(i)) }

// oneWay makes parcels over so many hops that end at an end, with delays for
// each of them where given, and returns them with what one cost.
func (n *relayNet) oneWay(count int, to *netEnd, hops int, delays [][]uint32) ([]parcel, time.Duration, error) {
	return makeAll(count, func(i int) (parcel, error) {
		path := append(n.path(rotation(i, hops, netHops)...), n.hop(to.id))
		if delays != nil {
			for k, d := range delays[i] {
				path[k].Delay = d
			}
		}
		p, err := onion.Small.Wrap(rand.Reader, n.ledger.hash, onion.ExpiryOf(1), path, numbered(i))
		return parcel{n.list.Entries[path[0].Index].Node, p}, err
	})
}

// takeNumbered makes an end open the packets that reach it, as the node at the
// end of the path does, and say which they are.
func takeNumbered(hash chain.Hash, e *netEnd, arrived func(i int)) error {
	keys, err := onion.NewKeys(onion.Small, hash, e.onion)
	if err != nil {
		return err
	}
	e.frame = func(_ *link.Link, f link.Frame) {
		if f.Type != link.Packet {
			return
		}
		o, err := keys.OpenHeader(f.Data)
		if err != nil || o.Kind != onion.Deliver {
			return
		}
		if m, err := o.Finish(); err == nil && len(m) == 4 {
			arrived(int(binary.BigEndian.Uint32(m)))
		}
	}
	return nil
}
