package bench_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"tunic/devnet/bench"
)

// child is a command that runs this test binary as what TestMain knows.
func child(t *testing.T, what string) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"env", helper + "=" + what, exe}
}

func logged(t *testing.T, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", b)
}

// TestNetwork looks at the shape of a short run: every message arrives, every
// store is confirmed by a majority, every packet is accounted for. What it
// measured is for people.
func TestNetwork(t *testing.T) {
	r, err := bench.Network(t.Context(), bench.NetworkOptions{Messages: 300, Stores: 150, UnderWay: 32, Rounds: 1, Mixed: 100, Mean: 10 * time.Millisecond, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	logged(t, r)
	for name, x := range map[string]bench.NetworkRate{"hops": r.Hops, "stores": r.Stores} {
		if len(x.Rounds) != 1 || x.PerS <= 0 || x.Ceiling <= 0 || x.Ratio <= 0 || x.Parts.PeelNS <= 0 || x.Parts.LinkNS <= 0 || x.Parts.ReplayNS <= 0 || x.Formula == "" {
			t.Errorf("%s: %+v", name, x)
		}
	}
	for name, x := range map[string][]bench.NetworkTime{"one way": r.OneWay, "back": r.Back, "stored": r.Stored} {
		if len(x) != 3 || x[0].UnderWay != 1 || x[1].UnderWay != 32 || x[2].UnderWay != 256 {
			t.Errorf("%s: %+v", name, x)
		}
		for _, y := range x {
			if y.P50US <= 0 || y.P99US < y.P50US || y.PerS <= 0 {
				t.Errorf("%s: %+v", name, y)
			}
		}
	}
	if s := r.Sender; s.MessageNS <= 0 || s.AskNS <= 0 || s.StoreNS <= 0 {
		t.Errorf("sender: %+v", s)
	}
	if m := r.Mixing; m == nil || m.MeanMS != 10 || m.Hop.Messages != 100 || m.Path.D <= 0 || m.Path.D > 1 {
		t.Errorf("mixing: %+v", m)
	}
}

func TestNetworkRefusals(t *testing.T) {
	for _, o := range []bench.NetworkOptions{{Messages: 1}, {Stores: 1}, {UnderWay: -1}, {Rounds: 99}, {Mixed: -1}, {Mean: time.Hour}} {
		if _, err := bench.Network(t.Context(), o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

// TestReplay is exact at any size.
func TestReplay(t *testing.T) {
	r, err := bench.Replay(t.Context(), bench.ReplayOptions{Tags: 60_000, Packets: 1000, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	logged(t, r)
	if len(r.Failed) > 0 {
		t.Fatal(r.Failed)
	}
	x, p := r.Tags, r.Packets
	if x.Tags != 60_000 || x.Refused != int64(x.Beyond) || x.Beyond == 0 || x.FileBytes != 60_000*16 || x.BytesPerTag < 16 || p.Forwarded != 1000 || p.Replays != 1000 {
		t.Fatalf("%+v", r)
	}
	if _, err := bench.Replay(t.Context(), bench.ReplayOptions{Tags: 1}); err == nil {
		t.Fatal("no error")
	}
}

// TestFlood: no packet of a quiet link is lost under a flood, which is, and every
// packet is accounted for.
func TestFlood(t *testing.T) {
	r, err := bench.Flood(t.Context(), bench.FloodOptions{Relay: child(t, "flood-relay"), Press: child(t, "flood-press"),
		Packets: 2000, Phase: time.Second, Every: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	logged(t, r)
	if n := r.Unloaded.Lost + r.Flooded.Lost + r.After.Lost; n > 0 {
		t.Errorf("%d packets of quiet links were lost", n)
	}
	if r.Unloaded.Packets != 200 || r.Flooded.Packets != 200 || r.Unloaded.P50US <= 0 || r.Flooded.P99US < r.Flooded.P50US || r.OfferedPS <= 0 {
		t.Errorf("%+v", r)
	}
	if c := r.Counters; !c.Balanced() || c.Dropped["header"] == 0 || c.Forwarded < 600 {
		t.Errorf("%+v", c)
	}
	for _, o := range []bench.FloodOptions{{}, {Relay: []string{"x"}, Press: []string{"x"}, Times: -1}} {
		if _, err := bench.Flood(t.Context(), o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}
