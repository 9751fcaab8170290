package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tunic/devnet/bench"
)

func (a *app) benchStore() *cobra.Command {
	var o bench.StoreOptions
	c := &cobra.Command{
		Use: "store", Short: "Keeping items on disk for many writers, beside the bare database", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Keeping items on disk for many writers, beside the bare database.

A member's mailboxes take whole commands: each has its signature checked, its
item on stable storage and its receipt signed. The limit is goleveldb alone: the
same rows with the same options in batches of %d items, each synced, in the same
run. The goal is a ratio of at least %.1f. Turns of a few hundred items are bursts
that fit into the database's write buffer; what merging them costs is not counted
then.`, bench.StoreBatch, bench.StoreGoal),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, x := range []struct {
				flag           string
				v, least, most int
			}{{"writers", o.Writers, 1, 1024}, {"items", o.Items, bench.StoreBatch, 8192}, {"rounds", o.Rounds, 1, 100}} {
				if x.v < x.least || x.v > x.most {
					return usage("--%s must be %d to %d", x.flag, x.least, x.most)
				}
			}
			stop := a.busy("measuring")
			r, err := bench.Store(cmd.Context(), o)
			stop()
			if err != nil {
				return err
			}
			return a.show(r, func(w io.Writer) {
				for _, f := range r.Figures {
					fmt.Fprintf(w, "store %-6s   %d/s of %d bytes, %d MB/s  %.2f of the bare database (%d/s; %.2f to %.2f); p50 %.1f ms, p99 %.1f ms\n",
						f.Geometry, f.StoresPerS, f.ItemBytes, f.StoresPerS*int64(f.ItemBytes)/1e6, f.Ratio, f.LimitPerS, f.Least, f.Most,
						float64(f.P50US)/1000, float64(f.P99US)/1000)
				}
			})
		},
	}
	c.Flags().StringVar(&o.Dir, "dir", "", "folder on the disk to be measured (default: the system's for temporary files)")
	c.Flags().IntVar(&o.Writers, "writers", 64, "stores under way at once")
	c.Flags().IntVar(&o.Items, "items", 4096, "items of each of the two in a round")
	c.Flags().IntVar(&o.Rounds, "rounds", 7, "rounds; the median counts")
	return c
}
