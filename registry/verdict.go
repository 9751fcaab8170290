package registry

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"tunic/chain"
	"tunic/chain/statement"
)

// Verdict is what a quorum has decided about a node.
type Verdict struct {
	Subject  chain.NodeID
	Operator chain.Address
	Epoch    chain.Epoch // in which the votes were cast
	From, To State       // equal where only the performance was set
	All, Any statement.Reasons
	Votes    [][]byte       // those that agree, encoded statements, ascending by voter
	Score    chain.Permille // median of theirs
}

// Reason is the verdict in words, as it enters the node's history.
func (v Verdict) Reason() string {
	switch {
	case v.Any == 0:
		return wordFit + v.Any.String()
	case v.All == 0: // each has its own
		return wordUnfit + v.Any.String()
	}
	return wordUnfit + v.All.String()
}

// What a verdict's reason begins with.
const (
	wordFit   = "recommissioned: "
	wordUnfit = "unavailable: "
)

// wordUnjudged is the reason of a node's return that nobody could vote on.
const wordUnjudged = wordFit + "too few to judge it"

// Judged reports whether a verdict brought e about.
func (e Event) Judged() bool {
	return strings.HasPrefix(e.Reason, wordFit) || strings.HasPrefix(e.Reason, wordUnfit)
}

// Count is what the votes of one epoch on a node came to.
type Count struct {
	Epoch    chain.Epoch  // in which they were cast
	Height   chain.Height // of the block that counted them
	Voters   uint8        // who could vote
	Needed   uint8        // how many must agree
	From, To State
	Votes    []Ballot // all that were cast, ascending by voter
}

// LastCount is the last count of votes on a node; false if there was none.
func (r *Registry) LastCount(subject chain.NodeID) (Count, bool) { return r.counts.Get(subject) }

// Judge counts the votes of the epoch that ctx.List is of, once: call it in the
// first block of a later epoch, before BeginEpoch and before other parameters
// come into force. Before a verdict takes effect judged is called with it; what
// it returns enters the node's history as the proof. Verdicts come ascending by
// subject. A decommissioned node that too few could vote on comes back without a
// verdict.
func (r *Registry) Judge(ctx Context, judged func(Verdict) (proof chain.Hash)) {
	cast := map[chain.NodeID][]statement.Statement{}
	var subjects []chain.NodeID
	for k, st := range r.votes.All() {
		if cast[k.subject] == nil {
			subjects = append(subjects, k.subject)
		}
		cast[k.subject] = append(cast[k.subject], st)
	}
	var tried []*trial
	for _, subject := range subjects {
		for _, st := range cast[subject] {
			r.votes.Delete(voteKey{subject, st.Node})
		}
		// A node that has begun to leave meanwhile, or is out, is let go.
		if n, _ := r.Node(subject); n.judged() {
			if t := r.count(n, cast[subject], ctx); t != nil {
				tried = append(tried, t)
			}
		}
	}
	unjudged := r.unjudged(ctx)
	r.spare(tried, len(unjudged))
	for _, t := range tried {
		r.conclude(t, ctx, judged)
	}
	for _, id := range unjudged {
		if err := r.Recommission(id, wordUnjudged, ctx); err != nil {
			panic("registry: internal error: " + err.Error())
		}
	}
}

// trial is what the votes on a node came to before it takes effect.
type trial struct {
	node    Node
	count   Count
	verdict *Verdict // nil: too few agree
	lapse   bool
}

// count counts the votes on n; nil where none of them counts.
func (r *Registry) count(n Node, cast []statement.Statement, ctx Context) *trial {
	// What was signed before a revert decides nothing after it.
	cast = slices.DeleteFunc(cast, func(st statement.Statement) bool { return st.Fork != ctx.Fork })
	if len(cast) == 0 {
		return nil
	}
	voters, needed := r.voters(n.ID, ctx)
	t := &trial{node: n, count: Count{Epoch: ctx.List.Epoch, Height: ctx.Height, Voters: uint8(len(voters)), Needed: uint8(needed), From: n.State, To: n.State}}
	var fit, unfit []statement.Statement
	for _, st := range cast {
		b := ballotOf(st)
		t.count.Votes = append(t.count.Votes, b)
		if b.Reasons == 0 {
			fit = append(fit, st)
		} else {
			unfit = append(unfit, st)
		}
	}
	agree := fit
	if len(unfit) >= needed {
		agree = unfit
	}
	if len(agree) >= needed { // more than half, so that it is one sort
		v := verdictOf(n, agree, t.count.Epoch)
		// Too few of them say more than that it carries badly.
		t.lapse = supporters(agree, statement.ReasonAbsent|statement.ReasonVersion) < needed
		v.To = r.after(n, v.Any != 0, t.lapse, r.back(n, agree, needed, ctx), ctx)
		t.verdict = &v
	}
	return t
}

// lapses reports whether t puts an active node out for what it carried.
func (t *trial) lapses() bool {
	return t.verdict != nil && t.lapse && t.verdict.From == Active && t.verdict.To == Decommissioned
}

// spare lets those that would be put out for what they carried stay, the best
// first, where with them more than a third of all that are judged would be out:
// where so many lose packets it is the network that does, and those that are left
// would be too few to carry, or to let anybody back. returning come back without
// a verdict.
func (r *Registry) spare(tried []*trial, returning int) {
	var lapsed []*trial
	out, all := -returning, 0
	for _, t := range tried {
		switch v := t.verdict; {
		case t.lapses():
			lapsed = append(lapsed, t)
		case v == nil || v.From == v.To:
		case v.To == Deregistered:
			all--
			if !t.node.Listed {
				out--
			}
		case v.To == Active:
			out--
		case t.node.Listed:
			out++
		}
	}
	if len(lapsed) == 0 {
		return
	}
	for n := range r.All() {
		if n.judged() {
			all++
			if !n.Listed {
				out++
			}
		}
	}
	slices.SortFunc(lapsed, func(a, b *trial) int {
		return cmp.Or(cmp.Compare(a.verdict.Score, b.verdict.Score), bytes.Compare(a.node.ID[:], b.node.ID[:]))
	})
	for _, t := range lapsed {
		switch {
		case !t.node.Listed: // out in any case
		case 3*(out+1) > all:
			t.verdict.To = Active
		default:
			out++
		}
	}
}

