package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"tunic/devnet"
	"tunic/devnet/bench"
)

func (a *app) benchCapacity() *cobra.Command {
	var o bench.CapacityOptions
	c := &cobra.Command{
		Use: "capacity", Short: "Idle relays: many in one process, one in its own; exit 1 if a goal is missed", Args: cobra.NoArgs,
		Long: `Memory and processor time of relays that have nothing to do.

Networks run within one process, with stores on disk: by links of TLS over
127.0.0.0/8 and by those in memory, with the parameters of the dev profile (epochs
of 10 s) and of the private one (10 min). Of the latter several epochs are passed
first, and the processor time of one is counted in; they run without cover traffic
and with it. Then five relays and a ledger run as processes of their own, of which
the largest relay counts. The goals are for memory of a process's own (RssAnon), for
the time until all relays are listed and at the head, and, with the epochs of the
private profile, for processor time. Relays that send cover are not idle: their
figures stand beside, without a goal but that of the time.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.Relays < 5 || o.Relays > devnet.MaxRelays:
				return usage("--relays must be 5 to %d", devnet.MaxRelays)
			case o.Idle < time.Second || o.Idle > time.Hour:
				return usage("--idle must be 1s to 1h")
			}
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			if o.Dir, err = os.MkdirTemp("", "tunic-capacity-"); err != nil {
				return err
			}
			defer os.RemoveAll(o.Dir)
			o.Exe, o.Network = exe, []string{exe, "bench", "capacity", "network"}
			return measured(a, cmd.Context(), "too_large", o, bench.Capacity, showCapacity)
		},
	}
	c.Flags().IntVar(&o.Relays, "relays", 200, "relays in one process")
	c.Flags().DurationVar(&o.Idle, "idle", time.Minute, "how long they are watched")
	c.AddCommand(&cobra.Command{
		Use: "network", Short: "Run a network as lines on standard input say", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.RunCapacityNetwork(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	})
	return c
}

func showCapacity(w io.Writer, r bench.CapacityResult) {
	mb := func(n int64) float64 { return float64(n) / 1e6 }
	for _, f := range r.Networks {
		fmt.Fprintf(w, "capacity %-8s %d relays, links %s%s: ready in %.1f s, RssAnon %.0f MB, RSS %.0f MB, %.1f %% of a core (%.1f %% between heads of epochs, %d ms for one); %d links, %d goroutines, epoch %d\n",
			f.Profile, f.Relays, f.Links, map[bool]string{true: ", cover"}[f.Cover], float64(f.ReadyMS)/1000, mb(f.RSSAnon), mb(f.RSS), f.CPU, f.IdleCPU, f.EpochCPUMS, f.OpenLinks, f.Goroutines, f.Epoch)
	}
	for _, f := range r.Relays {
		fmt.Fprintf(w, "relay %-11s RssAnon %.1f MB, RSS %.1f MB, %.2f %% of a core, in a process of its own; its ledger's RssAnon %.0f MB\n", f.Profile, mb(f.RSSAnon), mb(f.RSS), f.CPU, mb(f.Ledger))
	}
	fmt.Fprintf(w, "               goals: RssAnon %.0f MB, ready in %.0f s, %.0f %% of a core with epochs of a real network; a relay of its own %.0f MB; %d cores\n",
		mb(r.Goals.Memory), float64(r.Goals.ReadyMS)/1000, r.Goals.CPU, mb(r.Goals.RelayMemory), r.Cores)
}
