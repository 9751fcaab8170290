package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/registry/directory"
	"tunic/relay"
)

// Goals of Flood.
const (
	FloodGoal     = 5.0  // times the 99th percentile without a flood, less than
	FloodRecovery = 1000 // ms after its end until the percentile is what it was
	// FloodBack is how many times what it was still counts as what it was: so much
	// one second may differ from another in which nothing happens.
	FloodBack    = 1.5
	FloodOffered = 0.9 // of what was to be offered, at least: else it was no such flood
)

// FloodOptions says what Flood measures. Relay and Press are needed.
type FloodOptions struct {
	Relay []string // command that runs RunFloodRelay
	Press []string // command that runs RunFlood

	Times   int           // how often the relay's capacity is offered; 0 means 10, the most is 100
	Packets int           // different valid packets of the flood; 0 means 40,000, the most is 400,000
	Phase   time.Duration // of quiet, and of flood; 0 means 4 s, 1 s to 5 min
	Every   time.Duration // between two packets of the quiet links; 0 means 2 ms, at least 1 ms
}

// FloodResult is what Flood measured.
type FloodResult struct {
	Cores       int   `json:"cores"`
	CapacityPS  int64 `json:"capacity_per_s"` // peels a second by all cores, timed just before
	OfferedPS   int64 `json:"offered_per_s"`  // of the flood, junk and valid
	Times       int   `json:"times"`          // the capacity, that were to be offered
	Quiet       int   `json:"quiet_links"`
	FloodLinks  int   `json:"flood_links"`
	FloodNodes  int   `json:"flood_nodes"`  // listed ones among them
	TakenPS     int64 `json:"taken_per_s"`  // of it, that links took; they are not read faster
	WorkedPS    int64 `json:"worked_per_s"` // packets that the relay worked on during the flood
	ForwardedPS int64 `json:"forwarded_per_s"`

	Unloaded FloodPhase `json:"unloaded"`
	Flooded  FloodPhase `json:"flooded"`
	After    FloodPhase `json:"after"` // from a second after the flood on

	Ratio float64 `json:"ratio"` // of the 99th percentiles, flooded and unloaded
	// AfterRatio is the same of after and unloaded, and RecoveryMS from the flood's end
	// until the percentile is back to stay. Both go by the percentiles of quarters of a
	// second, of which a hiccup of the machine spoils one: the first by their medians,
	// the second by the first two of them in a row, and three in four of all that
	// follow, that are within FloodBack times the unloaded median.
	AfterRatio float64 `json:"after_ratio"`
	RecoveryMS int64   `json:"recovery_ms"`

	Counters relay.Counters `json:"counters"` // of the relay, at the end
	Verdict
}

// FloodPhase is the quiet links' packets of one phase.
type FloodPhase struct {
	Packets int `json:"packets"`
	Lost    int `json:"lost"`
	Spans
	MaxUS int64 `json:"max_us"`
}

func (o *FloodOptions) complete() error {
	if o.Times == 0 {
		o.Times = 10
	}
	if o.Packets == 0 {
		o.Packets = 40_000
	}
	if o.Phase == 0 {
		o.Phase = 4 * time.Second
	}
	if o.Every == 0 {
		o.Every = 2 * time.Millisecond
	}
	if o.Times < 1 || o.Times > 100 || o.Packets < 1 || o.Packets > 400_000 || o.Phase < time.Second || o.Phase > 5*time.Minute ||
		o.Every < time.Millisecond || o.Every > o.Phase/100 || len(o.Relay) == 0 || len(o.Press) == 0 {
		return fmt.Errorf("options %+v are out of range", *o)
	}
	return nil
}

// quietLinks is how many nodes send a packet now and then.
const quietLinks = 4

// Flood measures how long packets of quiet links take through a relay, with
// nothing else to do, while other links offer many times what it can take, and
// after that. The relay is a process of its own, and so is the flood, which gives
// way to the other two.
func Flood(ctx context.Context, opts FloodOptions) (FloodResult, error) {
	r, err := measureFlood(ctx, opts)
	if err != nil {
		return r, fmt.Errorf("measure flood: %w", err)
	}
	return r, nil
}

