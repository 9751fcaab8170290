package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/registry/directory"
)

func (a *app) epochCommand() *cobra.Command {
	return noun("epoch", "The last epochs: their lists, and what was published and judged in them", a.epochList(), a.epochShow())
}

func (a *app) epochList() *cobra.Command {
	var net string
	c := &cobra.Command{
		Use: "list", Short: "The last epochs, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			limit := pageSize
			all, err := pages(func(cursor *string) ([]client.EpochSummary, *string, error) {
				res, err := r.api.ListEpochsWithResponse(cmd.Context(), &client.ListEpochsParams{Limit: &limit, Cursor: cursor})
				if err != nil {
					return nil, nil, answer(0, nil, err)
				}
				page, err := decoded(res.StatusCode(), res.Body, res.JSON200)
				if err != nil {
					return nil, nil, err
				}
				return page.Items, page.NextCursor, nil
			})
			if err != nil {
				return err
			}
			return a.show(map[string]any{"epochs": all}, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(w, "there is no block yet")
					return
				}
				rows := [][]string{a.head("epoch", "began", "blocks", "listed", "removed", "transactions", "heartbeats", "commitments", "votes")}
				for _, e := range all {
					rows = append(rows, []string{fmt.Sprint(e.Epoch), instant(e.TimeMs), fmt.Sprintf("%d to %s", e.FirstHeight, lastOf(e)),
						fmt.Sprint(e.Listed), fmt.Sprint(len(e.Removals)), known(e.Transactions), known(e.Heartbeats), known(e.Commitments), known(e.Votes)})
				}
				table(w, rows...)
				fmt.Fprintln(w, "\n`tunic epoch show EPOCH` tells more, `tunic explain epoch EPOCH` verifies its beacon")
			})
		},
	}
	networkFlag(c, &net)
	return c
}

func lastOf(e client.EpochSummary) string {
	if e.Running {
		return fmt.Sprintf("%d, runs", e.LastHeight)
	}
	return fmt.Sprint(e.LastHeight)
}

// known is a count, which the ledger may not remember.
func known(n *int) string {
	if n == nil {
		return "-"
	}
	return strconv.Itoa(*n)
}

// epochTold is an epoch with its quorums, by the ledger's word.
type epochTold struct {
	*client.EpochDetail
	Quorums []client.Quorum `json:"quorums"`
}

func (a *app) epochShow() *cobra.Command {
	var net string
	c := &cobra.Command{
		Use: "show EPOCH", Short: "One epoch: who joined and left, who judged whom, and what they found", Args: cobra.ExactArgs(1),
		Long: "One epoch by its number, or latest. All of it is the ledger's word: `tunic explain epoch` verifies the\n" +
			"beacon, from which the quorums are drawn.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := strconv.ParseUint(args[0], 10, 43); err != nil && args[0] != "latest" {
				return usage("%q is no epoch; epochs count from 0, and latest is the newest", args[0])
			}
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			res, err := r.api.GetEpochWithResponse(cmd.Context(), args[0])
			if err != nil {
				return answer(0, nil, err)
			}
			e, err := decoded(res.StatusCode(), res.Body, res.JSON200)
			if err != nil {
				return err
			}
			v := epochTold{EpochDetail: e}
			limit, number := pageSize, strconv.FormatInt(e.Epoch, 10)
			v.Quorums, err = pages(func(cursor *string) ([]client.Quorum, *string, error) {
				res, err := r.api.ListQuorumsWithResponse(cmd.Context(), number, &client.ListQuorumsParams{Limit: &limit, Cursor: cursor})
				if err != nil {
					return nil, nil, answer(0, nil, err)
				}
				page, err := decoded(res.StatusCode(), res.Body, res.JSON200)
				if err != nil {
					return nil, nil, err
				}
				return page.Items, page.NextCursor, nil
			})
			if p := (*problem)(nil); err != nil && !(errors.As(err, &p) && p.Code == "epoch_not_found") {
				return err // without its list there are no quorums
			}
			return a.show(v, func(w io.Writer) { v.print(w) })
		},
	}
	networkFlag(c, &net)
	return c
}

const maxShown = 40 // nodes in one part of what is printed

func (v epochTold) print(w io.Writer) {
	e := v.EpochDetail
	last := fmt.Sprint(e.LastHeight)
	if e.Running {
		last += ", it runs until " + instant(e.EndsMs)
	}
	rows := [][]string{{"epoch", fmt.Sprint(e.Epoch)}, {"began", instant(e.TimeMs)}, {"blocks", fmt.Sprintf("%d to %s", e.FirstHeight, last)},
		{"listed", fmt.Sprint(e.Listed)}, {"root", e.DirectoryRoot}, {"beacon", e.Beacon}}
	if e.Transactions != nil {
		rows = append(rows, []string{"in its blocks", fmt.Sprintf("%s of accounts; %s, %s, %s", count(*e.Transactions, "transaction"),
			count(deref(e.Heartbeats), "heartbeat"), count(deref(e.Commitments), "commitment"), count(deref(e.Votes), "vote"))})
	}
	table(w, rows...)
	part := func(title string, ids *[]client.NodeID) {
		if ids == nil || len(*ids) == 0 {
			return
		}
		fmt.Fprintf(w, "\n%s: %s\n", title, count(len(*ids), "node"))
		for i, id := range *ids {
			if i == maxShown {
				fmt.Fprintf(w, "  and %d more; -o json has them all\n", len(*ids)-i)
				break
			}
			fmt.Fprintf(w, "  %s\n", id)
		}
	}
	part("joined the list", e.Joined)
	part("left it", e.Left)
	part("removed from it since", &e.Removals)
	part("whose heartbeats closed its beacon", e.Contributed)
	if len(e.Judged) > 0 {
		fmt.Fprintf(w, "\nvotes on %s\n", count(len(e.Judged), "node"))
	}
	for i, j := range e.Judged {
		if i == maxShown {
			fmt.Fprintf(w, "  and on %d more; -o json has them all\n", len(e.Judged)-i)
			break
		}
		fmt.Fprintf(w, "  %s, score %d/1000\n", short(j.Subject), deref(j.Score))
		rows := ballotRows(j.Votes)
		for i := range rows {
			rows[i][0] = "  " + rows[i][0]
		}
		table(w, rows...)
	}
	if len(v.Quorums) == 0 {
		return
	}
	fmt.Fprintf(w, "\nquorums: %d\n", len(v.Quorums))
	rows = nil
	for i, q := range v.Quorums {
		if i == maxShown {
			rows = append(rows, []string{fmt.Sprintf("  and %d more; -o json has them all", len(v.Quorums)-i)})
			break
		}
		of := fmt.Sprintf("%d can vote, %d have to agree:", q.Voters, q.Needed)
		if q.Needed == 0 {
			of = fmt.Sprintf("%d could vote, fewer than %d: not judged", q.Voters, directory.MinVoters)
		}
		for _, m := range q.Members {
			of += " " + short(m)
		}
		rows = append(rows, []string{"  " + short(q.Subject), of})
	}
	table(w, rows...)
}
