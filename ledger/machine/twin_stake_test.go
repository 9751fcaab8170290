package machine_test

import (
	"fmt"
	"math/big"

	"tunic/chain"
	"tunic/registry"
	"tunic/registry/directory"
	"tunic/staking"
)

// twinBond is the stake behind a node.
type twinBond struct {
	fee       uint64
	parts     []twinPart // the operator's first
	earning   bool
	earned    *big.Int // since the parts last changed
	funded    bool
	requested chain.Time
	unlockAt  chain.Time
	locked    chain.Time
	held      chain.Time  // no stake leaves before
	history   []twinTotal // each total that ever was, but for withdrawals
}

type twinPart struct {
	who           string
	stake, reward *big.Int
}

type twinTotal struct {
	epoch chain.Epoch
	total *big.Int
}

func (b *twinBond) sum() *big.Int {
	s := num(0)
	for _, p := range b.parts {
		s = plus(s, p.stake)
	}
	return s
}

func (b *twinBond) closed() bool { return b.requested != 0 || b.locked != 0 }

func (b *twinBond) part(who string) int {
	for i, p := range b.parts {
		if p.who == who {
			return i
		}
	}
	return -1
}

// at is the greatest total that stood behind the node in epoch e.
func (b *twinBond) at(e chain.Epoch) *big.Int {
	most := num(0)
	for _, h := range b.history {
		switch {
		case h.epoch < e:
			most = h.total // the one that e began with
		case h.epoch == e && less(most, h.total):
			most = h.total
		}
	}
	return most
}

func (t *twin) note(b *twinBond) { b.history = append(b.history, twinTotal{t.epoch, b.sum()}) }

// reward gives one block's reward to those who earn.
func (t *twin) reward() {
	var earning []*twinBond
	for _, b := range t.bonds {
		if b.earning {
			earning = append(earning, b)
		}
	}
	if len(earning) == 0 {
		return
	}
	each := times(least(num(uint64(t.prm.BlockReward)), t.pool), num(1), num(uint64(len(earning))))
	for _, b := range earning {
		b.earned = plus(b.earned, each)
		t.pool = minus(t.pool, each)
	}
}

// due is what each part would have if what was earned were divided now, and
// what rounding leaves.
func (b *twinBond) due() (rewards []*big.Int, left *big.Int) {
	left = b.earned
	for _, p := range b.parts {
		rewards = append(rewards, p.reward)
	}
	fee := bps(left, b.fee)
	rewards[0], left = plus(rewards[0], fee), minus(left, fee)
	rest, sum := left, b.sum()
	for i, p := range b.parts {
		if sum.Sign() > 0 {
			share := times(rest, p.stake, sum)
			rewards[i], left = plus(rewards[i], share), minus(left, share)
		}
	}
	return rewards, left
}

func (t *twin) settle(b *twinBond) {
	rewards, left := b.due()
	for i := range b.parts {
		b.parts[i].reward = rewards[i]
	}
	b.earned, t.pool = num(0), plus(t.pool, left)
}

func (t *twin) earn(node string, on bool) {
	if b := t.bonds[node]; b != nil && b.earning != on && !(on && b.closed()) {
		t.settle(b)
		b.earning = on
	}
}

func (t *twin) operatorLeast() *big.Int {
	return up(new(big.Int).Mul(num(uint64(t.prm.StakingRequirement)), num(uint64(t.prm.OperatorMinimum))), num(10_000))
}

func (t *twin) register(node, operator string, fee uint64, x chain.Amount) string {
	requirement := num(uint64(t.prm.StakingRequirement))
	slot := up(requirement, num(uint64(t.prm.MaxContributors)))
	switch n := t.nodes[node]; {
	case n != nil && n.state == registry.Tombstoned:
		return registry.CodeTombstoned
	case n != nil:
		return registry.CodeAlreadyRegistered
	case fee > 10_000:
		return staking.CodeFeeTooHigh
	case less(num(uint64(x)), t.operatorLeast()) || less(num(uint64(x)), slot):
		return staking.CodeOperatorTooSmall
	case less(requirement, num(uint64(x))):
		return staking.CodeOverstake
	case less(t.has(operator), num(uint64(x))):
		return staking.CodeInsufficientBalance
	}
	t.balance[operator] = minus(t.has(operator), num(uint64(x)))
	b := &twinBond{fee: fee, parts: []twinPart{{operator, num(uint64(x)), num(0)}}, earned: num(0), funded: x == t.prm.StakingRequirement}
	t.bonds[node] = b
	t.note(b)
	t.nodes[node] = &twinNode{name: node, operator: operator, performance: 1000, home: directory.NoSwarm, before: directory.NoSwarm}
	t.enter(t.nodes[node], registry.Registered)
	return ""
}