// unjudged are the decommissioned nodes that come back though too few could vote
// on them: whoever was heard and whose time is over. In so small a network they
// would stay out for ever. Ascending.
func (r *Registry) unjudged(ctx Context) (out []chain.NodeID) {
	if ctx.List == nil {
		return nil
	}
	for n := range r.All() {
		if n.State != Decommissioned || !r.served(n, ctx) || n.HeartbeatSequence.Epoch()+1 < ctx.List.Epoch || !r.core.Params.Allows(n.Version) {
			continue
		}
		if _, needed := r.voters(n.ID, ctx); needed == 0 {
			out = append(out, n.ID)
		}
	}
	return out
}

// conclude writes what a count came to, and lets it take effect.
func (r *Registry) conclude(t *trial, ctx Context, judged func(Verdict) chain.Hash) {
	if v := t.verdict; v != nil {
		n := t.node
		proof := judged(*v)
		n.Performance = v.Score
		if v.From == Active && v.To == Decommissioned {
			n.Lapses, n.Stay = r.sentence(n, t.lapse, ctx.Time)
		}
		r.put(n)
		if t.count.To = v.To; v.To != v.From {
			r.step(*v, proof, ctx)
		}
	}
	r.counts.Set(t.node.ID, t.count)
}

// step takes a node into the state that a verdict leads to.
func (r *Registry) step(v Verdict, proof chain.Hash, ctx Context) {
	var err error
	switch v.To {
	case Decommissioned:
		err = r.Decommission(v.Subject, v.Reason(), proof, ctx)
	case Deregistered:
		err = r.Deregister(v.Subject, v.Reason(), proof, ctx)
	case Active:
		err = r.Recommission(v.Subject, v.Reason(), ctx)
	}
	if err != nil {
		panic("registry: internal error: a verdict outside of a node's life: " + err.Error())
	}
}

// verdictOf sums up votes that agree.
func verdictOf(n Node, agree []statement.Statement, e chain.Epoch) Verdict {
	v := Verdict{Subject: n.ID, Operator: n.Operator, Epoch: e, From: n.State, All: ^statement.Reasons(0)}
	var ballots []Ballot
	for _, st := range agree {
		b := ballotOf(st)
		v.All &= b.Reasons
		v.Any |= b.Reasons
		v.Votes = append(v.Votes, st.Encode())
		ballots = append(ballots, b)
	}
	v.Score = MedianScore(ballots)
	return v
}

// MedianScore is the score that votes, at least one, come to: the lower of two in
// the middle.
func MedianScore(votes []Ballot) chain.Permille {
	scores := make([]chain.Permille, len(votes))
	for i, b := range votes {
		scores[i] = b.Score
	}
	slices.Sort(scores)
	return scores[(len(scores)-1)/2]
}

// back reports whether n was heard while the quorum voted, and too few of those
// who agree have any reason but its absence: what one of them adds decides nothing.
func (r *Registry) back(n Node, agree []statement.Statement, needed int, ctx Context) bool {
	if n.LastHeartbeat < r.core.EpochStart(ctx.List.Epoch) {
		return false
	}
	return supporters(agree, ^statement.ReasonAbsent) < needed
}

// supporters counts the votes that give one of these reasons.
func supporters(votes []statement.Statement, why statement.Reasons) (n int) {
	for _, st := range votes {
		if ballotOf(st).Reasons&why != 0 {
			n++
		}
	}
	return n
}

// maxLapses bounds how often a lapse doubles how long a node stays out: at most
// 64 epochs.
const maxLapses = 6

// sentence is what a decommission adds for what a node carried: with each lapse
// since its credit was last full it stays out twice as long.
func (r *Registry) sentence(n Node, lapse bool, now chain.Time) (lapses uint8, stay uint16) {
	if !lapse {
		return n.Lapses, 0
	}
	if r.Credit(n, now) < r.core.Params.CreditMost {
		lapses = n.Lapses
	}
	lapses = min(lapses+1, maxLapses)
	return lapses, 1 << lapses
}

// after is the state that a verdict leads to.
func (r *Registry) after(n Node, unfit, lapse, back bool, ctx Context) State {
	switch {
	case n.State == Active && (!unfit || back):
		return Active
	case n.State == Active && (lapse || r.Credit(n, ctx.Time) >= r.core.Params.CreditLeast):
		return Decommissioned // absence alone puts a node out for good
	case n.State == Active:
		return Deregistered
	case r.core.EpochAt(n.StateSince) >= ctx.List.Epoch:
		return Decommissioned // the votes are about a time in which it was active
	case !unfit && !r.served(n, ctx):
		return Decommissioned
	case !unfit:
		return Active
	case r.Credit(n, ctx.Time) == 0 && !back:
		return Deregistered
	}
	return Decommissioned
}

// served reports whether the time that a decommissioned node stays out is over,
// and an epoch has passed of which its judges could say anything.
func (r *Registry) served(n Node, ctx Context) bool {
	since := r.core.EpochAt(n.StateSince)
	return since < ctx.List.Epoch && ctx.Epoch >= since+chain.Epoch(n.Stay)
}
