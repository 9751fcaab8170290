package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/cmd/internal/cli"
)

// The goals of bench.
const (
	ratioGoal = 0.8      // of what an application does that only recovers signatures
	idleGoal  = 90 << 20 // bytes of memory of its own
)

// benchOptions say how long bench measures.
type benchOptions struct {
	validators  []int
	rounds, txs int
	single      int
	dir         string
	idle        time.Duration
}

// benchResult is what bench measured. Figures are medians over the rounds.
type benchResult struct {
	Rounds   int          `json:"rounds"`
	Txs      int          `json:"txs"`    // of a load
	Single   int          `json:"single"` // transactions in a round whose latency was taken
	Cores    int          `json:"cores"`
	Networks []benchNet   `json:"networks"`
	Idle     idle         `json:"idle"`
	Failed   []string     `json:"failed"` // goals that were missed; empty, never null
	Pace     benchSetting `json:"engine"`
}

// benchSetting is the engine's configuration, the same for all.
type benchSetting struct {
	CommitMS int64 `json:"timeout_commit_ms"`
	GossipMS int64 `json:"gossip_ms"`
}

// benchNet is a number of validators, all in one process.
type benchNet struct {
	Validators   int        `json:"validators"`
	Applications []benchApp `json:"applications"`
	Ratio        float64    `json:"ratio"` // of transactions a second, tunic to recover: median of the rounds' own
	KVRatio      float64    `json:"kvstore_ratio"`
}

// benchApp is one application.
type benchApp struct {
	Name    string  `json:"name"`
	PerS    float64 `json:"tx_per_s"` // from the first submission to the last commit
	Decided spans   `json:"commit"`   // from a submission to the commit of its block
	Shown   *spans  `json:"shown,omitempty"`
}

// spans say how long something took that was done many times.
type spans struct {
	P50US int64 `json:"p50_us"`
	P99US int64 `json:"p99_us"`
}

func spansOf(times []time.Duration) spans {
	slices.Sort(times)
	at := func(permille int) int64 {
		return times[min(len(times)-1, len(times)*permille/1000)].Microseconds()
	}
	return spans{at(500), at(990)}
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return x[len(x)/2]
}

