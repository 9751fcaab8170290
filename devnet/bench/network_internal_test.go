package bench

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestKolmogorov knows the probabilities of two statistics (Smirnov's table), and
// tells an exponential distribution from others.
func TestKolmogorov(t *testing.T) {
	uniform := func(x float64) float64 { return min(1, max(0, x)) }
	// 100 values of a grid that is off by d: the statistic is d and a half step.
	for _, c := range []struct{ d, p, tolerance float64 }{{0.1340, 0.05, 0.005}, {0.1608, 0.01, 0.002}} {
		var v []float64
		for i := range 100 {
			v = append(v, (float64(i)+0.5)/100+c.d-0.005)
		}
		d, p := kolmogorov(v, uniform)
		if math.Abs(d-c.d) > 1e-9 || math.Abs(p-c.p) > c.tolerance {
			t.Errorf("d %.4f p %.4f, want %.4f %.4f", d, p, c.d, c.p)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var hop, path, fixed []float64
	for range 5000 {
		a, b, c := rng.ExpFloat64()*100, rng.ExpFloat64()*100, rng.ExpFloat64()*100
		hop, path, fixed = append(hop, a), append(path, a+b+c), append(fixed, 80+rng.Float64()*40)
	}
	if _, p := kolmogorov(hop, func(x float64) float64 { return erlang(1, 100, x) }); p < 1e-3 {
		t.Errorf("exponential: p %g", p)
	}
	if _, p := kolmogorov(path, func(x float64) float64 { return erlang(3, 100, x) }); p < 1e-3 {
		t.Errorf("sum of three: p %g", p)
	}
	for name, v := range map[string][]float64{"another mean": path, "not exponential": fixed} {
		if _, p := kolmogorov(v, func(x float64) float64 { return erlang(1, 100, x) }); p > 1e-6 {
			t.Errorf("%s: p %g", name, p)
		}
	}
}

func TestRotation(t *testing.T) {
	first := map[int]int{}
	for i := range 9 {
		r := rotation(i, 3, 3)
		if r[0] == r[1] || r[1] == r[2] || r[0] == r[2] {
			t.Fatal(r)
		}
		first[r[0]]++
	}
	if len(first) != 3 || first[0] != 3 {
		t.Fatal(first)
	}
}
