package bench

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"tunic/chain/genesis"
)

// Mixing is how long messages took whose senders asked for exponential delays,
// as the private profile's do.
type Mixing struct {
	MeanMS  float64 `json:"mean_ms"`  // asked for, of a hop
	Path    Fit     `json:"path"`     // three hops
	Hop     Fit     `json:"hop"`      // a single one
	ExtraUS int64   `json:"extra_us"` // median of what a path took beyond the delays that its sender drew
	ExtraP  int64   `json:"extra_p99_us"`
}

// Fit compares times with a distribution by the test of Kolmogorov and Smirnov.
// The median of what they took beyond the drawn delays is subtracted first.
type Fit struct {
	Messages int     `json:"messages"`
	MeanMS   float64 `json:"mean_ms"` // measured
	D        float64 `json:"d"`       // greatest distance between the two distribution functions
	P        float64 `json:"p"`       // how likely as much or more is, if they are the same
}

// measureMixing sends messages at random times through relays that mix.
func measureMixing(ctx context.Context, opts NetworkOptions) (*Mixing, error) {
	n, err := newRelayNet(ctx, relayNetOptions{profile: genesis.Private, relays: netHops, apart: netHops, ends: 2, dir: opts.Dir})
	if err != nil {
		return nil, err
	}
	defer n.close()
	mean := cmp.Or(opts.Mean, time.Duration(n.ledger.core.Params.MixingMean)*time.Millisecond)
	m := &Mixing{MeanMS: float64(mean) / float64(time.Millisecond)}
	rng := rand.New(rand.NewPCG(uint64(opts.Mixed), 1))
	for _, x := range []struct {
		hops int
		fit  *Fit
	}{{1, &m.Hop}, {netHops, &m.Path}} {
		delays := make([][]uint32, opts.Mixed)
		gaps := make([]time.Duration, opts.Mixed)
		for i := range delays {
			gaps[i] = time.Duration(rng.ExpFloat64() * float64(4*time.Millisecond))
			for range x.hops {
				delays[i] = append(delays[i], uint32(math.Round(rng.ExpFloat64()*m.MeanMS)))
			}
		}
		took, err := runMixed(ctx, n, x.hops, delays, gaps)
		if err != nil {
			return nil, err
		}
		m.fit(x.fit, x.hops, delays, took)
	}
	return m, n.close()
}

func runMixed(ctx context.Context, n *relayNet, hops int, delays [][]uint32, gaps []time.Duration) ([]time.Duration, error) {
	to := n.ends[1]
	for _, warm := range []bool{true, false} {
		d, g := delays, gaps
		if warm {
			d, g = make([][]uint32, 3*netHops), nil
		}
		parcels, _, err := n.oneWay(len(d), to, hops, d)
		if err != nil {
			return nil, err
		}
		f := newFlow(n.ends[0], parcels, len(parcels))
		f.gaps = g
		if err := takeNumbered(n.ledger.hash, to, f.arrived); err != nil {
			return nil, err
		}
		r, err := f.run(ctx)
		if err != nil || !warm {
			return r.order, err
		}
	}
	return nil, nil
}

func (m *Mixing) fit(f *Fit, hops int, delays [][]uint32, took []time.Duration) {
	const ms = float64(time.Millisecond)
	extra := make([]float64, len(took))
	for i, t := range took {
		extra[i] = float64(t) / ms
		for _, d := range delays[i] {
			extra[i] -= float64(d)
		}
	}
	slices.Sort(extra)
	median := extra[len(extra)/2]
	times := make([]float64, len(took))
	sum := 0.0
	for i, t := range took {
		times[i] = float64(t)/ms - median
		sum += times[i]
	}
	f.Messages, f.MeanMS = len(took), sum/float64(len(took))
	f.D, f.P = kolmogorov(times, func(x float64) float64 { return erlang(hops, m.MeanMS, x) })
	m.ExtraUS, m.ExtraP = int64(median*1000), int64(extra[len(extra)*99/100]*1000)
}

// erlang is the distribution function of the sum of k exponential times.
func erlang(k int, mean, x float64) float64 {
	if x <= 0 {
		return 0
	}
	term, sum := 1.0, 1.0
	for i := 1; i < k; i++ {
		term *= x / mean / float64(i)
		sum += term
	}
	return 1 - sum*math.Exp(-x/mean)
}

// kolmogorov is the test of Kolmogorov and Smirnov of values against a continuous
// distribution function: the statistic, and the asymptotic probability of one as
// large or larger, with Stephens' correction for small samples.
func kolmogorov(values []float64, cdf func(float64) float64) (d, p float64) {
	v := slices.Sorted(slices.Values(values))
	n := float64(len(v))
	for i, x := range v {
		f := cdf(x)
		d = max(d, f-float64(i)/n, float64(i+1)/n-f)
	}
	lambda := (math.Sqrt(n) + 0.12 + 0.11/math.Sqrt(n)) * d
	sign := 1.0
	for k := 1.0; k <= 100; k++ {
		p += 2 * sign * math.Exp(-2*k*k*lambda*lambda)
		sign = -sign
	}
	return d, min(1, max(0, p))
}
