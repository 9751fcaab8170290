package deliver_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tunic/devnet/deliver"
)

// `make soak-delivery` asks for more of them.
var (
	seeds = flag.Int("seeds", 2, "how many networks to run")
	first = flag.Uint64("seed", 1, "of the first; the others follow")
	tell  = flag.Bool("steps", false, "say what happened in each")
	long  = flag.Duration("over", 5*time.Minute, "say what became of each attempt at a message that takes longer")
)

// run runs a network in a bubble, where the clock goes on when all have done what
// they can.
func run(t *testing.T, seed uint64, o deliver.Options) (r *deliver.Result, real time.Duration) {
	start := time.Now()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = deliver.Run(t.Context(), seed, o); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // goleveldb leaves a goroutine for one
	})
	return r, time.Since(start)
}

// Every message is delivered, once and before its time is over, where a fifth of
// all packets and one relay of ten are lost.
func TestLossDelaysOnly(t *testing.T) {
	var mu sync.Mutex
	var total figures
	t.Run("seed", func(t *testing.T) {
		for n := range uint64(*seeds) {
			t.Run(fmt.Sprint(*first+n), func(t *testing.T) {
				t.Parallel()
				r, real := run(t, *first+n, deliver.Options{})
				mu.Lock()
				defer mu.Unlock()
				total.add(r, real)
				if len(r.Violations) > 0 {
					t.Errorf("%s\n%s", strings.Join(r.Violations, "\n"), strings.Join(r.Steps, "\n"))
				} else if *tell {
					t.Log(strings.Join(r.Steps, "\n"))
				}
				for _, m := range r.Messages {
					t.Logf("%d parts: came after %.1f s, confirmed after %.1f s, %d stores", m.Parts, m.Came.Seconds(), m.Confirmed.Seconds(), m.Tries)
					if m.Confirmed > *long {
						t.Logf("%s to %s:\n%s", m.From, m.To, strings.Join(m.Story, "\n"))
					}
				}
				if total.networks%20 == 0 {
					fmt.Fprintln(os.Stderr, total.String())
				}
			})
		}
	})
	t.Logf("from seed %d on: %s", *first, &total)
}

// Where nothing arrives, it is noticed.
func TestLossIsNoticed(t *testing.T) {
	r, _ := run(t, 1, deliver.Options{Share: 10_000, Patience: 30 * time.Second})
	if len(r.Messages) > 0 || len(r.Violations) < 4 {
		t.Errorf("%d messages through links that lose all, %d violations", len(r.Messages), len(r.Violations))
	}
}

// figures are those of many networks.
type figures struct {
	networks, bad              int
	came, confirmed, took, cpu []time.Duration
	tries, extra               []int // stores that left for a message; those beyond one for each part
}

func (f *figures) add(r *deliver.Result, real time.Duration) {
	f.networks++
	if len(r.Violations) > 0 {
		f.bad++
	}
	for _, m := range r.Messages {
		f.came = append(f.came, m.Came)
		f.confirmed = append(f.confirmed, m.Confirmed)
		f.tries = append(f.tries, m.Tries)
		f.extra = append(f.extra, max(0, m.Tries-m.Parts))
	}
	f.took = append(f.took, r.Took)
	f.cpu = append(f.cpu, real)
}

func (f *figures) String() string {
	return fmt.Sprintf("%d networks, %d of them with violations, %d messages; network's clock: came after %s, confirmed after %s, networks ran for %s; real time of a network %s; stores for a message %s, beyond one a part %s",
		f.networks, f.bad, len(f.tries), durations(f.came), durations(f.confirmed), durations(f.took), durations(f.cpu), numbers(f.tries), numbers(f.extra))
}

func durations(l []time.Duration) string {
	for i := range l {
		l[i] = l[i].Round(100 * time.Millisecond)
	}
	return quantiles(l)
}

func numbers(l []int) string { return quantiles(l) }

func quantiles[T int | time.Duration](l []T) string {
	if len(l) == 0 {
		return "(none)"
	}
	slices.Sort(l)
	at := func(permille int) T { return l[min(len(l)-1, len(l)*permille/1000)] }
	return fmt.Sprintf("p50 %v p90 %v p95 %v p99 %v most %v", at(500), at(900), at(950), at(990), l[len(l)-1])
}