func (p *program) benchCommand() *cobra.Command {
	o := benchOptions{}
	c := &cobra.Command{
		Use: "bench", Short: "Transactions a second and latency, beside other applications of CometBFT; exit 1 if a goal is missed", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Transactions a second and latency of validators, beside two other applications under the
same engine with the same configuration, which take turns in every round: CometBFT's own
kvstore in memory, which looks at no signature, and one that recovers the signature of
each transaction once and does nothing else. All validators of a network are in this
process; memory and processor time are those of a process of its own in which nothing
happens but blocks.

Judged are the transactions a second, at least %.1f of those of the application that
recovers signatures, and the memory of an idle validator, under %d MB. What else is shown
has no goal.`, ratioGoal, idleGoal>>20),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, n := range o.validators {
				if n < 1 || n > 16 {
					return cli.Usage("--validators %d: 1 to 16 are measured in one process", n)
				}
			}
			if o.rounds < 1 || o.rounds > 50 || o.txs < 100 || o.txs > 50_000 || o.single < 1 || o.single > 1000 || o.idle < time.Second || o.idle > time.Hour || len(o.validators) == 0 {
				return cli.Usage("--rounds must be 1 to 50, --txs 100 to 50000, --single 1 to 1000, --idle 1s to 1h")
			}
			r, err := p.bench(cmd.Context(), o)
			if err != nil {
				return err
			}
			if err := p.Show(r, r.print); err != nil {
				return err
			}
			if len(r.Failed) > 0 {
				return cli.Fail(cli.Failed, "too_slow", "goals were missed", "%s", strings.Join(r.Failed, "; "))
			}
			return nil
		},
	}
	c.Flags().IntSliceVar(&o.validators, "validators", []int{1, 4}, "sizes of networks")
	c.Flags().IntVar(&o.rounds, "rounds", 3, "rounds, in each of which every application has its turn")
	c.Flags().IntVar(&o.txs, "txs", 10_000, "transactions of a load")
	c.Flags().IntVar(&o.single, "single", 20, "transactions in a round whose latency is taken, one after another")
	c.Flags().DurationVar(&o.idle, "idle", 20*time.Second, "how long an idle validator is watched")
	c.Flags().StringVar(&o.dir, "scratch", "", "folder for what is thrown away afterwards (default: the system's)")
	return c
}

// bench measures.
func (p *program) bench(ctx context.Context, o benchOptions) (r benchResult, err error) {
	r = benchResult{Rounds: o.rounds, Txs: o.txs, Single: o.single, Cores: runtime.NumCPU(), Failed: []string{},
		Pace: benchSetting{benchPace.Commit.Milliseconds(), benchPace.Gossip.Milliseconds()}}
	if r.Idle, err = p.measureIdle(ctx, o.dir, 10*time.Second, o.idle); err != nil {
		return r, fmt.Errorf("measure an idle validator: %w", err)
	}
	if r.Idle.RSSAnon >= idleGoal {
		r.Failed = append(r.Failed, fmt.Sprintf("an idle validator has %d MB of memory, goal under %d", r.Idle.RSSAnon>>20, idleGoal>>20))
	}
	for _, n := range o.validators {
		x, err := benchNetwork(ctx, n, o)
		if err != nil {
			return r, fmt.Errorf("measure %s: %w", cli.Count(n, "validator"), err)
		}
		r.Networks = append(r.Networks, x)
		if x.Ratio < ratioGoal {
			r.Failed = append(r.Failed, fmt.Sprintf("with %s %.2f of the transactions a second of an application that recovers signatures, goal %.1f", cli.Count(n, "validator"), x.Ratio, ratioGoal))
		}
	}
	return r, nil
}

func benchNetwork(ctx context.Context, validators int, o benchOptions) (benchNet, error) {
	x := benchNet{Validators: validators}
	s, err := newSubject(validators, o.txs, o.single)
	if err != nil {
		return x, err
	}
	apps := []string{appTunic, appRecover, appKV}
	got := map[string][]sample{}
	for round := range o.rounds {
		for i := range apps {
			app := apps[(i+round)%len(apps)]
			runtime.GC() // what the one before left behind
			one, err := s.measure(ctx, app, o.dir)
			if err != nil {
				return x, fmt.Errorf("%s: %w", app, err)
			}
			got[app] = append(got[app], one)
		}
	}
	ratio := func(of string) float64 {
		var all []float64
		for i, one := range got[appTunic] {
			all = append(all, one.perSecond/got[of][i].perSecond)
		}
		return median(all)
	}
	x.Ratio, x.KVRatio = ratio(appRecover), ratio(appKV)
	for _, app := range apps {
		a := benchApp{Name: app}
		var rates []float64
		var decided, shown []time.Duration
		for _, one := range got[app] {
			rates, decided, shown = append(rates, one.perSecond), append(decided, one.decided...), append(shown, one.shown...)
		}
		a.PerS, a.Decided = median(rates), spansOf(decided)
		if len(shown) > 0 {
			y := spansOf(shown)
			a.Shown = &y
		}
		x.Applications = append(x.Applications, a)
	}
	return x, nil
}

// print shows a result to people.
func (r benchResult) print(w io.Writer) {
	ms := func(us int64) string { return fmt.Sprintf("%.0f ms", float64(us)/1000) }
	rows := [][]string{{"VALIDATORS", "APPLICATION", "TX/S", "COMMIT P50", "P99", "SHOWN P50", "P99"}}
	for _, n := range r.Networks {
		for _, a := range n.Applications {
			row := []string{fmt.Sprint(n.Validators), a.Name, fmt.Sprintf("%.0f", a.PerS), ms(a.Decided.P50US), ms(a.Decided.P99US)}
			if a.Shown != nil {
				row = append(row, ms(a.Shown.P50US), ms(a.Shown.P99US))
			}
			rows = append(rows, row)
		}
	}
	cli.Table(w, rows...)
	for _, n := range r.Networks {
		fmt.Fprintf(w, "\n%s: %.2f of recover (goal %.1f), %.2f of kvstore", cli.Count(n.Validators, "validator"), n.Ratio, ratioGoal, n.KVRatio)
	}
	fmt.Fprintf(w, "\nidle: %.1f MB of memory of its own (goal under %d), %.1f MB with the program's pages, %.2f %% of a core, %d blocks in %.0f s\n",
		float64(r.Idle.RSSAnon)/(1<<20), idleGoal>>20, float64(r.Idle.RSS)/(1<<20), r.Idle.CPUPercent, r.Idle.Blocks, r.Idle.Seconds)
}

// heightOf asks a ledger for its height.
func heightOf(ctx context.Context, url string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/status", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	var s struct{ Height int64 }
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s answers %s", url, res.Status)
	}
	return s.Height, json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&s)
}
