package ledger_test

import (
	"testing"

	"tunic/chain"
	"tunic/ledger"
	"tunic/ledger/machine"
)

func fee(x chain.Amount) func(*machine.Transfer) {
	return func(v *machine.Transfer) { v.Head.Fee = x }
}

func TestMempoolOrdersByNonceAndGapsWait(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	l := open(t, cfg)
	g := cfg.Genesis
	ids := map[uint64]chain.Hash{}
	for _, n := range []uint64{2, 0, 4, 1} {
		ids[n] = submit(t, l, transfer(g, "a", "b", n, chain.Amount(n+1)))
	}
	if n := l.NextNonce(address("a")); n != 3 {
		t.Fatalf("next nonce %d", n)
	}
	if s := seal(t, l); s.Header.TxCount != 3 {
		t.Fatalf("%d transactions", s.Header.TxCount)
	}
	if s, _ := l.Tx(ids[4]); s.State != ledger.TxPending || len(l.Pending()) != 1 {
		t.Fatalf("behind the gap: %+v", s)
	}
	submit(t, l, transfer(g, "a", "b", 3, 1))
	if s := seal(t, l); s.Header.TxCount != 2 || len(l.Pending()) != 0 {
		t.Fatalf("%d transactions", s.Header.TxCount)
	}
}

func TestMempoolReplacement(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	l := open(t, cfg)
	g := cfg.Genesis
	least := g.Params.MinFee
	first := transfer(g, "a", "b", 0, 1)
	old := submit(t, l, first)
	submit(t, l, first) // again: the same
	refusedWith(t, l, transfer(g, "a", "b", 0, 2), ledger.CodeUnderpriced)
	submit(t, l, transfer(g, "a", "b", 0, 3, fee(least+1)))
	if _, err := l.Tx(old); err == nil {
		t.Fatal("the replaced one is still known")
	}
	seal(t, l)
	if got := balance(l, "b"); got != 1000*chain.TUN+3 {
		t.Fatalf("balance %d", got)
	}
}

func TestMempoolBounds(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	cfg.Pool = ledger.PoolLimits{Count: 4, Bytes: 1 << 20, PerSender: 3}
	l := open(t, cfg)
	g := cfg.Genesis
	for n := range uint64(3) {
		submit(t, l, transfer(g, "a", "b", n, 1))
	}
	refusedWith(t, l, transfer(g, "a", "b", 3, 1), machine.CodeNonceGap)
	submit(t, l, transfer(g, "b", "a", 0, 1))
	refusedWith(t, l, transfer(g, "c", "a", 0, 1), ledger.CodePoolFull)
	submit(t, l, transfer(g, "a", "b", 1, 9, fee(g.Params.MinFee+1))) // a replacement takes no more room
	if s := seal(t, l); s.Header.TxCount != 4 {
		t.Fatalf("%d transactions", s.Header.TxCount)
	}
	cfg.Pool = ledger.PoolLimits{Count: 10, Bytes: 200, PerSender: 10}
	l = open(t, cfg)
	submit(t, l, transfer(g, "a", "b", 0, 1))
	refusedWith(t, l, transfer(g, "a", "b", 1, 1), ledger.CodePoolFull)
}

func TestMempoolExpiry(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	l := open(t, cfg)
	until := func(h chain.Height) func(*machine.Transfer) {
		return func(v *machine.Transfer) { v.Head.ValidUntil = h }
	}
	id := submit(t, l, transfer(cfg.Genesis, "a", "b", 1, 1, until(2))) // waits for nonce 0
	seal(t, l)
	if s, _ := l.Tx(id); s.State != ledger.TxPending {
		t.Fatalf("%+v", s)
	}
	seal(t, l)
	if s, _ := l.Tx(id); s.State != ledger.TxRefused || s.Code != machine.CodeExpired {
		t.Fatalf("%+v", s)
	}
	refusedWith(t, l, transfer(cfg.Genesis, "a", "b", 0, 1, until(2)), machine.CodeExpired)
}
