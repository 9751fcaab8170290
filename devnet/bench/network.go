package bench

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"tunic/chain/genesis"
	"tunic/onion"
)

// Goals of Network.
const (
	NetworkHopsGoal   = 0.8  // of the ceiling, at least
	NetworkStoresGoal = 0.7  // the same of confirmed stores
	NetworkP50Goal    = 1000 // us there and back with nothing else under way and no mixing
	NetworkFit        = 1e-3 // least p-value of the delays under mixing
)

const (
	netHops  = 3 // relays that pass packets on
	netSwarm = 3 // relays that keep mail
)

// NetworkOptions says how much Network measures. The zero value takes about a
// minute.
type NetworkOptions struct {
	Messages int           // through three hops in a round, 100 to 200,000; 0 means 8,000
	Stores   int           // in a round, 100 to 100,000; 0 means 3,000
	UnderWay int           // at a time, 1 to 1,024; 0 means 256
	Rounds   int           // 1 to 50; 0 means 5
	Mixed    int           // messages with delays, 0 for none, at most 100,000
	Mean     time.Duration // of these; 0 means what the private profile says
	Dir      string        // where a temporary folder is made; empty: the system's
}

// NetworkResult is what Network measured.
type NetworkResult struct {
	Cores    int           `json:"cores"`
	Geometry string        `json:"geometry"`
	Hops     NetworkRate   `json:"hops"`   // messages through three hops to an end that opens them
	Stores   NetworkRate   `json:"stores"` // confirmed by a majority of a swarm of three, the client's checks included
	OneWay   []NetworkTime `json:"one_way"`
	Back     []NetworkTime `json:"there_and_back"` // over three hops to a member, and its answer over three hops
	Stored   []NetworkTime `json:"stored"`
	Mixing   *Mixing       `json:"mixing,omitempty"`
	Sender   NetworkSender `json:"sender"` // not in the figures above
	Verdict
}

// NetworkRate is what comes through in a second beside what could.
type NetworkRate struct {
	Formula      string         `json:"formula"` // of the ceiling's nanoseconds
	NetworkRound                // the median one by ratio
	Rounds       []NetworkRound `json:"rounds"`
}

// NetworkRound is one round: the parts and then the messages, one after the other.
type NetworkRound struct {
	PerS    int64   `json:"per_s"`
	Ceiling int64   `json:"ceiling_per_s"`
	Ratio   float64 `json:"ratio"`
	Parts   Parts   `json:"parts"`
}

// NetworkTime is how long messages took with so many under way.
type NetworkTime struct {
	UnderWay int   `json:"under_way"`
	PerS     int64 `json:"per_s"`
	Spans
}

// NetworkSender is what one message cost its sender on one core.
type NetworkSender struct {
	MessageNS int64 `json:"message_ns"` // a packet of four layers
	AskNS     int64 `json:"ask_ns"`     // the same with a reply block of three
	StoreNS   int64 `json:"store_ns"`   // the same with a signed store
}

func (o *NetworkOptions) complete() error {
	o.Messages, o.Stores = cmp.Or(o.Messages, 8000), cmp.Or(o.Stores, 3000)
	o.UnderWay, o.Rounds = cmp.Or(o.UnderWay, 256), cmp.Or(o.Rounds, 5)
	if o.Messages < 100 || o.Messages > 200_000 || o.Stores < 100 || o.Stores > 100_000 || o.UnderWay < 1 || o.UnderWay > 1024 ||
		o.Rounds < 1 || o.Rounds > 50 || o.Mixed < 0 || o.Mixed > 100_000 || o.Mean < 0 || o.Mean > 5*time.Second {
		return fmt.Errorf("options %+v are out of range", *o)
	}
	return nil
}

// Network measures relays with real links in this process: messages a second and
// how long they take through three hops, to a member and back, and until a store
// is confirmed by a majority of a swarm of three. Packets are wrapped beforehand;
// what that costs is reported apart. Beside each rate stands the one that the
// parts would allow that nobody can leave out, timed alone in the same round.
func Network(ctx context.Context, opts NetworkOptions) (NetworkResult, error) {
	r, err := measureHops(ctx, opts)
	if err != nil {
		return r, fmt.Errorf("measure network: %w", err)
	}
	return r, nil
}

func measureHops(ctx context.Context, opts NetworkOptions) (r NetworkResult, err error) {
	if err := opts.complete(); err != nil {
		return r, err
	}
	r = NetworkResult{Cores: runtime.NumCPU(), Geometry: onion.Small.String(), Verdict: passed()}
	n, err := newRelayNet(ctx, relayNetOptions{profile: genesis.Dev, relays: netHops + netSwarm, apart: netHops, ends: 2, dir: opts.Dir})
	if err != nil {
		return r, err
	}
	defer n.close()
	c, err := newNetClient(ctx, n, n.ends[0])
	if err != nil {
		return r, err
	}
	m := &netMeter{NetworkOptions: opts, net: n, client: c, result: &r}
	if err := m.measure(ctx); err != nil {
		return r, err
	}
	if err := n.close(); err != nil {
		return r, err
	}
	r.fail(!n.balanced(), "a relay's counters do not balance")
	if opts.Mixed > 0 {
		if r.Mixing, err = measureMixing(ctx, opts); err != nil {
			return r, err
		}
	}
	r.judge()
	return r, nil
}

