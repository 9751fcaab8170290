package registry

import (
	"cmp"
	"slices"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/registry/directory"
)

// placeAll gives every listed node its swarm of this epoch. listed are by node
// id, as BeginEpoch found them, with the swarm of the epoch before.
func placeAll(listed []candidate, target, least int, seed chain.Hash) {
	p := newPlacement(listed, target, least, seed)
	p.run()
	for i := range listed {
		n := &listed[i].node
		// A node that comes back is in no swarm of the epoch before: it was not listed.
		n.PreviousSwarm, n.Swarm = n.Swarm, p.swarms[p.in[i]].id
	}
}

// Placed are the swarms that the nodes of a list have by the rules, in its order:
// whoever has verified the list and its beacon holds them against those that stand
// in it. home is the swarm in which a node that was not listed in the epoch before
// was listed last, NoSwarm where it never was.
func Placed(l *directory.List, home func(chain.NodeID) directory.SwarmID, target, least int, seed chain.Hash) []directory.SwarmID {
	listed := make([]candidate, len(l.Entries))
	for i := range l.Entries {
		e := &l.Entries[i]
		n := Node{ID: e.Node, Operator: e.Operator, Swarm: e.PreviousSwarm, PreviousSwarm: directory.NoSwarm}
		if n.Swarm == directory.NoSwarm {
			n.PreviousSwarm = home(e.Node)
		}
		listed[i] = candidate{n, statement.Descriptor{Family: e.Family}}
	}
	placeAll(listed, target, least, seed)
	out := make([]directory.SwarmID, len(listed))
	for i := range listed {
		out[i] = listed[i].node.Swarm
	}
	return out
}

// home is the swarm that n stays in if that still exists: its own, or, of a node
// that was out of the list, the one that it was in last.
func (n *Node) home() directory.SwarmID {
	if n.Swarm == directory.NoSwarm {
		return n.PreviousSwarm
	}
	return n.Swarm
}

// away takes a node that is not listed out of its swarm, and remembers that.
func (n *Node) away() {
	if n.Swarm != directory.NoSwarm {
		n.PreviousSwarm, n.Swarm = n.Swarm, directory.NoSwarm
	}
}

// none is the index of no swarm.
const none = -1

// placement is one epoch's placing of nodes into swarms: docs/spec/registry.md,
// section Swarms. Nodes are indices into the list, swarms into swarms, which are
// in ascending order of their ids until new ones are made.
type placement struct {
	target, least int
	draw          *beacon.Draw
	kin           kinship
	swarms        []swarm
	in            []int // of each node, its swarm's index or none
}

type swarm struct {
	id   directory.SwarmID
	size int
	gone bool // dissolved in this epoch
}

