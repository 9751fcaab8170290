package ledger_test

import (
	"context"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/ledger/light"
	"tunic/ledger/machine"
)

// In real time and under load, blocks carry the epoch of their time, an epoch's
// list comes in its first block, and nothing that was accepted is lost.
func TestRealTimeUnderLoad(t *testing.T) {
	ctx := ctxFor(t)
	cfg := config("", ledger.ModeAuto)
	p := &cfg.Genesis.Params
	p.EpochLength, p.BlockInterval = 50, 20
	cfg.Clock = ledger.NewOffsetClock(start)
	l := open(t, cfg)
	var last chain.Hash
	n := uint64(0)
	for ; l.Head().Header.DirEpoch < 5; n++ {
		last = submit(t, l, transfer(cfg.Genesis, "a", "b", n, 1))
		if n%16 == 15 {
			if s, err := l.Await(ctx, last); err != nil || s.State != ledger.TxIncluded {
				t.Fatalf("%+v, %v", s, err)
			}
		}
	}
	if s, err := l.Await(ctx, last); err != nil || s.Code != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	if got := balance(l, "b"); got != 1000*chain.TUN+chain.Amount(n) {
		t.Fatalf("balance %d after %d transfers", got, n)
	}
	var before chain.Header
	for e := range l.Subscribe(ctx, 0) {
		h := e.Header
		if h.Time < before.Time || h.DirEpoch != cfg.Genesis.EpochAt(h.Time) {
			t.Fatalf("block %d: time %d, epoch %d", h.Height, h.Time, h.DirEpoch)
		}
		if h.Height == l.Head().Header.Height {
			break
		}
		before = h
	}
	check(t, l)
}

// Where the machine's clock has been set back, time in blocks stands still
// until it has caught up, and blocks go on.
func TestClockSetBack(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	cfg.Genesis = testGenesis(genesis.ClockReal)
	cfg.Clock = ledger.NewRealClock()
	m, err := machine.New(cfg.Genesis, nil)
	if err != nil {
		t.Fatal(err)
	}
	ahead := chain.Time(time.Now().Add(time.Hour).UnixMilli())
	out, err := m.Apply(machine.Input{Height: 1, Time: ahead, Proposer: cfg.Genesis.Sealers[0]})
	if err != nil {
		t.Fatal(err)
	}
	l := open(t, cfg)
	blk := chain.Block{SealedHeader: light.Seal(sealerKey("1"), out.Header)}
	if _, err := l.Import(context.Background(), func(yield func([]byte, error) bool) { yield(blk.Encode(), nil) }); err != nil {
		t.Fatal(err)
	}
	submit(t, l, transfer(cfg.Genesis, "a", "b", 0, 1))
	if s := seal(t, l); s.Header.Time != ahead || s.Header.TxCount != 1 {
		t.Fatalf("time %d, %d transactions; the head's was %d", s.Header.Time, s.Header.TxCount, ahead)
	}
	check(t, l)
}
