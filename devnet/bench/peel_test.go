package bench_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"tunic/devnet/bench"
	"tunic/onion"
)

// TestPeel looks at the shape of a short run; what it measured is for people.
func TestPeel(t *testing.T) {
	res, err := bench.Peel(t.Context(), bench.PeelOptions{Rounds: 5, Batch: 4})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", b)
	if res.Rounds != 5 || res.Batch != 4 || res.Layers != 4 || len(res.Figures) != 2 || res.PeelFigures != res.Figures[0] {
		t.Fatalf("measured %+v", res)
	}
	for i, g := range []onion.Geometry{onion.Small, onion.Large} {
		f := res.Figures[i]
		if f.Geometry != g.String() || f.PeelNS <= 0 || f.PeelsPerS <= 0 || f.LimitNS <= 0 || f.WrapNS <= f.PeelNS ||
			f.Ratio <= 0 || f.WrapRatio <= f.Ratio || f.Allocs <= 0 {
			t.Errorf("%s: %+v", g, f)
		}
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
