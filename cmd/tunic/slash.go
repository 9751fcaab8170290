package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
)

func (a *app) slashCommand() *cobra.Command {
	return noun("slash", "Who lost stake, for what, and by which proof", a.slashList(), a.slashShow())
}

func (a *app) slashList() *cobra.Command {
	var net, node string
	var height uint64
	c := &cobra.Command{
		Use: "list", Short: "Offences that were punished", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			back, err := past(height)
			if err != nil {
				return err
			}
			r, _, err := a.asked(cmd.Context(), net)
			if err != nil {
				return err
			}
			of, err := r.onlyNode(cmd.Context(), node)
			if err != nil {
				return err
			}
			all, err := r.slashes(cmd.Context(), of, back)
			if err != nil {
				return err
			}
			return a.show(map[string]any{"slashes": all}, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(w, "nobody was slashed")
					return
				}
				rows := [][]string{a.head("offence", "height", "kind", "basis", "node", "lost", "burned", "more")}
				for _, s := range all {
					rows = append(rows, []string{short(s.Offence), fmt.Sprint(s.Height), s.Kind, string(s.Basis), short(s.Node), tun(s.Slashed), tun(s.Burned), more(s)})
				}
				table(w, rows...)
				fmt.Fprintln(w, "\n`tunic slash show OFFENCE` tells more; the first digits of an id will do")
			})
		},
	}
	networkFlag(c, &net)
	c.Flags().StringVar(&node, "node", "", "only those of this node")
	heightFlag(c, &height)
	return c
}

