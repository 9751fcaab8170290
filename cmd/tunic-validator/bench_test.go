package main

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tunic/chain"
)

// A small round of everything, with whatever ratio this machine gives now.
func TestBench(t *testing.T) {
	const load, single = 200, 3
	for _, n := range []int{1, 4} {
		s, err := newSubject(n, load, single)
		if err != nil {
			t.Fatal(err)
		}
		for _, app := range []string{appTunic, appRecover, appKV} {
			x, err := s.measure(t.Context(), app, t.TempDir())
			if err != nil {
				t.Fatalf("%d validators, %s: %v", n, app, err)
			}
			if x.perSecond <= 0 || len(x.decided) != single || (app == appTunic) != (len(x.shown) == single) {
				t.Errorf("%d validators, %s: %+v", n, app, x)
			}
			for i := range x.shown {
				if x.shown[i] < x.decided[i] {
					t.Errorf("shown after %s, decided after %s", x.shown[i], x.decided[i])
				}
			}
		}
	}
}

func TestBenchResult(t *testing.T) {
	r := benchResult{Failed: []string{}, Networks: []benchNet{{Validators: 1, Applications: []benchApp{{Name: appTunic, Shown: &spans{}}, {Name: appKV}}, Ratio: 0.5}}}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"failed":[]`, `"tx_per_s":0`, `"ratio":0.5`, `"commit":{"p50_us":0`, `"rss_anon_bytes":0`} {
		if !strings.Contains(string(b), key) {
			t.Errorf("no %s in %s", key, b)
		}
	}
	var text strings.Builder
	r.print(&text)
	if !strings.Contains(text.String(), "1 validator: 0.50 of recover (goal 0.8)") {
		t.Error(text.String())
	}
	if m := median([]float64{3, 1, 2}); m != 2 {
		t.Errorf("median %g", m)
	}
	if s := spansOf([]time.Duration{3, 1, 2}); s != (spans{}) {
		t.Errorf("%+v of nanoseconds", s)
	}
}

// The application that is measured against counts what is signed, and nothing twice.
func TestRecovering(t *testing.T) {
	s, err := newSubject(1, 100, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signer(s.signed[0]); err != nil {
		t.Error(err)
	}
	broken := append([]byte{}, s.signed[0]...)
	broken[len(broken)-1] = 9
	if _, err := signer(broken); err == nil {
		t.Error("a signature with recovery byte 9 has a signer")
	}
	if _, err := signer([]byte("short")); err == nil {
		t.Error("5 bytes have a signer")
	}
	if len(s.signed) != 101 || len(s.pairs[0]) != len(s.signed[0]) {
		t.Errorf("%d transactions, of %d and %d bytes", len(s.signed), len(s.signed[0]), len(s.pairs[0]))
	}
}

// The clock's watch tells once when the clocks part, and once when they agree again.
func TestClockWatch(t *testing.T) {
	var told log
	l := slog.New(slog.NewTextHandler(&told, nil))
	var w clockWatch
	now := time.UnixMilli(1_700_000_000_000)
	see := func(behind time.Duration) {
		w.see(chain.Time(now.Add(behind).UnixMilli()), now, 5*time.Second, l)
	}
	count := func(want int) {
		t.Helper()
		if n := strings.Count(told.String(), "\n"); n != want {
			t.Errorf("told %d times, not %d: %s", n, want, told.String())
		}
	}
	for range 10 {
		see(-9 * time.Second) // the block before the newest is shown
	}
	count(0)
	see(time.Minute)
	see(time.Minute)
	count(1)
	see(0)
	see(0)
	count(2)
	see(-time.Minute) // one that waited long for its successor
	see(0)
	count(2)
	for range 5 {
		see(-time.Minute)
	}
	count(3)
	if !strings.Contains(told.String(), "it_is=ahead") || !strings.Contains(told.String(), "it_is=behind") {
		t.Error(told.String())
	}
}
