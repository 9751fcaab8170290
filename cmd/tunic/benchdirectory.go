package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tunic/devnet/bench"
)

func (a *app) benchDirectory() *cobra.Command {
	opts := bench.DirectoryOptions{}
	c := &cobra.Command{
		Use: "directory", Short: "Serving, verifying and updating the list of nodes, beside a bare gin handler, nginx and pure hashing", Args: cobra.NoArgs,
		Long: `Serving, verifying and updating the list of nodes.

HTTP: requests per second for the packed list (gzip) and for "not modified"
(304), from the API with all its middleware; in turn with it, in the same run,
from a bare gin handler and from nginx, where that is installed, which give the
very same answer, body and header fields. The least that gin can do is a handler
with no header field that the body does not need, on a server without time
limits. The load comes from a process of its own on the same cores; processors
counts what server and load take of them for one answer.

Verification: lists decoded strictly and held against a header, beside the
SHA-256 of their leaves and nodes alone, on one core.

Deltas: between consecutive epochs of a network that runs, and over all nodes
where nothing changed, the epoch column alone (each node's performance), and
1 % and 10 % of descriptors with it; beside the whole list.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opts := opts
			switch {
			case opts.Nodes < 10 || opts.Nodes > 10_000:
				return usage("--nodes must be 10 to 10000")
			case opts.Rounds < 1 || opts.Rounds > 1000:
				return usage("--rounds must be 1 to 1000")
			case opts.Load <= 0 || opts.Load > 10*time.Second:
				return usage("--time must be above zero and at most 10s")
			}
			exe, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			opts.Generator = []string{exe, "bench", "generate"}
			tell, stop := a.progress("measuring")
			opts.Tell = tell
			r, err := bench.Directory(cmd.Context(), opts)
			stop()
			if err != nil {
				return err
			}
			return a.show(r, func(w io.Writer) { showDirectory(w, &r) })
		},
	}
	c.Flags().IntVar(&opts.Nodes, "nodes", 2000, "listed nodes")
	c.Flags().IntVar(&opts.Rounds, "rounds", 15, "rounds; medians count")
	c.Flags().DurationVar(&opts.Load, "time", 200*time.Millisecond, "load on one server in one round")
	return c
}

// benchGenerate is the process that makes load for benchDirectory.
func (a *app) benchGenerate() *cobra.Command {
	return &cobra.Command{
		Use: "generate", Short: "Make load as read from standard input", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error { return bench.Generate(cmd.Context(), a.In, a.Out) },
	}
}

func showDirectory(w io.Writer, r *bench.DirectoryResult) {
	for _, f := range []struct {
		what string
		bench.AnswerFigures
	}{{"gzip", r.HTTP.Gzip}, {"304", r.HTTP.NotModified}} {
		fmt.Fprintf(w, "directory %-4s  %d/s  %.2f of a bare gin handler with the same answer (%d/s; quartiles %.2f to %.2f)\n", f.what, f.PerS, f.Ratio, f.GinPerS, f.RatioLow, f.RatioHigh)
		fmt.Fprintf(w, "                %.2f of the least that gin can do (%d/s)", f.LeastRatio, f.LeastPerS)
		if f.NginxPerS > 0 {
			fmt.Fprintf(w, ", %.2f of nginx (%d/s)", f.NginxRatio, f.NginxPerS)
		}
		if f.CPUUS > 0 {
			fmt.Fprintf(w, "; processors: %.1f us an answer, gin %.1f us (%.2f)", f.CPUUS, f.GinCPUUS, f.CPURatio)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "                %d nodes, %d bytes, packed %d; %d connections, load from %s", r.Nodes, r.HTTP.ListBytes, r.HTTP.GzipBytes, r.HTTP.Connections,
		map[string]string{"process": "a process of its own"}[r.HTTP.Generator])
	if r.HTTP.Nginx == "" {
		fmt.Fprint(w, "; nginx is not installed")
	} else {
		fmt.Fprintf(w, "; nginx %s, %d workers", r.HTTP.Nginx, r.HTTP.NginxWorkers)
	}
	fmt.Fprintln(w)
	for _, f := range r.Verify {
		fmt.Fprintf(w, "verification    %d us for %d entries  %.2f x hashing alone (%d us); %d allocations\n", f.VerifyUS, f.Entries, f.Ratio, f.HashUS, f.Allocs)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "delta, what changed\tentries\tbytes\tof the list\tbeside the epoch column\tpacked\tof the packed list\tmake\tapply\twhole list\t\n")
	for _, f := range append([]bench.DeltaFigures{r.Delta.Devnet.DeltaFigures}, r.Delta.Nodes...) {
		fmt.Fprintf(t, "%s\t%d\t%d\t%.2f %%\t%.2f %%\t%d\t%.2f %%\t%d us\t%d us\t%d us\t\n",
			f.What, f.Entries, f.Bytes, 100*f.Share, 100*f.Beside, f.GzipBytes, 100*f.GzipShare, f.MakeUS, f.ApplyUS, f.ListUS)
	}
	t.Flush()
}
