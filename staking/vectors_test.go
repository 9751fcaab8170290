package staking_test

import (
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/testenv"
	"tunic/staking"
)

// vectors are the part roots after each step of one scripted run.
// Written by: go test ./staking -run TestVectors -rewrite
type vectors struct {
	Command string       `json:"command"`
	Steps   []vectorStep `json:"steps"`
}

type vectorStep struct {
	Step   string     `json:"step"`
	Stakes chain.Hash `json:"stakes"`
	Params chain.Hash `json:"params"`
}

func TestVectors(t *testing.T) {
	const file = "testdata/vectors.json"
	b := newBench(1000)
	got := vectors{Command: "go test ./staking -run TestVectors -rewrite"}
	step := func(name string, err error) {
		t.Helper()
		must(t, err)
		b.sound(t)
		b.commit()
		got.Steps = append(got.Steps, vectorStep{name, b.stakes.Root(), b.params.Root()})
	}
	step("init", nil)
	step("open", b.open(1, 0, 400))
	step("contribute", b.add(1, 1, 300))
	step("fill", b.add(1, 2, 300))
	b.Active(node(1), true)
	step("active", nil)
	b.Reward(103)
	step("reward", nil)
	reporter := account(11)
	b.Slash(node(1), 450, 7, &reporter, 5000, b.acc)
	step("slash", nil)
	step("unlock", b.unlock(1, 2, 1000))
	_, err := b.withdraw(1, 0, 1100)
	step("withdraw", err)
	b.Lock(node(1), 2000)
	step("lock", nil)
	b.AddBurned(5)
	b.acc.Debit(account(3), 5)
	step("burn", nil)

	testenv.Golden(t, file, got)
}

// The messages encode by their tables, and every profile's numbers work.
func TestMessages(t *testing.T) {
	c := staking.Contribute{Head: chain.Head{Nonce: 1, Fee: 2, ValidUntil: 3}, Node: node(4), Amount: 5}
	if got, err := staking.ContributeType.Decode(staking.ContributeType.Encode(c)); err != nil || got != c {
		t.Fatalf("%+v, %v", got, err)
	}
	for want, s := range map[string]*chain.Schema{
		"Contribute(uint64 nonce,uint64 fee,uint64 validUntil,bytes32 node,uint64 amount)": staking.ContributeType.Schema(),
		"RequestUnlock(uint64 nonce,uint64 fee,uint64 validUntil,bytes32 node)":            staking.RequestUnlockType.Schema(),
		"Withdraw(uint64 nonce,uint64 fee,uint64 validUntil,bytes32 node)":                 staking.WithdrawType.Schema(),
	} {
		if s.TypeString() != want {
			t.Fatalf("%s", s.TypeString())
		}
	}
	for _, p := range []genesis.Profile{genesis.Mainnet, genesis.Private, genesis.Dev} {
		prm, err := genesis.For(p)
		must(t, err)
		b := newBench(0)
		b.prm = prm
		for i := range byte(11) {
			b.acc[account(i)] = 3000 * chain.TUN
		}
		b.supply = b.sum()
		must(t, b.open(1, 0, 500*chain.TUN))
		for i := range byte(8) {
			b.refused(t, staking.CodeContributionSmall, func() error { return b.add(1, i+1, 166_666_666_600) })
			must(t, b.add(1, i+1, 166_666_666_667))
		}
		must(t, b.add(1, 9, 1500*chain.TUN-8*166_666_666_667))
		if !b.FullyStaked(node(1)) {
			t.Fatal("the places do not suffice")
		}
		b.sound(t)
	}
}