// slashes reads all pages after a block, nil is the newest, oldest first.
func (r *remote) slashes(ctx context.Context, node *string, height *int64) ([]client.Slash, error) {
	limit := pageSize
	p := client.ListSlashesParams{Limit: &limit, Node: node, Height: height}
	all, err := pages(func(cursor *string) ([]client.Slash, *string, error) {
		p.Cursor = cursor
		res, err := r.api.ListSlashesWithResponse(ctx, &p)
		if err != nil {
			return nil, nil, answer(0, nil, err)
		}
		page, err := decoded(res.StatusCode(), res.Body, res.JSON200)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
	slices.SortStableFunc(all, func(x, y client.Slash) int { return cmp.Compare(x.Height, y.Height) })
	return all, err
}

// slash finds one by its offence's id or the beginning of it.
func (r *remote) slash(ctx context.Context, text string) (*client.Slash, error) {
	prefix, err := idDigits(text, "offence")
	if err != nil {
		return nil, err
	}
	if len(prefix) < idLen {
		all, err := r.slashes(ctx, nil, nil)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(s client.Slash) bool { return !strings.HasPrefix(s.Offence, prefix) })
		switch len(all) {
		case 0:
			return nil, fail(exitFailed, "offence_not_found", "no such offence was punished", "none begins with %s; `tunic slash list` shows them", prefix)
		case 1:
			return &all[0], nil
		}
		return nil, usage("%d offences begin with %s; give more digits", len(all), prefix)
	}
	res, err := r.api.GetSlashWithResponse(ctx, prefix, nil)
	if err != nil {
		return nil, answer(0, nil, err)
	}
	return decoded(res.StatusCode(), res.Body, res.JSON200)
}

func (a *app) slashShow() *cobra.Command {
	var net string
	c := &cobra.Command{
		Use: "show OFFENCE", Short: "One slash: who lost what, and why", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			s, err := r.slash(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if _, err := r.status(cmd.Context()); err != nil {
				return err
			}
			return a.show(s, func(w io.Writer) {
				rows := [][]string{
					{"offence", s.Offence}, {"kind", s.Kind}, {"basis", string(s.Basis)},
					{"node", s.Node}, {"operator", s.Operator},
					{"of epoch", fmt.Sprint(s.Epoch)},
					{"punished", fmt.Sprintf("at height %d, %s", s.Height, instant(s.TimeMs))},
				}
				if s.Judged == nil {
					rows = append(rows, []string{"stake then", tun(s.Stake)}, []string{"lost", lost(s)})
				}
				for i, x := range s.Losses {
					role := "contributor"
					if i == 0 {
						role = "operator"
					}
					rows = append(rows, []string{"  " + role, x.Account + "  " + tun(x.Amount)})
				}
				if s.Judged == nil && s.Concluded == nil {
					rows = append(rows, []string{"reporter", s.Reporter + "  got " + tun(s.Reward)})
				}
				if s.Judged == nil {
					rows = append(rows, []string{"burned", tun(s.Burned)})
				}
				table(w, slices.Concat(rows, disclosedRows(s), concludedRows(s), judgedRows(s), correlationRows(s))...)
				fmt.Fprintf(w, "\nsee for yourself: tunic proof get %s --out offence.proof && tunic proof verify offence.proof\n", s.Offence)
			})
		},
	}
	networkFlag(c, &net)
	return c
}

// lost is the amount and its share of the stake at the offence.
func lost(s *client.Slash) string {
	var stake, slashed chain.Amount
	_ = stake.UnmarshalText([]byte(s.Stake)) // zero where the ledger answers nonsense
	_ = slashed.UnmarshalText([]byte(s.Slashed))
	if stake == 0 || slashed > stake {
		return tun(s.Slashed)
	}
	return fmt.Sprintf("%s (%.4g %%)", tun(s.Slashed), 100*float64(slashed)/float64(stake))
}

// more is what a row of the list says beside the amounts: why a quorum judged so,
// or what correlation took.
func more(s client.Slash) string {
	switch c := s.Correlation; {
	case s.Judged != nil:
		return strings.Join(s.Judged.Any, "+")
	case s.Concluded != nil && (c == nil || c.Settled == nil):
		return s.Concluded.Fault
	case s.Disclosed != nil && (c == nil || c.Settled == nil):
		return keyWords(s.Disclosed)
	case c == nil:
		return ""
	case c.Settled != nil:
		return "correlation " + tun(c.Settled.Slashed)
	default:
		return "correlation pending"
	}
}

// disclosedRows tell which key somebody has shown to know.
func disclosedRows(s *client.Slash) [][]string {
	d := s.Disclosed
	if d == nil {
		return nil
	}
	return [][]string{{"key", fmt.Sprintf("%s; committed to in epoch %d", keyWords(d), d.CommittedEpoch)},
		{"  paid", "to the reporter when its commit ends, twenty blocks from the first block of the epoch after; an older commit to the key takes its place until then"}}
}

func keyWords(d *client.Disclosed) string {
	if d.Key == client.Onion {
		return fmt.Sprintf("onion key of epoch %d", d.FirstEpoch)
	}
	return string(d.Key) + " key"
}

// concludedRows tell what validators agree on of one of them.
func concludedRows(s *client.Slash) [][]string {
	c := s.Concluded
	if c == nil {
		return nil
	}
	return [][]string{{"found by", fmt.Sprintf("the validators: %s at height %d, with a power of %d of %d", c.Fault, c.Height, c.Power, c.Total)}}
}

// judgedRows tell what a quorum found.
func judgedRows(s *client.Slash) [][]string {
	j := s.Judged
	if j == nil {
		return nil
	}
	outcome := "decommissioned: it is back when the quorum finds it fit"
	if j.Deregistered {
		outcome = "deregistered: no credit was left, its stake is locked"
	}
	words := func(reasons []string) string { return cmp.Or(strings.Join(reasons, ", "), "nothing in common") }
	return [][]string{{"outcome", outcome}, {"all votes say", words(j.All)}, {"some say", words(j.Any)},
		{"score", fmt.Sprintf("%d of 1000, the median of %d votes", j.Score, len(j.Votes))}}
}

// correlationRows tell what the offence costs beyond its penalty, or will.
func correlationRows(s *client.Slash) [][]string {
	c := s.Correlation
	if c == nil {
		return nil
	}
	x := c.Settled
	if x == nil {
		return [][]string{{"correlation", "counted out at " + instant(c.DueMs) + ": three times the share of all stake that is slashed in the window"}}
	}
	return [][]string{
		{"correlation", fmt.Sprintf("%s more (%.4g %% of %s), burned at height %d", tun(x.Slashed), float64(x.FractionPpm)/10_000, tun(x.Stake), x.Height)},
		{"  because", fmt.Sprintf("%s were slashed in the window, of %s bonded; three times that share", tun(x.Sum), tun(c.Bonded))},
	}
}
