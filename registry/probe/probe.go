// Package probe is how the network finds out which relays carry packets: who
// probes, where each probe goes, what relays commit to and open, and what
// follows for a relay's score. It implements docs/spec/judgement.md from Probes
// to Score.
//
// A prober makes a Net of the epoch's list, asks Net.Drawn, and sends what
// Net.Wrap makes of each Net.Plan. A relay commits to a Tree of the tags that it
// accepted and opens it at those that were revealed. Whoever counts gives a
// Round the roots, reveals and openings of one judged epoch and gets its Tally;
// Score is what a few of these say of one node.
//
// What it promises: everybody who counts the same blocks gets the same scores.
// It is pure; there is no floating point in it, and what it holds is bounded by
// the list's size.
package probe

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"sync"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/internal/wire"
	"tunic/onion"
	"tunic/registry/directory"
	"tunic/registry/path"
)

const (
	// Delay is how many epochs after the judged one its quorums vote.
	Delay = 4
	// Hops are those of a probe before it comes back to its prober.
	Hops = statement.ProbeLayers - 1
	// MinList is the shortest list that is probed: three hops and a prober.
	MinList = statement.ProbeLayers
	// MaxEach is the most probes of one prober in an epoch: with their tags and
	// an opening they have to fit into one statement.
	MaxEach = 32
	// First is the first epoch that can be probed: the beacon of the one before
	// draws the probers, and that of epoch 0 is known from genesis on.
	First chain.Epoch = 2
)

// Expected is how many of a list of n nodes probe in an epoch, on average.
func Expected(n int, p *genesis.Params) int { return max(int(p.QuorumSize), (n+3)/4) }

// Each is how many probes everyone who is drawn sends.
func Each(n int, p *genesis.Params) int {
	x := Expected(n, p)
	return min(MaxEach, (int(p.ProbesPerRelay)*n+x-1)/x)
}

// drawn reports whether the VRF output is below 2^64 * x / n.
func drawn(output *[beacon.OutputSize]byte, n, x int) bool {
	if n <= x {
		return true
	}
	// x / n < 1, so that the quotient fits.
	least, _ := bits.Div64(uint64(x), 0, uint64(n))
	return binary.BigEndian.Uint64(output[:8]) < least
}

// Net is one epoch as its probes see it: the list, with all weights equal.
// It does not change but for what it remembers; safe for concurrent use.
type Net struct {
	core    *genesis.Core
	params  *genesis.Params // in force in the epoch
	genesis chain.Hash
	list    *directory.List
	before  chain.Hash // beacon of the epoch before
	beacon  chain.Hash
	picker  *path.Picker

	mu     sync.Mutex
	routes map[int]routed // by prober, the last that were asked for
	draws  map[int]draw   // likewise
}

// draw is what follows from a prober's draw: ok where it proves anything.
type draw struct {
	proof  [beacon.ProofSize]byte
	output [beacon.OutputSize]byte
	ok     bool
}

// output is the VRF output that a draw of the node at a place proves. Who asks does
// not change it.
func (n *Net) output(at int, proof [beacon.ProofSize]byte, verify func() bool) (out [beacon.OutputSize]byte, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if d, known := n.draws[at]; known && d.proof == proof {
		return d.output, d.ok
	}
	d := draw{proof: proof, ok: verify()}
	if d.ok {
		var err error
		d.output, err = beacon.Output(proof)
		d.ok = err == nil
	}
	if n.draws == nil {
		n.draws = make(map[int]draw)
	}
	n.draws[at] = d
	return d.output, d.ok
}

// routed are the ways of a prober's probes: whoever counts asks for the same.
type routed struct {
	seed   chain.Hash
	routes []Route
}

// NewNet makes the epoch of list ready; before and seed are the beacons of the
// epoch before it and of its own. params are those in force in the epoch's
// first block.
func NewNet(core *genesis.Core, params *genesis.Params, gen chain.Hash, list *directory.List, before, seed chain.Hash) *Net {
	n := &Net{core: core, params: params, genesis: gen, list: list, before: before, beacon: seed}
	equal := *list // the tree is shared, and not asked
	equal.Entries = make([]directory.Entry, len(list.Entries))
	for i, e := range list.Entries {
		e.Stake, e.Performance = params.StakingRequirement, 1000
		equal.Entries[i] = e
	}
	n.picker = path.New(&equal, nil, *params)
	return n
}

// List is the epoch's list.
func (n *Net) List() *directory.List { return n.list }

// Probed reports whether there are probes in this epoch.
func (n *Net) Probed() bool { return n.list.Epoch >= First && len(n.list.Entries) >= MinList }

// Alpha is what a node's VRF proves over for its draw.
func (n *Net) Alpha() []byte { return beacon.ProbeAlpha(n.genesis, n.list.Epoch, n.before) }

// Drawn says how many probes the node with this output sends: none where it is
// not drawn or nobody probes.
func (n *Net) Drawn(output *[beacon.OutputSize]byte) int {
	count := len(n.list.Entries)
	if !n.Probed() || !drawn(output, count, Expected(count, n.params)) {
		return 0
	}
	return Each(count, n.params)
}

