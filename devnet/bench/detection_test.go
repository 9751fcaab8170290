package bench_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/devnet/bench"
)

// TestDetection looks at a tiny curve: who drops everything is found at once,
// nobody else is.
func TestDetection(t *testing.T) {
	calls := 0
	r, err := bench.Detection(t.Context(), bench.DetectionOptions{
		Relays: []int{12, 20}, Drops: []chain.Permille{50, 1000}, Runs: 10, Losses: []chain.Permille{0, 200}, Scores: 200,
		Seeds: 1, Measured: []chain.Permille{1000},
		Tell: func(done, all int) {
			if calls++; done != calls || done > all {
				t.Errorf("job %d of %d after %d calls", done, all, calls)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Simulated) != 4 || len(r.FalsePositives) != 4 || len(r.Measured) != 1 || len(r.Lossy) != 2 || calls == 0 {
		t.Fatalf("measured %+v", r)
	}
	for i, f := range r.Simulated {
		runs := []int{10, 10, 6, 6}[i]
		if f.Runs != runs || f.Relays != []int{12, 12, 20, 20}[i] || f.Drop != []chain.Permille{50, 1000, 50, 1000}[i] {
			t.Errorf("simulated %+v", f)
		}
		if f.Drop == 1000 && (f.Found != runs || f.FoundWithin != runs || f.OneOfTen < 6 || f.Median < f.OneOfTen || f.NineOfTen < f.Median || f.NineOfTen > 12) ||
			f.Drop == 50 && (f.FoundWithin > 2 || f.Median != 0) {
			t.Errorf("simulated %+v", f)
		}
	}
	for _, f := range r.FalsePositives {
		if f.Loss == 0 && (f.Below != 0 || f.Lowest != 1000 || f.Most <= 0) || f.Loss == 200 && (f.Below == 0 || f.Most != f.Rate || f.Lowest >= r.ScoreLeast) {
			t.Errorf("honest: %+v", f)
		}
	}
	if m := r.Measured[0]; m.Epochs < 6 || m.Epochs > 12 || m.OthersOut != 0 || m.OthersLowest < r.ScoreLeast {
		t.Errorf("measured %+v", m)
	}
	for _, m := range r.Lossy {
		if m.Epochs != bench.DetectionHorizon || m.Out != 0 || m.Lowest < r.ScoreLeast {
			t.Errorf("lossy links: %+v", m)
		}
	}
	picture := r.SVG()
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the picture is not XML: %v", err)
		}
	}
	for _, not := range []string{"NaN", "Inf"} {
		if strings.Contains(picture, not) {
			t.Errorf("the picture holds %s", not)
		}
	}
}

func TestDetectionRefusals(t *testing.T) {
	for _, opts := range []bench.DetectionOptions{{Relays: []int{3}}, {Runs: -1}, {Scores: -1}, {Seeds: 1001},
		{Drops: []chain.Permille{1001}}, {Losses: []chain.Permille{1001}}, {Measured: []chain.Permille{1001}}} {
		if _, err := bench.Detection(t.Context(), opts); err == nil {
			t.Errorf("%+v: no error", opts)
		}
	}
}
