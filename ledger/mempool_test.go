package ledger_test

import (
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
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
	submit(t, l, transfer(g, "b", "a", 1, 1)) // in place of a's last
	refusedWith(t, l, transfer(g, "b", "a", 2, 1), ledger.CodePoolFull)
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

// Who cannot pay for what waits cannot make more wait.
func TestMempoolHoldsWhatIsPaidFor(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	l := open(t, cfg)
	g := cfg.Genesis
	least := g.Params.MinFee
	refusedWith(t, l, transfer(g, "nobody", "a", 0, 1), machine.CodeInsufficientFunds)
	refusedWith(t, l, transfer(g, "a", "b", 0, 1000*chain.TUN-least+1), machine.CodeInsufficientFunds)
	refusedWith(t, l, transfer(g, "a", "b", 0, ^chain.Amount(0)), machine.CodeInsufficientFunds)
	refusedWith(t, l, transfer(g, "a", "b", 0, 0), machine.CodeZeroAmount)
	submit(t, l, transfer(g, "a", "b", 0, 600*chain.TUN))
	refusedWith(t, l, transfer(g, "a", "b", 1, 400*chain.TUN-2*least+1), machine.CodeInsufficientFunds)
	refusedWith(t, l, transfer(g, "a", "b", 9, 400*chain.TUN-2*least+1), machine.CodeInsufficientFunds)
	submit(t, l, transfer(g, "a", "b", 1, 400*chain.TUN-2*least))
	// A replacement counts in place of what it replaces.
	refusedWith(t, l, transfer(g, "a", "b", 0, 600*chain.TUN, fee(least+1)), machine.CodeInsufficientFunds)
	submit(t, l, transfer(g, "a", "b", 0, 600*chain.TUN-1, fee(least+1)))
	if s := seal(t, l); s.Header.TxCount != 2 || balance(l, "a") != 0 {
		t.Fatalf("%d transactions, balance %d", s.Header.TxCount, balance(l, "a"))
	}
}

// A full pool makes room: for what a block could take, of accounts that have
// little in it, and for statements always.
func TestMempoolMakesRoom(t *testing.T) {
	cfg := config("", ledger.ModeManual)
	rich(&cfg)
	cfg.Pool = ledger.PoolLimits{Count: 6, Bytes: 1 << 20, PerSender: 8}
	l := open(t, cfg)
	g := cfg.Genesis
	submit(t, l, register(g, "n", "c", 0))
	seal(t, l)
	dropped := func(id chain.Hash) {
		t.Helper()
		if s, err := l.Tx(id); err != nil || s.State != ledger.TxRefused || s.Code != ledger.CodePoolFull {
			t.Fatalf("%+v, %v", s, err)
		}
	}
	var a []chain.Hash
	for n := range uint64(5) {
		a = append(a, submit(t, l, transfer(g, "a", "b", n, 1)))
	}
	gap := submit(t, l, transfer(g, "b", "a", 3, 1))
	refusedWith(t, l, transfer(g, "a", "b", 6, 1), ledger.CodePoolFull) // behind a gap itself, and of who has most
	submit(t, l, transfer(g, "c", "a", 1, 1))                           // in place of the gap, though a has more
	dropped(gap)
	submit(t, l, transfer(g, "b", "a", 0, 1)) // in place of a's last
	dropped(a[4])
	submit(t, l, transfer(g, "b", "a", 1, 1))
	dropped(a[3])
	submit(t, l, transfer(g, "c", "a", 2, 1)) // three, two and two would be one too many
	dropped(a[2])
	refusedWith(t, l, transfer(g, "c", "a", 3, 1), ledger.CodePoolFull)
	for i, st := range [][]byte{heartbeat(l, "n", statement.NewSequence(1, 1)), descriptor(l, "n", statement.NewSequence(1, 1))} {
		if _, err := l.Publish(ctxFor(t), st); err != nil {
			t.Fatalf("statement %d: %v", i, err)
		}
	}
	if got := len(l.Pending()); got != 6 {
		t.Fatalf("%d wait", got)
	}
	if s := seal(t, l); s.Header.TxCount != 6 || len(l.Pending()) != 0 {
		t.Fatalf("%d transactions, %d wait", s.Header.TxCount, len(l.Pending()))
	}
	check(t, l)
}
