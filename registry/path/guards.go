package path

import (
	"cmp"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
)

// The rules of guards.
const (
	GuardSample  = 2                // guards that are kept; the first usable one is used
	GuardMost    = 6                // with those drawn because none of the sample was usable
	GuardLife    = 30 * genesis.Day // at least; up to twice that, drawn with the guard
	GuardMissing = 7 * genesis.Day  // a guard out of the list for so long is dropped
)

// Guard is one entrance to the network.
type Guard struct {
	Node    chain.NodeID `json:"node"`
	Since   chain.Time   `json:"since"`
	Until   chain.Time   `json:"until"`   // replaced then
	Missing chain.Time   `json:"missing"` // since when it is not listed; 0: it is
}

// Guards are the entrances that a client keeps, best first: whoever draws a new
// entrance for each path sooner or later draws a bad one. It is plain data that
// its owner saves; the zero value is ready.
type Guards struct {
	Sample []Guard `json:"sample"`
}

// Choose draws a path behind one of the guards: the first that is listed, not
// avoided and in no conflict with the target. Only where none is, a new one is
// drawn and kept behind the others, so that these serve again when they are
// back; with GuardMost guards in the list, avoided ones are used before that, the one
// whose time ends first. o.Guard is ignored. strikes may be nil.
func (g *Guards) Choose(k *Picker, strikes Strikes, o Options, now chain.Time, rnd Rand) ([]int, error) {
	g.refresh(k, now)
	if o.Avoid == nil && strikes != nil {
		o.Avoid = strikes.Avoid(now)
	}
	for len(g.Sample) < GuardSample {
		// drawn without regard to the target: the sample must not tell of it
		guard, err := g.draw(k, Options{Avoid: o.Avoid, Exclude: o.Exclude}, now, rnd)
		if err != nil {
			break // a network too small for two guards
		}
		g.push(guard, o)
	}
	try := func(id chain.NodeID) ([]int, bool) {
		o.Guard = id
		p, err := k.Choose(o, rnd)
		return p, err == nil
	}
	avoided := func(s Guard) bool { return o.Avoid != nil && o.Avoid(s.Node) }
	for _, s := range g.Sample {
		if s.Missing == 0 && !avoided(s) {
			if p, ok := try(s.Node); ok {
				return p, nil
			}
		}
	}
	fresh := func() ([]int, bool) {
		guard, err := g.draw(k, o, now, rnd)
		if err != nil {
			return nil, false
		}
		p, ok := try(guard.Node)
		if ok {
			g.push(guard, o)
		}
		return p, ok
	}
	// Whoever can make guards fail must not lead a client through guard after
	// guard: a full sample is used as it is.
	full := len(g.Sample) >= GuardMost && !slices.ContainsFunc(g.Sample, func(s Guard) bool { return s.Missing != 0 })
	if !full {
		if p, ok := fresh(); ok {
			return p, nil
		}
	}
	// Of avoided ones that whose time ends first: one that fails on is avoided for
	// longer each time, and would else keep the others away.
	spare := slices.DeleteFunc(slices.Clone(g.Sample), func(s Guard) bool { return s.Missing != 0 || !avoided(s) })
	slices.SortStableFunc(spare, func(a, b Guard) int { return cmp.Compare(strikes[a.Node].Until, strikes[b.Node].Until) })
	for _, s := range spare {
		if p, ok := try(s.Node); ok {
			return p, nil
		}
	}
	if full { // all are in conflict with the target
		if p, ok := fresh(); ok {
			return p, nil
		}
	}
	o.Guard = chain.NodeID{}
	if _, err := k.Choose(o, rnd); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%w: no guard fits this target", ErrTooFew)
}

// Current is the guard that paths go through when nothing speaks against it.
func (g *Guards) Current(k *Picker, strikes Strikes, now chain.Time) (chain.NodeID, bool) {
	for _, s := range g.Sample {
		if i, ok := k.list.Index(s.Node); ok && k.weight[i] > 0 && now < s.Until && !strikes.Avoided(s.Node, now) {
			return s.Node, true
		}
	}
	return chain.NodeID{}, false
}

// refresh drops guards whose time is over and notes which are listed.
func (g *Guards) refresh(k *Picker, now chain.Time) {
	for i := range g.Sample {
		s := &g.Sample[i]
		at, listed := k.list.Index(s.Node)
		switch {
		case listed && k.weight[at] > 0:
			s.Missing = 0
		case s.Missing == 0:
			s.Missing = max(now, 1)
		}
	}
	g.Sample = slices.DeleteFunc(g.Sample, func(s Guard) bool {
		return now >= s.Until || s.Missing != 0 && now >= s.Missing+chain.Time(GuardMissing)
	})
}

// push keeps a guard behind the others. A full sample first loses a guard that
// is missing or avoided, the newest of them, or else the last.
func (g *Guards) push(guard Guard, o Options) {
	if len(g.Sample) >= GuardMost {
		i := len(g.Sample) - 1
		for j := i; j >= 0; j-- {
			if s := g.Sample[j]; s.Missing != 0 || o.Avoid != nil && o.Avoid(s.Node) {
				i = j
				break
			}
		}
		g.Sample = slices.Delete(g.Sample, i, i+1)
	}
	g.Sample = append(g.Sample, guard)
}

// draw draws a guard that shares no operator, family or network with those kept
// nor with the target; where no such node is left it may share with those kept.
func (g *Guards) draw(k *Picker, o Options, now chain.Time, rnd Rand) (Guard, error) {
	kept := make([]int, 0, len(g.Sample))
	for _, s := range g.Sample {
		if i, ok := k.list.Index(s.Node); ok {
			kept = append(kept, i)
		}
	}
	without := func(bars func(Reason) bool) Options {
		return Options{Hops: 1, Target: o.Target, Avoid: o.Avoid, Exclude: func(id chain.NodeID) bool {
			i, _ := k.list.Index(id)
			return o.Exclude != nil && o.Exclude(id) ||
				slices.ContainsFunc(kept, func(at int) bool { return bars(k.Conflict(i, at)) })
		}}
	}
	p, err := k.Choose(without(func(r Reason) bool { return r != Free }), rnd)
	if err != nil {
		p, err = k.Choose(without(func(r Reason) bool { return r == ReasonSame }), rnd)
	}
	if err != nil {
		return Guard{}, err
	}
	life := uint64(GuardLife) + rnd.N(uint64(GuardLife))
	return Guard{Node: k.list.Entries[p[0]].Node, Since: now, Until: now + chain.Time(life)}, nil
}
