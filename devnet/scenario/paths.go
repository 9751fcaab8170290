package scenario

import (
	"math"

	"tunic/chain"
	"tunic/registry/path"
)

// Paths is what the head's list says of the paths that clients draw, guard and
// middle and exit, by the rules and not by what was drawn.
type Paths struct {
	EntropyBits float64   `json:"entropy_bits"` // of one path
	Operator    string    `json:"operator"`     // whose nodes are on the most paths
	Touched     float64   `json:"touched"`      // share of the paths that have a node of that operator
	Capture     []Capture `json:"capture"`
}

// Capture is what it costs to hold both ends of a share of the paths with new
// nodes of distinct operators, each staked once.
type Capture struct {
	Percent int    `json:"percent"`
	Nodes   int    `json:"nodes"`
	TUN     string `json:"tun"`
}

// maxPaths bounds the list of which every path is counted.
const maxPaths = 120

// paths counts every path of the head's list; nil where there is none, or where
// they are too many.
func (w *world) paths() *Paths {
	head := w.net.Ledger.Head().Header
	list, _, err := w.net.Ledger.List(head.DirEpoch)
	if err != nil || len(list.Entries) > maxPaths {
		return nil
	}
	k := path.New(list, head.Removals, *w.net.Spec.Params)
	n := len(list.Entries)
	free := make([]float64, n) // weight of who goes with each
	var all float64
	for i := range n {
		all += float64(k.Weight(i))
		for j := range n {
			if k.Conflict(i, j) == path.Free {
				free[i] += float64(k.Weight(j))
			}
		}
	}
	out := &Paths{Capture: []Capture{}}
	touched := map[chain.Address]float64{}
	for g := range n {
		for e := range n {
			if free[g] == 0 || k.Conflict(g, e) != path.Free {
				continue
			}
			ends := float64(k.Weight(g)) / all * float64(k.Weight(e)) / free[g]
			var middle float64
			for m := range n {
				if k.Conflict(g, m) == path.Free && k.Conflict(e, m) == path.Free {
					middle += float64(k.Weight(m))
				}
			}
			for m := range n {
				if k.Conflict(g, m) != path.Free || k.Conflict(e, m) != path.Free || k.Weight(m) == 0 || ends == 0 {
					continue
				}
				p := ends * float64(k.Weight(m)) / middle
				out.EntropyBits -= p * math.Log2(p)
				for _, i := range []int{g, m, e} {
					touched[list.Entries[i].Operator] += p // no two are of one operator
				}
			}
		}
	}
	if out.EntropyBits == 0 {
		return nil
	}
	for _, r := range w.net.Relays { // in an order of its own, so that equals give one name
		if t := touched[r.Operator.Address()]; t > out.Touched+1e-9 {
			out.Operator, out.Touched = w.net.OperatorName(r.Index), t
		}
	}
	for _, percent := range []int{1, 10, 50} {
		out.Capture = append(out.Capture, capture(percent, all, w.net.Spec.Params.StakingRequirement))
	}
	return out
}

// capture is how many nodes of weight 1,000,000 (the requirement, performance
// 1,000) beside others of weight all have both ends of so many percent.
func capture(percent int, all float64, requirement chain.Amount) Capture {
	const one = 1000 * 1000
	for nodes := 2; ; nodes++ {
		sum := all + float64(nodes)*one
		if p := float64(nodes) * one / sum * float64(nodes-1) * one / (sum - one); p*100 >= float64(percent) {
			return Capture{percent, nodes, (requirement * chain.Amount(nodes)).String()}
		}
	}
}
