package staking

import (
	"slices"

	"tunic/chain"
)

// MaxReporterShare bounds the reporter's part of the operator's own loss: with
// more, an operator could report itself and rob its contributors.
const MaxReporterShare chain.BasisPoints = 5_000

// Slashed is what a slash took and where it went: Total = Reward + Burned.
type Slashed struct {
	Total        chain.Amount
	OperatorLoss chain.Amount
	Reward       chain.Amount // to the reporter
	Burned       chain.Amount
	Losses       []Contribution // who lost how much, operator first; zero losses left out
}

// Slash takes amount, or what is left if that is less, from node's bond: from
// the operator first, then from the contributors by share. Unlocking and locked
// stake is reachable. The reporter, if there is one, is credited share (at most
// half) of the operator's own loss; the rest burns. epoch is the present one.
func (s *Staking) Slash(node chain.NodeID, amount chain.Amount, epoch chain.Epoch, reporter *chain.Address, share chain.BasisPoints, acc Accounts) Slashed {
	b, ok := s.Bond(node)
	if !ok || amount == 0 || b.Total() == 0 {
		return Slashed{}
	}
	s.settle(&b) // by the shares before the slash
	var out Slashed
	losses := divideLoss(b.Contributions, amount)
	b.Contributions = slices.Clone(b.Contributions)
	for i, loss := range losses {
		if loss == 0 {
			continue
		}
		b.Contributions[i].Amount -= loss
		out.Total += loss
		out.Losses = append(out.Losses, Contribution{b.Contributions[i].Account, loss})
	}
	out.OperatorLoss = losses[0]
	if reporter != nil {
		out.Reward = min(share, MaxReporterShare).Of(out.OperatorLoss)
	}
	out.Burned = out.Total - out.Reward

	if b.Total() == 0 {
		s.deactivate(&b)
	}
	s.checkpoint(&b, epoch)
	s.putOrReap(b)
	t := s.get()
	t.bonded -= out.Total
	t.burned += out.Burned
	s.set(t)
	if out.Reward > 0 {
		acc.Credit(*reporter, out.Reward)
	}
	return out
}

// divideLoss divides amount: the operator's stake first, then the others' by
// share, rounded down; the units that rounding leaves are taken one each, in
// order, so that the sum is exact.
func divideLoss(parts []Contribution, amount chain.Amount) []chain.Amount {
	losses := make([]chain.Amount, len(parts))
	losses[0] = min(amount, parts[0].Amount)
	rest := amount - losses[0]
	var others chain.Amount
	for _, c := range parts[1:] {
		others += c.Amount
	}
	rest = min(rest, others)
	if rest == 0 {
		return losses
	}
	left := rest
	for i, c := range parts[1:] {
		losses[i+1] = rest.MulDiv(uint64(c.Amount), uint64(others))
		left -= losses[i+1]
	}
	for i, c := range parts[1:] {
		if left > 0 && losses[i+1] < c.Amount {
			losses[i+1]++
			left--
		}
	}
	return losses
}

// StakeAt is the greatest stake that stood behind node in epoch: the base of a
// penalty for an offence of that epoch. It is exact for as long as stake takes
// to unlock; before that it may be of a later epoch, and is zero before the bond.
func (s *Staking) StakeAt(node chain.NodeID, epoch chain.Epoch) chain.Amount {
	b, _ := s.bonds.Get(node)
	return stakeAt(b.Checkpoints, epoch)
}

func stakeAt(points []Checkpoint, epoch chain.Epoch) chain.Amount {
	for _, p := range slices.Backward(points) {
		if p.Epoch <= epoch {
			return p.Total
		}
	}
	return 0
}

// checkpoint records b's total after a change in epoch. An epoch's checkpoint
// holds its greatest total, so that two offences of one epoch weigh the same
// whichever is punished first; a fall shows from the next epoch on.
func (s *Staking) checkpoint(b *Bond, epoch chain.Epoch) {
	total := b.Total()
	points := slices.Clone(b.Checkpoints)
	for len(points) > 0 && points[len(points)-1].Epoch > epoch {
		points = points[:len(points)-1]
	}
	if was := stakeAt(points, epoch); total > was || len(points) == 0 {
		if n := len(points); n > 0 && points[n-1].Epoch == epoch {
			points = points[:n-1]
		}
		points = append(points, Checkpoint{epoch, total})
	} else if total < was {
		points = append(points, Checkpoint{epoch + 1, total})
	}
	b.Checkpoints = s.prune(points, epoch)
}

// prune drops what no evidence can ask for any more, and bounds the rest by
// merging the two oldest.
func (s *Staking) prune(points []Checkpoint, epoch chain.Epoch) []Checkpoint {
	horizon := chain.Epoch(uint64(s.prm.UnlockDelay)/uint64(s.prm.EpochLength)) + 2
	for len(points) > 1 && points[1].Epoch+horizon <= epoch {
		points = points[1:]
	}
	for len(points) > maxCheckpoints {
		points[1] = Checkpoint{points[0].Epoch, max(points[0].Total, points[1].Total)}
		points = points[1:]
	}
	return points
}
