package path_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/testenv"
	"tunic/registry/path"
)

// TestDelay holds the integer delay against the formula and its bounds.
func TestDelay(t *testing.T) {
	testenv.Check(t, func(t *rapid.T) {
		word, mean := rapid.Uint64().Draw(t, "word"), chain.Duration(rapid.Uint64Range(0, 100_000).Draw(t, "mean"))
		got := float64(path.Delay(word, mean))
		want := min(float64(mean)*(64*math.Ln2-math.Log(float64(word)+1)), 10*float64(mean))
		if math.Abs(got-want) > 1+float64(mean)/1e5 {
			t.Fatalf("%v of mean %d: %v, want %v", word, mean, got, want)
		}
	})
	for _, c := range []struct {
		word uint64
		mean chain.Duration
		want uint32
	}{{0, 100, 1000}, {math.MaxUint64, 100, 0}, {1<<63 - 1, 100, 69}, {0, genesis.MaxDuration, math.MaxUint32}, {5, 0, 0}} {
		if got := path.Delay(c.word, c.mean); got != c.want {
			t.Errorf("%#x of mean %d: %d, want %d", c.word, c.mean, got, c.want)
		}
	}
}

// TestDelayLaw holds drawn delays against the exponential distribution, rounded
// down to milliseconds and bounded (Kolmogorov and Smirnov). A delay rounded to
// the nearest is found by the same test.
func TestDelayLaw(t *testing.T) {
	const n = 400_000
	for _, mean := range []chain.Duration{15, 100, 1000} {
		r := path.FromReader(rand.NewChaCha8([32]byte{byte(mean)}))
		got := make([]uint32, n)
		var sum float64
		for i := range got {
			got[i] = path.Delay(r.Uint64(), mean)
			sum += float64(got[i])
		}
		slices.Sort(got)
		m := float64(mean)
		law := func(k uint32) float64 { // P(delay <= k)
			if k >= uint32(10*mean) {
				return 1
			}
			return 1 - math.Exp(-float64(k+1)/m)
		}
		nearest := func(k uint32) float64 { return 1 - math.Exp(-(float64(k)+0.5)/m) }
		// Beyond 2.6 by chance: three times in a million.
		if d := distance(got, law) * math.Sqrt(n); d > 2.6 {
			t.Errorf("mean %d: the distribution is off by %.2f / sqrt(n)", mean, d)
		}
		if d := distance(got, nearest) * math.Sqrt(n); mean == 15 && d < 2.6 {
			t.Errorf("mean %d: another rounding was not found (%.2f)", mean, d)
		}
		// Rounding down takes half a millisecond, and the bound a little.
		want := (1 - math.Exp(-10)) / math.Expm1(1/m)
		if got := sum / n; math.Abs(got-want) > 5*m/math.Sqrt(n) {
			t.Errorf("mean %d: %.3f on average, want %.3f", mean, got, want)
		}
	}
}

// distance is the greatest one between an empirical distribution of integers and
// a law.
func distance(sorted []uint32, law func(uint32) float64) (most float64) {
	for i, k := range sorted {
		if i+1 == len(sorted) || sorted[i+1] != k {
			most = max(most, math.Abs(float64(i+1)/float64(len(sorted))-law(k)))
		}
	}
	return most
}
