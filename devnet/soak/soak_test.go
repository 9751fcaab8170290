package soak_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"tunic/devnet/scenario"
	"tunic/devnet/soak"
)

// parallel networks a core: they wait for disks and slow links most of the time.
const parallel = 4

// `make soak-honest` asks for more of them.
var (
	networks = flag.Int("networks", 12, "how many networks to run")
	seed     = flag.Uint64("seed", 1, "of the first; the others follow")
)

// No honest relay loses stake or is put out for good, whatever goes wrong
// without anyone cheating.
func TestHonestIsNeverSlashed(t *testing.T) {
	r, err := soak.Run(t.Context(), *seed, *networks, parallel*runtime.GOMAXPROCS(0), func(done int, r *soak.Result) {
		if done%50 == 0 {
			fmt.Fprintf(os.Stderr, "%d networks, %d epochs, %d failures\n", done, r.Epochs, len(r.Failures))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Failures {
		t.Errorf("seed %d: %s\n%s", f.Seed, f.Why, strings.Join(f.Script, "\n"))
	}
	if *networks >= 20 && (r.Delivered == 0 || r.Challenges == 0 || r.SwarmChanges == 0) {
		t.Errorf("%d messages, %d challenges, %d changes of swarms: something never happened", r.Delivered, r.Challenges, r.SwarmChanges)
	}
	t.Logf("%d networks from seed %d on: %d epochs, %d blocks, %d steps, %d messages delivered, %d challenges answered, the number of swarms changed %d times, %d times decommissioned and none punished otherwise",
		r.Networks, r.FirstSeed, r.Epochs, r.Blocks, r.Steps, r.Delivered, r.Challenges, r.SwarmChanges, r.Decommissioned)
}

// Scripts are of their seed alone, and together they hold every fault.
func TestScripts(t *testing.T) {
	var all strings.Builder
	for n := uint64(1); n <= 200; n++ {
		text := soak.Script(n)
		if text != soak.Script(n) {
			t.Fatalf("seed %d gives two scripts", n)
		}
		if _, err := scenario.Parse("soak", text); err != nil {
			t.Fatalf("seed %d: %v\n%s", n, err, text)
		}
		all.WriteString(text)
	}
	for _, what := range []string{"stop ", "start ", "backup ", "restore ", "loss ", "delay ", "partition ", "heal", "restart sealer",
		"snapshot ", "revert ", "skew=60s", "profile=dev", "profile=mainnet", "send alice bob ", "expect delivered", "keep ", "delete ",
		"unlock ", "challenge ", "lapsed 0", "swarm_least=3"} {
		if !strings.Contains(all.String(), what) {
			t.Errorf("no script has %q", what)
		}
	}
}
