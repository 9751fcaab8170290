// Package staking keeps the nodes' bonds: who put how much behind a node, what
// the bond has earned, when it can be taken out, and what a slash takes from
// it. It implements docs/spec/staking.md.
//
// It is a pure reducer over two parts of the state: bonds stand in stakes, the
// totals (bonded, burned, reward pool, outstanding rewards) in params. The
// ledger machine calls Open, Contribute, RequestUnlock and Withdraw for
// transactions, Active when a node joins or leaves the list, Reward once a
// block, Slash, Hold and Lock for penalties; others read Bond, Total and StakeAt.
//
// It promises: a refused call changes nothing; units are conserved exactly, so
// that balances + Bonded + Outstanding + Pool + Burned never changes; a block
// costs the same however many nodes earn.
package staking

import (
	"fmt"
	"iter"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/table"
)

// Refusal codes of this package.
const (
	CodeUnknownBond         = "unknown_bond"       // no bond for this node
	CodeAlreadyBonded       = "already_bonded"     // the node has a bond
	CodeFeeTooHigh          = "fee_too_high"       // over 10,000 basis points
	CodeOperatorTooSmall    = "operator_too_small" // the operator's part is below its minimum
	CodeOverstake           = "overstake"          // more than is missing
	CodeFullyStaked         = "fully_staked"       // nothing is missing
	CodeBondClosed          = "bond_closed"        // unlocking or locked
	CodeOperatorFirst       = "operator_first"     // a slash took from the operator's minimum; only it may add
	CodeNoOpenSlot          = "no_open_slot"       // all places for contributors are taken
	CodeContributionSmall   = "contribution_too_small"
	CodeInsufficientBalance = "insufficient_balance"
	CodeNotContributor      = "not_contributor" // the sender has no part in the bond
	CodeAlreadyUnlocking    = "already_unlocking"
	CodeBondLocked          = "bond_locked" // by deregistration or tombstone; opens by itself
	CodeNothingDue          = "nothing_due" // no reward and no matured stake
)

// Accounts is what staking needs of the accounts.
type Accounts interface {
	// Balance is what a can spend.
	Balance(a chain.Address) chain.Amount
	// Debit takes x, which is at most the balance.
	Debit(a chain.Address, x chain.Amount)
	// Credit adds x.
	Credit(a chain.Address, x chain.Amount)
}

// Contribution is one account's part of a bond, or of a loss.
type Contribution struct {
	Account chain.Address
	Amount  chain.Amount
}

// Checkpoint says that from Epoch on the greatest total of an epoch was Total.
type Checkpoint struct {
	Epoch chain.Epoch
	Total chain.Amount
}

// Bond is the stake behind one node. Treat its slices as read-only.
type Bond struct {
	Node          chain.NodeID
	Operator      chain.Address
	Fee           chain.BasisPoints // the operator's, of each reward, before shares
	Contributions []Contribution    // bonded now; the operator's first
	Rewards       []chain.Amount    // settled and not withdrawn, one per contribution

	Active bool // shares in rewards
	Funded bool // was fully staked at some time, so that unlocking takes the delay

	UnlockRequested chain.Time // 0: not requested
	UnlockAt        chain.Time // stake can be withdrawn from then on, unless locked
	LockedUntil     chain.Time // deregistered or tombstoned; 0: not
	HoldUntil       chain.Time // no stake leaves before; closes nothing; 0: not held

	Checkpoints []Checkpoint // ascending; the last is the present total, before withdrawals

	settled chain.Amount // accumulator when rewards were last settled
}

// Total is the stake bonded now.
func (b Bond) Total() chain.Amount {
	var sum chain.Amount
	for _, c := range b.Contributions {
		sum += c.Amount // bounded by the requirement
	}
	return sum
}

// Index is the place of account among the contributions, -1 if it has none.
func (b Bond) Index(account chain.Address) int {
	return slices.IndexFunc(b.Contributions, func(c Contribution) bool { return c.Account == account })
}

// Closed reports whether the bond takes no more stake and earns nothing.
func (b Bond) Closed() bool { return b.UnlockRequested != 0 || b.LockedUntil != 0 }

// Matured reports whether stake can be withdrawn at now.
func (b Bond) Matured(now chain.Time) bool {
	return b.Closed() && now >= b.MaturesAt()
}