// Seed is what everything about a prober's probes follows from.
func (n *Net) Seed(output *[beacon.OutputSize]byte) chain.Hash {
	return chain.SHA256([]byte("tunic probe"), output[:], n.beacon[:])
}

// Route is the way of one probe: places in the list, the prober last.
type Route [statement.ProbeLayers]uint32

// Plan is one probe.
type Plan struct {
	Route Route
	Delay [Hops]uint32 // that each hop is asked for, milliseconds
	At    chain.Time   // when it leaves
}

// Routes are the ways of the m probes of the node at a place. They are none
// where the list has no path for it: too few operators or networks. Who asks
// does not change them.
func (n *Net) Routes(seed chain.Hash, prober, m int) []Route {
	n.mu.Lock()
	defer n.mu.Unlock()
	if known, ok := n.routes[prober]; ok && known.seed == seed && len(known.routes) == m {
		return known.routes
	}
	found := n.route(seed, prober, m)
	if n.routes == nil {
		n.routes = make(map[int]routed)
	}
	n.routes[prober] = routed{seed, found}
	return found
}

func (n *Net) route(seed chain.Hash, prober, m int) []Route {
	o := path.Options{Hops: Hops, Target: n.list.Entries[prober].Node}
	out := make([]Route, 0, m)
	for k := range m {
		hops, err := n.picker.Choose(o, beacon.NewDraw(seed, fmt.Sprintf("path %d", k)))
		if err != nil {
			return nil
		}
		var r Route
		for i, at := range hops {
			r[i] = uint32(at)
		}
		out = append(out, r)
	}
	return out
}

// Plans are the m probes of the node at a place, in the order of their numbers.
func (n *Net) Plans(seed chain.Hash, prober, m int) []Plan {
	routes := n.Routes(seed, prober, m)
	out := make([]Plan, len(routes))
	for k, r := range routes {
		p := &out[k]
		p.Route = r
		d := beacon.NewDraw(seed, fmt.Sprintf("delay %d", k))
		for i := range p.Delay {
			p.Delay[i] = path.Delay(d.Uint64(), n.params.MixingMean)
		}
		p.At = n.core.EpochStart(n.list.Epoch) + chain.Time(beacon.NewDraw(seed, fmt.Sprintf("time %d", k)).N(uint64(n.window())))
	}
	return out
}

// late is what is left of an epoch after its last probe, beside the delays: time
// for a clock that is a minute off, and for links that have to be opened. A relay
// that commits to its tags in the next epoch's first block has them by then.
const late = 90 * genesis.Second

// window is the time from an epoch's beginning in which probes leave, above
// zero. What is left over should be short: a relay that drops packets there alone
// is not found.
func (n *Net) window() chain.Duration {
	longest := 10 * Hops * n.params.MixingMean
	return max(1, n.params.EpochLength-min(n.params.EpochLength/4, late+longest))
}

// hops are the layers of a probe as its sender needs them.
func (n *Net) hops(r Route, delay [Hops]uint32) []onion.Hop {
	out := make([]onion.Hop, len(r))
	for i, at := range r {
		e := &n.list.Entries[at]
		out[i] = onion.Hop{Index: at, Key: e.Onion.Key, KeyEpoch: e.Onion.First}
		if i < Hops {
			out[i].Delay = delay[i]
		}
	}
	return out
}

// Tags are those that the layers of a probe see.
type Tags = [statement.ProbeLayers][statement.TagSize]byte

// Wrap makes probe k: the packet for the first of its route, and its tags.
func (n *Net) Wrap(seed chain.Hash, k int, p Plan) (packet []byte, tags Tags, err error) {
	g := onion.Small
	if n.core.Params.Geometry == 2 {
		g = onion.Large
	}
	packet, layers, err := g.WrapTagged(packetBytes(seed, k), n.genesis, onion.ExpiryOf(n.list.Epoch), n.hops(p.Route, p.Delay), nil)
	if err != nil {
		return nil, tags, fmt.Errorf("make probe: %w", err)
	}
	copyTags(&tags, layers)
	return packet, tags, nil
}

// Tags derives those of probe k without its packet.
func (n *Net) Tags(seed chain.Hash, k int, r Route) (tags Tags, err error) {
	layers, err := onion.Tags(packetBytes(seed, k), n.genesis, n.hops(r, [Hops]uint32{}))
	if err != nil {
		return tags, fmt.Errorf("derive probe: %w", err)
	}
	copyTags(&tags, layers)
	return tags, nil
}

func copyTags(tags *Tags, layers []onion.Tag) {
	for i := range tags {
		tags[i] = layers[i]
	}
}

// stream is a draw as bytes: its words, big-endian.
type stream struct {
	draw *beacon.Draw
	rest []byte
}

func packetBytes(seed chain.Hash, k int) *stream {
	return &stream{draw: beacon.NewDraw(seed, fmt.Sprintf("packet %d", k))}
}

func (s *stream) Read(b []byte) (int, error) {
	for n := 0; n < len(b); {
		if len(s.rest) == 0 {
			s.rest = wire.AppendUint64(s.rest, s.draw.Uint64())
		}
		c := copy(b[n:], s.rest)
		n, s.rest = n+c, s.rest[c:]
	}
	return len(b), nil
}
