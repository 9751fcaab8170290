package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/devnet"
)

func (a *app) demoCommand() *cobra.Command {
	var spec devnet.StorySpec
	var links string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "demo",
		Short: "A whole network in this process: a message, a cheat, a slash",
		Long: "Starts a ledger and relays, lets alice write to bob through three relays and a mailbox,\n" +
			"lets one relay show two descriptors, and sees it proven, slashed and out of the directory.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("log") {
				a.LogLevel = "error" // that a relay cheats is told, not warned of
			}
			log, err := a.logger()
			if err != nil {
				return err
			}
			spec.Logger, spec.Links = log, devnet.Links(links)
			if links != string(devnet.LinksMemory) && links != string(devnet.LinksTLS) {
				return usage("--links %q is unknown; use tls or memory", links)
			}
			if spec.Relays < 5 || spec.Relays > devnet.MaxRelays {
				return usage("--relays %d: a demo needs at least 5 (three hops, a mailbox, and one that cheats) and at most %d", spec.Relays, devnet.MaxRelays)
			}
			spec.Tell = func(s devnet.Step) {
				if a.json() {
					return
				}
				stamp := fmt.Sprintf("%5d ms  ", s.After.Milliseconds())
				fmt.Fprintf(a.Out, "%s%s\n\n", stamp, strings.ReplaceAll(s.Text, "\n", "\n"+strings.Repeat(" ", len(stamp))))
			}
			ctx, cancel := timeLimit(cmd.Context(), timeout)
			defer cancel()
			told, err := devnet.Tell(ctx, spec)
			if err != nil {
				return err
			}
			if a.json() {
				return a.show(told, nil)
			}
			a.say("This network protects: %s.", told.Claim)
			a.say("Done in %d ms. Try it with another --seed, or `tunic devnet up` for a network to use.", told.ElapsedMS)
			return nil
		},
	}
	f := c.Flags()
	f.IntVar(&spec.Relays, "relays", 12, "number of relays, at least 5")
	f.Uint64Var(&spec.Seed, "seed", 0, "fixes keys, ids and the offender (default: drawn)")
	f.StringVar(&spec.Dir, "datadir", "", "keep ledger, relays and the proof file below this folder (default: in memory)")
	f.StringVar(&links, "links", string(devnet.LinksTLS), "what carries packets: tls (on 127.A.B.C) or memory")
	f.StringVar(&spec.Message, "message", "hello", "what alice writes")
	f.BoolVar(&spec.OnlyMessage, "only-message", false, "end with the confirmed message")
	f.DurationVar(&timeout, "timeout", time.Minute, "give up after")
	return c
}
