package explain

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/registry"
	"tunic/registry/directory"
)

// Outlook says where a node stands with its judges, and what comes of it. Spans
// are in milliseconds.
type Outlook struct {
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

// Codes of what Words says.
const (
	CodeTooFew       = "too_few_voters"
	CodeCredit       = "credit"
	CodeIfSilent     = "if_silent"
	CodeLastChance   = "last_chance"
	CodeOut          = "out"
	CodeKeptOut      = "kept_out"
	CodeIfAgainst    = "if_votes_go_against_it"
	CodeIfBack       = "if_it_runs"
	CodeReturnsCost  = "cost_of_return"
	CodeSecondChance = "no_second_chance"
)

// Ahead looks ahead by docs/spec/judgement.md; nil for a node that nobody judges.
func Ahead(n Node, now Now) *Outlook {
	core, p, e, at := now.Core, now.Core.Params, now.Epoch, int64(now.Time)
	v := &Outlook{Credit: int64(n.Credit), Gain: int64(p.CreditPerDay), Most: int64(p.CreditMost), Performance: int(n.Performance),
		TooFew: now.Others < directory.MinVoters}
	// first is the first epoch from least on that begins at t or later.
	first := func(t int64, least chain.Epoch) chain.Epoch {
		x := core.EpochAt(chain.Time(t))
		if int64(core.EpochStart(x)) < t {
			x++
		}
		return max(x, least)
	}
	credit, since := int64(n.Credit), at
	switch n.State {
	case registry.Active:
		v.Unlisted = e
		if n.Listed && n.LastHeartbeat != 0 {
			v.Unlisted = first(int64(n.LastHeartbeat)+int64(p.HeartbeatValid), e+1)
			listed := max(0, int64(core.EpochStart(v.Unlisted))-at)
			credit = int64(registry.Grown(&p, chain.Duration(credit), chain.Duration(listed)))
		}
		v.Decommissioned = v.Unlisted + 1
		if since = int64(core.EpochStart(v.Decommissioned)); credit < int64(p.CreditLeast) {
			v.Deregistered, v.Decommissioned, v.BackBy = v.Decommissioned, 0, v.Unlisted-1
			return v
		}
		v.Deregistered = first(since+credit, v.Decommissioned+2)
	case registry.Decommissioned:
		v.Out = at - int64(n.DecommissionedAt)
		silent := at - int64(max(n.DecommissionedAt, n.LastHeartbeat))
		v.Left = max(0, int64(n.Credit)+silent-2*v.Out)
		v.Deregistered = max(first(since+credit, n.DecommissionedEpoch+2), e+1)
		if n.Stay > 0 {
			v.Stay = n.DecommissionedEpoch + chain.Epoch(n.Stay)
		}
		// The quorum of an epoch asks for a heartbeat of the one before.
		judged := max(n.DecommissionedEpoch+1, e)
		if n.HeartbeatEpoch+1 < judged {
			judged = e + 1
		}
		v.Earliest = max(judged+1, v.Stay)
	default:
		return nil
	}
	v.BackBy = v.Deregistered - 2
	return v
}

// Words says it in sentences.
func (v *Outlook) Words(n Node, core genesis.Core) []Line {
	at := func(e chain.Epoch) string {
		return fmt.Sprintf("the first block of epoch %d (%s)", e, Instant(core.EpochStart(e)))
	}
	var out []Line
	say := func(code, format string, args ...any) { out = append(out, Line{code, fmt.Sprintf(format, args...)}) }
	lock := Span(core.Params.DeregisterLock)
	if v.TooFew {
		say(CodeTooFew, "Nobody is judged now: that takes %d other listed nodes of different operators.", directory.MinVoters)
	}
	if n.State == registry.Decommissioned {
		say(CodeOut, "It has been out for %s and may be out for %s more.", span(v.Out), span(v.Credit))
		if n.Stay > 0 {
			say(CodeKeptOut, "It carried badly, and is out for %d epochs at least; each further time it is twice as long, until its credit has been full once.", n.Stay)
		}
		say(CodeIfAgainst, "If it falls silent and the votes go on against it, %s deregisters it and locks its stake for %s.", at(v.Deregistered), lock)
		if v.TooFew {
			say(CodeIfBack, "If it runs now and they are still too few, it is back without votes in %s.", at(v.Earliest))
		} else {
			say(CodeIfBack, "If it runs now and the votes find it fit, it is back in %s at the earliest.", at(v.Earliest))
		}
		say(CodeReturnsCost, "Coming back costs twice the time out: a credit of %s would be left now.", span(v.Left))
		return out
	}
	say(CodeCredit, "It may be out for %s; while it is listed that grows by %s a day, to %s.", span(v.Credit), span(v.Gain), span(v.Most))
	if v.Decommissioned == 0 {
		say(CodeIfSilent, "If it stays silent from now on, %s deregisters it and locks its stake for %s.", at(v.Deregistered), lock)
		say(CodeSecondChance, "It takes a credit of %s to be given a second chance.", Span(core.Params.CreditLeast))
		return out
	}
	if n.Listed {
		say(CodeIfSilent, "If it stays silent from now on, it is unlisted in epoch %d, decommissioned in epoch %d, and %s deregisters it.", v.Unlisted, v.Decommissioned, at(v.Deregistered))
	} else {
		say(CodeIfSilent, "If it stays silent from now on, it is decommissioned in epoch %d, and %s deregisters it.", v.Decommissioned, at(v.Deregistered))
	}
	say(CodeLastChance, "Its last chance is a heartbeat for epoch %d.", v.BackBy)
	return out
}
