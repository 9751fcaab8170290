package bench

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"tunic/chain/genesis"
	"tunic/devnet"
)

// The network that Capacity measures says when it is ready, answers orders, passes
// epochs, and ends with its orders.
func TestCapacityNetwork(t *testing.T) {
	in, orders := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- RunCapacityNetwork(t.Context(), in, out); out.Close() }()
	read := json.NewDecoder(answers)
	ask := func(c capacityOrder) (s capacityState) {
		t.Helper()
		if err := json.NewEncoder(orders).Encode(c); err != nil {
			t.Fatal(err)
		}
		if err := read.Decode(&s); err != nil || s.Error != "" {
			t.Fatalf("%v %s", err, s.Error)
		}
		return s
	}
	first := ask(capacityOrder{Relays: 5, Profile: genesis.Private, Links: devnet.LinksMemory, Dir: t.TempDir()})
	if first.Listed != 5 || first.Goroutines < 5 || first.Epoch < 1 {
		t.Fatalf("%+v", first)
	}
	if s := ask(capacityOrder{Step: true}); s.Epoch != first.Epoch+1 {
		t.Fatalf("%+v after %+v", s, first)
	}
	orders.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestCapacityNetworkThatCannotBe(t *testing.T) {
	var out strings.Builder
	if err := RunCapacityNetwork(t.Context(), strings.NewReader(`{"relays":-1,"profile":"dev"}`), &out); err != nil || !strings.Contains(out.String(), "1 to 1000 relays") {
		t.Fatalf("%v %s", err, out.String())
	}
	if err := RunCapacityNetwork(t.Context(), strings.NewReader("?"), &out); err == nil {
		t.Fatal("no order was taken for one")
	}
}

// Which figures miss which goals.
func TestCapacityGoals(t *testing.T) {
	for _, c := range []struct {
		f      CapacityFigures
		failed string
	}{
		{CapacityFigures{capacityOrder: capacityOrder{Profile: genesis.Private}, RSSAnon: CapacityMemoryGoal, ReadyMS: 10_000, CPU: 10}, ""},
		{CapacityFigures{RSSAnon: CapacityMemoryGoal + 1}, "bytes"},
		{CapacityFigures{ReadyMS: 10_001}, "ready in"},
		{CapacityFigures{capacityOrder: capacityOrder{Profile: genesis.Private}, CPU: 10.1}, "of a core"},
		{CapacityFigures{capacityOrder: capacityOrder{Profile: genesis.Private, Cover: true}, RSSAnon: 2 * CapacityMemoryGoal, CPU: 40}, ""},
		{CapacityFigures{capacityOrder: capacityOrder{Profile: genesis.Dev}, CPU: 90}, ""},
	} {
		var r CapacityResult
		r.judge(c.f)
		if got := strings.Join(r.Failed, ";"); (got == "") != (c.failed == "") || !strings.Contains(got, c.failed) {
			t.Errorf("%+v: %q", c.f, got)
		}
	}
}