// MaturesAt is when the stake of a closed bond can be withdrawn.
func (b Bond) MaturesAt() chain.Time { return max(b.UnlockAt, b.LockedUntil, b.HoldUntil) }

// Staking is the reducer. Not safe for concurrent use.
type Staking struct {
	prm    *genesis.Params
	bonds  *table.Table[chain.NodeID, Bond]
	totals *table.Table[struct{}, totals]
}

// New declares the tables on the parts stakes and params. The parameters are
// read through prm at each call.
func New(stakes, params *table.Part, prm *genesis.Params) *Staking {
	return &Staking{prm: prm, bonds: table.New(stakes, bondCodec), totals: table.New(params, totalsCodec)}
}

// Init fills the reward pool; call it once, at genesis.
func (s *Staking) Init(pool chain.Amount) { s.totals.Set(struct{}{}, totals{pool: pool}) }

// Bond returns the bond behind node.
func (s *Staking) Bond(node chain.NodeID) (Bond, bool) {
	b, ok := s.bonds.Get(node)
	b.Node = node
	return b, ok
}

// All gives the bonds ascending by node.
func (s *Staking) All() iter.Seq[Bond] {
	return func(yield func(Bond) bool) {
		for id, b := range s.bonds.All() {
			b.Node = id
			if !yield(b) {
				return
			}
		}
	}
}

// Total is the stake behind node now.
func (s *Staking) Total(node chain.NodeID) chain.Amount {
	b, _ := s.bonds.Get(node)
	return b.Total()
}

// FullyStaked reports whether node's bond is open and meets the requirement.
func (s *Staking) FullyStaked(node chain.NodeID) bool {
	b, ok := s.bonds.Get(node)
	return ok && !b.Closed() && b.Total() >= s.prm.StakingRequirement
}

// Open makes the bond of a new node with the operator's part.
func (s *Staking) Open(node chain.NodeID, operator chain.Address, fee chain.BasisPoints, amount chain.Amount, epoch chain.Epoch, acc Accounts) error {
	least := LeastOpening(s.prm)
	switch _, known := s.bonds.Get(node); {
	case known:
		return chain.Refuse(CodeAlreadyBonded, "node %s has a bond", node.Short())
	case fee > 10_000:
		return chain.Refuse(CodeFeeTooHigh, "%d basis points; at most 10000", fee)
	case amount < least:
		return chain.Refuse(CodeOperatorTooSmall, "%s TUN; the operator's part is at least %s", amount, least)
	case amount > s.prm.StakingRequirement:
		return chain.Refuse(CodeOverstake, "%s TUN; the requirement is %s", amount, s.prm.StakingRequirement)
	case acc.Balance(operator) < amount:
		return chain.Refuse(CodeInsufficientBalance, "has %s TUN, needs %s", acc.Balance(operator), amount)
	}
	acc.Debit(operator, amount)
	b := Bond{Node: node, Operator: operator, Fee: fee,
		Contributions: []Contribution{{operator, amount}}, Rewards: []chain.Amount{0}}
	b.Funded = amount == s.prm.StakingRequirement
	s.checkpoint(&b, epoch)
	s.put(b)
	s.bonded(amount, 0)
	return nil
}

