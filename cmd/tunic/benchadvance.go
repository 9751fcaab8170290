package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"tunic/devnet"
	"tunic/devnet/bench"
)

// silentOf is the size of the network in which one relay falls silent.
const silentOf = 12

func (a *app) benchAdvance() *cobra.Command {
	var relays []int
	var least time.Duration
	c := &cobra.Command{
		Use: "advance", Short: "Simulated days a second, and where the time goes; exit 1 if judging a silent relay takes over 5 s", Args: cobra.NoArgs,
		Long: `Simulated days a second, and where the time goes.

Networks of several sizes are advanced epoch by epoch, with the parameters of
the dev profile and of mainnet, beside what their signatures and proofs alone
would take. Then one of ` + fmt.Sprint(silentOf) + ` relays of a fresh dev network falls silent, until it is
deregistered and its stake locked; exit 1 if that takes over 5 s.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, n := range relays {
				if n < 1 || n > devnet.MaxRelays {
					return usage("--relays must be from 1 to %d each", devnet.MaxRelays)
				}
			}
			if least <= 0 || least > time.Hour {
				return usage("--time must be above zero and at most 1h")
			}
			stop := a.busy("measuring")
			r, err := bench.Advance(cmd.Context(), bench.AdvanceOptions{Relays: relays, Least: least})
			if err == nil {
				var s bench.SilenceFigures
				if s, err = bench.Silence(cmd.Context(), silentOf); err == nil {
					r.Silence = &s
				}
			}
			stop()
			if err != nil {
				return err
			}
			if err := a.show(r, func(w io.Writer) { showAdvance(w, r) }); err != nil {
				return err
			}
			if r.Silence.WallMS > r.Silence.GoalMS {
				return fail(exitFailed, "too_slow", "slower than the goal", "%d ms, goal %d ms", r.Silence.WallMS, r.Silence.GoalMS)
			}
			return nil
		},
	}
	c.Flags().IntSliceVar(&relays, "relays", []int{12, 100}, "numbers of relays")
	c.Flags().DurationVar(&least, "time", 3*time.Second, "how long each network is advanced")
	return c
}

func showAdvance(w io.Writer, r bench.AdvanceResult) {
	for _, f := range r.Figures {
		fmt.Fprintf(w, "advance %-7s  %d relays: %.3g days/s, %d us an epoch  %.2f of the limit (signatures and proofs alone); %d epochs\n",
			f.Profile, f.Relays, f.DaysPerS, f.EpochUS, f.Ratio, f.Epochs)
		fmt.Fprintf(w, "                 wall clock: %d ms sealing, %d ms waiting for relays; processors:", f.SealingMS, f.BarrierMS)
		for _, s := range f.CPU {
			fmt.Fprintf(w, " %s %.0f %%", s.Part, 100*s.Share)
		}
		fmt.Fprintln(w)
	}
	s := r.Silence
	fmt.Fprintf(w, "silent relay     %d ms  %.2f of the goal (%d ms); %d relays from nothing until one is deregistered, %d epochs\n",
		s.WallMS, s.Ratio, s.GoalMS, s.Relays, s.Epochs)
}
