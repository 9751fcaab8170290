package ledger_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/registry"
)

func ctxFor(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestAutoSealsWhatWaits(t *testing.T) {
	cfg := config("", ledger.ModeAuto)
	l := open(t, cfg)
	ctx := ctxFor(t)
	events := l.Subscribe(ctx, 0)
	id := submit(t, l, transfer(cfg.Genesis, "a", "b", 0, 5))
	s, err := l.Await(ctx, id)
	if err != nil || s.State != ledger.TxIncluded || s.Code != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	b, err := l.Block(s.Height)
	if err != nil || len(b.Txs) != 1 || string(b.Txs[s.Index]) != string(s.Bytes) {
		t.Fatalf("block %+v, %v", b, err)
	}
	if err := machine.VerifySeal(l.Core(), cfg.Genesis.Hash(), b.SealedHeader); err != nil {
		t.Fatal(err)
	}
	if again, err := l.BlockByHash(b.Header.Hash()); err != nil || again.Header.Height != b.Header.Height {
		t.Fatalf("by hash: %v", err)
	}
	for h := chain.Height(1); h <= s.Height; h++ {
		if e := <-events; e.Header.Height != h {
			t.Fatalf("event of height %d, want %d", e.Header.Height, h)
		}
	}
	res, err := l.Results(s.Height)
	if err != nil || len(res) != 1 || res[0].Tx != id {
		t.Fatalf("results %+v, %v", res, err)
	}
	if _, err := l.Tx(chain.Hash{1}); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("unknown transaction: %v", err)
	}
	if _, err := l.Block(99); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("block above the head: %v", err)
	}
	check(t, l)
}

func TestRefusedInABlockIsRemembered(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	rich(&cfg)
	l := open(t, cfg)
	a := submit(t, l, register(cfg.Genesis, "n", "a", 0))
	b := submit(t, l, register(cfg.Genesis, "n", "b", 0)) // passes alone, not after the first
	seal(t, l)
	if s, err := l.Tx(a); err != nil || s.State != ledger.TxIncluded {
		t.Fatalf("%+v, %v", s, err)
	}
	s, err := l.Tx(b)
	if err != nil || s.State != ledger.TxRefused || s.Code != registry.CodeAlreadyRegistered || s.Height != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := l.Await(ctxFor(t), b); err != nil {
		t.Fatal(err)
	}
}

func TestSealersKeyAndConfig(t *testing.T) {
	for name, change := range map[string]func(*ledger.Config){
		"another key":           func(c *ledger.Config) { c.SealerKey = sealerKey("2") },
		"mode":                  func(c *ledger.Config) { c.Mode = "often" },
		"movable on real":       func(c *ledger.Config) { c.Genesis = testGenesis(genesis.ClockReal) },
		"genesis not canonical": func(c *ledger.Config) { c.Genesis.Sealers = nil },
	} {
		cfg := config("", "")
		change(&cfg)
		if _, err := ledger.Open(context.Background(), cfg); !errors.Is(err, ledger.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg := config("", "")
	cfg.SealerKey = nil
	l := open(t, cfg)
	if _, err := l.Seal(context.Background()); !errors.Is(err, ledger.ErrNoSealer) {
		t.Errorf("without a key: %v", err)
	}
	if err := l.Advance(context.Background(), 5); !errors.Is(err, ledger.ErrNoSealer) {
		t.Errorf("without a key: %v", err)
	}
}

func TestRealClockSealsBoundaries(t *testing.T) {
	g := testGenesis(genesis.ClockReal)
	g.Time = chain.Time(time.Now().UnixMilli())
	g.Params.EpochLength, g.Params.BlockInterval = 20, 20
	l := open(t, ledger.Config{Genesis: g, SealerKey: sealerKey("1")})
	for e := range l.Subscribe(ctxFor(t), 0) {
		if e.Header.DirEpoch >= 3 {
			break
		}
	}
	if err := l.Advance(context.Background(), 5); !errors.Is(err, ledger.ErrClock) {
		t.Fatalf("advance on the machine's clock: %v", err)
	}
	check(t, l)
}

func TestIntervalSeals(t *testing.T) {
	cfg := config("", ledger.ModeInterval)
	cfg.Genesis.Params.BlockInterval = 10
	cfg.Clock = ledger.NewOffsetClock(start)
	l := open(t, cfg)
	id := submit(t, l, transfer(cfg.Genesis, "a", "b", 0, 5))
	if s, err := l.Await(ctxFor(t), id); err != nil || s.State != ledger.TxIncluded {
		t.Fatalf("%+v, %v", s, err)
	}
	for e := range l.Subscribe(ctxFor(t), 0) {
		if e.Header.Height == 4 {
			break
		}
	}
}

func TestAdvance(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	l := open(t, cfg)
	ctx := ctxFor(t)
	var barriers []chain.Height
	nonce := uint64(0)
	l.SetBarrier(func(ctx context.Context, h chain.Height) error {
		barriers = append(barriers, h)
		if nonce < 3 { // answered at the same instant
			nonce++
			_, err := l.Submit(ctx, transfer(cfg.Genesis, "a", "b", nonce-1, 5))
			return err
		}
		return nil
	})
	length := chain.Duration(cfg.Genesis.Params.EpochLength)
	if err := l.Advance(ctx, 20*length+500); err != nil {
		t.Fatal(err)
	}
	head := l.Head()
	if head.Header.Time != start+chain.Time(20*length+500) || head.Header.DirEpoch != 20 {
		t.Fatalf("head %+v", head.Header)
	}
	if len(barriers) != int(head.Header.Height) {
		t.Fatalf("%d barriers, %d blocks", len(barriers), head.Header.Height)
	}
	seen := chain.Epoch(0)
	for h := chain.Height(1); h <= head.Header.Height; h++ {
		b, err := l.Block(h)
		if err != nil {
			t.Fatal(err)
		}
		if b.Header.DirEpoch > seen+1 {
			t.Fatalf("epoch %d follows %d", b.Header.DirEpoch, seen)
		}
		seen = b.Header.DirEpoch
	}
	if want := 1 + 20 + 1 + 2; int(head.Header.Height) > want+2 || nonce != 3 || balance(l, "b") != 1000*chain.TUN+15 {
		t.Fatalf("%d blocks for 20 epochs, balance %d", head.Header.Height, balance(l, "b"))
	}
	for _, c := range []struct {
		e  chain.Epoch
		ok bool
	}{{0, true}, {20, true}, {5, true}, {4, false}, {21, false}} {
		list, s, err := l.List(c.e)
		if (err == nil) != c.ok {
			t.Errorf("list of epoch %d: %v", c.e, err)
		}
		if err == nil && list.Check(s.Header) != nil {
			t.Errorf("list of epoch %d does not match its header", c.e)
		}
	}
	if err := l.AdvanceTo(ctx, start); err != nil || l.Clock().Now() != head.Header.Time {
		t.Fatalf("back in time: %v", err)
	}
	check(t, l)
}