// netMeter measures one network.
type netMeter struct {
	NetworkOptions
	net    *relayNet
	client *netClient
	result *NetworkResult
}

func (m *netMeter) measure(ctx context.Context) error {
	r := m.result
	kinds := []struct {
		run   func(context.Context, int, int) (flowResult, time.Duration, error)
		times *[]NetworkTime
		cost  *int64
	}{{m.oneWay, &r.OneWay, &r.Sender.MessageNS}, {m.back, &r.Back, &r.Sender.AskNS}, {m.stored, &r.Stored, &r.Sender.StoreNS}}
	for _, k := range kinds {
		if _, _, err := k.run(ctx, 40, 4); err != nil { // links open
			return err
		}
		for _, underWay := range []int{1, 32, 256} {
			n := min(m.Stores, max(100, 20*underWay))
			if underWay == 1 {
				n = min(m.Stores, 1000)
			}
			f, cost, err := k.run(ctx, n, underWay)
			if err != nil {
				return err
			}
			*k.cost = int64(cost)
			*k.times = append(*k.times, NetworkTime{underWay, int64(f.perSecond()), spansOf(f.times)})
		}
	}
	r.Hops.Formula, r.Stores.Formula = hopsFormula, storesFormula
	for range m.Rounds {
		parts, err := timeParts(perStore)
		if err != nil {
			return err
		}
		f, _, err := m.oneWay(ctx, m.Messages, m.UnderWay)
		if err != nil {
			return err
		}
		r.Hops.add(f, parts, parts.hops())
		if f, _, err = m.stored(ctx, m.Stores, m.UnderWay); err != nil {
			return err
		}
		r.Stores.add(f, parts, parts.stores())
	}
	r.Hops.pick()
	r.Stores.pick()
	return nil
}

func (m *netMeter) oneWay(ctx context.Context, n, underWay int) (r flowResult, cost time.Duration, err error) {
	to := m.net.ends[1]
	parcels, cost, err := m.net.oneWay(n, to, netHops, nil)
	if err != nil {
		return r, cost, err
	}
	f := newFlow(m.net.ends[0], parcels, underWay)
	if err := takeNumbered(m.net.ledger.hash, to, f.arrived); err != nil {
		return r, cost, err
	}
	runtime.GC() // of what wrapping left
	r, err = f.run(ctx)
	return r, cost, err
}

func (m *netMeter) back(ctx context.Context, n, underWay int) (r flowResult, cost time.Duration, err error) {
	parcels, cost, err := m.client.ask(n, head)
	if err != nil {
		return r, cost, err
	}
	runtime.GC()
	r, err = m.client.run(ctx, parcels, underWay, anyAnswer)
	return r, cost, err
}

func (m *netMeter) stored(ctx context.Context, n, underWay int) (r flowResult, cost time.Duration, err error) {
	command, answer := m.client.storeCommands(n)
	parcels, cost, err := m.client.ask(n, command)
	if err != nil {
		return r, cost, err
	}
	runtime.GC()
	r, err = m.client.run(ctx, parcels, underWay, answer)
	return r, cost, err
}

// The arithmetic of the ceilings. A message passes three relays and is opened at
// its end, over four links. A store's answer comes back over three relays and
// four links and is opened by the client; each member checks the writer's
// signature, writes the item and signs a receipt, and two of them get a copy and
// send a receipt over links; the client checks the receipts of a majority.
const (
	hopsFormula   = "4 peel + 4 link + 3 replay"
	storesFormula = "7 peel + 12 link + 7 replay + open + 3 (verify + store + sign) + 2 verify"
)

func (p Parts) hops() int64 { return 4*p.PeelNS + 4*p.LinkNS + 3*p.ReplayNS }

func (p Parts) stores() int64 {
	return 7*p.PeelNS + 12*p.LinkNS + 7*p.ReplayNS + p.OpenNS + 3*(p.VerifyNS+p.StoreNS+p.SignNS) + 2*p.VerifyNS
}

func (r *NetworkRate) add(f flowResult, p Parts, ns int64) {
	x := NetworkRound{PerS: int64(f.perSecond()), Ceiling: int64(time.Second) / max(1, ns), Parts: p}
	x.Ratio = f.perSecond() * float64(ns) / float64(time.Second)
	r.Rounds = append(r.Rounds, x)
}

// pick chooses the median round.
func (r *NetworkRate) pick() {
	r.NetworkRound = slices.SortedFunc(slices.Values(r.Rounds), func(a, b NetworkRound) int { return cmp.Compare(a.Ratio, b.Ratio) })[len(r.Rounds)/2]
}

func (r *NetworkResult) judge() {
	r.fail(r.Hops.Ratio < NetworkHopsGoal, "through three hops comes %.2f of the ceiling, goal %.1f", r.Hops.Ratio, NetworkHopsGoal)
	r.fail(r.Stores.Ratio < NetworkStoresGoal, "confirmed stores are %.2f of the ceiling, goal %.1f", r.Stores.Ratio, NetworkStoresGoal)
	r.fail(r.Back[0].P50US >= NetworkP50Goal, "there and back takes %d us, goal %d", r.Back[0].P50US, NetworkP50Goal)
	if m := r.Mixing; m != nil {
		r.fail(m.Hop.P < NetworkFit || m.Path.P < NetworkFit, "delays under mixing do not fit: p %.2g for a hop, %.2g for a path", m.Hop.P, m.Path.P)
	}
}
