package main

import (
	"fmt"
	"io"
	"strings"

	"tunic/chain"
)

// print says an epoch in words.
func (v *epochView) print(a *app, w io.Writer) {
	last := v.Last.String()
	if v.Running {
		last += " (the epoch still runs)"
	}
	rows := [][]string{
		{"epoch", fmt.Sprint(v.Epoch)}, {"first block", v.First.String()}, {"last block", last},
		{"listed", count(int(v.Listed), "relay")}, {"removed since", fmt.Sprint(len(v.Removals))},
	}
	for _, id := range v.Removals {
		rows = append(rows, []string{"", id.String()})
	}
	if v.Params != nil {
		rows = append(rows, []string{"parameters", fmt.Sprintf("number %d came into force; `tunic params show` has them", *v.Params)})
	}
	table(w, append(rows, []string{"root", v.Root.String()}, []string{"beacon", v.Beacon.String()}, []string{"", v.verdict()})...)
	if v.Before == nil {
		return
	}

	fmt.Fprintf(w, "\nwho contributed with a heartbeat of epoch %d: %s\n", v.Before.Epoch, count(len(v.Contributed), "node"))
	rows = nil
	for _, x := range v.Contributed {
		rows = append(rows, []string{"  " + x.Node.String(), fmt.Sprintf("%s, the first in block %d", count(x.Heartbeats, "heartbeat"), x.First)})
	}
	for _, x := range v.NotCounted {
		rows = append(rows, []string{"  " + x.Node.String(), "does not count: " + x.Why})
	}
	table(w, rows...)
	if v.ListsMissing {
		fmt.Fprintln(w, "\nThe ledger keeps these lists no more, so it cannot be said who was silent or what changed.")
	} else {
		fmt.Fprintf(w, "\nwho was listed in epoch %d and silent: %d of %d\n", v.Before.Epoch, len(v.Silent), v.Before.Listed)
		for _, id := range v.Silent {
			fmt.Fprintf(w, "  %s\n", id)
		}
	}
	fmt.Fprintf(w, "\n%s\n", v.influence())
	v.printSwarms(a, w)
	if v.Diff == nil {
		return
	}
	changes := len(v.Diff.Added) + len(v.Diff.Removed) + len(v.Diff.Changed)
	fmt.Fprintf(w, "\nthe list against epoch %d: %s\n", v.Before.Epoch, count(changes, "change"))
	v.Diff.print(w)
}

// printSwarms says who keeps mailboxes together.
func (v *epochView) printSwarms(a *app, w io.Writer) {
	if len(v.Swarms) == 0 {
		return
	}
	says := "not recomputed, since the ledger keeps too few lists"
	if v.SwarmsEqual != nil {
		says = "recomputed and equal"
		if !*v.SwarmsEqual {
			says = "recomputed and NOT equal"
		}
	}
	fmt.Fprintf(w, "\nswarms of epoch %d: %d, %s\n", v.Epoch, len(v.Swarms), says)
	rows := [][]string{a.head("  swarm", "nodes", "of all mailboxes", "members")}
	for _, s := range v.Swarms {
		members := make([]string, len(s.Members))
		for i, id := range s.Members {
			members[i] = id.Short()
		}
		id := "  " + s.ID
		if s.Made {
			id += " (new)"
		}
		rows = append(rows, []string{id, fmt.Sprint(len(s.Members)), permille(s.Share), strings.Join(members, " ")})
	}
	table(w, rows...)
	for _, id := range v.Dissolved {
		fmt.Fprintf(w, "  %s was dissolved: too few were left of it, or none\n", id)
	}
}

// verdict says what the recount gave.
func (v *epochView) verdict() string {
	switch {
	case !v.Equal:
		return "recomputed and NOT equal: " + v.Recomputed.String()
	case v.Before == nil:
		return "recomputed and equal: the first beacon follows from genesis"
	case len(v.Contributed) == 0:
		return fmt.Sprintf("recomputed and equal: nobody contributed, so it follows from epoch %d alone", v.Before.Epoch)
	}
	return fmt.Sprintf("recomputed and equal: from the beacon of epoch %d and %s in %s", v.Before.Epoch,
		count(len(v.Contributed), "output"), count(v.Blocks, "verified block"))
}

// influence says who could have made another beacon.
func (v *epochView) influence() string {
	const one = "An output cannot be chosen, only withheld"
	switch could := len(v.Contributed) + len(v.Silent); {
	case could == 0:
		return "Nobody could influence it."
	case v.Before.Epoch == chain.Epoch(0):
		return "Nobody could influence it: epoch 0 has no contribution."
	case len(v.Silent) == 0:
		return fmt.Sprintf("%s: each of the %d could have influenced one bit by silence, and none was silent that was listed.", one, could)
	default:
		return fmt.Sprintf("%s: each of the %d could influence one bit, whether its heartbeat came. The %d silent ones did so, or were down;\nwho decided last knew the others' outputs.", one, could, len(v.Silent))
	}
}