func measureFlood(ctx context.Context, opts FloodOptions) (r FloodResult, err error) {
	if err := opts.complete(); err != nil {
		return r, err
	}
	parts, err := timeParts(partPeel)
	if err != nil {
		return r, err
	}
	r = FloodResult{Cores: runtime.NumCPU(), CapacityPS: int64(time.Second) / max(1, parts.PeelNS), Quiet: quietLinks, Times: opts.Times,
		FloodLinks: floodHonest + floodJunk + floodAnonymous, FloodNodes: floodHonest + floodJunk}
	w, err := newFloodWorld(ctx, opts)
	if err != nil {
		return r, err
	}
	defer w.close()
	var phases [4][]parcel
	for i := range phases {
		n := int(opts.Phase / opts.Every)
		switch i {
		case 0:
			n /= 4
		case 3:
			n += int(time.Second / opts.Every) // that it has to be back
		}
		if phases[i], err = w.wrap(i, n); err != nil {
			return r, err
		}
	}
	if _, err := w.quiet(ctx, 0, phases[0], opts.Every); err != nil { // links open, caches warm
		return r, err
	}
	before, err := w.quiet(ctx, 1, phases[1], opts.Every)
	if err != nil {
		return r, err
	}
	if _, err := w.press(floodOrder{Do: floodBegin, PerS: opts.Times * int(r.CapacityPS)}); err != nil {
		return r, err
	}
	if err := sleep(ctx, opts.Phase/4); err != nil { // until every queue is full
		return r, err
	}
	from, at, err := w.counters()
	if err != nil {
		return r, err
	}
	offered, err := w.press(floodOrder{Do: "report"})
	if err != nil {
		return r, err
	}
	during, err := w.quiet(ctx, 2, phases[2], opts.Every)
	if err != nil {
		return r, err
	}
	to, then, err := w.counters()
	if err != nil {
		return r, err
	}
	end, err := w.press(floodOrder{Do: floodEnd})
	if err != nil {
		return r, err
	}
	ended := time.Now()
	after, err := w.quiet(ctx, 3, phases[3], opts.Every)
	if err != nil {
		return r, err
	}
	// What the relay is working on is in no counter yet.
	for last := time.Now().Add(stall); ; {
		if r.Counters, _, err = w.counters(); err != nil {
			return r, err
		}
		if r.Counters.Balanced() || time.Now().After(last) {
			break
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return r, err
		}
	}
	took := then.Sub(at).Seconds()
	r.OfferedPS, r.TakenPS = int64(float64(end.Offered-offered.Offered)/took), int64(float64(end.Taken-offered.Taken)/took)
	overload := to.Dropped["overload"] - from.Dropped["overload"]
	r.WorkedPS, r.ForwardedPS = int64(float64(to.In-from.In-overload)/took), int64(float64(to.Forwarded-from.Forwarded)/took)
	r.judge(before, during, after, ended)
	return r, nil
}

// floodWorld is the processes and the quiet links, of which the last end takes
// what the others send.
type floodWorld struct {
	netList
	ledger  *stillLedger
	relay   *process
	flood   *process
	ends    []*netEnd
	id      chain.NodeID // of the relay
	arrived atomic.Pointer[func(int)]
}

