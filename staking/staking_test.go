package staking_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/internal/table"
	"tunic/internal/testenv"
	"tunic/staking"
)

func TestRefusals(t *testing.T) {
	nothing := func(t *testing.T, b *bench) {}
	half := func(t *testing.T, b *bench) { must(t, b.open(1, 0, 500)) }
	full := func(t *testing.T, b *bench) { b.full(t, 1) }
	unlocking := func(t *testing.T, b *bench) { b.full(t, 1); must(t, b.unlock(1, 1, 50)) }
	locked := func(t *testing.T, b *bench) { b.full(t, 1); b.Lock(node(1), 500) }
	poor := func(t *testing.T, b *bench) { must(t, b.open(1, 0, 500)); b.acc[account(1)] = 499; b.supply = b.sum() }
	type row struct {
		name, code string
		given      func(*testing.T, *bench)
		do         func(*bench) error
	}
	for _, r := range []row{
		{"open twice", staking.CodeAlreadyBonded, half, func(b *bench) error { return b.open(1, 1, 500) }},
		{"open with a fee over all", staking.CodeFeeTooHigh, nothing, func(b *bench) error { return b.Open(node(1), account(0), 10_001, 500, 1, b.acc) }},
		{"open below a quarter", staking.CodeOperatorTooSmall, nothing, func(b *bench) error { return b.open(1, 0, 249) }},
		{"open alone with one place", staking.CodeOperatorTooSmall, func(t *testing.T, b *bench) { b.prm.MaxContributors = 1 }, func(b *bench) error { return b.open(1, 0, 999) }},
		{"open over the requirement", staking.CodeOverstake, nothing, func(b *bench) error { return b.open(1, 0, 1001) }},
		{"open without money", staking.CodeInsufficientBalance, nothing, func(b *bench) error { return b.open(1, 99, 500) }},
		{"contribute to nobody", staking.CodeUnknownBond, nothing, func(b *bench) error { return b.add(1, 1, 500) }},
		{"contribute while unlocking", staking.CodeBondClosed, unlocking, func(b *bench) error { return b.add(1, 1, 1) }},
		{"contribute while locked", staking.CodeBondClosed, locked, func(b *bench) error { return b.add(1, 1, 1) }},
		{"contribute to a full bond", staking.CodeFullyStaked, full, func(b *bench) error { return b.add(1, 3, 1) }},
		{"contribute too much", staking.CodeOverstake, half, func(b *bench) error { return b.add(1, 1, 501) }},
		{"contribute below the place's part", staking.CodeContributionSmall, half, func(b *bench) error { return b.add(1, 1, 166) }},
		{"contribute nothing again", staking.CodeContributionSmall, half, func(b *bench) error { return b.add(1, 0, 0) }},
		{"contribute without money", staking.CodeInsufficientBalance, poor, func(b *bench) error { return b.add(1, 1, 500) }},
		{"contribute without a place", staking.CodeNoOpenSlot, func(t *testing.T, b *bench) {
			must(t, b.open(1, 0, 300), b.add(1, 1, 234), b.add(1, 2, 234), b.add(1, 3, 232))
			b.Slash(node(1), 10, 1, nil, 0, b.acc)
			b.prm.OperatorMinimum = 2000
		}, func(b *bench) error { return b.add(1, 4, 10) }},
		{"contribute before the operator", staking.CodeOperatorFirst, func(t *testing.T, b *bench) {
			must(t, b.open(1, 0, 250), b.add(1, 1, 750))
			b.Slash(node(1), 10, 1, nil, 0, b.acc)
		}, func(b *bench) error { return b.add(1, 1, 10) }},
		{"unlock nothing", staking.CodeUnknownBond, nothing, func(b *bench) error { return b.unlock(1, 0, 50) }},
		{"unlock as a stranger", staking.CodeNotContributor, full, func(b *bench) error { return b.unlock(1, 3, 50) }},
		{"unlock twice", staking.CodeAlreadyUnlocking, unlocking, func(b *bench) error { return b.unlock(1, 0, 60) }},
		{"unlock while locked", staking.CodeBondLocked, locked, func(b *bench) error { return b.unlock(1, 0, 60) }},
		{"withdraw from nobody", staking.CodeUnknownBond, nothing, func(b *bench) error { _, err := b.withdraw(1, 0, 50); return err }},
		{"withdraw as a stranger", staking.CodeNotContributor, full, func(b *bench) error { _, err := b.withdraw(1, 3, 50); return err }},
		{"withdraw from an open bond", staking.CodeNothingDue, full, func(b *bench) error { _, err := b.withdraw(1, 0, 50); return err }},
		{"withdraw too early", staking.CodeNothingDue, unlocking, func(b *bench) error { _, err := b.withdraw(1, 0, 149); return err }},
		{"withdraw locked stake", staking.CodeNothingDue, locked, func(b *bench) error { _, err := b.withdraw(1, 0, 499); return err }},
	} {
		t.Run(r.name, func(t *testing.T) {
			b := newBench(1000)
			r.given(t, b)
			b.refused(t, r.code, func() error { return r.do(b) })
			b.sound(t)
		})
	}
}

