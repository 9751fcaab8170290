package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/devnet/bench"
)

func (a *app) benchFlood() *cobra.Command {
	var o bench.FloodOptions
	c := &cobra.Command{
		Use: "flood", Short: "A relay's quiet links while others flood it; exit 1 if a goal is missed", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`A relay's quiet links while others flood it.

A relay in a process of its own, with real links and its state on disk, passes on
the packets of a few quiet links: first with nothing else to do, then while other
links offer it many times what it can take, valid packets and junk, from listed
nodes and from clients, and then again. The flood is made by a third process,
which gives way to the other two. Exit 1 if the 99th percentile of the quiet
links under the flood is %.0f times that without or more, if it is not back to
%.1f times within a second after the flood, to stay, if a packet of theirs is
lost, if the relay does not account for every packet, or if the flood was not what
was to be offered. What links do not take of it waits at the flooders.`, bench.FloodGoal, bench.FloodBack),
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.Times < 1 || o.Times > 100:
				return usage("--times must be 1 to 100")
			case o.Packets < 1 || o.Packets > 400_000:
				return usage("--packets must be 1 to 400000")
			case o.Phase < time.Second || o.Phase > 5*time.Minute:
				return usage("--phase must be 1s to 5m")
			case o.Every < time.Millisecond || o.Every > o.Phase/100:
				return usage("--every must be 1ms to a hundredth of --phase")
			}
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			o.Relay, o.Press = []string{exe, "bench", "flood", "relay"}, []string{exe, "bench", "flood", "press"}
			return measured(a, cmd.Context(), "too_slow", o, bench.Flood, showFlood)
		},
	}
	c.Flags().IntVar(&o.Times, "times", 10, "how often the relay's capacity is offered")
	c.Flags().IntVar(&o.Packets, "packets", 40_000, "different valid packets of the flood; after them they are repeated")
	c.Flags().DurationVar(&o.Phase, "phase", 4*time.Second, "how long each phase lasts")
	c.Flags().DurationVar(&o.Every, "every", 2*time.Millisecond, "time between two packets of the quiet links")
	c.AddCommand(&cobra.Command{
		Use: "press", Short: "Make a flood as lines on standard input say", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.RunFlood(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}, &cobra.Command{
		Use: "relay", Short: "Run a relay of a list on standard input", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.RunFloodRelay(cmd.Context(), shareProcessors(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	})
	return c
}

func showFlood(w io.Writer, r bench.FloodResult) {
	for _, x := range []struct {
		name string
		p    bench.FloodPhase
	}{{"unloaded", r.Unloaded}, {"flooded", r.Flooded}, {"after", r.After}} {
		fmt.Fprintf(w, "flood %-9s p50 %d us, p99 %d us, longest %d us of %d packets of %d quiet links, %d lost\n",
			x.name, x.p.P50US, x.p.P99US, x.p.MaxUS, x.p.Packets, r.Quiet, x.p.Lost)
	}
	fmt.Fprintf(w, "                p99 %.2f times that without a flood (goal: under %.0f); from a second after it %.2f times (goal %.1f), back to stay after %d ms (goal %d)\n",
		r.Ratio, bench.FloodGoal, r.AfterRatio, bench.FloodBack, r.RecoveryMS, bench.FloodRecovery)
	fmt.Fprintf(w, "                %d/s offered by %d links, %d of them listed nodes': %.1f times the capacity, %d/s on %d cores; links took %d/s of that, %.1f times the capacity\n",
		r.OfferedPS, r.FloodLinks, r.FloodNodes, r.TimesCapacity(r.OfferedPS), r.CapacityPS, r.Cores, r.TakenPS, r.TimesCapacity(r.TakenPS))
	fmt.Fprintf(w, "                %d/s worked on, %d/s of these forwarded\n", r.WorkedPS, r.ForwardedPS)
	var dropped []string
	for why, n := range r.Counters.Dropped {
		dropped = append(dropped, fmt.Sprintf("%s %d", why, n))
	}
	slices.Sort(dropped)
	fmt.Fprintf(w, "                in %d = forwarded %d + dropped %d (%s)\n", r.Counters.In, r.Counters.Forwarded, r.Counters.Lost(), strings.Join(dropped, ", "))
}
