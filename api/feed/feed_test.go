package feed_test

import (
	"sync"
	"testing"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/light"
)

// TestEpochs follows a ledger over many epochs: epoch 0 needs no list from
// anybody, each later one is fetched once, and what is long past is fetched anew.
func TestEpochs(t *testing.T) {
	w := newWorld(t, genesis.ClockLedger, 85)
	l := serve(t, w)
	f := open(t, feed.Config{Dir: t.TempDir()}, l)
	for n := 5; n <= 85; n += 5 {
		l.change(func() { c := *w; c.headers = w.headers[:n]; l.world = &c })
		got, h, err := f.Directory(t.Context(), 0)
		if err != nil || h.Header.Height != chain.Height(n) || got.Check(h.Header) != nil {
			t.Fatalf("height %d: %v", n, err)
		}
	}
	if n := l.count("/v1/directory"); n != 8 {
		t.Errorf("%d lists fetched for 8 epochs", n)
	}
	for range 2 {
		if got, _, err := f.Directory(t.Context(), 2); err != nil || got.Epoch != 2 {
			t.Fatal(err)
		}
	}
	if n := l.count("/v1/directory"); n != 10 {
		t.Errorf("%d fetches; an old epoch is not kept", n)
	}
	if _, _, err := f.Directory(t.Context(), 99); err == nil {
		t.Error("a list of the future")
	}
	if _, _, err := f.Directory(t.Context(), ^chain.Epoch(0)); err == nil {
		t.Error("a list of the end of time")
	}
}

// TestConcurrent is for the race detector: everything at once, two heads at the
// end of it, and each stream closed.
func TestConcurrent(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 45)
	fork := w.branch(t, 40, 6)
	a, b := serve(t, w), serve(t, w)
	told := 0
	f := open(t, feed.Config{Dir: t.TempDir(), Now: fork.now, OnConflict: func(*light.TwoHeads) { told++ }}, a, b)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 20 {
				f.Head(t.Context())
				f.Directory(t.Context(), chain.Epoch(n%5))
				f.Submit(t.Context(), []byte{byte(n)})
				f.Witness(w.at(chain.Height(1 + n + i)))
				if n == 15 && i == 0 {
					b.change(func() { b.world = fork })
					f.Witness(fork.head())
					f.Witness(fork.at(45))
				}
			}
		})
		wg.Go(func() {
			in, err := f.Events(t.Context(), chain.Height(10*i))
			if err != nil {
				return
			}
			for range in {
			}
		})
	}
	wg.Wait()
	if f.Conflict() == nil || told != 1 {
		t.Errorf("told %d times", told)
	}
}