func TestLifeOfABond(t *testing.T) {
	b := newBench(1000)
	must(t, b.open(1, 0, 400))
	if b.FullyStaked(node(1)) || b.Total(node(1)) != 400 || b.Bonded() != 400 {
		t.Fatal("open")
	}
	must(t, b.add(1, 1, 200), b.add(1, 0, 100)) // the operator may add any part
	must(t, b.add(1, 2, 150), b.add(1, 3, 150)) // 300 missing, 2 places
	if !b.FullyStaked(node(1)) || b.acc[account(0)] != funds-500 {
		t.Fatal("not fully staked")
	}
	b.Active(node(1), true)
	b.Reward(103)

	must(t, b.unlock(1, 3, 1000)) // any contributor, for the whole node
	bond, _ := b.Bond(node(1))
	if bond.UnlockAt != 1100 || bond.Active || b.FullyStaked(node(1)) || b.Earning() != 0 {
		t.Fatalf("%+v", bond)
	}
	b.Reward(50)                // nobody earns: it stays in the pool
	if b.Pool() != 1000-103+3 { // 10 + 46 + 18 + 13 + 13 went out; the rounding is back
		t.Fatalf("pool %d", b.Pool())
	}
	// Of 103 the fee is 10; the rest goes by shares 500, 200, 150, 150, rounded
	// down. Rewards can be taken at any time, stake from 1100 on.
	rewards := []chain.Amount{10 + 46, 18, 13, 13}
	for i, stake := range []chain.Amount{500, 200, 150, 150} {
		a := byte(i)
		if p, err := b.withdraw(1, a, 1099); err != nil || p != (staking.Paid{Reward: rewards[i]}) {
			t.Fatalf("contributor %d: %+v, %v", i, p, err)
		}
		if p, err := b.withdraw(1, a, 1100); err != nil || p != (staking.Paid{Stake: stake, Gone: i == 3}) {
			t.Fatalf("contributor %d: %+v, %v", i, p, err)
		}
		if b.acc[account(a)] != funds+rewards[i] {
			t.Fatalf("contributor %d has %d", i, b.acc[account(a)])
		}
	}
	if _, ok := b.Bond(node(1)); ok || b.Bonded() != 0 || b.Outstanding() != 0 {
		t.Fatal("something is left")
	}
	b.sound(t)
}

func TestUnlockBeforeFullStaking(t *testing.T) {
	b := newBench(0)
	must(t, b.open(1, 0, 400), b.add(1, 1, 300), b.unlock(1, 1, 77))
	p, err := b.withdraw(1, 0, 77)
	if err != nil || p.Stake != 400 || p.Gone {
		t.Fatalf("%+v, %v", p, err)
	}
	// Once fully staked, a bond that a slash made short takes the delay.
	b.full(t, 2)
	b.Slash(node(2), 50, 1, nil, 0, b.acc)
	must(t, b.unlock(2, 2, 77))
	b.refused(t, staking.CodeNothingDue, func() error { _, err := b.withdraw(2, 2, 176); return err })
	if p, err := b.withdraw(2, 2, 177); err != nil || p.Stake != 300 {
		t.Fatalf("%+v, %v", p, err)
	}
	b.sound(t)
}

