package pages

import "math"

// The map's drawing is a square of mapSide units; its rings lie between two
// radii.
const (
	mapSide  = 800
	mapInner = 84
	mapOuter = 370
	// mapWide is the distance at which one more ring would not help to read.
	mapWide = 76
	// mapGap is how much further apart two groups stand than two nodes of one.
	mapGap = 0.7
)

// A place is where a node stands on the map, in its units.
type place struct {
	X, Y, R float64
	ring    int
	angle   float64
}

// An arc lies behind neighbouring nodes of one group on one ring.
type arc struct {
	Group      string
	X0, Y0     float64
	X1, Y1     float64
	R, Width   float64
	Large, Dot bool // more than half a circle; a single node
}

// Half is the radius of the dot behind a single node.
func (a arc) Half() float64 { return a.Width / 2 }

// layout is where all stand.
type layout struct {
	Places []place
	Arcs   []arc
	Rings  []float64 // radii
	Most   float64   // the largest radius that a node may have
}

// layOut puts nodes on rings, inside first, those of one group beside each other.
// groups has each node's group, in the order in which they are to stand; an
// empty one has no arc. sizes has each node's size from 0 to 1. The same input
// gives the same map.
func layOut(groups []string, sizes []float64) layout {
	n := len(groups)
	if n == 0 {
		return layout{}
	}
	radii, apart := rings(n)
	out := layout{Rings: radii, Places: make([]place, n), Most: round1(min(0.36*apart, 28))}
	for ring, first := range firsts(n, radii) {
		last := n
		if next := firsts(n, radii); ring+1 < len(next) {
			last = next[ring+1]
		}
		out.fill(ring, first, last, groups, sizes)
	}
	return out
}

// rings are the radii for n nodes, and how far apart nodes then are: as few rings
// as keep neighbours on a ring no closer than neighbouring rings.
func rings(n int) (radii []float64, apart float64) {
	for k := 1; ; k++ {
		radii = radii[:0]
		gap := (mapOuter - mapInner) / float64(k)
		around := 0.0
		for i := range k {
			r := mapOuter - gap*float64(k-1-i)
			if k == 1 {
				r = mapOuter * 0.82 // alone, it leaves room for names
			}
			radii = append(radii, r)
			around += 2 * math.Pi * r
		}
		along := around / (float64(n) * 1.2) // with the gaps of groups
		if along >= min(gap, mapWide) {
			return radii, min(along, gap, mapWide)
		}
	}
}

// firsts has the index of the first node on each ring: rings are filled in
// proportion to their length.
func firsts(n int, radii []float64) []int {
	total, sum := 0.0, 0.0
	for _, r := range radii {
		total += r
	}
	out := make([]int, len(radii))
	for i, r := range radii {
		out[i] = int(math.Round(float64(n) * sum / total))
		sum += r
	}
	return out
}

// fill puts nodes first to last-1 on a ring, from the top clockwise.
func (l *layout) fill(ring, first, last int, groups []string, sizes []float64) {
	if first >= last {
		return
	}
	r := l.Rings[ring]
	steps := make([]float64, 0, last-first) // before each node
	total := 0.0
	for i := first; i < last; i++ {
		before := i - 1
		if i == first {
			before = last - 1
		}
		step := 1.0
		if groups[before] != groups[i] {
			step += mapGap
		}
		steps = append(steps, step)
		total += step
	}
	at := 0.0
	for i := first; i < last; i++ {
		if i > first {
			at += steps[i-first]
		}
		angle := 2*math.Pi*at/total - math.Pi/2
		x, y := onRing(r, angle)
		size := min(max(sizes[i], 0), 1)
		l.Places[i] = place{X: x, Y: y, R: round1(l.Most * (0.5 + 0.5*math.Sqrt(size))), ring: ring, angle: angle}
	}
	for i := first; i < last; {
		k := i + 1
		for k < last && groups[k] == groups[i] {
			k++
		}
		if groups[i] != "" {
			a, b := l.Places[i], l.Places[k-1]
			l.Arcs = append(l.Arcs, arc{Group: groups[i], X0: a.X, Y0: a.Y, X1: b.X, Y1: b.Y, R: round1(r), Width: round1(2*l.Most + 6),
				Large: b.angle-a.angle > math.Pi, Dot: k == i+1})
		}
		i = k
	}
}

func onRing(r, angle float64) (x, y float64) {
	return round1(mapSide/2 + r*math.Cos(angle)), round1(mapSide/2 + r*math.Sin(angle))
}

func round1(v float64) float64 { return math.Round(10*v) / 10 }

// distance is how far a place is from the middle.
func distance(p place) float64 { return math.Hypot(p.X-mapSide/2, p.Y-mapSide/2) }

// anchor is the text-anchor of a name beside a place: away from the middle.
func anchor(p place) string {
	switch c := math.Cos(p.angle); {
	case c > 0.3:
		return "start"
	case c < -0.3:
		return "end"
	}
	return "middle"
}
