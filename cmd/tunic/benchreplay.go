package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tunic/devnet/bench"
)

func (a *app) benchReplay() *cobra.Command {
	o := bench.ReplayOptions{Tags: 1_000_000, Packets: 20_000}
	c := &cobra.Command{
		Use: "replay", Short: "A relay's replay set filled to its limit: exact, bounded, loaded again; exit 1 if not", Args: cobra.NoArgs,
		Long: `A relay's replay set filled to its limit.

Tags are added to a set on disk until it is full, then every one again, then more,
and then the set is opened anew and asked for all of them. After that packets go
through one relay, each twice, until its set is full, and some more. Exit 1 if a
new one was taken for seen, one that was seen for new, if a full set takes one or
forgets one, or if a tag takes more memory than the goal.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Tags < 1000 || o.Tags > 100_000_000 || o.Packets < 1000 || o.Packets > 100_000_000 {
				return usage("--tags and --packets must be 1000 to 100000000")
			}
			stop := a.busy("measuring")
			r, err := bench.Replay(cmd.Context(), o)
			stop()
			if err != nil {
				return err
			}
			if err := a.show(r, func(w io.Writer) { showReplay(w, r) }); err != nil {
				return err
			}
			if len(r.Failed) > 0 {
				return fail(exitFailed, "failed", "the replay set is not as it must be", "%s", strings.Join(r.Failed, "; "))
			}
			return nil
		},
	}
	c.Flags().IntVar(&o.Tags, "tags", o.Tags, "tags in the set")
	c.Flags().IntVar(&o.Packets, "packets", o.Packets, "packets through a relay")
	return c
}

func showReplay(w io.Writer, r bench.ReplayResult) {
	t, p := r.Tags, r.Packets
	fmt.Fprintf(w, "replay %d tags: %d false positives, %d false negatives, %d of %d refused when full; %d lost when opened again, in %d ms\n",
		t.Tags, t.FalsePositives, t.FalseNegatives, t.Refused, t.Beyond, t.LostOnLoad, t.LoadMS)
	fmt.Fprintf(w, "       %.1f bytes a tag in memory (goal %d), %d in all; the process grew by %d; file %d bytes\n",
		t.BytesPerTag, bench.ReplayGoal, t.Bytes, t.MemoryGrowth, t.FileBytes)
	fmt.Fprintf(w, "       a new tag every %d ns, written (%d/s), one that was seen every %d ns; of 10,000 one takes over %d us, the longest %d us; %d cores\n",
		t.AddNS, t.AddsPerS, t.SeenNS, t.P9999US, t.LongestUS, r.Cores)
	fmt.Fprintf(w, "       %d packets through a relay: %d forwarded, at %d/s; sent again: %d dropped; %d of %d dropped when full; the process grew by %d bytes\n",
		p.Packets, p.Forwarded, p.PerS, p.Replays, p.Full, p.Beyond, p.Growth)
}