func newPlacement(listed []candidate, target, least int, seed chain.Hash) *placement {
	p := &placement{target: target, least: least, draw: beacon.NewDraw(seed, "swarms"), in: make([]int, len(listed))}
	ids := make([]directory.SwarmID, 0, len(listed))
	for i := range listed {
		if id := listed[i].node.home(); id != directory.NoSwarm {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		p.swarms = append(p.swarms, swarm{id: id})
	}
	p.kin = newKinship(listed)
	for i := range listed {
		p.in[i] = none
		at, ok := slices.BinarySearchFunc(p.swarms, listed[i].node.home(), func(s swarm, id directory.SwarmID) int { return cmp.Compare(s.id, id) })
		if ok {
			p.put(i, at)
		}
	}
	return p
}

// run dissolves what is too small, finds a place for whoever has none, and makes
// new swarms out of those that are larger than they need to be.
func (p *placement) run() {
	if len(p.in) == 0 {
		return
	}
	existing := len(p.swarms)
	if existing == 0 {
		for range max(1, len(p.in)/p.target) {
			p.found()
		}
	}
	homeless := p.dissolve()
	p.settle(homeless)
	if existing == 0 || slices.ContainsFunc(p.swarms, func(s swarm) bool { return s.gone }) {
		return
	}
	for range max(step(existing), len(homeless)/p.target) {
		if len(p.in) < (len(p.swarms)+1)*p.target {
			return
		}
		p.split()
	}
}

// step is how many of n swarms may be dissolved, or made, in one epoch beside
// those that newcomers fill: so many that what they keep can follow.
func step(n int) int { return max(1, n/4) }

// put places node i into swarm s.
func (p *placement) put(i, s int) {
	if was := p.in[i]; was != none {
		p.swarms[was].size--
		p.kin.leave(i, was)
	}
	if p.in[i] = s; s != none {
		p.swarms[s].size++
		p.kin.enter(i, s)
	}
}

// dissolve ends the smallest swarms, the lowest id among equals, as long as
// there are too few nodes without one to bring all up to the least size. It
// returns who is without a swarm then, by node id.
func (p *placement) dissolve() (homeless []int) {
	without, left := 0, len(p.swarms)
	for _, s := range p.in {
		if s == none {
			without++
		}
	}
	for range step(left) {
		smallest, missing := none, 0
		for i, s := range p.swarms {
			if s.gone {
				continue
			}
			missing += max(0, p.least-s.size)
			if smallest == none || s.size < p.swarms[smallest].size {
				smallest = i
			}
		}
		if missing <= without || left == 1 {
			break
		}
		without += p.swarms[smallest].size
		p.swarms[smallest].gone = true
		left--
	}
	for i, s := range p.in {
		if s != none && p.swarms[s].gone {
			p.put(i, none)
		}
		if p.in[i] == none {
			homeless = append(homeless, i)
		}
	}
	return homeless
}

// settle places the homeless in an order that is drawn. Each goes to the swarms
// below the least size, if there are any; of these to those with the fewest of
// its kin; of these to the smallest, where all below the target are alike; of
// these to one that is drawn.
func (p *placement) settle(homeless []int) {
	p.draw.Shuffle(len(homeless), func(i, j int) { homeless[i], homeless[j] = homeless[j], homeless[i] })
	var best []int
	for _, i := range homeless {
		rank := func(s int) [3]int {
			size, short := p.swarms[s].size, 0
			if size < p.least {
				short = 1
			} else {
				size = max(size, p.target-1)
			}
			return [3]int{-short, p.kin.count(i, s), size}
		}
		var lowest [3]int
		best = best[:0]
		for s := range p.swarms {
			if p.swarms[s].gone {
				continue
			}
			r := rank(s)
			c := slices.Compare(r[:], lowest[:])
			if len(best) == 0 || c < 0 {
				best, lowest = append(best[:0], s), r
			} else if c == 0 {
				best = append(best, s)
			}
		}
		p.put(i, best[p.draw.N(uint64(len(best)))])
	}
}

// split makes a new swarm of as many nodes as the target says. They are drawn
// from swarms that are above the target for as long as these are, first such
// that have no kin in it; it is the caller's to know that there are enough.
func (p *placement) split() {
	order := make([]int, len(p.in))
	for i := range order {
		order[i] = i
	}
	p.draw.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	at := p.found()
	for _, kinToo := range []bool{false, true} {
		for _, i := range order {
			if p.swarms[at].size == p.target {
				return
			}
			if was := p.in[i]; was != at && p.swarms[was].size > p.target && (kinToo || p.kin.count(i, at) == 0) {
				p.put(i, at)
			}
		}
	}
}

// found adds a swarm without nodes and returns its index. Its id is the middle
// of the largest gap on the ring, the one that begins lowest among equals, so
// that it takes mailboxes of one other swarm alone.
func (p *placement) found() int {
	ids := make([]uint64, 0, len(p.swarms)+1)
	for _, s := range p.swarms {
		if !s.gone {
			ids = append(ids, uint64(s.id))
		}
	}
	p.swarms = append(p.swarms, swarm{id: middle(ids)})
	return len(p.swarms) - 1
}

// middle is the id halfway through the largest gap between ids on the ring of
// 2^64 points; 0 where there are none.
func middle(ids []uint64) directory.SwarmID {
	if len(ids) == 0 {
		return 0
	}
	slices.Sort(ids)
	var start, widest uint64 // a gap of 2^64 - 1 and one of 2^64 are not told apart: both are a lone id's
	for i, id := range ids {
		if gap := ids[(i+1)%len(ids)] - id - 1; gap > widest {
			start, widest = id, gap
		}
	}
	id := start + widest/2 + 1
	if directory.SwarmID(id) == directory.NoSwarm {
		id--
	}
	return directory.SwarmID(id)
}
