package chaos_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"tunic/devnet/chaos"
)

// parallel networks a core: they wait for answers that do not come most of the
// time.
const parallel = 8

// `make soak-mailbox` asks for more of them.
var (
	seeds = flag.Int("seeds", 10, "how many networks to run")
	first = flag.Uint64("seed", 1, "of the first; the others follow")
)

// Every message that a majority of a swarm signed for comes to its reader's
// application exactly once, or expires, whatever happens to relays; and nothing
// that is logged or measured says who, where or which.
func TestMailboxesLoseNothing(t *testing.T) {
	var mu sync.Mutex
	var total chaos.Result
	total.Faults = map[string]int{}
	slots := make(chan struct{}, parallel*runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	done := 0
	for n := range uint64(*seeds) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			r, err := chaos.Run(t.Context(), *first+n, chaos.Options{})
			mu.Lock()
			defer mu.Unlock()
			if done++; done%20 == 0 {
				fmt.Fprintf(os.Stderr, "%d networks, %d messages stored\n", done, total.Stored)
			}
			if err != nil {
				t.Error(err)
				if r != nil {
					t.Log(strings.Join(r.Steps, "\n"))
				}
				return
			}
			if len(r.Violations)+len(r.Leaks) > 0 {
				t.Errorf("seed %d:\n%s\n%s", r.Seed, strings.Join(append(r.Violations, r.Leaks...), "\n"), strings.Join(r.Steps, "\n"))
			}
			if r.Stored < r.Sent {
				t.Logf("seed %d: %d of %d messages were stored:\n%s", r.Seed, r.Stored, r.Sent, strings.Join(r.Steps, "\n"))
			}
			total.Epochs += r.Epochs
			total.Sent += r.Sent
			total.Stored += r.Stored
			total.Delivered += r.Delivered
			total.Expired += r.Expired
			total.Swarms = max(total.Swarms, r.Swarms)
			for k, v := range r.Faults {
				total.Faults[k] += v
			}
		})
	}
	wg.Wait()
	if total.Stored < total.Sent/2 {
		t.Errorf("only %d of %d messages were stored", total.Stored, total.Sent)
	}
	t.Logf("%d networks from seed %d on, %d epochs, up to %d swarms: %d messages sent, %d stored, %d delivered, %d expired; faults %v",
		*seeds, *first, total.Epochs, total.Swarms, total.Sent, total.Stored, total.Delivered, total.Expired, total.Faults)
}

// What the checker is there for, it finds.
func TestLossIsNoticed(t *testing.T) {
	r, err := chaos.Run(t.Context(), 3, chaos.Options{Forget: 100, Patience: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Violations) == 0 {
		t.Fatalf("disks that keep nothing went unnoticed: %+v", r)
	}
}

func TestLeaksAreNoticed(t *testing.T) {
	r, err := chaos.Run(t.Context(), 4, chaos.Options{Tell: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"an account", "a mailbox", "a packet's tag", "a node's key", "an onion key"} {
		if !strings.Contains(strings.Join(r.Leaks, "\n"), "the log holds "+what) {
			t.Errorf("%s in the log went unnoticed: %q", what, r.Leaks)
		}
	}
}
