package ledger_test

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/google/go-cmp/cmp"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// council lets a and b together change parameters.
func council(cfg ledger.Config) ledger.Config {
	cfg.Genesis.Council = []chain.Address{address("a"), address("b")}
	slices.SortFunc(cfg.Genesis.Council, func(x, y chain.Address) int { return strings.Compare(string(x[:]), string(y[:])) })
	cfg.Genesis.CouncilMin = 2
	return cfg
}

func approve(g genesis.Genesis, who string, nonce uint64, c genesis.Change) []byte {
	v := machine.ChangeParams{Head: chain.Head{Nonce: nonce, Fee: 5000, ValidUntil: 1 << 40}, Number: c.Number, Epoch: c.Epoch, Params: c.Params.Encode()}
	tx := machine.ChangeParamsType.Unsigned(v)
	d, err := chain.NewDomain(g.ChainID, g.Hash()).Digest(machine.ChangeParamsType.Schema(), tx.Payload)
	if err != nil {
		panic(err)
	}
	sig, err := crypto.Sign(d[:], accountKey(who))
	if err != nil {
		panic(err)
	}
	tx.Sig = [65]byte(sig)
	return tx.Encode()
}

func inForce(l *ledger.Ledger) (f genesis.InForce) {
	l.View(func(m *machine.Machine) { f = m.InForce() })
	return f
}

// The parameters in force survive a restart, a replay and a load, and
// a revert brings former ones back; what waits with too low a fee is dropped.
func TestParamsStay(t *testing.T) {
	dir := t.TempDir()
	cfg := council(config(filepath.Join(dir, "a"), ledger.ModeManual))
	g, ctx := cfg.Genesis, ctxFor(t)
	l := open(t, cfg)
	seal(t, l)
	c := genesis.Change{Number: 1, Epoch: 3, Params: g.Params}
	c.Params.MinFee = 5000
	submit(t, l, approve(g, "a", 0, c))
	submit(t, l, approve(g, "b", 0, c))
	seal(t, l)
	snapshot(t, l, "scheduled")
	if err := l.AdvanceTo(ctx, g.EpochStart(3)-1); err != nil {
		t.Fatal(err)
	}
	cheap := submit(t, l, transfer(g, "c", "a", 0, 7))
	if f := inForce(l); f.Number != 0 {
		t.Fatalf("%+v", f)
	}
	l.Clock().Set(g.EpochStart(3))
	seal(t, l)
	want := inForce(l)
	if want.Number != 1 || want.Since != 3 || want.Params.MinFee != 5000 {
		t.Fatalf("%+v", want)
	}
	if s, err := l.Tx(cheap); err != nil || s.State != ledger.TxRefused || s.Code != machine.CodeFeeTooLow {
		t.Fatalf("%+v, %v", s, err)
	}
	refusedWith(t, l, transfer(g, "c", "a", 0, 8), machine.CodeFeeTooLow)
	paid := func(nonce uint64) []byte {
		return transfer(g, "c", "a", nonce, 7, func(v *machine.Transfer) { v.Head.Fee = 5000 })
	}
	submit(t, l, paid(0))
	seal(t, l)
	check(t, l)
	var dump bytes.Buffer
	if err := l.Dump(ctx, &dump); err != nil {
		t.Fatal(err)
	}
	head := l.Head().Header
	l.Close()

	if _, err := ledger.Verify(ctx, cfg.Dir); err != nil { // a replay from genesis
		t.Fatal(err)
	}
	l = open(t, cfg)
	if f := inForce(l); !cmp.Equal(f, want) || l.Head().Header.State != head.State {
		t.Fatalf("after a restart: %+v", f)
	}
	refusedWith(t, l, transfer(g, "c", "a", 1, 8), machine.CodeFeeTooLow)
	submit(t, l, paid(1))
	seal(t, l)

	loaded := filepath.Join(dir, "b")
	if _, err := ledger.Load(ctx, loaded, sealerKey("1"), bytes.NewReader(dump.Bytes())); err != nil {
		t.Fatal(err)
	}
	m := open(t, council(config(loaded, ledger.ModeManual)))
	if f := inForce(m); !cmp.Equal(f, want) {
		t.Fatalf("after a load: %+v", f)
	}
	refusedWith(t, m, transfer(g, "c", "a", 1, 8), machine.CodeFeeTooLow)

	// Twice back to before the change: it is scheduled again, and comes again.
	for range 2 {
		revert(t, l, "scheduled")
		if f := inForce(l); f.Number != 0 || f.Params.MinFee != g.Params.MinFee {
			t.Fatalf("after a revert: %+v", f)
		}
		submit(t, l, transfer(g, "c", "a", 0, 9))
		seal(t, l)
		if err := l.AdvanceTo(ctx, g.EpochStart(3)); err != nil {
			t.Fatal(err)
		}
		if f := inForce(l); !cmp.Equal(f, want) {
			t.Fatalf("after a revert and its epoch: %+v", f)
		}
		check(t, l)
	}
	l.Close()
	if _, err := ledger.Verify(ctx, cfg.Dir); err != nil {
		t.Fatal(err)
	}
}

// Events say the number in force at the head.
func TestEventsHaveTheNumber(t *testing.T) {
	cfg := council(config("", ledger.ModeManual))
	g, ctx := cfg.Genesis, ctxFor(t)
	l := open(t, cfg)
	seal(t, l)
	events := l.Subscribe(ctx, 0)
	if e := <-events; e.Params != 0 {
		t.Fatalf("%d at the start", e.Params)
	}
	c := genesis.Change{Number: 1, Epoch: 2, Params: g.Params}
	c.Params.BlockReward++
	submit(t, l, approve(g, "a", 0, c))
	submit(t, l, approve(g, "b", 0, c))
	seal(t, l)
	if e := <-events; e.Params != 0 {
		t.Fatalf("%d while it is scheduled", e.Params)
	}
	l.Clock().Set(g.EpochStart(2))
	seal(t, l)
	if e := <-events; e.Params != 1 || e.Header.DirEpoch != 2 {
		t.Fatalf("%d in epoch %d", e.Params, e.Header.DirEpoch)
	}
}
