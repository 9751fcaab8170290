package bench_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"tunic/devnet/bench"
	"tunic/onion"
	"tunic/onion/mail"
)

// TestStore looks at the shape of a short run; what it measured is for people.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	r, err := bench.Store(t.Context(), bench.StoreOptions{Dir: dir, Writers: 3, Items: 20, Rounds: 2})
	if err != nil {
		t.Fatal(err)
	}
	if r.Writers != 3 || r.Items != 20 || r.Rounds != 2 || len(r.Figures) != 2 {
		t.Fatalf("measured %+v", r)
	}
	for i, g := range []onion.Geometry{onion.Small, onion.Large} {
		f := r.Figures[i]
		if f.Geometry != g.String() || f.ItemBytes != mail.FormatOf(g).Item() || f.StoresPerS <= 0 || f.LimitPerS <= 0 ||
			f.Least <= 0 || f.Ratio < f.Least || f.Most < f.Ratio || f.P99US < f.P50US || f.P50US <= 0 {
			t.Errorf("%s: %+v", g, f)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestStoreRefusals(t *testing.T) {
	for _, o := range []bench.StoreOptions{{Writers: -1}, {Writers: 1025}, {Items: 15}, {Items: 8193}, {Rounds: -1}, {Rounds: 101}, {Dir: "no/such/folder"}} {
		if _, err := bench.Store(t.Context(), o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bench.Store(ctx, bench.StoreOptions{Dir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
