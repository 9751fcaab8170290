package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"tunic/devnet/bench"
	"tunic/onion"
)

// TestPeel looks at the shape of a short run; what it measured is for people.
func TestPeel(t *testing.T) {
	res, err := bench.Peel(t.Context(), bench.PeelOptions{Rounds: 5, Batch: 4, Profile: true})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", b)
	if res.Rounds != 5 || res.Batch != 4 || res.Layers != 4 || len(res.Figures) != 3 || res.Geometry != "small" {
		t.Fatalf("measured %+v", res)
	}
	for i, g := range []onion.Geometry{onion.Small, onion.Large, onion.Hybrid} {
		f := res.Figures[i]
		if f.Geometry != g.String() || f.PeelNS <= 0 || f.PeelsPerS <= 0 || f.LimitNS <= 0 || f.WrapNS <= f.PeelNS ||
			f.Ratio <= 0 || f.WrapRatio <= f.Ratio || f.Allocs <= 0 || (f.Limit == "xwing") != (g == onion.Hybrid) {
			t.Errorf("%s: %+v", g, f)
		}
		var sum int64
		var names []string
		for _, p := range f.Parts {
			sum += p.NS
			names = append(names, p.Part)
		}
		if want := []string{f.Limit, "kdf", "mac", "stream", "wide_block", "rest"}; sum != f.PeelNS || !slices.Equal(names, want) {
			t.Errorf("%s: parts %q of %d ns in all, want %q of %d", g, names, sum, want, f.PeelNS)
		}
	}
	for i, want := range [][2]float64{{bench.PeelGoal, bench.WrapGoal}, {bench.PeelLargeGoal, 0}, {}} {
		f := res.Figures[i]
		if f.Goal != want[0] || f.WrapGoal != want[1] {
			t.Errorf("%s: goals %g and %g, want %g", f.Geometry, f.Goal, f.WrapGoal, want)
		}
		missed := slices.ContainsFunc(res.Missed(), func(m string) bool { return strings.HasPrefix(m, "peel "+f.Geometry+" ") })
		if missed != (f.Goal > 0 && f.Ratio > f.Goal) {
			t.Errorf("%s: %.2f of %.2f, missed: %q", f.Geometry, f.Ratio, f.Goal, res.Missed())
		}
	}
	res, err = bench.Peel(t.Context(), bench.PeelOptions{Rounds: 1, Batch: 1})
	if err != nil || res.Parts != nil {
		t.Errorf("without profile: parts %v, %v", res.Parts, err)
	}
}

func TestPeelRefusals(t *testing.T) {
	for _, opts := range []bench.PeelOptions{{Rounds: -1}, {Rounds: 1 << 20}, {Batch: -1}, {Batch: 2000}, {Layers: 1}, {Layers: 7}} {
		if _, err := bench.Peel(t.Context(), opts); err == nil {
			t.Errorf("%+v: no error", opts)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bench.Peel(ctx, bench.PeelOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