func TestLock(t *testing.T) {
	b := newBench(0)
	b.full(t, 1)
	must(t, b.unlock(1, 0, 50)) // would mature at 150
	b.Lock(node(1), 500)
	b.Lock(node(1), 400) // only ever later
	b.Lock(node(9), 400) // nobody: nothing
	b.refused(t, staking.CodeNothingDue, func() error { _, err := b.withdraw(1, 0, 499); return err })
	if s := b.Slash(node(1), 100, 6, nil, 0, b.acc); s.Total != 100 {
		t.Fatalf("locked stake is not reachable: %+v", s)
	}
	if p, err := b.withdraw(1, 0, 500); err != nil || p.Stake != 300 {
		t.Fatalf("%+v, %v", p, err)
	}
	b.sound(t)
}

func TestRewards(t *testing.T) {
	b := newBench(1000)
	b.full(t, 1)
	b.full(t, 2)
	b.full(t, 3)
	for n := range byte(3) {
		b.Active(node(n+1), true)
		b.Active(node(n+1), true) // again: nothing
	}
	b.Reward(100) // 33 each; 1 stays
	if b.Pool() != 901 || b.Outstanding() != 99 || b.Earning() != 3 {
		t.Fatalf("pool %d, outstanding %d", b.Pool(), b.Outstanding())
	}
	b.Active(node(2), false)
	b.Reward(100) // 50 each
	b.Active(node(2), true)
	b.Reward(2) // less than one each
	// node 1: 83; fee 8, rest 75 by 400, 300, 300
	if got := b.Due(node(1)); !slices.Equal(got, []staking.Contribution{{Account: account(0), Amount: 38}, {Account: account(1), Amount: 22}, {Account: account(2), Amount: 22}}) {
		t.Fatalf("%v", got)
	}
	// node 2: 33; fee 3, rest 30
	if got := b.Due(node(2)); got[0].Amount != 15 || got[1].Amount != 9 || got[2].Amount != 9 {
		t.Fatalf("%v", got)
	}
	b.sound(t)
	for range 100 {
		b.Reward(100) // until the pool has less than one each
	}
	if b.Pool() >= 3 {
		t.Fatalf("pool %d", b.Pool())
	}
	b.sound(t)
}

