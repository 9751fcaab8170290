package ledger_test

import (
	"context"
	"fmt"
	"log"

	"tunic/ledger"
	"tunic/ledger/machine"
)

// A ledger in memory whose clock stands until it is moved: submit, seal, read,
// and jump ahead by a minute.
func Example() {
	ctx := context.Background()
	cfg := ledger.Config{Genesis: testGenesis("ledger"), SealerKey: sealerKey("1"), Mode: ledger.ModeManual, Clock: ledger.NewDrivenClock(start)}
	l, err := ledger.Open(ctx, cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()

	id, err := l.Submit(ctx, transfer(cfg.Genesis, "a", "b", 0, 5))
	if err != nil {
		log.Fatal(err) // a *chain.Refusal says why, with a stable code
	}
	if _, err := l.Seal(ctx); err != nil {
		log.Fatal(err)
	}
	s, _ := l.Tx(id)
	fmt.Println(s.State, "at height", s.Height)

	if err := l.Advance(ctx, 60_000); err != nil {
		log.Fatal(err)
	}
	l.View(func(m *machine.Machine) {
		fmt.Println("epoch", m.Head().DirEpoch, "balance", m.Account(address("b")).Balance)
	})
	// Output:
	// included at height 1
	// epoch 6 balance 1000.000000005
}
