package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"tunic/devnet/bench"
)

func (a *app) benchNetwork() *cobra.Command {
	o := bench.NetworkOptions{Messages: 8000, Stores: 3000, UnderWay: 256, Rounds: 5, Mixed: 2000}
	c := &cobra.Command{
		Use: "network", Short: "Messages through three hops and confirmed stores, beside what their parts allow; exit 1 if a goal is missed", Args: cobra.NoArgs,
		Long: fmt.Sprintf(`Messages through three hops and confirmed stores, beside what their parts allow.

Six relays in this process, with real links and state on disk, three of them to
pass packets on and three as a swarm that keeps mail. Packets are wrapped
beforehand; what that costs the sender is reported apart. The ceiling of each
round is the sum of the parts that nobody can leave out, timed alone just before,
with all cores at work: for a message %s;
for a store %s.

With --mixed messages, three relays of the private profile hold packets for
exponential delays, which are compared with their distribution.

Exit 1 below %.1f of the ceiling through three hops, below %.1f for confirmed
stores, at a median of 1 ms or more there and back with nothing else under way,
or where the delays do not fit.`,
			"4 peel + 4 link + 3 replay", "7 peel + 12 link + 7 replay + open + 3 (verify + store + sign) + 2 verify", bench.NetworkHopsGoal, bench.NetworkStoresGoal),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, x := range []struct {
				flag           string
				v, least, most int
			}{
				{"messages", o.Messages, 100, 200_000}, {"stores", o.Stores, 100, 100_000}, {"under-way", o.UnderWay, 1, 1024},
				{"rounds", o.Rounds, 1, 50}, {"mixed", o.Mixed, 0, 100_000},
			} {
				if x.v < x.least || x.v > x.most {
					return usage("--%s must be %d to %d", x.flag, x.least, x.most)
				}
			}
			if o.Mean < 0 || o.Mean > 5*time.Second {
				return usage("--mean must be 0 to 5s")
			}
			return measured(a, cmd.Context(), "too_slow", o, bench.Network, showNetwork)
		},
	}
	c.Flags().IntVar(&o.Messages, "messages", o.Messages, "messages through three hops in a round")
	c.Flags().IntVar(&o.Stores, "stores", o.Stores, "stores in a round")
	c.Flags().IntVar(&o.UnderWay, "under-way", o.UnderWay, "how many are under way at a time in the rounds")
	c.Flags().IntVar(&o.Rounds, "rounds", o.Rounds, "rounds; the median by ratio counts")
	c.Flags().IntVar(&o.Mixed, "mixed", o.Mixed, "messages through relays that mix; 0 for none")
	c.Flags().DurationVar(&o.Mean, "mean", 0, "mean delay of a hop of these (what the private profile says)")
	return c
}

func showNetwork(w io.Writer, r bench.NetworkResult) {
	for _, x := range []struct {
		name string
		n    bench.NetworkRate
		goal float64
	}{{"three hops", r.Hops, bench.NetworkHopsGoal}, {"stores", r.Stores, bench.NetworkStoresGoal}} {
		fmt.Fprintf(w, "network %-12s %d/s  %.2f of the ceiling (%d/s; goal %.1f); rounds", x.name, x.n.PerS, x.n.Ratio, x.n.Ceiling, x.goal)
		for _, k := range x.n.Rounds {
			fmt.Fprintf(w, " %.2f", k.Ratio)
		}
		fmt.Fprintf(w, "; ceiling %s\n", x.n.Formula)
	}
	for _, x := range []struct {
		name string
		t    []bench.NetworkTime
	}{{"one way", r.OneWay}, {"there and back", r.Back}, {"confirmed store", r.Stored}} {
		fmt.Fprintf(w, "        %-15s", x.name)
		for i, t := range x.t {
			fmt.Fprintf(w, "%s %d under way p50 %d us, p99 %d us", map[bool]string{true: ";"}[i > 0], t.UnderWay, t.P50US, t.P99US)
		}
		fmt.Fprintln(w)
	}
	p := r.Stores.Parts
	fmt.Fprintf(w, "        parts, ns       peel %d, link %d, replay %d, open %d, sign %d, verify %d, store %d; all %d cores at work\n",
		p.PeelNS, p.LinkNS, p.ReplayNS, p.OpenNS, p.SignNS, p.VerifyNS, p.StoreNS, r.Cores)
	fmt.Fprintf(w, "        sender, us      message %d, with a reply block %d, signed store %d; one core\n", r.Sender.MessageNS/1000, r.Sender.AskNS/1000, r.Sender.StoreNS/1000)
	if m := r.Mixing; m != nil {
		fmt.Fprintf(w, "        mixing          mean %.0f ms a hop: a hop took %.1f ms, D %.4f, p %.3f; three %.1f ms, D %.4f, p %.3f; of %d and %d, %d us beyond their delays (p99 %d)\n",
			m.MeanMS, m.Hop.MeanMS, m.Hop.D, m.Hop.P, m.Path.MeanMS, m.Path.D, m.Path.P, m.Hop.Messages, m.Path.Messages, m.ExtraUS, m.ExtraP)
	}
}
