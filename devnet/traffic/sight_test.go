package traffic

import (
	"cmp"
	"slices"
	"sort"
	"strconv"
)

// sight is all that a relay sees of a packet that another relay sent it and that
// it passes on to a third.
type sight struct {
	relay, prev, next string
	size              int
	keys              bool    // it selects, here and at the next, the keys that its list names
	delay             float64 // asked for, milliseconds
	gap, gapPrev      float64 // time since the last packet of all, and of the same relay, as ranks
	phase             float64 // part of the epoch that is over
	tick              float64 // part of the machine's half second that is over
	before, after     []byte  // the packet without geometry and selector
	calm              bool    // the machine kept up then
}

// feature is one thing that a relay could go by: a number or a category. Those of
// time are asked of sights alone that were made while the machine kept up.
type feature struct {
	name   string
	time   bool
	steady bool // and in the steady part of an epoch
	number func(sight) float64
	kind   func(sight) string
}

// The features. Bytes are compared besides: their frequencies, and at each place.
var (
	sizes = feature{name: "size", kind: func(s sight) string { return strconv.Itoa(s.size) }}
	keys  = feature{name: "keys", kind: func(s sight) string { return strconv.FormatBool(s.keys) }}
	delay = feature{name: "delay", number: func(s sight) float64 { return s.delay }}
	gap   = feature{name: "time since the last", time: true, number: func(s sight) float64 { return s.gap }}
	gapOf = feature{name: "time since the last of the same relay", time: true, number: func(s sight) float64 { return s.gapPrev }}
	phase = feature{name: "time in the epoch", time: true, steady: true, number: func(s sight) float64 { return s.phase }}
	ticks = feature{name: "time in the half second", time: true, number: func(s sight) float64 { return s.tick }}
	mean  = feature{name: "mean byte", number: func(s sight) float64 { return meanByte(s.before) }}
	mean2 = feature{name: "mean byte passed on", number: func(s sight) float64 { return meanByte(s.after) }}
	from  = feature{name: "from", kind: func(s sight) string { return s.relay + s.prev }}
	to    = feature{name: "to", kind: func(s sight) string { return s.relay + s.next }}
	both  = feature{name: "from and to", kind: func(s sight) string { return s.relay + s.prev + s.next }}

	// Of three real clients: their guards and members are a few, and they ask for
	// heads in the first half of an epoch.
	clientFeatures = []feature{sizes, delay, gap, gapOf, ticks, mean, mean2}
	packetFeatures = []feature{sizes, delay, gap, gapOf, phase, ticks, mean, mean2}
	pathFeatures   = []feature{keys, from, to, both}
)

// least is how many sights of either kind are enough to ask.
const least = 60

// of are the sights that a feature is asked of.
func (f feature) of(x []sight) []sight {
	if !f.time {
		return x
	}
	var out []sight
	for _, s := range x {
		if s.calm && (!f.steady || s.phase >= steadyFrom && s.phase <= steadyTo) {
			out = append(out, s)
		}
	}
	return out
}

// asked are the features of which there is enough to ask.
func asked(a, b []sight, features []feature) (out []feature) {
	for _, f := range features {
		if len(f.of(a)) >= least && len(f.of(b)) >= least {
			out = append(out, f)
		}
	}
	return out
}

// timeless are the features that do not ask of time.
func timeless(features []feature) (out []feature) {
	for _, f := range features {
		if !f.time {
			out = append(out, f)
		}
	}
	return out
}

func meanByte(b []byte) float64 {
	sum := 0
	for _, v := range b {
		sum += int(v)
	}
	return float64(sum) / float64(max(1, len(b)))
}

// binned makes a feature's values comparable: numbers fall into twelve bins with
// as many of the given sights in each.
func (f feature) binned(of []sight) func(sight) string {
	if f.kind != nil {
		return f.kind
	}
	var x []float64
	for _, s := range of {
		x = append(x, f.number(s))
	}
	slices.Sort(x)
	var edges []float64
	for i := 1; i < 12; i++ {
		edges = append(edges, x[i*len(x)/12])
	}
	return func(s sight) string { return strconv.Itoa(sort.SearchFloat64s(edges, f.number(s))) }
}

// finding is what one comparison says.
type finding struct {
	what string
	p    float64 // by chance
	time bool
}

// found reports whether it is a difference.
func (f finding) found() bool { return f.p < alarm && !f.time || f.p < alarmOfTime }

// compare asks of two kinds of traffic whether anything tells them apart.
func compare(a, b []sight, features []feature) (out []finding) {
	for _, f := range features {
		x, y := f.of(a), f.of(b)
		if f.number != nil {
			out = append(out, finding{f.name, sameNumbers(numbers(x, f), numbers(y, f)), f.time})
		} else {
			out = append(out, finding{f.name, sameCounts(kinds(x, f), kinds(y, f)), f.time})
		}
	}
	side := func(x []sight, f func(sight) []byte) (out [][]byte) {
		for _, s := range x {
			out = append(out, f(s))
		}
		return out
	}
	for name, f := range map[string]func(sight) []byte{
		"bytes": func(s sight) []byte { return s.before }, "bytes passed on": func(s sight) []byte { return s.after },
	} {
		x, y := side(a, f), side(b, f)
		out = append(out, finding{name, sameCounts(histogram(x), histogram(y)), false}, finding{name + ", by place", samePositions(x, y), false})
	}
	slices.SortFunc(out, func(a, b finding) int { return cmp.Or(cmp.Compare(a.p, b.p), cmp.Compare(a.what, b.what)) })
	return out
}

func numbers(x []sight, f feature) (out []float64) {
	for _, s := range x {
		out = append(out, f.number(s))
	}
	return out
}

func kinds(x []sight, f feature) map[string]int {
	out := map[string]int{}
	for _, s := range x {
		out[f.kind(s)]++
	}
	return out
}