func TestSlash(t *testing.T) {
	reporter := account(11)
	type row struct {
		name     string
		amount   chain.Amount
		reporter *chain.Address
		share    chain.BasisPoints
		want     staking.Slashed
		left     []chain.Amount
	}
	loss := func(x ...chain.Amount) (out []staking.Contribution) {
		for i, v := range x {
			out = append(out, staking.Contribution{Account: account(byte(i)), Amount: v})
		}
		return out
	}
	for _, r := range []row{
		{"five per cent, the operator's own", 50, &reporter, 5000, staking.Slashed{Total: 50, OperatorLoss: 50, Reward: 25, Burned: 25, Losses: loss(50)}, []chain.Amount{350, 300, 300}},
		{"no reporter: all burns", 50, nil, 5000, staking.Slashed{Total: 50, OperatorLoss: 50, Burned: 50, Losses: loss(50)}, []chain.Amount{350, 300, 300}},
		{"never more than half to the reporter", 51, &reporter, 9999, staking.Slashed{Total: 51, OperatorLoss: 51, Reward: 25, Burned: 26, Losses: loss(51)}, []chain.Amount{349, 300, 300}},
		{"contributors after the operator, odd units in order", 501, &reporter, 1000, staking.Slashed{Total: 501, OperatorLoss: 400, Reward: 40, Burned: 461, Losses: loss(400, 51, 50)}, []chain.Amount{0, 249, 250}},
		{"all", 1000, &reporter, 5000, staking.Slashed{Total: 1000, OperatorLoss: 400, Reward: 200, Burned: 800, Losses: loss(400, 300, 300)}, []chain.Amount{0, 0, 0}},
		{"never below zero", ^chain.Amount(0), &reporter, 5000, staking.Slashed{Total: 1000, OperatorLoss: 400, Reward: 200, Burned: 800, Losses: loss(400, 300, 300)}, []chain.Amount{0, 0, 0}},
		{"nothing", 0, &reporter, 5000, staking.Slashed{}, []chain.Amount{400, 300, 300}},
	} {
		t.Run(r.name, func(t *testing.T) {
			b := newBench(100)
			b.full(t, 1)
			b.Active(node(1), true)
			b.Reward(100) // earned by the shares before the slash
			got := b.Slash(node(1), r.amount, 5, r.reporter, r.share, b.acc)
			if got.Total != r.want.Total || got.OperatorLoss != r.want.OperatorLoss || got.Reward != r.want.Reward ||
				got.Burned != r.want.Burned || !slices.Equal(got.Losses, r.want.Losses) {
				t.Fatalf("%+v", got)
			}
			bond, _ := b.Bond(node(1))
			for i, c := range bond.Contributions {
				if c.Amount != r.left[i] {
					t.Fatalf("contributor %d keeps %d", i, c.Amount)
				}
			}
			if due := b.Due(node(1)); due[0].Amount != 46 || due[1].Amount != 27 || due[2].Amount != 27 {
				t.Fatalf("rewards %v", due)
			}
			if b.acc[reporter] != funds+r.want.Reward {
				t.Fatalf("reporter has %d", b.acc[reporter])
			}
			b.sound(t)
		})
	}
	b := newBench(0)
	if got := b.Slash(node(1), 10, 1, nil, 0, b.acc); got.Total != 0 {
		t.Fatal("slashed nobody")
	}
}

// An offence weighs by the stake of its own epoch, in whatever order the
// offences of one epoch are punished.
func TestStakeAt(t *testing.T) {
	b := newBench(0)
	must(t, b.Open(node(1), account(0), 0, 600, 3, b.acc))
	must(t, b.Contribute(account(1), staking.Contribute{Node: node(1), Amount: 400}, 4, b.acc))
	b.Slash(node(1), 100, 7, nil, 0, b.acc)
	b.Slash(node(1), 50, 7, nil, 0, b.acc)
	b.Slash(node(1), 50, 8, nil, 0, b.acc)
	must(t, b.Contribute(account(0), staking.Contribute{Node: node(1), Amount: 20}, 8, b.acc))
	for e, want := range []chain.Amount{0, 0, 0, 600, 1000, 1000, 1000, 1000, 850, 820, 820} {
		if got := b.StakeAt(node(1), chain.Epoch(e)); got != want {
			t.Fatalf("epoch %d: %d, want %d", e, got, want)
		}
	}
	b.sound(t)
	// The horizon is unlock delay / epoch length + 2 = 12 epochs.
	b.Slash(node(1), 1, 20, nil, 0, b.acc)
	bond, _ := b.Bond(node(1))
	if len(bond.Checkpoints) != 3 || b.StakeAt(node(1), 8) != 850 || b.StakeAt(node(1), 9) != 820 || b.StakeAt(node(1), 21) != 819 {
		t.Fatalf("%v", bond.Checkpoints)
	}
}

// After a slash the missing part can be added, the operator's own first.
func TestTopUp(t *testing.T) {
	b := newBench(0)
	must(t, b.open(1, 0, 250), b.add(1, 1, 750))
	b.Slash(node(1), 20, 2, nil, 0, b.acc)
	if b.FullyStaked(node(1)) {
		t.Fatal("short and fully staked")
	}
	b.refused(t, staking.CodeOperatorFirst, func() error { return b.add(1, 2, 20) })
	must(t, b.add(1, 0, 20))
	if !b.FullyStaked(node(1)) {
		t.Fatal("not fully staked")
	}
	b.sound(t)
}

