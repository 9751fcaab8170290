package main

import (
	"fmt"
	"io"
	"strings"

	"tunic/api/client"
	"tunic/chain/genesis"
	"tunic/registry/explain"
)

// printJudgement shows what judges have said of a node, and what follows.
func (a *app) printJudgement(w io.Writer, core genesis.Core, n *client.NodeDetail, v *explain.Outlook) {
	weighs := "which weighs in every draw"
	if gone(n.State) {
		weighs = "when it was last judged"
	}
	rows := [][]string{{"performance", fmt.Sprintf("%d/1000, %s", n.Performance, weighs)}}
	if c := n.LastCount; c != nil {
		rows = append(rows, []string{"last count", countWords(c)})
		rows = append(rows, ballotRows(c.Votes)...)
	} else {
		rows = append(rows, []string{"last count", "none: no votes on it were ever counted"})
	}
	if len(n.Votes) > 0 {
		rows = append(rows, []string{"votes now", fmt.Sprintf("%s in this epoch, counted in the first block of the next", count(len(n.Votes), "vote"))})
		rows = append(rows, ballotRows(n.Votes)...)
	}
	fmt.Fprintln(w, "\njudgement")
	for i := range rows {
		rows[i][0] = "  " + rows[i][0]
	}
	table(w, rows...)
	if v != nil {
		for _, s := range v.Words(asTold(n), core) {
			fmt.Fprintln(w, "  "+s.Text)
		}
	}
	if n.State == client.Deregistered {
		fmt.Fprintln(w, "  "+deregisteredWords(n))
	}
}

// gone reports whether a node is judged no more.
func gone(s client.NodeState) bool {
	return s == client.Deregistered || s == client.Unlocking || s == client.Left || s == client.Tombstoned
}

// deregisteredWords says how a node came to be deregistered, and what of its stake.
func deregisteredWords(n *client.NodeDetail) string {
	s := "It was deregistered"
	if c := n.LastCount; c != nil && c.To == client.Deregistered {
		why := ""
		if h := n.History; len(h) > 0 {
			if _, reasons, ok := strings.Cut(h[len(h)-1].Reason, ": "); ok {
				why = " (" + reasons + ")"
			}
		}
		s += fmt.Sprintf(" in block %d: its judges of epoch %d found it unfit%s, and it had no credit left", c.Height, c.Epoch, why)
	}
	if n.Stake != nil && n.Stake.LockedUntilMs != nil {
		s += "; its stake is locked until " + instant(*n.Stake.LockedUntilMs)
	}
	return s + "."
}

func countWords(c *client.VoteCount) string {
	became := "it stayed " + string(c.To)
	if c.From != c.To {
		became = fmt.Sprintf("%s -> %s", c.From, c.To)
	}
	return fmt.Sprintf("of epoch %d, in block %d: %d of %d voted, %d had to agree; %s", c.Epoch, c.Height, len(c.Votes), c.Voters, c.Needed, became)
}

func ballotRows(votes []client.Ballot) (rows [][]string) {
	for _, b := range votes {
		why := "fit"
		if len(b.Reasons) > 0 {
			var names []string
			for _, r := range b.Reasons {
				names = append(names, string(r))
			}
			why = "unfit: " + strings.Join(names, ", ")
		}
		rows = append(rows, []string{"  " + short(b.Voter), fmt.Sprintf("%s, score %d/1000", why, b.Score)})
	}
	return rows
}
