package probe

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
)

// Bounds of a score.
const (
	MinGroupLimit = 15 // groups that there may be at least
	GroupTrials   = 8  // and as many as have so many trials on average
	MinTrials     = 4  // of a group that counts
	MinGroups     = 3
	MinEpochs     = 4 // counted, after those that are forgiven
	unknownScore  = 1000
	leastListings = 4 // epochs from which on reveals are asked for
)

// Score is what the judged epochs of a window say of one node.
type Score struct {
	Score    chain.Permille `json:"score"`
	Known    bool           `json:"known"`  // false: too little to say, and Score is 1,000
	Epochs   []EpochCount   `json:"epochs"` // in which it was listed, ascending
	Groups   []Count        `json:"groups"` // that count, the worst first; the median is Groups[len/2]
	Thin     int            `json:"thin"`   // groups with too few trials
	Listed   int            `json:"listed"` // epochs
	Revealed int            `json:"revealed"`
}

// EpochCount is one epoch of a Score.
type EpochCount struct {
	Epoch chain.Epoch `json:"epoch"`
	Count
	Forgiven bool `json:"forgiven"`
	Revealed bool `json:"revealed"`
}

// Reach is how many windows back a score goes for a node that was not listed in
// all judged epochs of the present one.
const Reach = 2

// withOlder puts in front of tallies as many of older, the newest in which the
// node is listed, as there are in which it is not: whoever stays out of a few
// lists of each window would never be listed for long enough to be judged.
func withOlder(node chain.NodeID, older, tallies []*Tally) []*Tally {
	gaps := 0
	for _, t := range tallies {
		if !t.lists(node) {
			gaps++
		}
	}
	for i := len(older) - 1; i >= 0 && gaps > 0; i-- {
		if older[i].lists(node) {
			tallies = append([]*Tally{older[i]}, tallies...)
			gaps--
		}
	}
	return tallies
}

// Judge gives the score of a node. tallies are those of the judged epochs of
// the window, ascending, and older those of the Reach - 1 windows before it;
// seed is the beacon of the newest epoch of the window, judged or not; since is
// the epoch in which the node was last decommissioned, and older ones do not
// count again. p are the parameters in force when the quorum votes.
func Judge(node chain.NodeID, older, tallies []*Tally, p *genesis.Params, seed chain.Hash, since chain.Epoch) Score {
	s := Score{Score: unknownScore}
	var of []*Tally // of s.Epochs
	for _, t := range withOlder(node, older, tallies) {
		if t.Epoch < since {
			continue
		}
		c := EpochCount{Epoch: t.Epoch}
		listed, revealed := t.of(node, func(_ chain.Address, lost bool) { c.add(lost) })
		if !listed {
			continue
		}
		s.Listed++
		if c.Revealed = revealed; revealed {
			s.Revealed++
		}
		s.Epochs, of = append(s.Epochs, c), append(of, t)
	}
	counted := s.forgive(int(p.ScoreForgiven))
	sums := make(map[chain.Address]*Count)
	for i, t := range of {
		if s.Epochs[i].Forgiven {
			continue
		}
		t.of(node, func(op chain.Address, lost bool) {
			c := sums[op]
			if c == nil {
				c = new(Count)
				sums[op] = c
			}
			c.add(lost)
		})
	}
	ascending := slices.SortedFunc(maps.Keys(sums), func(a, b chain.Address) int { return bytes.Compare(a[:], b[:]) })
	operators := make([]Count, len(ascending))
	for i, op := range ascending {
		operators[i] = *sums[op]
	}
	s.group(operators, seed)
	if counted >= MinEpochs && len(s.Groups) >= MinGroups {
		s.Known, s.Score = true, s.Groups[len(s.Groups)/2].share()
	}
	return s
}

// forgive leaves the worst epochs out and says how many with trials are left.
func (s *Score) forgive(n int) (counted int) {
	var order []int
	for i := range s.Epochs {
		if s.Epochs[i].Trials > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := s.Epochs[a].Count, s.Epochs[b].Count
		switch {
		case x.worse(y):
			return -1
		case y.worse(x):
			return 1
		}
		return 0 // the older first
	})
	for _, i := range order[:min(n, len(order))] {
		s.Epochs[i].Forgiven = true
	}
	return max(0, len(order)-n)
}

// group sums the operators' counts up by group and keeps those with enough
// trials, the worst first.
func (s *Score) group(operators []Count, seed chain.Hash) {
	var trials uint32
	for _, c := range operators {
		trials += c.Trials
	}
	groups, most := operators, max(MinGroupLimit, int(trials/GroupTrials))
	if len(operators) > most {
		order := make([]int, len(operators))
		for i := range order {
			order[i] = i
		}
		beacon.NewDraw(seed, "score groups").Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		groups = make([]Count, most)
		for place, i := range order {
			g := &groups[place%most]
			g.Trials, g.Lost = g.Trials+operators[i].Trials, g.Lost+operators[i].Lost
		}
	}
	for _, g := range groups {
		if g.Trials < MinTrials {
			s.Thin++
			continue
		}
		s.Groups = append(s.Groups, g)
	}
	slices.SortFunc(s.Groups, func(a, b Count) int {
		switch {
		case a.worse(b):
			return -1
		case b.worse(a):
			return 1
		}
		return cmp.Compare(a.Trials, b.Trials)
	})
}

// Reasons are the bits that follow from a score.
func (s *Score) Reasons(p *genesis.Params) (r statement.Reasons) {
	if s.Known && s.Score < p.ScoreLeast {
		r |= statement.ReasonLoss
	}
	if s.Listed >= leastListings && 2*s.Revealed < s.Listed {
		r |= statement.ReasonUnrevealed
	}
	return r
}
