package registry

import (
	"math/bits"

	"tunic/chain"
	"tunic/chain/genesis"
)

// Credit is how long a node may be out, in milliseconds, at now: what an active
// node has gathered, or what a decommissioned one has left.
// docs/spec/judgement.md, section Verdict.
func (r *Registry) Credit(n Node, now chain.Time) chain.Duration {
	passed := func(since chain.Time) chain.Duration { return chain.Duration(max(now, since) - since) }
	switch {
	case n.State == Active && n.Listed:
		return Grown(&r.core.Params, n.Credit, passed(n.CreditAt))
	case n.State == Decommissioned:
		had := min(n.Credit, r.core.Params.CreditMost) // it may be less than it was
		return had - min(had, passed(r.outSince(n)))
	}
	return min(n.Credit, r.core.Params.CreditMost)
}

// outSince is from when on a decommissioned node uses up its credit: since it was
// decommissioned or heard last, which counts if its software may run. Who is only
// kept out loses nothing by that.
func (r *Registry) outSince(n Node) chain.Time {
	if r.core.Params.Allows(n.Version) {
		return max(n.StateSince, n.LastHeartbeat)
	}
	return n.StateSince
}

// Grown adds to a credit what being listed for a time earns, rounded down, up to
// the most that there can be.
func Grown(p *genesis.Params, credit, listed chain.Duration) chain.Duration {
	most := p.CreditMost
	hi, lo := bits.Mul64(uint64(listed), uint64(p.CreditPerDay))
	if hi >= uint64(genesis.Day) {
		return most
	}
	gain, _ := bits.Div64(hi, lo, uint64(genesis.Day))
	if credit >= most || gain >= uint64(most-credit) {
		return most
	}
	return credit + chain.Duration(gain)
}

// settle brings n's credit up to now. Whoever changes whether it is listed, or
// its state, settles first: what it gains is computed from both alone, so that
// the row of a node to which nothing happens stays as it is.
func (r *Registry) settle(n *Node, now chain.Time) {
	if n.State != Decommissioned { // what that uses up is known from StateSince
		n.Credit = r.Credit(*n, now)
	}
	n.CreditAt = now
}

// carry settles n's credit for its step into another state.
func (r *Registry) carry(n *Node, to State, now chain.Time) {
	r.settle(n, now)
	switch {
	case to == Active && n.State == Registered:
		n.Credit = r.core.Params.CreditStart
	case to == Active: // recommissioned
		out := chain.Duration(now - n.StateSince)
		n.Credit -= min(n.Credit, 2*out)
	case n.State == Decommissioned:
		n.Credit = r.Credit(*n, now)
	}
}