// Contribute adds stake of sender's to an open bond.
func (s *Staking) Contribute(sender chain.Address, tx Contribute, epoch chain.Epoch, acc Accounts) error {
	b, ok := s.Bond(tx.Node)
	if !ok {
		return chain.Refuse(CodeUnknownBond, "node %s has no bond", tx.Node.Short())
	}
	if b.Closed() {
		return chain.Refuse(CodeBondClosed, "node %s takes no more stake", tx.Node.Short())
	}
	missing, short := s.prm.StakingRequirement.Sub(b.Total())
	at := b.Index(sender)
	switch {
	case !short || missing == 0:
		return chain.Refuse(CodeFullyStaked, "node %s needs no more stake", tx.Node.Short())
	case tx.Amount > missing:
		return chain.Refuse(CodeOverstake, "%s TUN; %s are missing", tx.Amount, missing)
	case b.Contributions[0].Amount < operatorMinimum(s.prm) && at != 0:
		return chain.Refuse(CodeOperatorFirst, "the operator's part is below %s TUN; it must add first", operatorMinimum(s.prm))
	case at < 0 && len(b.Contributions) >= int(s.prm.MaxContributors):
		return chain.Refuse(CodeNoOpenSlot, "all %d places are taken", s.prm.MaxContributors)
	case at < 0 && tx.Amount < perSlot(missing, s.prm.MaxContributors-uint16(len(b.Contributions))):
		return chain.Refuse(CodeContributionSmall, "%s TUN; at least %s, so that the open places suffice",
			tx.Amount, perSlot(missing, s.prm.MaxContributors-uint16(len(b.Contributions))))
	case tx.Amount == 0:
		return chain.Refuse(CodeContributionSmall, "the amount is zero")
	case acc.Balance(sender) < tx.Amount:
		return chain.Refuse(CodeInsufficientBalance, "has %s TUN, needs %s", acc.Balance(sender), tx.Amount)
	}
	acc.Debit(sender, tx.Amount)
	s.settle(&b) // shares change
	b.Contributions = slices.Clone(b.Contributions)
	if at < 0 {
		at = len(b.Contributions)
		b.Contributions = append(b.Contributions, Contribution{Account: sender})
		b.Rewards = append(slices.Clone(b.Rewards), 0)
	}
	b.Contributions[at].Amount += tx.Amount
	b.Funded = b.Funded || tx.Amount == missing
	s.checkpoint(&b, epoch)
	s.put(b)
	s.bonded(tx.Amount, 0)
	return nil
}

// LeastOpening is the least stake that opens a bond: the operator's part, and no
// less than one contributor's of as many as there may be.
func LeastOpening(p *genesis.Params) chain.Amount {
	return max(operatorMinimum(p), perSlot(p.StakingRequirement, p.MaxContributors))
}

// operatorMinimum is the least part of the operator, rounded up.
func operatorMinimum(p *genesis.Params) chain.Amount {
	req := p.StakingRequirement
	least := p.OperatorMinimum.Of(req)
	if least < req && p.OperatorMinimum > 0 && (uint64(req)%10_000)*uint64(p.OperatorMinimum)%10_000 != 0 {
		least++
	}
	return least
}

// perSlot is missing divided among slots, rounded up, so that contributions of
// this size fill the bond.
func perSlot(missing chain.Amount, slots uint16) chain.Amount {
	n := chain.Amount(slots)
	q := missing / n
	if missing%n != 0 {
		q++
	}
	return q
}

func (s *Staking) put(b Bond) { s.bonds.Set(b.Node, b) }

// Check verifies the totals against the bonds.
func (s *Staking) Check() error {
	t := s.get()
	var bonded, outstanding chain.Amount
	var active uint64
	for b := range s.All() {
		if len(b.Contributions) == 0 || len(b.Rewards) != len(b.Contributions) || b.Contributions[0].Account != b.Operator {
			return fmt.Errorf("check bond of %s: contributions and rewards do not match", b.Node)
		}
		if last := b.Checkpoints[len(b.Checkpoints)-1]; last.Total != b.Total() && (!b.Closed() || last.Total < b.Total()) {
			return fmt.Errorf("check bond of %s: checkpoint %s, total %s", b.Node, last.Total, b.Total())
		}
		if b.Total() > s.prm.StakingRequirement {
			return fmt.Errorf("check bond of %s: %s exceeds the requirement", b.Node, b.Total())
		}
		if b.Active && b.Closed() {
			return fmt.Errorf("check bond of %s: closed and earning", b.Node)
		}
		if b.Closed() && b.Total() == 0 && !slices.ContainsFunc(b.Rewards, func(r chain.Amount) bool { return r > 0 }) {
			return fmt.Errorf("check bond of %s: closed and empty", b.Node)
		}
		bonded += b.Total()
		for _, r := range b.Rewards {
			outstanding += r
		}
		if b.Active {
			active++
			outstanding += t.accumulator - b.settled
		}
	}
	if bonded != t.bonded || outstanding != t.outstanding || active != t.active {
		return fmt.Errorf("check totals: bonded %d, outstanding %d, active %d; the bonds say %d, %d, %d",
			t.bonded, t.outstanding, t.active, bonded, outstanding, active)
	}
	return nil
}
