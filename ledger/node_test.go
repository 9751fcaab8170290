package ledger_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"sync"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/registry"
)

// rich is a genesis in which a node can be staked.
func rich(cfg *ledger.Config) {
	for i := range cfg.Genesis.Allocations {
		cfg.Genesis.Allocations[i].Balance = 10_000 * chain.TUN
	}
}

func vrfKey(name string) beacon.Key { return beacon.NewKey([32]byte(seed("vrf " + name))) }

func nodeKey(name string) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(seed("node " + name)) }

func register(g genesis.Genesis, node, operator string, nonce uint64) []byte {
	hash, vrf := g.Hash(), vrfKey(node)
	sig := statement.Domain{Genesis: hash}.SignRaw(nodeKey(node), statement.LabelRegistration, statement.RegistrationBody(address(operator), vrf.Public()))
	proof := vrf.Prove(beacon.RegistrationAlpha(hash, address(operator)))
	tx := registry.RegisterType.Unsigned(registry.Register{
		Head: chain.Head{Nonce: nonce, Fee: g.Params.MinFee, ValidUntil: 1 << 40},
		Node: chain.NodeID(nodeKey(node).Public().(ed25519.PublicKey)), VRFKey: vrf.Public(),
		Amount: g.Params.StakingRequirement, NodeSignature: sig[:], VRFProof: proof[:]})
	d, err := chain.NewDomain(g.ChainID, hash).Digest(registry.RegisterType.Schema(), tx.Payload)
	if err != nil {
		panic(err)
	}
	s, err := crypto.Sign(d[:], accountKey(operator))
	if err != nil {
		panic(err)
	}
	tx.Sig = [65]byte(s)
	return tx.Encode()
}

func heartbeat(l *ledger.Ledger, node string, seq statement.Sequence) []byte {
	b := statement.Heartbeat{Version: "v", VRF: vrfKey(node).Prove(beacon.EpochAlpha(l.Genesis().Hash(), seq.Epoch()))}
	return statement.Sign(l.Statements(), nodeKey(node), statement.LabelHeartbeat, seq, b.Encode()).Encode()
}

func descriptor(l *ledger.Ledger, node string, seq statement.Sequence) []byte {
	e := seq.Epoch()
	b := statement.Descriptor{Version: "v", Endpoints: []string{"127.0.0.1:9"}, Keys: []statement.OnionKey{{First: e, Last: e + 20, Key: [32]byte{1}}}}
	return statement.Sign(l.Statements(), nodeKey(node), statement.LabelDescriptor, seq, b.Encode()).Encode()
}

// A node that answers each block through the barrier is listed in every epoch;
// of its statements one of a kind waits, the newest.
func TestNodeThroughAdvance(t *testing.T) {
	ctx := ctxFor(t)
	cfg := config(t.TempDir(), ledger.ModeAuto)
	rich(&cfg)
	l := open(t, cfg)
	id := submit(t, l, register(cfg.Genesis, "n", "a", 0))
	if s, err := l.Await(ctx, id); err != nil || s.Code != "" {
		t.Fatalf("%+v, %v", s, err)
	}
	n := uint32(0)
	var last chain.Time
	l.SetBarrier(func(ctx context.Context, _ chain.Height) error {
		h := l.Head().Header
		if h.Time < last+chain.Time(cfg.Genesis.Params.HeartbeatEvery) && last != 0 {
			return nil
		}
		last = h.Time
		n += 2
		next := statement.NewSequence(h.DirEpoch+1, n)
		if _, err := l.Publish(ctx, heartbeat(l, "n", next-1)); err != nil {
			return fmt.Errorf("heartbeat: %w", err)
		}
		if _, err := l.Publish(ctx, heartbeat(l, "n", next)); err != nil { // replaces it
			return fmt.Errorf("newer heartbeat: %w", err)
		}
		if _, err := l.Publish(ctx, heartbeat(l, "n", next-1)); err == nil {
			return fmt.Errorf("an older heartbeat took the place of a newer one")
		}
		_, err := l.Publish(ctx, descriptor(l, "n", next))
		return err
	})
	if err := l.Advance(ctx, 6*cfg.Genesis.Params.EpochLength); err != nil {
		t.Fatal(err)
	}
	for e := chain.Epoch(1); e <= 6; e++ {
		list, s, err := l.List(e)
		if err != nil || len(list.Entries) != 1 || list.Check(s.Header) != nil {
			t.Fatalf("list of epoch %d: %v, %v", e, list, err)
		}
	}
	published, beacons := 0, map[chain.Hash]bool{}
	for e := range l.Subscribe(ctx, 0) {
		published += len(e.Published)
		beacons[e.Header.Beacon] = true
		if e.Header.Height == l.Head().Header.Height {
			break
		}
	}
	if published < 20 || len(beacons) != 7 {
		t.Fatalf("%d statements, %d beacons", published, len(beacons))
	}
	check(t, l)
	head := l.Head()
	l.Close()
	cfg.Mode = ledger.ModeManual
	l = open(t, cfg)
	if l.Head().Header.Hash() != head.Header.Hash() {
		t.Fatal("another head after a restart")
	}
	l.Close()
	if r, err := ledger.Verify(ctx, cfg.Dir); err != nil || r.Epoch != 6 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// Many at once: writers, readers and a follower of one ledger.
func TestConcurrentUse(t *testing.T) {
	ctx := ctxFor(t)
	cfg := config("", ledger.ModeAuto)
	l := open(t, cfg)
	const each = 40
	txs := map[string][][]byte{}
	for _, who := range []string{"a", "b", "c"} {
		for n := range uint64(each) {
			txs[who] = append(txs[who], transfer(cfg.Genesis, who, "sink", n, 1))
		}
	}
	var wg sync.WaitGroup
	for _, mine := range txs {
		wg.Go(func() {
			for _, tx := range mine {
				id, err := l.Submit(ctx, tx)
				if err != nil {
					t.Error(err)
					return
				}
				if s, err := l.Await(ctx, id); err != nil || s.State != ledger.TxIncluded {
					t.Errorf("%+v, %v", s, err)
				}
				l.View(func(m *machine.Machine) { m.Supply() })
			}
		})
	}
	total := 0
	for e := range l.Subscribe(ctx, 0) {
		if total += int(e.Header.TxCount); total == 3*each {
			break
		}
	}
	wg.Wait()
	if balance(l, "sink") != 3*each {
		t.Fatalf("balance %d", balance(l, "sink"))
	}
	check(t, l)
}
