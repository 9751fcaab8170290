package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"tunic/devnet/bench"
)

func (a *app) benchLoad() *cobra.Command {
	var o bench.LoadOptions
	c := &cobra.Command{
		Use: "load", Short: "A ledger with many readers of events under load; exit 1 if a goal is missed", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`A ledger with many readers of events under load.

A ledger in a process of its own, on disk and behind a socket, lists nodes and
seals a block in every interval. Transactions are submitted one by one, first
with nothing else to do, then with readers of events that wait and connections
that ask for the directory as fast as they can. These are made by a third
process, which gives way to the others. Exit 1 if a reader takes more than
%d KiB, the block interval changes by more than a tenth, the 99th percentile of
submitting grows more than %.0f times, a block takes more than a second to a
reader, or a reader is cut off.`, bench.LoadReaderGoal>>10, bench.LoadSubmitGoal),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, x := range []struct {
				flag           string
				v, least, most int
			}{
				{"nodes", o.Nodes, 10, 10_000}, {"readers", o.Readers, 1, 1000}, {"connections", o.Connections, 1, 256}, {"max-per-second", o.MaxPerS, 0, 1e6},
				{"rounds", o.Rounds, 1, 20}, {"submits", o.Submits, 1, 10_000}, {"every", int(o.Every.Milliseconds()), 1, 1000},
				{"interval", int(o.Interval.Milliseconds()), 200, 10_000},
			} {
				if x.v < x.least || x.v > x.most {
					return usage("--%s must be %d to %d%s", x.flag, x.least, x.most, map[bool]string{true: " ms"}[x.flag == "every" || x.flag == "interval"])
				}
			}
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			o.Ledger = []string{exe, "ledger", "run", "-o", "json", "--mode", "interval"}
			o.Press = []string{exe, "bench", "load", "press"}
			return measured(a, cmd.Context(), "too_slow", o, bench.Load, showLoad)
		},
	}
	c.Flags().IntVar(&o.Nodes, "nodes", 2000, "nodes in the directory")
	c.Flags().IntVar(&o.Readers, "readers", 1000, "readers of events")
	c.Flags().IntVar(&o.Connections, "connections", 32, "connections that ask for the directory")
	c.Flags().IntVar(&o.MaxPerS, "max-per-second", 0, "requests for the directory a second; 0 for as many as are answered")
	c.Flags().IntVar(&o.Rounds, "rounds", 3, "rounds without load, of which the best counts, and with it, of which the median does")
	c.Flags().IntVar(&o.Submits, "submits", 500, "transactions in a round")
	c.Flags().DurationVar(&o.Every, "every", 20*time.Millisecond, "time between two transactions")
	c.Flags().DurationVar(&o.Interval, "interval", 500*time.Millisecond, "time between blocks")
	c.AddCommand(&cobra.Command{
		Use: "press", Short: "Make load as lines on standard input say", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.RunPress(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	})
	return c
}

func showLoad(w io.Writer, r bench.LoadResult) {
	for _, x := range []struct {
		name string
		p    bench.LoadPhase
	}{{"unloaded", r.Unloaded}, {"loaded", r.Loaded}} {
		fmt.Fprintf(w, "load %-9s  submit p50 %d us, p99 %d us, longest %d us (%d); a block in %.0f ms, longest %d ms (%d); read %d ms after it at most\n",
			x.name, x.p.P50US, x.p.P99US, x.p.MaxUS, x.p.Submits, x.p.IntervalMS, x.p.LongestMS, x.p.Blocks, x.p.LagMS)
	}
	for i, p := range r.Rounds {
		if i == 0 || i == len(r.Rounds)/2 {
			fmt.Fprint(w, map[bool]string{true: "               p99 of the rounds: unloaded", false: "; loaded"}[i == 0])
		}
		fmt.Fprintf(w, " %d", p.P99US)
	}
	fmt.Fprintln(w)
	fmt.Fprintf(w, "               %d readers, %d lost, %d connections with %.0f directories/s of %d bytes; %d nodes, %d cores\n",
		r.Readers, r.Lost, r.Connections, r.Loaded.DirectoryPS, r.Loaded.DirectoryB, r.Nodes, r.Cores)
	fmt.Fprintf(w, "               %d bytes a reader (goal %d), interval %.3f (goal 1 +- %.1f), submit p99 %.2f (goal %.0f) times that without load\n",
		r.PerReader, bench.LoadReaderGoal, r.IntervalRatio, bench.LoadIntervalGoal, r.SubmitRatio, bench.LoadSubmitGoal)
}
