package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) statusCommand() *cobra.Command {
	var net string
	c := &cobra.Command{
		Use: "status", Short: "Head, epoch, nodes and supply of the network", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, s, err := a.asked(cmd.Context(), net)
			if err != nil {
				return err
			}
			return a.show(s, func(w io.Writer) {
				states := make([]string, 0, len(s.Nodes))
				for state, n := range s.Nodes {
					if n > 0 {
						states = append(states, fmt.Sprintf("%d %s", n, state))
					}
				}
				slices.Sort(states)
				nodes := fmt.Sprintf("%d listed", s.Listed)
				if len(states) > 0 {
					nodes += "; " + strings.Join(states, ", ")
				}
				table(w,
					[]string{"network", s.GenesisHash},
					[]string{"profile", s.Profile + ": " + s.Claim},
					[]string{"engine", string(s.Engine)},
					[]string{"height", fmt.Sprint(s.Height)},
					[]string{"head", s.Head},
					[]string{"time", instant(s.TimeMs)},
					[]string{"epoch", fmt.Sprint(s.Epoch)},
					[]string{"nodes", nodes},
					[]string{"supply", tun(string(s.Supply))},
					[]string{"  circulating", tun(string(s.Circulating))},
					[]string{"  bonded", tun(string(s.Bonded))},
					[]string{"  rewards due", tun(string(s.RewardsOutstanding))},
					[]string{"  held", tun(string(s.Held)) + " (deposits, and reporters' parts that wait)"},
					[]string{"  reward pool", tun(string(s.RewardPool))},
					[]string{"  burned", tun(string(s.Burned))},
					[]string{"waiting", fmt.Sprintf("%d transactions", s.Pending)},
					[]string{"software", s.Version})
			})
		},
	}
	networkFlag(c, &net)
	return c
}