func (t *twin) contribute(node, who string, x chain.Amount) string {
	b := t.bonds[node]
	if b == nil {
		return staking.CodeUnknownBond
	}
	missing, at := minus(num(uint64(t.prm.StakingRequirement)), b.sum()), b.part(who)
	open := int(t.prm.MaxContributors) - len(b.parts)
	switch {
	case b.closed():
		return staking.CodeBondClosed
	case missing.Sign() <= 0:
		return staking.CodeFullyStaked
	case less(missing, num(uint64(x))):
		return staking.CodeOverstake
	case less(b.parts[0].stake, t.operatorLeast()) && at != 0:
		return staking.CodeOperatorFirst
	case at < 0 && open <= 0:
		return staking.CodeNoOpenSlot
	case at < 0 && less(num(uint64(x)), up(missing, num(uint64(open)))) || x == 0:
		return staking.CodeContributionSmall
	case less(t.has(who), num(uint64(x))):
		return staking.CodeInsufficientBalance
	}
	t.balance[who] = minus(t.has(who), num(uint64(x)))
	t.settle(b)
	if at < 0 {
		at = len(b.parts)
		b.parts = append(b.parts, twinPart{who, num(0), num(0)})
	}
	b.parts[at].stake = plus(b.parts[at].stake, num(uint64(x)))
	b.funded = b.funded || missing.Cmp(num(uint64(x))) == 0
	t.note(b)
	return ""
}

func (t *twin) unlock(node, who string) string {
	b := t.bonds[node]
	switch {
	case b == nil:
		return staking.CodeUnknownBond
	case b.part(who) < 0:
		return staking.CodeNotContributor
	case b.locked != 0:
		return staking.CodeBondLocked
	case b.requested != 0:
		return staking.CodeAlreadyUnlocking
	}
	t.earn(node, false)
	b.requested, b.unlockAt = t.now, t.now
	if b.funded {
		b.unlockAt += chain.Time(t.prm.UnlockDelay)
	}
	t.enter(t.nodes[node], registry.Unlocking)
	t.nodes[node].until = b.unlockAt
	t.reap(node)
	return ""
}

func (t *twin) withdraw(node, who string) string {
	b := t.bonds[node]
	if b == nil {
		return staking.CodeUnknownBond
	}
	at := b.part(who)
	if at < 0 {
		return staking.CodeNotContributor
	}
	stake := num(0)
	if b.closed() && t.now >= max(b.unlockAt, b.locked, b.held) {
		stake = b.parts[at].stake
	}
	rewards, _ := b.due()
	if stake.Sign() == 0 && rewards[at].Sign() == 0 {
		return staking.CodeNothingDue
	}
	t.settle(b)
	t.give(who, plus(stake, rewards[at]))
	b.parts[at].stake, b.parts[at].reward = minus(b.parts[at].stake, stake), num(0)
	t.reap(node)
	return ""
}

// lock keeps what is left of a deregistered or tombstoned node's stake.
func (t *twin) lock(node string) {
	if b := t.bonds[node]; b != nil {
		t.earn(node, false)
		b.locked = max(b.locked, t.now+chain.Time(t.prm.DeregisterLock))
		t.reap(node)
	}
}

// reap forgets a closed bond that holds nothing.
func (t *twin) reap(node string) {
	b := t.bonds[node]
	if !b.closed() {
		return
	}
	for _, p := range b.parts {
		if p.stake.Sign() > 0 || p.reward.Sign() > 0 {
			return
		}
	}
	delete(t.bonds, node)
}

func (t *twin) bondsAgree() error {
	s, seen := t.w.m.Staking(), 0
	for range s.All() {
		seen++
	}
	if seen != len(t.bonds) {
		return fmt.Errorf("%d bonds, twin %d", seen, len(t.bonds))
	}
	for node, b := range t.bonds {
		got, _ := s.Bond(nodeID(node))
		due, _ := b.due()
		owed := s.Due(nodeID(node))
		same := len(got.Contributions) == len(b.parts) && got.Active == b.earning && got.Funded == b.funded &&
			got.UnlockRequested == b.requested && got.UnlockAt == b.unlockAt && got.LockedUntil == b.locked && got.HoldUntil == b.held
		for i := 0; same && i < len(b.parts); i++ {
			c := got.Contributions[i]
			same = c.Account == address(b.parts[i].who) && num(uint64(c.Amount)).Cmp(b.parts[i].stake) == 0 &&
				num(uint64(owed[i].Amount)).Cmp(due[i]) == 0
		}
		if !same {
			return fmt.Errorf("bond of %s: %+v with %v due, twin %+v with %v", node, got, owed, *b, due)
		}
		for e := t.epoch; e+8 > t.epoch; e-- { // checkpoints are pruned far behind that
			if stake := s.StakeAt(nodeID(node), e); num(uint64(stake)).Cmp(b.at(e)) != 0 {
				return fmt.Errorf("stake of %s in epoch %d: %d, twin %s", node, e, uint64(stake), b.at(e))
			}
			if e == 0 {
				break
			}
		}
	}
	return nil
}
