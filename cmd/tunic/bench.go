package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/devnet"
	"tunic/devnet/bench"
)

func (a *app) benchCommand() *cobra.Command {
	speed := []*cobra.Command{a.benchAdvance(), a.benchDirectory(), a.benchLedger(), a.benchNetwork(), a.benchPeel(), a.benchStart(), a.benchStore()}
	c := noun("bench", "Measure this program beside the limit of the machine, in one run", append(speed, a.benchCapacity(), a.benchMessage(), a.benchDetection(), a.benchFlood(), a.benchLoad(), a.benchReplay(), a.benchGenerate())...)
	c.RunE = func(cmd *cobra.Command, args []string) error {
		var missed []string
		for _, sub := range speed {
			sub.SetContext(cmd.Context())
			err := sub.RunE(sub, nil)
			if p := (*problem)(nil); errors.As(err, &p) && p.Code == "too_slow" {
				missed = append(missed, p.Detail) // the others are measured all the same
			} else if err != nil {
				return err
			}
		}
		if len(missed) > 0 {
			return fail(exitFailed, "too_slow", "goals were missed", "%s", strings.Join(missed, "; "))
		}
		return nil
	}
	return c
}

func (a *app) benchPeel() *cobra.Command {
	var o bench.PeelOptions
	c := &cobra.Command{
		Use: "peel", Short: "Removing one onion layer, beside one X25519; exit 1 if a goal is missed", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Removing one onion layer, beside the one X25519 multiplication in it that nobody
can avoid; in the hybrid geometry, beside one X-Wing decapsulation. Wrapping a
packet for three hops and a mailbox takes two multiplications a layer at least.

Judged are the peel of a small packet (at most %.2f times one X25519) and of a large
one (%.1f), and the wrapping of a small one (%.0f). What else is shown has no goal.

With --profile also the parts of a peel, each timed by itself in the same run.`, bench.PeelGoal, bench.PeelLargeGoal, bench.WrapGoal),
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := measured(a, cmd.Context(), "too_slow", o, bench.Peel, showPeel)
			var p *problem
			if !o.Profile && errors.As(err, &p) && p.Code == "too_slow" {
				p.Detail += "; --profile shows where the time goes"
			}
			return err
		},
	}
	c.Flags().BoolVar(&o.Profile, "profile", false, "show where the time of a peel goes")
	return c
}

// goal says what is judged, and what is not.
func goal(before string, goal float64, after string) string {
	if goal == 0 {
		return before + "not judged" + after
	}
	return fmt.Sprintf("%sgoal %g%s", before, goal, after)
}

func showPeel(w io.Writer, r bench.PeelResult) {
	limits := map[string]string{"x25519": "one X25519", "xwing": "one X-Wing"}
	for _, f := range r.Figures {
		fmt.Fprintf(w, "peel %-6s    %d ns, %d/s  %.2f x %s (%d ns%s); %d allocations; wrap %.2f x%s\n",
			f.Geometry, f.PeelNS, f.PeelsPerS, f.Ratio, limits[f.Limit], f.LimitNS, goal("; ", f.Goal, ""), f.Allocs, f.WrapRatio, goal(" (", f.WrapGoal, ")"))
		if len(f.Parts) == 0 {
			continue
		}
		fmt.Fprint(w, "                 of which")
		for _, p := range f.Parts {
			fmt.Fprintf(w, " %s %.0f %%", p.Part, 100*p.Share)
		}
		fmt.Fprintln(w)
	}
}

func (a *app) benchLedger() *cobra.Command {
	return &cobra.Command{
		Use: "ledger", Short: "Importing blocks, beside parallel signature recovery", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stop := a.busy("measuring")
			r, err := bench.Ledger(cmd.Context(), bench.LedgerOptions{})
			stop()
			if err != nil {
				return err
			}
			return a.show(r, func(w io.Writer) {
				fmt.Fprintf(w, "ledger import  %d tx/s  %.2f of the limit (%d recoveries/s on all cores)\n", r.TxPerS, r.Ratio, r.LimitPerS)
			})
		},
	}
}

// missed are a measurement's goals that were missed.
type missed interface{ Missed() []string }

// measured measures and shows it; exit 1 with the code where a goal was missed.
func measured[O any, R missed](a *app, ctx context.Context, code string, o O, measure func(context.Context, O) (R, error), text func(io.Writer, R)) error {
	stop := a.busy("measuring")
	r, err := measure(ctx, o)
	stop()
	if err != nil {
		return err
	}
	if err := a.show(r, func(w io.Writer) { text(w, r) }); err != nil {
		return err
	}
	if m := r.Missed(); len(m) > 0 {
		return fail(exitFailed, code, "a goal was missed", "%s", strings.Join(m, "; "))
	}
	return nil
}

// startGoal is how long a cold start to the first confirmed message may take.
const startGoal = 2 * time.Second

func (a *app) benchStart() *cobra.Command {
	var relays, runs int
	c := &cobra.Command{
		Use: "start", Short: "Cold start of relays to the first confirmed message; exit 1 over 2 s", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if relays < 5 || relays > devnet.MaxRelays || runs < 1 || runs > 1000 {
				return usage("--relays must be 5 to %d, --runs 1 to 1000", devnet.MaxRelays)
			}
			stop := a.busy("measuring")
			r, err := coldStarts(cmd.Context(), relays, runs)
			stop()
			if err != nil {
				return err
			}
			if err := a.show(r, func(w io.Writer) {
				fmt.Fprintf(w, "cold start     %d ms  %.2f of the goal (%d ms); %d relays to the first confirmed message, median of %d\n", r.MedianMS, r.Ratio, r.GoalMS, relays, runs)
			}); err != nil {
				return err
			}
			if r.MedianMS > r.GoalMS {
				return fail(exitFailed, "too_slow", "slower than the goal", "%d ms, goal %d ms", r.MedianMS, r.GoalMS)
			}
			return nil
		},
	}
	c.Flags().IntVar(&relays, "relays", 20, "number of relays")
	c.Flags().IntVar(&runs, "runs", 3, "cold starts; the median counts")
	return c
}

// startFigures are the cold starts of one run.
type startFigures struct {
	Relays   int     `json:"relays"`
	MS       []int64 `json:"ms"` // process start to exit, the message confirmed
	MedianMS int64   `json:"median_ms"`
	GoalMS   int64   `json:"goal_ms"`
	Ratio    float64 `json:"ratio"` // median over goal
}

// coldStarts runs this program anew each time, so that nothing is warm.
func coldStarts(ctx context.Context, relays, runs int) (startFigures, error) {
	f := startFigures{Relays: relays, GoalMS: startGoal.Milliseconds()}
	exe, err := os.Executable()
	if err != nil {
		return f, fmt.Errorf("find this program: %w", err)
	}
	for range runs {
		var errs bytes.Buffer
		cmd := exec.CommandContext(ctx, exe, "demo", "--relays", strconv.Itoa(relays), "--only-message", "-o", "json")
		cmd.Stderr = &errs
		begin := time.Now()
		if err := cmd.Run(); err != nil {
			p := fail(exitFailed, "failed", "failed", "%v", err)
			_ = json.Unmarshal([]byte(lastLine(errs.Bytes())), p) // it runs with -o json
			p.Title = "cold start: " + p.Title
			return f, p
		}
		f.MS = append(f.MS, time.Since(begin).Milliseconds())
	}
	sorted := slices.Sorted(slices.Values(f.MS))
	f.MedianMS = sorted[len(sorted)/2]
	f.Ratio = float64(f.MedianMS) / float64(f.GoalMS)
	return f, nil
}

// lastLine is the last line that says something.
func lastLine(b []byte) string {
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(lines[len(lines)-1])
}
