package staking

import (
	"slices"

	"tunic/chain"
)

// RequestUnlock starts the unlocking of the whole node. A node that was never
// fully staked unlocks at once; any other after the unlock delay. Rewards end.
func (s *Staking) RequestUnlock(sender chain.Address, tx RequestUnlock, now chain.Time) error {
	b, ok := s.Bond(tx.Node)
	switch {
	case !ok:
		return chain.Refuse(CodeUnknownBond, "node %s has no bond", tx.Node.Short())
	case b.Index(sender) < 0:
		return chain.Refuse(CodeNotContributor, "%s has no part in node %s", sender, tx.Node.Short())
	case b.LockedUntil != 0:
		return chain.Refuse(CodeBondLocked, "locked until %d ms; withdraw then", b.LockedUntil)
	case b.UnlockRequested != 0:
		return chain.Refuse(CodeAlreadyUnlocking, "unlocks at %d ms", b.UnlockAt)
	}
	s.deactivate(&b)
	b.UnlockRequested, b.UnlockAt = now, now
	if b.Funded {
		b.UnlockAt = now + chain.Time(s.prm.UnlockDelay)
	}
	s.putOrReap(b)
	return nil
}

// Lock keeps the stake of a deregistered or tombstoned node until a time, which
// a later call can only put off. Rewards end; slashes still reach it.
func (s *Staking) Lock(node chain.NodeID, until chain.Time) {
	b, ok := s.Bond(node)
	if !ok {
		return
	}
	s.deactivate(&b)
	b.LockedUntil = max(b.LockedUntil, until, 1)
	s.putOrReap(b)
}

// Hold keeps node's stake from being withdrawn before a time, so that it does not
// escape a loss that is still to be counted out. A later call can only put it off.
// The bond stays open where it is open; an unlocking one unlocks no earlier.
func (s *Staking) Hold(node chain.NodeID, until chain.Time) {
	if b, ok := s.Bond(node); ok && until > b.HoldUntil {
		b.HoldUntil = until
		s.put(b)
	}
}

// Paid is what a withdrawal brought.
type Paid struct {
	Stake  chain.Amount
	Reward chain.Amount
	Gone   bool // nothing is left: the bond does not exist any more
}

// Withdraw pays the sender its accrued rewards and, where the bond has matured,
// its stake. Withdrawals leave the checkpoints alone: what they say of the past
// stays true, and a closed bond commits no new offences.
func (s *Staking) Withdraw(sender chain.Address, tx Withdraw, now chain.Time, acc Accounts) (Paid, error) {
	b, ok := s.Bond(tx.Node)
	if !ok {
		return Paid{}, chain.Refuse(CodeUnknownBond, "node %s has no bond", tx.Node.Short())
	}
	at := b.Index(sender)
	if at < 0 {
		return Paid{}, chain.Refuse(CodeNotContributor, "%s has no part in node %s", sender, tx.Node.Short())
	}
	var p Paid
	if b.Matured(now) {
		p.Stake = b.Contributions[at].Amount
	}
	p.Reward = s.due(b)[at]
	if p.Stake == 0 && p.Reward == 0 {
		if b.Closed() && b.Contributions[at].Amount > 0 {
			return Paid{}, chain.Refuse(CodeNothingDue, "the stake can be withdrawn from %d ms on", b.MaturesAt())
		}
		return Paid{}, chain.Refuse(CodeNothingDue, "no reward has accrued; stake needs an unlock request first")
	}
	s.settle(&b)
	b.Contributions, b.Rewards = slices.Clone(b.Contributions), slices.Clone(b.Rewards)
	b.Contributions[at].Amount -= p.Stake
	b.Rewards[at] = 0
	p.Gone = s.putOrReap(b)
	t := s.get()
	t.bonded -= p.Stake
	t.outstanding -= p.Reward
	s.set(t)
	acc.Credit(sender, p.Stake+p.Reward)
	return p, nil
}

// putOrReap writes b, or deletes it where it is closed and holds nothing.
func (s *Staking) putOrReap(b Bond) (gone bool) {
	if b.Closed() && b.Total() == 0 && !slices.ContainsFunc(b.Rewards, func(r chain.Amount) bool { return r > 0 }) {
		s.bonds.Delete(b.Node)
		return true
	}
	s.put(b)
	return false
}
