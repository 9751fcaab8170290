package staking_test

import (
	"errors"
	"maps"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/table"
	"tunic/staking"
)

// accounts is the simplest staking.Accounts.
type accounts map[chain.Address]chain.Amount

func (a accounts) Balance(x chain.Address) chain.Amount { return a[x] }
func (a accounts) Debit(x chain.Address, v chain.Amount) {
	if a[x] < v {
		panic("debit over balance")
	}
	a[x] -= v
}
func (a accounts) Credit(x chain.Address, v chain.Amount) { a[x] += v }

// bench is a staking reducer with its parts and accounts.
type bench struct {
	*staking.Staking
	acc            accounts
	prm            genesis.Params
	stakes, params table.Part
	supply         chain.Amount
}

// funds is what each of the first twelve accounts has.
const funds = 10_000

// newBench has a requirement of 1000 units, 4 contributors, 25 %, an unlock
// delay of 100 ms and epochs of 10 ms.
func newBench(pool chain.Amount) *bench {
	b := &bench{acc: accounts{}}
	b.prm = genesis.Params{StakingRequirement: 1000, MaxContributors: 4, OperatorMinimum: 2500, UnlockDelay: 100, EpochLength: 10}
	b.Staking = staking.New(&b.stakes, &b.params, &b.prm)
	b.Init(pool)
	for i := range byte(12) {
		b.acc[account(i)] = funds
	}
	b.supply = b.sum()
	b.commit()
	return b
}

func (b *bench) sum() chain.Amount {
	sum := b.Bonded() + b.Outstanding() + b.Pool() + b.Burned()
	for _, x := range b.acc {
		sum += x
	}
	return sum
}

func (b *bench) commit() int { return len(b.stakes.Commit()) + len(b.params.Commit()) }

// sound checks conservation and the reducer's own invariants.
func (b *bench) sound(t interface{ Fatalf(string, ...any) }) {
	if got := b.sum(); got != b.supply {
		t.Fatalf("supply is %d, was %d", got, b.supply)
	}
	for _, x := range []chain.Amount{b.Bonded(), b.Outstanding(), b.Pool(), b.Burned()} {
		if x > b.supply {
			t.Fatalf("a total of %d went below zero", x)
		}
	}
	if err := b.Check(); err != nil {
		t.Fatalf("%v", err)
	}
}

func account(i byte) chain.Address { return chain.Address{0: 0xaa, 19: i} }
func node(i byte) chain.NodeID     { return chain.NodeID{0: 0xbb, 31: i} }

func (b *bench) open(n, operator byte, amount chain.Amount) error {
	return b.Open(node(n), account(operator), 1000, amount, 1, b.acc)
}

func (b *bench) add(n, who byte, amount chain.Amount) error {
	return b.Contribute(account(who), staking.Contribute{Node: node(n), Amount: amount}, 1, b.acc)
}

func (b *bench) unlock(n, who byte, now chain.Time) error {
	return b.RequestUnlock(account(who), staking.RequestUnlock{Node: node(n)}, now)
}

func (b *bench) withdraw(n, who byte, now chain.Time) (staking.Paid, error) {
	return b.Withdraw(account(who), staking.Withdraw{Node: node(n)}, now, b.acc)
}

// must fails the test on an error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// full stakes node n with 400 of account 0, 300 each of 1 and 2.
func (b *bench) full(t *testing.T, n byte) {
	t.Helper()
	must(t, b.open(n, 0, 400), b.add(n, 1, 300), b.add(n, 2, 300))
}

// refused checks that op is refused with code and changes nothing.
func (b *bench) refused(t *testing.T, code string, op func() error) {
	t.Helper()
	b.commit()
	stakes, params, acc := b.stakes.Root(), b.params.Root(), maps.Clone(b.acc)
	err := op()
	if !errors.Is(err, &chain.Refusal{Code: code}) {
		t.Fatalf("got %v, want %s", err, code)
	}
	if n := b.commit(); n != 0 || b.stakes.Root() != stakes || b.params.Root() != params || !maps.Equal(acc, b.acc) {
		t.Fatalf("a refusal changed %d rows or balances", n)
	}
}
