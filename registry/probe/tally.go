package probe

import (
	"bytes"
	"slices"

	"tunic/chain"
	"tunic/registry/directory"
)

// Tally is what the probes of one epoch say: the trials of each link, at both
// of its ends. It is immutable.
type Tally struct {
	Epoch     chain.Epoch
	nodes     []chain.NodeID  // of the list
	operators []chain.Address // by place in it, as what follows
	revealed  []bool
	start     []uint32 // of each place's part of ends; one more than places
	ends      []uint32 // place of the other end << 1 | lost
}

// newTally keeps of the list what a score needs: scores outlive lists.
func newTally(list *directory.List, trials []trial, revealed []bool) *Tally {
	n := len(list.Entries)
	t := &Tally{Epoch: list.Epoch, nodes: make([]chain.NodeID, n), operators: make([]chain.Address, n), revealed: revealed}
	for i := range list.Entries {
		t.nodes[i], t.operators[i] = list.Entries[i].Node, list.Entries[i].Operator
	}
	t.sort(trials)
	return t
}

// trial is one use of a link.
type trial struct {
	from, to uint32
	lost     bool
	alone    bool // it counts for to, and not for from
}

// sort puts the ends of each trial that it counts for to their places.
func (t *Tally) sort(trials []trial) {
	n := len(t.nodes)
	t.start = make([]uint32, n+1)
	for _, x := range trials {
		if !x.alone {
			t.start[x.from+1]++
		}
		t.start[x.to+1]++
	}
	for i := range n {
		t.start[i+1] += t.start[i]
	}
	t.ends = make([]uint32, t.start[n])
	next := append([]uint32(nil), t.start...)
	put := func(at, other uint32, lost bool) {
		e := other << 1
		if lost {
			e |= 1
		}
		t.ends[next[at]] = e
		next[at]++
	}
	for _, x := range trials {
		if !x.alone {
			put(x.from, x.to, x.lost)
		}
		put(x.to, x.from, x.lost)
	}
}

// Count is a number of trials, and how many of them were lost.
type Count struct {
	Trials uint32 `json:"trials"`
	Lost   uint32 `json:"lost"`
}

func (c *Count) add(lost bool) {
	c.Trials++
	if lost {
		c.Lost++
	}
}

// worse reports whether a larger share of c was lost than of d. Neither is
// without trials.
func (c Count) worse(d Count) bool {
	return uint64(c.Lost)*uint64(d.Trials) > uint64(d.Lost)*uint64(c.Trials)
}

// share is what was not lost, rounded down.
func (c Count) share() chain.Permille {
	return chain.Permille(uint64(c.Trials-c.Lost) * 1000 / uint64(c.Trials))
}

// lists reports whether the node is in the epoch's list.
func (t *Tally) lists(node chain.NodeID) bool {
	_, ok := slices.BinarySearchFunc(t.nodes, node, compareNodes)
	return ok
}

// of calls each for every trial of the node with another operator, and reports
// whether it is listed and whether it revealed.
func (t *Tally) of(node chain.NodeID, each func(operator chain.Address, lost bool)) (listed, revealed bool) {
	at, ok := slices.BinarySearchFunc(t.nodes, node, compareNodes)
	if !ok {
		return false, false
	}
	own := t.operators[at]
	for _, e := range t.ends[t.start[at]:t.start[at+1]] {
		if op := t.operators[e>>1]; op != own {
			each(op, e&1 == 1)
		}
	}
	return true, t.revealed[at]
}

func compareNodes(a, b chain.NodeID) int { return bytes.Compare(a[:], b[:]) }
