package path

import (
	"fmt"
	"strings"

	"tunic/chain"
)

// Reason is why a node is no candidate for a hop.
type Reason uint8

// The reasons. Free is none.
const (
	Free           Reason = iota
	ReasonSame            // it is in the path already
	ReasonOperator        // of one operator with a hop
	ReasonFamily          // of one mutual family with a hop
	ReasonSubnet          // in one network with a hop
	ReasonRemoved         // out of the list since the epoch began
	ReasonWeight          // no stake or no performance
	ReasonExcluded        // by the caller
	ReasonAvoided         // by strikes
	reasons        int    = iota
)

var reasonWords = [reasons]string{"free", "already in the path", "same operator", "same family", "same network",
	"removed from the list", "no weight", "excluded", "avoided after strikes"}

func (r Reason) String() string {
	if int(r) < reasons {
		return reasonWords[r]
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// MarshalText gives the words.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r Reason) with(id chain.NodeID) string { return r.String() + " as " + id.Short() }

// Exclusion is one node that could not be drawn.
type Exclusion struct {
	Index  int          `json:"index"`
	Node   chain.NodeID `json:"node"`
	Reason Reason       `json:"reason"`
	With   int          `json:"with"` // index of the hop that it conflicts with, -1 if none
}

// Step is how one hop came about.
type Step struct {
	Role       string       `json:"role"` // guard, middle, exit, target
	Index      int          `json:"index"`
	Node       chain.NodeID `json:"node"`
	Given      bool         `json:"given"` // not drawn: it was asked for
	Weight     uint64       `json:"weight"`
	Total      uint64       `json:"total"`      // weight of all candidates
	Candidates int          `json:"candidates"` // nodes that could have been drawn
	Excluded   []Exclusion  `json:"excluded"`
}

// Explanation says how a path came about, in the order of the draws.
type Explanation struct {
	Listed         int    `json:"listed"`
	Usable         int    `json:"usable"`
	StrikesIgnored bool   `json:"strikes_ignored"` // there was no path without avoided nodes
	Steps          []Step `json:"steps"`
}

// Explain says how hops, a path of Choose with options o, came about. It
// computes this anew from list and path and draws nothing: any path can be
// explained at any time. For a path of Guards, set o.Guard to its first hop.
func (k *Picker) Explain(hops []int, o Options) Explanation {
	x := Explanation{Listed: len(k.list.Entries), Usable: k.usable}
	c, err := k.begin(o)
	if err != nil || len(c.path) != len(hops) {
		return x
	}
	for i, at := range c.path {
		if at >= 0 {
			x.Steps = append(x.Steps, Step{Role: c.role(i), Index: at, Node: k.list.Entries[at].Node, Given: true, Weight: k.weight[at]})
		}
	}
	for _, at := range c.order {
		i := hops[at]
		if o.Avoid != nil && o.Avoid(k.list.Entries[i].Node) {
			c.o.Avoid, x.StrikesIgnored = nil, true
		}
	}
	for _, at := range c.order {
		i := hops[at]
		s := Step{Role: c.role(at), Index: i, Node: k.list.Entries[i].Node, Weight: k.weight[i]}
		for j := range k.list.Entries {
			if why, with := c.excluded(j); why != Free {
				s.Excluded = append(s.Excluded, Exclusion{Index: j, Node: k.list.Entries[j].Node, Reason: why, With: with})
			} else {
				s.Candidates++
				s.Total += k.weight[j]
			}
		}
		c.path[at] = i
		x.Steps = append(x.Steps, s)
	}
	return x
}

// role names position i of the path.
func (c *choice) role(i int) string {
	hops := len(c.path)
	if c.o.Target != (chain.NodeID{}) {
		if hops--; i == hops {
			return "target"
		}
	}
	switch i {
	case 0:
		return "guard"
	case hops - 1:
		return "exit"
	}
	return "middle"
}

// String is the explanation for people, a line a hop.
func (x Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d listed, %d usable\n", x.Listed, x.Usable)
	if x.StrikesIgnored {
		b.WriteString("no path without nodes that have strikes: they were used\n")
	}
	for _, s := range x.Steps {
		if s.Given {
			fmt.Fprintf(&b, "%-7s %s  as asked\n", s.Role, s.Node.Short())
			continue
		}
		fmt.Fprintf(&b, "%-7s %s  weight %d of %d (%s) among %d candidates", s.Role, s.Node.Short(), s.Weight, s.Total, percent(s.Weight, s.Total), s.Candidates)
		var counts [reasons]int
		for _, e := range s.Excluded {
			counts[e.Reason]++
		}
		sep := "; not: "
		for r, n := range counts {
			if n > 0 {
				fmt.Fprintf(&b, "%s%d %s", sep, n, Reason(r))
				sep = ", "
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// percent is a/b with one decimal.
func percent(a, b uint64) string {
	if b == 0 {
		return "0 %"
	}
	tenths := a * 1000 / b // weights are below 2^44
	return fmt.Sprintf("%d.%d %%", tenths/10, tenths%10)
}
