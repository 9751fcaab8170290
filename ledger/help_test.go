package ledger_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/ledger/machine"
)

func seed(name string) []byte { s := sha256.Sum256([]byte("test " + name)); return s[:] }

func accountKey(name string) *ecdsa.PrivateKey {
	k, err := crypto.ToECDSA(seed("account " + name))
	if err != nil {
		panic(err)
	}
	return k
}

func address(name string) chain.Address {
	return chain.Address(crypto.PubkeyToAddress(accountKey(name).PublicKey))
}

func sealerKey(name string) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed("sealer " + name)) }

const start chain.Time = 1_700_000_000_000

// testGenesis gives a, b and c 1,000 TUN each.
func testGenesis(clock genesis.Clock) genesis.Genesis {
	prm, err := genesis.For(genesis.Dev)
	if err != nil {
		panic(err)
	}
	g := genesis.Genesis{Core: genesis.Core{
		ChainID: 7, Profile: genesis.Dev, Dev: true, Clock: clock, Engine: genesis.EngineSealer, Time: start,
		Sealers: []chain.NodeID{chain.NodeID(sealerKey("1").Public().(ed25519.PublicKey))}, Params: prm, RewardPool: chain.TUN,
	}}
	for _, n := range []string{"a", "b", "c"} {
		g.Allocations = append(g.Allocations, genesis.Allocation{Address: address(n), Balance: 1000 * chain.TUN})
	}
	slices.SortFunc(g.Allocations, func(a, b genesis.Allocation) int {
		return strings.Compare(string(a.Address[:]), string(b.Address[:]))
	})
	return g
}

func config(dir string, mode ledger.Mode) ledger.Config {
	return ledger.Config{Dir: dir, Genesis: testGenesis(genesis.ClockLedger), SealerKey: sealerKey("1"), Mode: mode,
		Clock: ledger.NewDrivenClock(start)}
}

func open(t testing.TB, cfg ledger.Config) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// transfer is a signed transfer of x units; change may alter it before.
func transfer(g genesis.Genesis, from, to string, nonce uint64, x chain.Amount, change ...func(*machine.Transfer)) []byte {
	v := machine.Transfer{Head: chain.Head{Nonce: nonce, Fee: g.Params.MinFee, ValidUntil: 1 << 40}, To: address(to), Amount: x}
	for _, f := range change {
		f(&v)
	}
	tx := machine.TransferType.Unsigned(v)
	d, err := chain.NewDomain(g.ChainID, g.Hash()).Digest(machine.TransferType.Schema(), tx.Payload)
	if err != nil {
		panic(err)
	}
	sig, err := crypto.Sign(d[:], accountKey(from))
	if err != nil {
		panic(err)
	}
	tx.Sig = [65]byte(sig)
	return tx.Encode()
}

func submit(t testing.TB, l *ledger.Ledger, tx []byte) chain.Hash {
	t.Helper()
	id, err := l.Submit(context.Background(), tx)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func refusedWith(t testing.TB, l *ledger.Ledger, tx []byte, code string) {
	t.Helper()
	_, err := l.Submit(context.Background(), tx)
	if r, ok := err.(*chain.Refusal); !ok || r.Code != code {
		t.Fatalf("submit: %v, want %s", err, code)
	}
}

func seal(t testing.TB, l *ledger.Ledger) chain.SealedHeader {
	t.Helper()
	s, err := l.Seal(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func check(t testing.TB, l *ledger.Ledger) {
	t.Helper()
	l.View(func(m *machine.Machine) {
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

func balance(l *ledger.Ledger, name string) (x chain.Amount) {
	l.View(func(m *machine.Machine) { x = m.Account(address(name)).Balance })
	return x
}
