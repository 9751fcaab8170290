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

func (a *app) benchMessage() *cobra.Command {
	var o bench.MessageOptions
	c := &cobra.Command{
		Use: "message", Short: "Confirmed delivery between two people, and what their programs take; exit 1 if a goal is missed", Args: cobra.NoArgs,
		Long: `Delivery through three relays and a mailbox, from Send until the contact's
confirmation is back, and memory and processor time of a messenger.

Ledger and relays run within one process, with TLS over 127.0.0.0/8 and stores on
disk; two people's clients are processes of their own. Once in a dev network, without
mixing and cover, and once in one with the private profile's mixing, cover and
polls. The clients are watched idle and while both write.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.Relays < 5 || o.Relays > devnet.MaxRelays:
				return usage("--relays must be 5 to %d", devnet.MaxRelays)
			case o.Messages < 10 || o.Messages > 100_000:
				return usage("--messages must be 10 to 100000")
			case o.Watch < 2*time.Second || o.Watch > time.Hour:
				return usage("--watch must be 2s to 1h")
			}
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			if o.Dir, err = os.MkdirTemp("", "tunic-message-"); err != nil {
				return err
			}
			defer os.RemoveAll(o.Dir)
			o.Network, o.Client = []string{exe, "bench", "capacity", "network"}, []string{exe, "bench", "message", "client"}
			return measured(a, cmd.Context(), "too_large", o, bench.Message, showMessage)
		},
	}
	c.Flags().IntVar(&o.Relays, "relays", 12, "relays of the network")
	c.Flags().IntVar(&o.Messages, "messages", 200, "messages, one after another; with mixing a tenth")
	c.Flags().DurationVar(&o.Watch, "watch", 30*time.Second, "how long the clients are watched, idle and talking")
	c.AddCommand(&cobra.Command{
		Use: "client", Short: "Run a client as lines on standard input say", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return bench.RunMessageClient(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout())
		},
	})
	return c
}

func showMessage(w io.Writer, r bench.MessageResult) {
	for _, f := range r.Networks {
		fmt.Fprintf(w, "message %-8s delivered and confirmed in p50 %.0f ms, p99 %.0f ms of %d; the first contact in %d ms; mixing %d ms a hop%s, a poll each %d ms, %d relays\n",
			f.Profile, f.P50MS, f.P99MS, f.Messages, f.FirstMS, f.MixingMS, map[bool]string{true: ", cover"}[f.Cover], f.PollMS, f.Relays)
		fmt.Fprintf(w, "                 a client: RssAnon %.1f MB, RSS %.1f MB; idle %.2f %% of a core, writing and reading each %.0f s %.2f %%\n",
			float64(f.RSSAnon)/1e6, float64(f.RSS)/1e6, f.IdleCPU, float64(f.ActiveEvery)/1000, f.ActiveCPU)
	}
	fmt.Fprintf(w, "                 goals: RssAnon %.0f MB, idle %.0f %%, active %.0f %% of a core; %d cores\n", float64(r.Goals.Memory)/1e6, r.Goals.IdleCPU, r.Goals.ActiveCPU, r.Cores)
}