// Any series of operations conserves the supply exactly, and state that is
// loaded from its rows is the same state.
func TestConservation(t *testing.T) {
	testenv.Check(t, func(t *rapid.T) {
		b := newBench(chain.Amount(rapid.IntRange(0, 5000).Draw(t, "pool")))
		who := rapid.ByteRange(0, 5)
		which := rapid.ByteRange(1, 3)
		amount := rapid.OneOf(rapid.IntRange(0, 1100), rapid.SampledFrom([]int{250, 334, 375, 500, 1000}))
		var now chain.Time = 10
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n, a := which.Draw(t, "node"), who.Draw(t, "who")
			epoch := chain.Epoch(now / 10)
			x := chain.Amount(amount.Draw(t, "amount"))
			switch rapid.IntRange(0, 11).Draw(t, "op") {
			case 0, 1:
				_ = b.Open(node(n), account(a), chain.BasisPoints(x*9), x, epoch, b.acc)
			case 2, 3, 4:
				_ = b.Contribute(account(a), staking.Contribute{Node: node(n), Amount: x}, epoch, b.acc)
			case 5:
				if x%7 == 0 {
					_ = b.unlock(n, a, now)
				}
			case 6:
				_, _ = b.withdraw(n, a, now)
			case 7:
				b.Active(node(n), x%3 != 0)
			case 8:
				b.Reward(x / 3)
			case 9:
				r := account(a)
				if got := b.Slash(node(n), x, epoch, &r, chain.BasisPoints(x*9), b.acc); got.Reward+got.Burned != got.Total || got.Reward > got.OperatorLoss/2 {
					t.Fatalf("%+v", got)
				}
			case 10:
				if x%5 == 0 {
					b.Lock(node(n), now+chain.Time(x/10))
				}
			case 11:
				now += chain.Time(x / 8)
			}
			b.sound(t)
		}
		b.commit()
		var stakes, params table.Part
		s := staking.New(&stakes, &params, &b.prm)
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		must(stakes.Load(slices.Collect(b.stakes.Rows())))
		must(params.Load(slices.Collect(b.params.Rows())))
		must(s.Check())
		if stakes.Root() != b.stakes.Root() || params.Root() != b.params.Root() {
			t.Fatal("loaded state has another root")
		}
		// Everybody can get out in the end, and then nothing is left but the pool and what burned.
		for bond := range b.All() {
			_ = b.RequestUnlock(bond.Operator, staking.RequestUnlock{Node: bond.Node}, now)
			for _, c := range bond.Contributions {
				_, _ = b.Withdraw(c.Account, staking.Withdraw{Node: bond.Node}, now+10_000, b.acc)
			}
			if left, ok := b.Bond(bond.Node); ok {
				t.Fatalf("something cannot be withdrawn: %+v", left)
			}
		}
		b.sound(t)
		if b.Bonded() != 0 || b.Outstanding() != 0 {
			t.Fatalf("bonded %d, outstanding %d", b.Bonded(), b.Outstanding())
		}
	})
}

// A hold keeps stake in without closing the bond, and can only be put off.
func TestHold(t *testing.T) {
	b := newBench(1000)
	must(t, b.open(1, 0, 1000))
	b.Hold(node(1), 5000)
	b.Hold(node(1), 4000)
	b.Hold(node(9), 4000) // nobody
	if bond, _ := b.Bond(node(1)); bond.HoldUntil != 5000 || bond.Closed() || !b.FullyStaked(node(1)) {
		t.Fatalf("%+v", bond)
	}
	must(t, b.unlock(1, 0, 1000))
	at := chain.Time(6000)
	b.Hold(node(1), at)
	if bond, _ := b.Bond(node(1)); bond.MaturesAt() != at {
		t.Fatalf("matures at %d, want %d", bond.MaturesAt(), at)
	}
	if _, err := b.withdraw(1, 0, at-1); err == nil {
		t.Fatal("held stake was withdrawn")
	}
	if p, err := b.withdraw(1, 0, at); err != nil || p.Stake != 1000 {
		t.Fatalf("%+v, %v", p, err)
	}
	b.sound(t)
}
