package ledger_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// BenchmarkViewAt builds the state of a network of 2,000 listed nodes 1, 100 and
// 1,000 blocks below the head. Every hundredth block opens an epoch, after a heartbeat of every
// node; the others hold 20 transfers each.
func BenchmarkViewAt(b *testing.B) {
	const nodes, operators = 2000, 100
	cfg := config(b.TempDir(), ledger.ModeManual)
	cfg.Genesis.RewardPool = 1_000_000 * chain.TUN
	rich(&cfg)
	for i := range operators {
		cfg.Genesis.Allocations = append(cfg.Genesis.Allocations, genesis.Allocation{Address: address(fmt.Sprint("op", i)), Balance: 1_000_000 * chain.TUN})
	}
	slices.SortFunc(cfg.Genesis.Allocations, func(a, b genesis.Allocation) int { return bytes.Compare(a.Address[:], b.Address[:]) })
	l := open(b, cfg)
	name := func(i int) string { return fmt.Sprint("node", i) }
	ctx := context.Background()
	for i := range nodes {
		op := fmt.Sprint("op", i%operators)
		submit(b, l, register(cfg.Genesis, name(i), op, uint64(i/operators)))
		if i%500 == 499 {
			seal(b, l)
		}
	}
	beats := func(with func(*ledger.Ledger, string, statement.Sequence) []byte) {
		e := l.Head().Header.DirEpoch + 1
		for i := range nodes {
			if _, err := l.Publish(ctx, with(l, name(i), statement.NewSequence(e, 0))); err != nil {
				b.Fatal(err)
			}
		}
		for l.Waiting() > 0 {
			seal(b, l)
		}
	}
	beats(descriptor)
	for l.Head().Header.Height < 1010 {
		beats(heartbeat)
		if err := l.Advance(ctx, cfg.Genesis.Params.EpochLength); err != nil {
			b.Fatal(err)
		}
		for range 98 {
			for range 20 {
				submit(b, l, transfer(cfg.Genesis, "a", "b", l.NextNonce(address("a")), 1))
			}
			seal(b, l)
		}
	}
	head := l.Head().Header.Height
	if l.Head().Header.DirCount != nodes {
		b.Fatalf("%d nodes listed", l.Head().Header.DirCount)
	}
	for _, back := range []chain.Height{1, 100, 1000} {
		b.Run(fmt.Sprint(back), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				// Five in turn: none of them is ready.
				h := head - back - chain.Height(i%5)
				if err := l.ViewAt(ctx, h, func(*machine.Machine) {}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
