package path

import (
	"fmt"
	"slices"
	"sort"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/registry/directory"
)

// Options say what path is wanted. The zero value asks for guard, middle and
// exit with nobody addressed behind them.
type Options struct {
	// Hops is the number of hops before Target: 0 for DefaultHops, at most MaxHops.
	Hops int
	// Target is the node that the packet ends at: a mailbox member, or the
	// sender itself for a loop. It needs no weight. Zero: the path ends at its exit.
	Target chain.NodeID
	// Guard is the first hop. Zero: it is drawn like the others.
	Guard chain.NodeID
	// Exclude leaves out what it returns true for. The target is not asked.
	Exclude func(chain.NodeID) bool
	// Avoid leaves out what it returns true for, such as nodes with strikes, but
	// gives way where there is no path otherwise. Neither guard nor target is asked.
	Avoid func(chain.NodeID) bool
}

// Tries that bound the work of one choice.
const (
	guesses  = 32   // draws from the whole list before the candidates are counted out
	attempts = 4    // beginnings with fresh draws
	maxSteps = 1000 // hops tried in one attempt, dead ends included
)

// Choose draws a path and returns indices into the list, guard first; the
// target, if there is one, is the last and comes on top of Hops. The order of
// the draws is guard, exit, middle, then further middles from the guard's side.
func (k *Picker) Choose(o Options, rnd Rand) ([]int, error) {
	c, err := k.begin(o)
	if err != nil {
		return nil, err
	}
	ok := c.draw(rnd)
	if !ok && o.Avoid != nil {
		c.o.Avoid = nil
		ok = c.draw(rnd)
	}
	if e, has := rnd.(interface{ Err() error }); has && e.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrRandom, e.Err())
	}
	if !ok {
		return nil, k.tooFew(len(c.path))
	}
	return c.path, nil
}

// Reply draws the way back of an answer, as indices into the list: the target
// first, which answers, then the hops, and the guard last, which holds the
// client's link. The rules are those of Choose.
func (k *Picker) Reply(o Options, rnd Rand) ([]int, error) {
	p, err := k.Choose(o, rnd)
	slices.Reverse(p)
	return p, err
}

// Choose prepares list and draws one path, with its explanation.
func Choose(list *directory.List, removed []chain.NodeID, p genesis.Params, o Options, rnd Rand) ([]int, Explanation, error) {
	k := New(list, removed, p)
	hops, err := k.Choose(o, rnd)
	if err != nil {
		return nil, Explanation{Listed: len(list.Entries), Usable: k.usable}, err
	}
	return hops, k.Explain(hops, o), nil
}

// choice is a path while it is drawn.
type choice struct {
	k     *Picker
	o     Options
	path  []int // -1 where nothing is drawn yet
	order []int // positions in the order in which they are drawn
	steps int
}

// begin places target and guard.
func (k *Picker) begin(o Options) (*choice, error) {
	hops := o.Hops
	if hops == 0 {
		hops = DefaultHops
	}
	if hops < 1 || hops > MaxHops {
		return nil, fmt.Errorf("%w: %d hops, 1 to %d", ErrOptions, o.Hops, MaxHops)
	}
	c := &choice{k: k, o: o, path: make([]int, hops, hops+1)}
	for i := range c.path {
		c.path[i] = -1
	}
	if o.Target != (chain.NodeID{}) {
		i, ok := k.list.Index(o.Target)
		if !ok || k.why[i] == ReasonRemoved {
			return nil, fmt.Errorf("%w: target %s is not listed", ErrOptions, o.Target.Short())
		}
		c.path = append(c.path, i)
	}
	if o.Guard != (chain.NodeID{}) {
		i, ok := k.list.Index(o.Guard)
		if !ok || k.weight[i] == 0 {
			return nil, fmt.Errorf("%w: guard %s is not usable", ErrOptions, o.Guard.Short())
		}
		if why, at := c.conflict(i); why != Free {
			return nil, fmt.Errorf("%w: guard %s and target: %s", ErrOptions, o.Guard.Short(), why.with(k.list.Entries[at].Node))
		}
		c.path[0] = i
	}
	c.order = drawOrder(hops, c.path[0] >= 0)
	return c, nil
}

// drawOrder is guard, exit, then the middles.
func drawOrder(hops int, guarded bool) []int {
	var order []int
	if !guarded {
		order = append(order, 0)
	}
	if hops > 1 {
		order = append(order, hops-1)
	}
	for i := 1; i < hops-1; i++ {
		order = append(order, i)
	}
	return order
}

// conflict is the first reason why i may not join the path, and the entry that
// it conflicts with.
func (c *choice) conflict(i int) (Reason, int) {
	for _, at := range c.path {
		if at >= 0 {
			if why := c.k.Conflict(i, at); why != Free {
				return why, at
			}
		}
	}
	return Free, -1
}

// excluded is why i is no candidate for the next position, Free if it is one.
func (c *choice) excluded(i int) (Reason, int) {
	if c.k.weight[i] == 0 {
		return c.k.why[i], -1
	}
	if why, at := c.conflict(i); why != Free {
		return why, at
	}
	id := c.k.list.Entries[i].Node
	if c.o.Exclude != nil && c.o.Exclude(id) {
		return ReasonExcluded, -1
	}
	if c.o.Avoid != nil && c.o.Avoid(id) {
		return ReasonAvoided, -1
	}
	return Free, -1
}

// draw fills the path; it gives up where maxSteps are not enough, several times.
func (c *choice) draw(rnd Rand) bool {
	for range attempts {
		c.steps = 0
		if c.fill(0, rnd) {
			return true
		}
		if c.steps < maxSteps {
			return false // every path was tried
		}
	}
	return false
}

// fill draws the positions from order[n] on; where a draw leads to a dead end
// it is taken back and another is made.
func (c *choice) fill(n int, rnd Rand) bool {
	if n == len(c.order) {
		return true
	}
	at := c.order[n]
	if i, ok := c.guess(rnd); ok {
		c.path[at] = i
		c.steps++
		if c.fill(n+1, rnd) {
			return true
		}
		c.path[at] = -1
	}
	var from []int
	var sums []uint64
	var sum uint64
	for i := range c.k.weight {
		if why, _ := c.excluded(i); why == Free {
			sum += c.k.weight[i]
			from, sums = append(from, i), append(sums, sum)
		}
	}
	for len(from) > 0 && c.steps < maxSteps {
		d := pick(sums, rnd)
		c.path[at] = from[d]
		c.steps++
		if c.fill(n+1, rnd) {
			return true
		}
		c.path[at] = -1
		w := sums[d]
		if d > 0 {
			w -= sums[d-1]
		}
		from, sums = slices.Delete(from, d, d+1), slices.Delete(sums, d, d+1)
		for j := d; j < len(sums); j++ {
			sums[j] -= w
		}
	}
	return false
}

// guess draws from the whole list until it hits a candidate, which gives each
// candidate its exact share without a pass over the list; a few misses end it.
func (c *choice) guess(rnd Rand) (int, bool) {
	if len(c.k.upTo) == 0 || c.k.upTo[len(c.k.upTo)-1] == 0 {
		return 0, false
	}
	for range guesses {
		i := pick(c.k.upTo, rnd)
		if why, _ := c.excluded(i); why == Free {
			return i, true
		}
	}
	return 0, false
}

// pick is a position with probability proportional to its part of the sums.
func pick(sums []uint64, rnd Rand) int {
	v := rnd.N(sums[len(sums)-1])
	return sort.Search(len(sums), func(i int) bool { return sums[i] > v })
}
