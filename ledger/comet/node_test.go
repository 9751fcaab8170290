package comet_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/ledger/comet"
	"tunic/ledger/light"
	"tunic/ledger/machine"
)

func accountKey(name string) *ecdsa.PrivateKey {
	s := sha256.Sum256([]byte("account " + name))
	k, err := crypto.ToECDSA(s[:])
	if err != nil {
		panic(err)
	}
	return k
}

func address(name string) chain.Address {
	return chain.Address(crypto.PubkeyToAddress(accountKey(name).PublicKey))
}

func nodeKey(i int) ed25519.PrivateKey {
	s := sha256.Sum256(fmt.Appendf(nil, "validator %d", i))
	return ed25519.NewKeyFromSeed(s[:])
}

// network is a genesis of n validators, with 10,000 TUN for each of names, and
// their keys by place.
func network(t testing.TB, n int, names ...string) (genesis.Genesis, []ed25519.PrivateKey) {
	t.Helper()
	prm, err := genesis.For(genesis.Private)
	if err != nil {
		t.Fatal(err)
	}
	prm.BlockInterval = 1000
	g := genesis.Genesis{Core: genesis.Core{ChainID: 7, Profile: genesis.Private, Clock: genesis.ClockReal, Engine: genesis.EngineComet,
		Time: chain.Time(time.Now().UnixMilli()), RewardPool: 1000 * chain.TUN, Params: prm}}
	keys := make([]ed25519.PrivateKey, n)
	for i := range keys {
		keys[i] = nodeKey(i)
	}
	slices.SortFunc(keys, func(a, b ed25519.PrivateKey) int {
		return bytes.Compare(a.Public().(ed25519.PublicKey), b.Public().(ed25519.PublicKey))
	})
	for i, k := range keys {
		operator := fmt.Sprintf("operator %d", i)
		g.Sealers, g.Operators = append(g.Sealers, chain.NodeID(k.Public().(ed25519.PublicKey))), append(g.Operators, address(operator))
		names = append(names, operator)
	}
	for _, name := range names {
		g.Allocations = append(g.Allocations, genesis.Allocation{Address: address(name), Balance: 10_000 * chain.TUN})
	}
	slices.SortFunc(g.Allocations, func(a, b genesis.Allocation) int { return bytes.Compare(a.Address[:], b.Address[:]) })
	return g, keys
}

// validator is a ledger with its node.
type validator struct {
	*ledger.Ledger
	node *comet.Node
}

var quick = comet.Pace{Propose: time.Second, Vote: 300 * time.Millisecond, Commit: 50 * time.Millisecond, Empty: 200 * time.Millisecond, Gossip: 10 * time.Millisecond}

