package relay

import (
	"context"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/registry/directory"
	"tunic/registry/probe"
)

// scoreStep is how far a score has to be from the listed performance for a vote
// on a node that is fit.
const scoreStep = 50

// subject is a node that is judged in the present epoch.
type subject struct {
	Unlisted
	listed bool
}

// vote casts this node's votes of an epoch, all at once and never again: the
// mark is raised before the first signature, so that neither a restart nor a
// second look at the same epoch can sign a different one.
func (o *owner) vote(ctx context.Context) {
	h, now := o.history, o.head.DirEpoch
	list := o.lists[now]
	if now <= o.syncEpoch || list == nil {
		return
	}
	if _, listed := list.Index(o.id); listed && h.voted != now {
		h.voted = now
		h.votes = o.castVotes(list)
	}
	for _, v := range h.votes {
		o.offer(ctx, v)
	}
}

func (o *owner) castVotes(list *directory.List) []*outgoing {
	verdicts := o.verdicts(list)
	seq := statement.NewSequence(o.head.DirEpoch, 0)
	if high, any := o.marks.high[markKey{o.head.Fork, statement.LabelVote}]; len(verdicts) == 0 || any && high >= seq {
		return nil
	}
	if err := o.marks.raise(o.head.Fork, statement.LabelVote, seq); err != nil {
		o.log.Error("cannot vote", "error", err)
		return nil
	}
	out := make([]*outgoing, len(verdicts))
	for i, v := range verdicts {
		s := o.cfg.Signer.Sign(o.domain(), statement.LabelVote, seq, v.Encode())
		out[i] = &outgoing{Statement: s, encoded: s.Encode(), signed: 1}
	}
	o.count.votes.Add(uint64(len(out)))
	return out
}

// verdicts are those that this node has a seat for and something to say on.
func (o *owner) verdicts(list *directory.List) []statement.Vote {
	p := o.rules()
	subjects := make([]subject, 0, len(list.Entries)+len(o.history.unlisted))
	for i := range list.Entries {
		subjects = append(subjects, subject{Unlisted{Node: list.Entries[i].Node, Performance: list.Entries[i].Performance}, true})
	}
	for _, u := range o.history.unlisted {
		if _, listed := list.Index(u.Node); !listed {
			subjects = append(subjects, subject{u, false})
		}
	}
	older, tallies, seed, followed := o.window(p)
	voters := o.cfg.Shared.votersOn(list, o.head.Beacon, int(p.QuorumSize))
	var out []statement.Vote
	for _, s := range subjects {
		if s.Node == o.id || s.Decommissioned && s.Since >= o.head.DirEpoch || !o.seated(voters(s.Node), p) {
			continue
		}
		v := statement.Vote{Subject: s.Node, Epoch: o.head.DirEpoch, Score: s.Performance, Reasons: o.present(s, p)}
		if !s.Decommissioned && followed {
			score := probe.Judge(s.Node, older, tallies, p, seed, o.history.out[s.Node])
			v.Score = score.Score
			v.Reasons |= score.Reasons(p)
		}
		if s.Decommissioned || v.Reasons != 0 || max(v.Score, s.Performance)-min(v.Score, s.Performance) >= scoreStep {
			out = append(out, v)
		}
	}
	return out
}

// present are the reasons that do not follow from probes.
func (o *owner) present(s subject, p *genesis.Params) (r statement.Reasons) {
	h := o.history
	b, heard := h.beats[s.Node]
	valid := chain.Time(p.HeartbeatValid)
	if h.since+valid <= h.began { // else it does not know who is absent
		switch before := o.head.DirEpoch - 1; {
		case s.Decommissioned && (!heard || b.last != before && b.before != before),
			!s.Decommissioned && !s.listed && (!heard || b.at+valid <= h.began):
			r |= statement.ReasonAbsent
		}
	}
	if heard && !p.Allows(b.version) && o.cfg.Verified.Statement(o.domain(), b.newest) == nil {
		r |= statement.ReasonVersion
	}
	return r
}

// seated reports whether this node is among the voters, and enough others are.
func (o *owner) seated(voters []chain.NodeID, p *genesis.Params) bool {
	return slices.Contains(voters, o.id) && directory.VotesNeeded(len(voters), int(p.QuorumSize), int(p.QuorumVotes)) > 0
}

// shownVotes is how many of its votes a node shows in a Hello.
const shownVotes = 2

// votesShown are the first of the present epoch's votes.
func (o *owner) votesShown() (out [][]byte) {
	for _, v := range o.history.votes[:min(shownVotes, len(o.history.votes))] {
		out = append(out, v.encoded)
	}
	return out
}