func newFloodWorld(ctx context.Context, o FloodOptions) (_ *floodWorld, err error) {
	w := &floodWorld{}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.ledger, err = newStillLedger(genesis.Dev, 1); err != nil {
		return nil, err
	}
	var entries []directory.Entry
	for i := range quietLinks + 1 {
		e, err := newNetEnd(w.ledger.core, "quiet", i, w.resolve)
		if err != nil {
			return nil, err
		}
		w.ends, entries = append(w.ends, e), append(entries, e.entry)
	}
	if w.flood, err = startPress(ctx, o.Press); err != nil {
		return nil, err
	}
	opened, err := w.press(floodOrder{Do: floodOpen})
	if err != nil {
		return nil, err
	}
	theirs, err := opened.Entries.unpack()
	if err != nil {
		return nil, err
	}
	entries = append(entries, theirs...)
	if w.relay, err = start(ctx, o.Relay); err != nil {
		return nil, err
	}
	var ready floodRelayReport
	if err := w.relay.ask(packEntries(entries), &ready); err != nil {
		return nil, err
	}
	me, err := ready.Entry.unpack()
	if err != nil || len(me) != 1 {
		return nil, errors.Join(errors.New("the relay says nothing of itself"), err)
	}
	w.id = me[0].Node
	if w.list, err = directory.NewList(1, append(entries, me[0])); err != nil {
		return nil, err
	}
	_, err = w.press(floodOrder{Do: floodWrap, Entries: packEntries(w.list.Entries), Relay: w.id, Packets: o.Packets})
	if err != nil {
		return nil, err
	}
	return w, takeNumbered(w.ledger.hash, w.ends[quietLinks], func(i int) {
		if f := w.arrived.Load(); f != nil {
			(*f)(i)
		}
	})
}

func (w *floodWorld) press(o floodOrder) (r floodReport, err error) {
	if err := w.flood.ask(o, &r); err != nil {
		return r, err
	}
	if r.Error != "" && o.Do != "report" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

func (w *floodWorld) counters() (relay.Counters, time.Time, error) {
	var r floodRelayReport
	err := w.relay.ask(struct{}{}, &r)
	return r.Counters, time.Now(), err
}

// ask writes a line and reads the answer.
func (p *process) ask(line, answer any) error {
	if err := json.NewEncoder(p.in).Encode(line); err != nil {
		return err
	}
	return p.read(answer)
}

// phaseNumbers is how far the numbers of two phases' packets are apart.
const phaseNumbers = 1 << 24

// wrap makes the packets of a phase.
func (w *floodWorld) wrap(phase, n int) ([]parcel, error) {
	hops := []onion.Hop{w.hop(w.id), w.hop(w.ends[quietLinks].id)}
	out, _, err := makeAll(n, func(i int) (parcel, error) {
		b, err := onion.Small.Wrap(rand.Reader, w.ledger.hash, onion.ExpiryOf(1), hops, numbered(phase*phaseNumbers+i))
		return parcel{w.id, b}, err
	})
	return out, err
}

// quiet sends a phase's packets one by one, in turn over the quiet links, and
// waits a moment for the last.
func (w *floodWorld) quiet(ctx context.Context, phase int, parcels []parcel, every time.Duration) ([]quietPacket, error) {
	packets := make([]quietPacket, len(parcels))
	var there atomic.Int64
	arrived := func(i int) {
		if i -= phase * phaseNumbers; i >= 0 && i < len(packets) && atomic.CompareAndSwapInt64(&packets[i].took, 0, max(1, int64(time.Since(packets[i].sent)))) {
			there.Add(1)
		}
	}
	w.arrived.Store(&arrived)
	defer w.arrived.Store(nil)
	t := time.NewTicker(every)
	defer t.Stop()
	for i := range packets {
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		packets[i].sent = time.Now()
		if err := w.ends[i%quietLinks].pool.Send(w.id, link.Frame{Type: link.Packet, Data: parcels[i].packet}); err != nil {
			return nil, err
		}
	}
	for end := time.Now().Add(2 * time.Second); there.Load() < int64(len(packets)) && time.Now().Before(end); {
		if err := sleep(ctx, time.Millisecond); err != nil {
			return nil, err
		}
	}
	return packets, nil
}

func (w *floodWorld) close() {
	for _, p := range []*process{w.flood, w.relay} {
		if p != nil {
			p.stop()
		}
	}
	for _, e := range w.ends {
		e.close()
	}
}