func start(t testing.TB, dir string, g genesis.Genesis, key ed25519.PrivateKey, peers []string, with ...func(*comet.Config)) *validator {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	l, err := ledger.Open(t.Context(), ledger.Config{Dir: filepath.Join(dir, "ledger"), Genesis: g, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	cfg := comet.Config{Dir: filepath.Join(dir, "engine"), Key: key, Listen: freePort(t), Local: true, Peers: peers, Pace: quick, Logger: log}
	for _, f := range with {
		f(&cfg)
	}
	n, err := comet.Start(t.Context(), l, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &validator{l, n}
}

// freePort is an address that nobody listens on.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (v *validator) stop(t testing.TB) {
	t.Helper()
	if err := v.node.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}

// transfer is a signed one of from.
func transfer(t testing.TB, l *ledger.Ledger, from, to string, nonce uint64) []byte {
	t.Helper()
	tx, err := signTransfer(l, from, to, nonce)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

func signTransfer(l *ledger.Ledger, from, to string, nonce uint64) ([]byte, error) {
	tx := machine.TransferType.Unsigned(machine.Transfer{Head: chain.Head{Nonce: nonce, Fee: l.Core().Params.MinFee, ValidUntil: 1 << 40}, To: address(to), Amount: chain.TUN})
	s, _ := machine.SchemaOf(tx.Kind)
	d, err := l.Domain().Digest(s, tx.Payload)
	if err != nil {
		return nil, err
	}
	sig, err := crypto.Sign(d[:], accountKey(from))
	tx.Sig = [65]byte(sig)
	return tx.Encode(), err
}

// await waits until a ledger shows a height.
func (v *validator) await(t testing.TB, h chain.Height) {
	t.Helper()
	v.until(t, fmt.Sprintf("height %d", h), func() bool { return v.Head().Header.Height >= h })
}

// until waits until what is true of a ledger.
func (v *validator) until(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s; height %d", what, v.Head().Header.Height)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestOneValidator: transactions are decided, the head is committed, and a
// validator that is stopped goes on from what is on disk.
func TestOneValidator(t *testing.T) {
	g, keys := network(t, 1, "a")
	dir := t.TempDir()
	v := start(t, dir, g, keys[0], nil)
	id, err := v.Submit(t.Context(), transfer(t, v.Ledger, "a", "b", 0))
	if err != nil {
		t.Fatal(err)
	}
	s, err := v.Await(t.Context(), id)
	if err != nil || s.State != ledger.TxIncluded || s.Code != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	v.await(t, s.Height)
	h, err := v.Header(s.Height)
	if err != nil || !h.Header.Committed || h.Header.Proposer != g.Sealers[0] {
		t.Fatalf("%+v, %v", h.Header, err)
	}
	if err := machine.VerifySeal(v.Core(), g.Hash(), h); err != nil {
		t.Fatal(err)
	}
	for at := chain.Height(2); at <= s.Height+1; at++ {
		c, err := v.Certificate(at)
		if err != nil || c.Header.Height != at || c.Set == nil || c.Next == nil || c.Set.Len() != 1 || c.Set.At(0).Key != g.Sealers[0] {
			t.Fatalf("certificate of %d: %+v, %v", at, c.Header, err)
		}
		if err := c.Set.VerifyCommit(cometbft.ChainID(g.Hash()), at, c.Commit.BlockID, &c.Commit); err != nil {
			t.Fatal(err)
		}
	}
	follower, err := light.New(g.Network())
	if err != nil {
		t.Fatal(err)
	}
	for at := chain.Height(1); at <= s.Height; at++ {
		h, err := v.Header(at)
		if err == nil {
			err = light.Reach(follower, h, chain.Time(time.Now().UnixMilli()), v.Certificate)
		}
		if err != nil {
			t.Fatalf("a light client at height %d: %v", at, err)
		}
	}
	if got, err := v.ValidatorsAt(1); err != nil || !slices.Equal(got, g.Sealers) {
		t.Fatalf("validators %v, %v", got, err)
	}
	var before machine.Supply
	v.View(func(m *machine.Machine) { before = m.Supply() })
	v.stop(t)

	v = start(t, dir, g, keys[0], nil)
	head := v.Head().Header.Height
	v.await(t, head+3)
	v.View(func(m *machine.Machine) {
		if err := m.Check(); err != nil {
			t.Error(err)
		}
		if s := m.Supply(); s.Total != before.Total {
			t.Errorf("supply %+v", s)
		}
	})
	if n := v.NextNonce(address("a")); n != 1 {
		t.Errorf("nonce %d", n)
	}
	v.stop(t)
	if _, err := ledger.Verify(t.Context(), filepath.Join(dir, "ledger")); err != nil {
		t.Error(err)
	}
}

// four starts four validators that know each other.
func four(t testing.TB, names ...string) (genesis.Genesis, []*validator) {
	t.Helper()
	g, keys := network(t, 4, names...)
	var all []*validator
	var peers []string
	for _, k := range keys {
		v := start(t, t.TempDir(), g, k, peers)
		all = append(all, v)
		peers = append(peers, v.node.Address())
	}
	return g, all
}

// TestFourValidators: whatever validator a transaction is given to, and in
// whatever order, each is carried out once, and all show the same history.
func TestFourValidators(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e"}
	_, all := four(t, names...)
	const each = 40
	given := map[chain.Hash]*validator{}
	for n := range uint64(each) {
		for i, from := range names {
			n := n ^ 1 // every other one before the one that it needs
			v := all[(i+int(n))%4]
			id, err := v.Submit(t.Context(), transfer(t, all[0].Ledger, from, "f", n))
			if err != nil {
				t.Fatalf("%s, nonce %d: %v", from, n, err)
			}
			given[id] = v
		}
	}
	var last chain.Height
	for id, v := range given {
		s, err := v.Await(t.Context(), id)
		if err != nil || s.State != ledger.TxIncluded || s.Code != "" {
			t.Fatalf("%+v, %v", s, err)
		}
		last = max(last, s.Height)
	}
	for _, v := range all {
		v.await(t, last)
		h, err := v.Header(last)
		first, err1 := all[0].Header(last)
		if err != nil || err1 != nil || h.Header.Hash() != first.Header.Hash() {
			t.Fatalf("height %d: %v, %v", last, err, err1)
		}
		v.View(func(m *machine.Machine) {
			if got := m.Account(address("f")).Balance; got != chain.Amount(each*len(names))*chain.TUN {
				t.Errorf("received %s", got)
			}
			if err := m.Check(); err != nil {
				t.Error(err)
			}
		})
	}
	for _, v := range all {
		v.stop(t)
	}
}
