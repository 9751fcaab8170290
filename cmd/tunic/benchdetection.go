package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"tunic/devnet/bench"
)

func (a *app) benchDetection() *cobra.Command {
	var runs, scores, seeds int
	var picture string
	c := &cobra.Command{
		Use: "detection", Short: "How soon relays that drop packets are out, and how often honest ones would be; takes minutes", Args: cobra.NoArgs,
		Long: `How soon relays that drop packets are out, and how often honest ones would be.

Networks of 12 and 100 relays are simulated, for shares of dropped packets and
for losses of links; and networks of 12 relays are run with a driven clock, with
one that drops packets, or with links that lose 2 %. It takes minutes, and bench
alone leaves it out. --svg draws the figures.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if runs < 10 || runs > 1e6 || scores < 100 || scores > 1e9 || seeds < 1 || seeds > 1000 {
				return usage("--runs must be 10 to 1000000, --scores 100 to 1000000000, --seeds 1 to 1000")
			}
			if picture != "" { // known before minutes have passed
				if _, err := os.Stat(filepath.Dir(picture)); err != nil {
					return usage("--svg: %v", err)
				}
			}
			opts := bench.DetectionOptions{Runs: runs, Scores: scores, Seeds: seeds}
			tell, stop := a.progress("measuring")
			opts.Tell = tell
			r, err := bench.Detection(cmd.Context(), opts)
			stop()
			if err != nil {
				return err
			}
			if picture != "" {
				if err := os.WriteFile(picture, []byte(r.SVG()), 0o644); err != nil {
					return err
				}
			}
			return a.show(r, func(w io.Writer) { showDetection(w, &r) })
		},
	}
	c.Flags().IntVar(&runs, "runs", 1000, "simulations of 12 relays for each share dropped; of 100 an eighth of them")
	c.Flags().IntVar(&scores, "scores", 200_000, "scores of 12 relays for each loss of links; of 100 an eighth of them")
	c.Flags().IntVar(&seeds, "seeds", 5, "networks run for each share dropped and for lossy links")
	c.Flags().StringVar(&picture, "svg", "", "draw the figures into this file")
	return c
}

// progress shows a person at a terminal how much is done.
func (a *app) progress(what string) (tell func(done, all int), stop func()) {
	if !terminal(a.Err) || a.json() {
		return nil, func() {}
	}
	p := mpb.New(mpb.WithOutput(a.Err), mpb.WithRefreshRate(200*time.Millisecond))
	bar := p.New(0, mpb.BarStyle(), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(what+" ")), mpb.AppendDecorators(decor.Percentage(), decor.Name(" "), decor.Elapsed(decor.ET_STYLE_GO)))
	return func(done, all int) {
			bar.SetTotal(int64(all), false)
			bar.SetCurrent(int64(done))
		}, func() {
			bar.SetTotal(-1, true)
			p.Wait()
		}
}

func showDetection(w io.Writer, r *bench.DetectionResult) {
	fmt.Fprintf(w, "Epochs until a relay that drops packets is out; profile %s, unfit below %d\n", r.Profile, r.ScoreLeast)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "relays\tdropped\tone of ten\tmedian\tnine of ten\tin %d\tin %d\t\n", r.Within, r.Horizon)
	for _, f := range r.Simulated {
		fmt.Fprintf(t, "%d\t%g %%\t%s\t%s\t%s\t%.1f %%\t%.1f %%\t\n", f.Relays, float64(f.Drop)/10, epochs(f.OneOfTen), epochs(f.Median), epochs(f.NineOfTen),
			100*float64(f.FoundWithin)/float64(f.Runs), 100*float64(f.Found)/float64(f.Runs))
	}
	t.Flush()
	fmt.Fprint(w, "\nScores of an honest relay below that, by the loss on all of its links\n")
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "relays\tloss\tscores\tbelow\tshare\tlowest\t\n")
	for _, f := range r.FalsePositives {
		fmt.Fprintf(t, "%d\t%g %%\t%d\t%d\t%.2g\t%d\t\n", f.Relays, float64(f.Loss)/10, f.Scores, f.Below, f.Rate, f.Lowest)
	}
	t.Flush()
	fmt.Fprint(w, "\nNetworks that were run\n")
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "seed\tfault\tepochs\tothers out\tlowest performance of an honest one\t\n")
	for _, m := range r.Measured {
		fmt.Fprintf(t, "%d\tdrop %g %%\t%s\t%d\t%d\t\n", m.Seed, float64(m.Drop)/10, epochs(m.Epochs), m.OthersOut, m.OthersLowest)
	}
	for _, m := range r.Lossy {
		fmt.Fprintf(t, "%d\t%d lossy links, %g %%\tall %d\t%d\t%d\t\n", m.Seed, m.Links, float64(m.Loss)/10, m.Epochs, m.Out, m.Lowest)
	}
	t.Flush()
}

// epochs writes how many there were, a dash for none.
func epochs(n int) string { return cmp.Or(map[bool]string{true: "-"}[n == 0], strconv.Itoa(n)) }
