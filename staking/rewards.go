package staking

import (
	"slices"

	"tunic/chain"
)

// Reward gives one block's reward out of the pool to the active nodes, equally.
// What does not divide, or finds no node, stays in the pool.
func (s *Staking) Reward(reward chain.Amount) {
	t := s.get()
	if t.active == 0 {
		return
	}
	each := min(reward, t.pool) / chain.Amount(t.active)
	if each == 0 {
		return
	}
	given := each * chain.Amount(t.active)
	t.pool -= given
	t.outstanding += given
	t.accumulator += each // at most the first pool in all
	s.set(t)
}

// Active makes node join or leave the sharing of rewards; what it has earned is
// settled first. A closed bond and a node without one cannot join.
func (s *Staking) Active(node chain.NodeID, on bool) {
	b, ok := s.Bond(node)
	switch {
	case !ok || b.Active == on:
	case !on:
		s.deactivate(&b)
		s.put(b)
	case !b.Closed():
		t := s.get()
		b.Active, b.settled = true, t.accumulator
		t.active++
		s.set(t)
		s.put(b)
	}
}

// deactivate settles b and takes it out of the sharing; the caller writes b.
func (s *Staking) deactivate(b *Bond) {
	if !b.Active {
		return
	}
	s.settle(b)
	b.Active = false
	t := s.get()
	t.active--
	s.set(t)
}

// Due is what each contributor of node could withdraw as reward now, in the
// order of the bond's contributions.
func (s *Staking) Due(node chain.NodeID) []Contribution {
	b, ok := s.Bond(node)
	if !ok {
		return nil
	}
	out := slices.Clone(b.Contributions)
	for i, r := range s.due(b) {
		out[i].Amount = r
	}
	return out
}

// due is b's rewards as settling would leave them.
func (s *Staking) due(b Bond) []chain.Amount {
	rewards, _ := s.share(b)
	return rewards
}

// share divides what b has earned since it was last settled: the operator's fee
// first, the rest by stake, rounded down. It returns the new rewards and what
// rounding left over.
func (s *Staking) share(b Bond) (rewards []chain.Amount, left chain.Amount) {
	rewards = slices.Clone(b.Rewards)
	if !b.Active {
		return rewards, 0
	}
	left = s.get().accumulator - b.settled
	fee := b.Fee.Of(left)
	rewards[0] += fee
	left -= fee
	rest, total := left, b.Total()
	if total == 0 {
		return rewards, left
	}
	for i, c := range b.Contributions {
		part := rest.MulDiv(uint64(c.Amount), uint64(total))
		rewards[i] += part
		left -= part
	}
	return rewards, left
}

// settle books what b has earned; rounding goes back to the pool. The caller
// writes b.
func (s *Staking) settle(b *Bond) {
	if !b.Active {
		return
	}
	t := s.get()
	if b.settled == t.accumulator {
		return
	}
	rewards, left := s.share(*b)
	b.Rewards, b.settled = rewards, t.accumulator
	t.outstanding -= left
	t.pool += left
	s.set(t)
}
