package bench_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"tunic/chain/genesis"
	"tunic/devnet/bench"
)

// TestAdvance looks at the shape of a short run: the parts are all of it, and
// the work that stands in blocks takes time.
func TestAdvance(t *testing.T) {
	r, err := bench.Advance(t.Context(), bench.AdvanceOptions{Relays: []int{4}, Least: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", b)
	if len(r.Figures) != 2 || r.Figures[1].Profile != genesis.Mainnet || r.Ops.VerifyNS <= 0 || r.Ops.VRFVerifyNS <= 0 {
		t.Fatalf("measured %+v", r)
	}
	for _, f := range r.Figures {
		// Each relay's heartbeat stands in each epoch.
		if f.Epochs < 1 || f.Blocks < f.Epochs || f.Statements < 4*f.Epochs || f.LimitMS <= 0 || f.Ratio <= 0 || f.DaysPerS <= 0 {
			t.Errorf("measured %+v", f)
		}
		if d := f.WallMS - f.SealingMS - f.BarrierMS; d < 0 || d > 2 {
			t.Errorf("%d ms of the wall clock are neither sealing nor waiting: %+v", d, f)
		}
		var sum float64
		for _, s := range f.CPU {
			sum += s.Share
		}
		if len(f.CPU) == 0 || math.Abs(sum-1) > 1e-6 {
			t.Errorf("the shares add up to %f: %+v", sum, f.CPU)
		}
	}
}

func TestAdvanceRefusals(t *testing.T) {
	for _, opts := range []bench.AdvanceOptions{{Least: -1}, {Least: 2 * time.Hour}, {Relays: []int{-1}}, {Profiles: []genesis.Profile{"moon"}}} {
		if _, err := bench.Advance(t.Context(), opts); err == nil {
			t.Errorf("%+v: no error", opts)
		}
	}
}

// TestSilence holds the state that the figures are of; how long it took is for
// people.
func TestSilence(t *testing.T) {
	f, err := bench.Silence(t.Context(), 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", f)
	if f.Epochs < 2 || f.SimulatedMS <= f.OutMS || f.WallMS < f.AdvanceMS {
		t.Errorf("measured %+v", f)
	}
}
