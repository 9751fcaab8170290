package bench_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"testing"
	"time"

	"tunic/devnet/bench"
	"tunic/ledger"
	"tunic/node"
)

// helper says what this binary is started as by TestLoad.
const helper = "TUNIC_BENCH_HELPER"

// TestMain makes this binary the processes that measurements start: a ledger or
// a press where TestLoad says so, the two processes of TestFlood, the generator of TestDirectory by its argument.
func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	switch at := os.Getenv(helper); {
	case at == "" && len(os.Args) == 2 && os.Args[1] == "generate":
		err = bench.Generate(ctx, os.Stdin, os.Stdout)
	case at == "":
		stop()
		os.Exit(m.Run())
	case at == "flood-relay":
		err = bench.RunFloodRelay(ctx, 1, os.Stdin, os.Stdout)
	case at == "flood-press":
		err = bench.RunFlood(ctx, os.Stdin, os.Stdout)
	case at == "press":
		err = bench.RunPress(ctx, os.Stdin, os.Stdout)
	case at == "ledger":
		set := flag.NewFlagSet("ledger", flag.ExitOnError)
		dir, http := set.String("dir", "", ""), set.String("http", "", "")
		_ = set.Parse(os.Args[1:])
		err = node.RunLedger(ctx, node.LedgerConfig{Dir: *dir, HTTP: *http, Mode: ledger.ModeInterval,
			Ready: func(url, _ string) { _ = json.NewEncoder(os.Stdout).Encode(map[string]string{"url": url}) }})
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestLoad runs the measurement in small: its figures are not judged here, but
// all three processes do their part, and no reader is lost.
func TestLoad(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	as := func(what string) []string { return []string{"env", helper + "=" + what, exe} }
	o := bench.LoadOptions{Ledger: as("ledger"), Press: as("press"), Nodes: 12, Readers: 50, Connections: 4, MaxPerS: 40,
		Rounds: 2, Submits: 60, Every: 20 * time.Millisecond, Interval: 200 * time.Millisecond, Dir: t.TempDir()}
	r, err := bench.Load(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]bench.LoadPhase{"unloaded": r.Unloaded, "loaded": r.Loaded} {
		if p.Submits != 60 || p.Blocks < 3 || p.P50US <= 0 || p.P99US < p.P50US || p.MaxUS < p.P99US || p.IntervalMS < 200 {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if len(r.Rounds) != 4 || r.Unloaded.P99US > r.Rounds[0].P99US || r.Lost != 0 || r.Loaded.DirectoryPS <= 0 || r.Loaded.DirectoryB <= 0 || r.SubmitRatio <= 0 || r.IntervalRatio <= 0 {
		t.Errorf("%+v", r)
	}
	o.Readers = 1001
	if _, err := bench.Load(t.Context(), o); err == nil {
		t.Error("more readers than a ledger has streams for")
	}
	o.Readers, o.Press = 1, []string{"env", helper + "=nothing", exe}
	if _, err := bench.Load(t.Context(), o); err == nil {
		t.Error("a press that is none")
	}
}
