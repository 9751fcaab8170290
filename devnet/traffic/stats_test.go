package traffic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The tests of this file ask whether two samples are of one distribution. Each
// returns how likely a difference like this or a greater one is by chance.

// alarm is below which a difference is none of chance: with a few hundred
// comparisons a run, a run is a false alarm less often than once in 10,000.
const alarm = 1e-7

// alarmOfTime is the same for questions of time, on which the machine's load has a
// say.
const alarmOfTime = 1e-10

// sameNumbers is the two-sample test of Kolmogorov and Smirnov. Ties only make it
// find less.
func sameNumbers(a, b []float64) float64 {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	var most float64
	for i, j := 0, 0; i < len(a) && j < len(b); {
		x := min(a[i], b[j])
		for i < len(a) && a[i] == x {
			i++
		}
		for j < len(b) && b[j] == x {
			j++
		}
		most = max(most, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	n := float64(len(a)) * float64(len(b)) / float64(len(a)+len(b))
	return min(1, 2*math.Exp(-2*n*most*most))
}

// sameCounts is the chi-square test over categories; those that are rare are one.
func sameCounts[K comparable](a, b map[K]int) float64 {
	var sumA, sumB float64
	for _, n := range a {
		sumA += float64(n)
	}
	for _, n := range b {
		sumB += float64(n)
	}
	if sumA == 0 || sumB == 0 {
		return 1
	}
	keys := map[K]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	var chi, restA, restB float64
	cells := -1
	add := func(x, y float64) {
		for _, c := range []struct{ got, of float64 }{{x, sumA}, {y, sumB}} {
			want := (x + y) * c.of / (sumA + sumB)
			chi += (c.got - want) * (c.got - want) / want
		}
		cells++
	}
	least := 8 * (sumA + sumB) / min(sumA, sumB) // eight of it are expected in the smaller sample
	for k := range keys {
		x, y := float64(a[k]), float64(b[k])
		if x+y < least {
			restA, restB = restA+x, restB+y
			continue
		}
		add(x, y)
	}
	if restA+restB > 0 {
		add(restA, restB)
	}
	if cells < 1 {
		return 1
	}
	// Wilson and Hilferty: the cube root is nearly normal.
	d := float64(cells)
	z := (math.Cbrt(chi/d) - (1 - 2/(9*d))) / math.Sqrt(2/(9*d))
	return math.Erfc(z/math.Sqrt2) / 2
}

// samePositions asks of each place in a packet whether its bytes have one mean in
// both samples, and corrects for asking so often.
func samePositions(a, b [][]byte) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	size := len(a[0])
	sum := func(x [][]byte) []float64 {
		out := make([]float64, size)
		for _, p := range x {
			for i, v := range p[:min(size, len(p))] {
				out[i] += float64(v)
			}
		}
		return out
	}
	sa, sb := sum(a), sum(b)
	n, m := float64(len(a)), float64(len(b))
	const variance = (256*256 - 1) / 12.
	var most float64
	for i := range size {
		most = max(most, math.Abs(sa[i]/n-sb[i]/m)/math.Sqrt(variance*(1/n+1/m)))
	}
	return min(1, float64(size)*math.Erfc(most/math.Sqrt2))
}

func histogram(packets [][]byte) map[byte]int {
	var n [256]int
	for _, p := range packets {
		for _, b := range p {
			n[b]++
		}
	}
	out := make(map[byte]int, 256)
	for b, k := range n {
		out[byte(b)] = k
	}
	return out
}

// classifier learns from half of two samples which values of which features speak
// for the one or the other (naive Bayes over bins), and is asked about the rest.
// It returns the share that it gets right, both samples weighing the same, and
// how likely that share or a greater one is by chance.
func classifier(a, b []sight, features []feature, seed uint64) (right, chance float64) {
	for _, f := range features {
		if f.time {
			a, b = f.of(a), f.of(b)
		}
	}
	n := min(len(a), len(b))
	r := rand.New(rand.NewPCG(seed, 1))
	draw := func(x []sight) []sight {
		x = slices.Clone(x)
		r.Shuffle(len(x), func(i, j int) { x[i], x[j] = x[j], x[i] })
		return x[:n]
	}
	a, b = draw(a), draw(b)
	half := n / 2
	if half < 50 {
		return 0.5, 1
	}
	learn := append(slices.Clone(a[:half]), b[:half]...)
	var score []func(sight) float64
	for _, f := range features {
		bin := f.binned(learn)
		var ca, cb = map[string]float64{}, map[string]float64{}
		for i := range half {
			ca[bin(a[i])]++
			cb[bin(b[i])]++
		}
		score = append(score, func(s sight) float64 { return math.Log((ca[bin(s)] + 1) / (cb[bin(s)] + 1)) })
	}
	sure := func(s sight) (sum float64) {
		for _, f := range score {
			sum += f(s)
		}
		return sum
	}
	hits, asked := 0.0, 0.0
	for i := half; i < n; i++ {
		for _, x := range []float64{sure(a[i]), -sure(b[i])} {
			switch asked++; {
			case x > 0:
				hits++
			case x == 0:
				hits += 0.5
			}
		}
	}
	right = hits / asked
	return right, math.Erfc((right-0.5)*2*math.Sqrt(asked)/math.Sqrt2) / 2
}

// TestStatistics: the tests find nothing where there is nothing, as often as they
// say, and find what there is.
func TestStatistics(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sample := func(n int, f func() float64) (out []float64) {
		for range n {
			out = append(out, f())
		}
		return out
	}
	counts := func(x []float64) map[int]int {
		out := map[int]int{}
		for _, v := range x {
			out[int(v*20)]++
		}
		return out
	}
	bytesOf := func(n int, zero bool) (out [][]byte) {
		for range n {
			b := make([]byte, 400)
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			if zero {
				clear(b[300:308])
			}
			out = append(out, b)
		}
		return out
	}
	const runs = 300
	var low [4]int // of each test, results below 1 %
	for range runs {
		a, b := sample(400, r.Float64), sample(700, r.Float64)
		p, q := bytesOf(60, false), bytesOf(90, false)
		for i, x := range []float64{sameNumbers(a, b), sameCounts(counts(a), counts(b)), samePositions(p, q), sameCounts(histogram(p), histogram(q))} {
			if x < 0.01 {
				low[i]++
			}
		}
	}
	for i, n := range low { // 3 are expected; 14 come by chance once in 100,000
		if n > 14 {
			t.Errorf("test %d is below 1 %% in %d of %d runs", i, n, runs)
		}
	}
	a, b := sample(1500, r.ExpFloat64), sample(1500, func() float64 { return 1.5 * r.ExpFloat64() })
	p, q := bytesOf(60, false), bytesOf(90, true)
	for what, x := range map[string]float64{
		"another mean, numbers": sameNumbers(a, b), "another mean, counts": sameCounts(counts(a), counts(b)),
		"zeros in one place": samePositions(p, q),
	} {
		if x > alarm {
			t.Errorf("%s was not found: %g", what, x)
		}
	}
}

// said is a result in a log.
func said(p float64) string {
	if p < alarm {
		return fmt.Sprintf("FOUND (%.1g)", p)
	}
	return fmt.Sprintf("%.3f", p)
}
