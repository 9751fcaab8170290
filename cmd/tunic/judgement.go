package main

import (
	"fmt"
	"io"
	"strings"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/registry"
	"tunic/registry/directory"
)

// judgementView says where a node stands with its judges, and what comes of it.
// docs/spec/explain.md, section A node.
type judgementView struct {
	Credit      int64 `json:"credit_ms"`
	Gain        int64 `json:"credit_gained_per_day_ms"`
	Most        int64 `json:"credit_most_ms"`
	Performance int   `json:"performance"`
	TooFew      bool  `json:"too_few_voters,omitempty"` // nobody can be judged

	// Of an active node: what follows if it stays silent from now on. Of a
	// decommissioned one, what follows if the votes go on being unfit.
	Unlisted       chain.Epoch `json:"unlisted_in_epoch,omitempty"`
	Decommissioned chain.Epoch `json:"decommissioned_in_epoch,omitempty"`
	Deregistered   chain.Epoch `json:"deregistered_in_epoch,omitempty"`
	BackBy         chain.Epoch `json:"heartbeat_needed_by_epoch,omitempty"` // the last whose heartbeat can save it

	Out      int64       `json:"out_for_ms,omitempty"`
	Left     int64       `json:"credit_left_if_back_ms,omitempty"`           // if it came back now
	Stay     chain.Epoch `json:"out_until_epoch,omitempty"`                  // at least, whatever the votes say
	Earliest chain.Epoch `json:"recommissioned_earliest_in_epoch,omitempty"` // of a decommissioned node
}

// judgementOf looks ahead by docs/spec/judgement.md; nil for a node that nobody
// judges. e is the present epoch, now the head's time, others how many the list
// holds beside the node.
func judgementOf(core genesis.Core, n *client.NodeDetail, e chain.Epoch, now int64, others int) *judgementView {
	p := core.Params
	v := &judgementView{Credit: n.CreditMs, Gain: int64(p.CreditPerDay), Most: int64(p.CreditMost), Performance: n.Performance,
		TooFew: others < directory.MinVoters}
	// first is the first epoch from least on that begins at t or later.
	first := func(t int64, least chain.Epoch) chain.Epoch {
		x := core.EpochAt(chain.Time(t))
		if int64(core.EpochStart(x)) < t {
			x++
		}
		return max(x, least)
	}
	credit, since := n.CreditMs, now
	switch n.State {
	case client.Active:
		v.Unlisted = e
		if n.Listed && n.LastHeartbeatMs != nil {
			v.Unlisted = first(*n.LastHeartbeatMs+int64(p.HeartbeatValid), e+1)
			listed := max(0, int64(core.EpochStart(v.Unlisted))-now)
			credit = int64(registry.Grown(&p, chain.Duration(credit), chain.Duration(listed)))
		}
		v.Decommissioned = v.Unlisted + 1
		if since = int64(core.EpochStart(v.Decommissioned)); credit < int64(p.CreditLeast) {
			v.Deregistered, v.Decommissioned, v.BackBy = v.Decommissioned, 0, v.Unlisted-1
			return v
		}
		v.Deregistered = first(since+credit, v.Decommissioned+2)
	case client.Decommissioned:
		at := chain.Epoch(deref(n.DecommissionedEpoch))
		v.Out = now - deref(n.DecommissionedMs)
		silent := now - max(deref(n.DecommissionedMs), deref(n.LastHeartbeatMs))
		v.Left = max(0, n.CreditMs+silent-2*v.Out)
		v.Deregistered = max(first(since+credit, at+2), e+1)
		if stay := deref(n.StayEpochs); stay > 0 {
			v.Stay = at + chain.Epoch(stay)
		}
		// The quorum of an epoch asks for a heartbeat of the one before.
		judged := max(at+1, e)
		if beat := chain.Epoch(deref(n.LastHeartbeatEpoch)); beat+1 < judged {
			judged = e + 1
		}
		v.Earliest = max(judged+1, v.Stay)
	default:
		return nil
	}
	v.BackBy = v.Deregistered - 2
	return v
}

// othersListed is how many the present list holds beside n.
func othersListed(s *client.Status, n *client.NodeDetail) int {
	if n.Listed {
		return s.Listed - 1
	}
	return s.Listed
}

// words says it in sentences; core gives the times.
func (v *judgementView) words(core genesis.Core, n *client.NodeDetail) []string {
	at := func(e chain.Epoch) string {
		return fmt.Sprintf("the first block of epoch %d (%s)", e, instant(int64(core.EpochStart(e))))
	}
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if v.TooFew {
		say("Nobody is judged now: that takes %d other listed nodes of different operators.", directory.MinVoters)
	}
	if n.State == client.Decommissioned {
		say("It has been out for %s and may be out for %s more.", span(v.Out), span(v.Credit))
		if deref(n.StayEpochs) > 0 {
			say("It carried badly, and is out for %d epochs at least; each further time it is twice as long, until its credit has been full once.", deref(n.StayEpochs))
		}
		say("If it falls silent and the votes go on against it, %s deregisters it and locks its stake for %s.", at(v.Deregistered), span(int64(core.Params.DeregisterLock)))
		say("If it runs now and the votes find it fit, it is back in %s at the earliest.", at(v.Earliest))
		say("Coming back costs twice the time out: a credit of %s would be left now.", span(v.Left))
		return out
	}
	say("It may be out for %s; while it is listed that grows by %s a day, to %s.", span(v.Credit), span(v.Gain), span(v.Most))
	if v.Decommissioned == 0 {
		say("If it stays silent from now on, %s deregisters it and locks its stake for %s:", at(v.Deregistered), span(int64(core.Params.DeregisterLock)))
		say("it takes a credit of %s to be given a second chance.", span(int64(core.Params.CreditLeast)))
		return out
	}
	say("If it stays silent from now on, it is unlisted in epoch %d, decommissioned in epoch %d, and %s deregisters it.", v.Unlisted, v.Decommissioned, at(v.Deregistered))
	say("Its last chance is a heartbeat for epoch %d.", v.BackBy)
	return out
}

// printJudgement shows what judges have said of a node, and what follows.
func (a *app) printJudgement(w io.Writer, core genesis.Core, n *client.NodeDetail, v *judgementView) {
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
		for _, s := range v.words(core, n) {
			fmt.Fprintln(w, "  "+s)
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
