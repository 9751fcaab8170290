package observe

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// alarm is below which something is none of chance: with some fifty questions a run,
// a run is a false alarm less often than once in 100,000.
const alarm = 1e-7

// ranks are the places of values among each other, equal ones sharing theirs.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case x[a] < x[b]:
			return -1
		case x[a] > x[b]:
			return 1
		}
		return 0
	})
	out := make([]float64, len(x))
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			out[k] = float64(i+j-1) / 2
		}
		i = j
	}
	return out
}

// related is how two numbers of each of several accounts go together (Spearman's
// coefficient), and how likely that much or more is by chance (Fisher's
// approximation, which is on the safe side of Student's for these sizes).
func related(x, y []float64) (rho, p float64) {
	a, b := ranks(x), ranks(y)
	n := float64(len(a))
	var ma, mb float64
	for i := range a {
		ma, mb = ma+a[i]/n, mb+b[i]/n
	}
	var ab, aa, bb float64
	for i := range a {
		ab, aa, bb = ab+(a[i]-ma)*(b[i]-mb), aa+(a[i]-ma)*(a[i]-ma), bb+(b[i]-mb)*(b[i]-mb)
	}
	if aa < 1e-9 || bb < 1e-9 || n < 8 {
		return 0, 1
	}
	rho = ab / math.Sqrt(aa*bb)
	z := math.Atanh(min(0.9999, math.Abs(rho))) * math.Sqrt((n-3)/1.06)
	return rho, math.Erfc(z / math.Sqrt2)
}

// order guesses for each two accounts which one got more, and is how often that is
// right; those with one truth are left out, and where nothing tells it is a half.
func order(guess, truth []float64) float64 {
	var right, asked float64
	for i := range truth {
		for j := range i {
			d, e := truth[i]-truth[j], guess[i]-guess[j]
			switch {
			case d == 0:
				continue
			case e == 0:
				right += 0.5
			case d > 0 == (e > 0):
				right++
			}
			asked++
		}
	}
	if asked == 0 {
		return 0.5
	}
	return right / asked
}

// linked guesses for each mailbox i of one day which one of the next day is its
// pair's: the one whose feature is nearest. The i-th of both are in truth of one
// pair. It returns how many guesses are right, of which one is expected by chance,
// and how likely the order of the guesses is by chance: the sum of the true ones'
// ranks has a known mean and variance over all ways to pair the two days
// (Hoeffding's combinatorial limit theorem).
func linked(a, b []float64) (right, p float64) {
	n := len(a)
	if n < 8 {
		return 0, 1
	}
	r := make([][]float64, n)
	for i := range a {
		far := make([]float64, n)
		for j := range b {
			far[j] = math.Abs(a[i] - b[j])
		}
		r[i] = ranks(far)
		if nearest := slices.Min(r[i]); r[i][i] == nearest {
			right += 1 / (1 + 2*nearest) // among so many that are equally near
		}
	}
	row, col, all := make([]float64, n), make([]float64, n), 0.0
	N := float64(n)
	for i := range r {
		for j, x := range r[i] {
			row[i], col[j], all = row[i]+x/N, col[j]+x/N, all+x/N/N
		}
	}
	var sum, variance float64
	for i := range r {
		sum += r[i][i]
		for j, x := range r[i] {
			d := x - row[i] - col[j] + all
			variance += d * d / (N - 1)
		}
	}
	if variance < 1e-6 {
		return right, 1
	}
	z := (sum - N*all) / math.Sqrt(variance) // below zero where the true ones are near
	return right, math.Erfc(-z/math.Sqrt2) / 2
}

// atLeast is how likely so many right guesses or more are by chance, where so many are
// expected (Poisson's approximation).
func atLeast(right, expected float64) float64 {
	less, term := 0.0, math.Exp(-expected)
	for k := 0.0; k < right; k++ {
		less += term
		term *= expected / (k + 1)
	}
	return max(0, 1-less)
}

// TestStatistics: the tests find nothing where there is nothing, as often as they
// say, and find what there is.
func TestStatistics(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sample := func(n int) (out []float64) {
		for range n {
			out = append(out, math.Floor(5*r.ExpFloat64())) // with ties
		}
		return out
	}
	const runs = 500
	var low [2]int
	for range runs {
		if _, p := related(sample(24), sample(24)); p < 0.01 {
			low[0]++
		}
		if _, p := linked(sample(90), sample(90)); p < 0.01 {
			low[1]++
		}
	}
	for i, n := range low { // 5 are expected; 18 come by chance about once in 200,000
		if n > 18 {
			t.Errorf("test %d is below 1 %% in %d of %d runs", i, n, runs)
		}
	}
	x := sample(90)
	y := slices.Clone(x)
	for i := range y {
		y[i] += r.NormFloat64()
	}
	if right, p := linked(x, y); p > alarm || right < 3 {
		t.Errorf("the same with noise: %.1f linked, %.2g", right, p)
	}
	if rho, p := related(x[:24], y[:24]); p > alarm {
		t.Errorf("the same with noise: %.2f, %.2g", rho, p)
	}
	if o := order(y, x); o < 0.8 {
		t.Errorf("the same with noise: order right in %.2f", o)
	}
	if p := atLeast(2, 2); p < 0.59 || p > 0.6 { // 1 - 3 exp(-2)
		t.Errorf("two of two expected: %.2g", p)
	}
	if p := atLeast(20, 2); p > alarm {
		t.Errorf("twenty of two expected: %.2g", p)
	}
	if o := order(make([]float64, 90), x); o != 0.5 {
		t.Errorf("without anything to go by: order right in %.2f", o)
	}
}
