package relay

import (
	"slices"
	"sync"
	"time"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/registry/probe"
)

// accepted remembers by which tags packets were accepted, by the epoch of the
// list that they were made from, for the commitment to come; and which of the
// own probes have not come back. Workers write it, the owner of the state reads.
type accepted struct {
	limit int // tags of one epoch

	mu      sync.Mutex
	from    chain.Epoch // older lists are over
	tags    map[chain.Epoch][]onion.Tag
	waiting map[onion.Tag]chain.Epoch // last layers of own probes
}

func newAccepted(limit int) *accepted {
	return &accepted{limit: min(limit, 1<<statement.MaxTreeDepth), tags: map[chain.Epoch][]onion.Tag{}, waiting: map[onion.Tag]chain.Epoch{}}
}

func (a *accepted) add(list chain.Epoch, tag onion.Tag) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if list >= a.from && len(a.tags[list]) < a.limit {
		a.tags[list] = append(a.tags[list], tag)
	}
}

// begin starts an epoch: what is older than the one before it is forgotten.
func (a *accepted) begin(epoch chain.Epoch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.from = max(epoch, 1) - 1
	for e := range a.tags {
		if e < a.from {
			delete(a.tags, e)
		}
	}
	for tag, e := range a.waiting {
		if e < a.from {
			delete(a.waiting, tag)
		}
	}
}

// take gives the tags of one list away; those that come later are not kept.
func (a *accepted) take(list chain.Epoch) []onion.Tag {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := a.tags[list]
	delete(a.tags, list)
	a.from = max(a.from, list+1)
	return out
}

func (a *accepted) expect(list chain.Epoch, tag onion.Tag) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[tag] = list
}

// returned reports whether a packet that ends here is an own probe.
func (a *accepted) returned(tag onion.Tag) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, own := a.waiting[tag]
	delete(a.waiting, tag)
	return own
}

// reset forgets all, at the beginning of a fork.
func (a *accepted) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.from = 0
	clear(a.tags)
	clear(a.waiting)
}

// own are this node's probes of one epoch.
type own struct {
	draw  [beacon.ProofSize]byte
	seed  chain.Hash
	plans []probe.Plan
	tags  []probe.Tags
	order []int // of plans, by time
	sent  int   // of order
	void  bool  // one of them cannot be made
}

// whole reports whether all probes were sent: only then they are revealed.
func (p *own) whole() bool { return p.sent == len(p.order) && !p.void }

// drawProbes asks, at the first head of an epoch, whether this node probes in
// it. One that was not there at its beginning does not: a former life may have
// sent the same packets, which would be replays.
func (o *owner) drawProbes() {
	j := o.history.epochs[o.head.DirEpoch]
	if j == nil || j.net == nil || !j.whole || j.own != nil || !j.net.Probed() {
		return
	}
	at, listed := j.net.List().Index(o.id)
	if !listed {
		return
	}
	p := &own{draw: o.vrf.Prove(j.net.Alpha())}
	output, err := beacon.Output(p.draw)
	if err != nil {
		return // cannot be: the proof is our own
	}
	p.seed = j.net.Seed(&output)
	p.plans = j.net.Plans(p.seed, at, j.net.Drawn(&output))
	p.tags = make([]probe.Tags, len(p.plans))
	for k := range p.plans {
		p.order = append(p.order, k)
	}
	slices.SortStableFunc(p.order, func(a, b int) int { return int(p.plans[a].At - p.plans[b].At) })
	j.own = p
}

// sendProbes sends those that are due and says when the next one is; false
// where there is none.
func (o *owner) sendProbes() (chain.Time, bool) {
	j := o.history.epochs[o.head.DirEpoch]
	if j == nil || j.own == nil || j.own.void {
		return 0, false
	}
	p, now := j.own, o.flowing()
	for ; p.sent < len(p.order); p.sent++ {
		k := p.order[p.sent]
		plan := p.plans[k]
		if now < plan.At && !o.lastHead() {
			return plan.At, true
		}
		packet, tags, err := j.net.Wrap(p.seed, k, plan)
		if err != nil {
			// A key of low order in the list: nobody can make this packet, and
			// its reveal would be void.
			o.log.Error("cannot make a probe", "error", err)
			p.void = true
			return 0, false
		}
		p.tags[k] = tags
		o.tags.expect(o.head.DirEpoch, tags[probe.Hops])
		first := j.net.List().Entries[plan.Route[0]].Node
		// A link that does not take it is what probes are there to find.
		_ = o.pool.Send(first, link.Frame{Type: link.Packet, Data: packet})
		o.count.probesSent.Add(1)
	}
	return 0, false
}

// flowing is the network's time between heads as well: where the ledger is the
// clock, its last time carried on by the machine's, unless it stands still.
func (o *owner) flowing() chain.Time {
	if o.cfg.Core.Clock == genesis.ClockLedger && o.cfg.Clock == nil && !o.cfg.StandingClock {
		return o.head.Time + chain.Time(time.Since(o.headAt).Milliseconds())
	}
	return o.now()
}

// skipped is how much further than the machine's a ledger's clock has to go from
// one head to the next to have been moved by hand.
const skipped = chain.Time(2 * genesis.Second)

// lastHead reports whether the head may be the last of its epoch where somebody
// moves the clock, by hand or because it stands still otherwise: then nothing can
// wait for its time. The next head that is certain is that of the next heartbeats.
func (o *owner) lastHead() bool {
	return o.cfg.Core.Clock == genesis.ClockLedger && (o.cfg.StandingClock || o.cfg.Clock != nil || o.moved) &&
		o.head.Time+chain.Time(o.params.HeartbeatEvery) >= o.cfg.Core.EpochStart(o.head.DirEpoch+1)
}

// probes sends what is due and sets the alarm for what is not.
func (o *owner) probes() {
	o.drawProbes()
	if next, ok := o.sendProbes(); ok && !o.cfg.StandingClock {
		o.alarm.Reset(time.Duration(next-min(next, o.flowing())) * time.Millisecond)
	}
}

// loop takes a packet that ends here and carries nothing: an own probe, or
// cover traffic.
func (r *Relay) loop(tag onion.Tag, buf *[]byte) {
	r.count.probes.Add(1)
	if r.tags.returned(tag) {
		r.count.probesBack.Add(1)
	}
	r.cover.returned(tag)
	r.buffers.Put(buf)
}
