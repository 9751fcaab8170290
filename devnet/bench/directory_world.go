package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/ethereum/go-ethereum/crypto"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger"
	"tunic/registry"
	"tunic/registry/directory"
)

// perOperator is how many nodes one account runs, at most.
const perOperator = 100

// listedWorld is a ledger in memory in whose first epoch many nodes are listed.
// They came by transactions and statements, as any.
type listedWorld struct {
	ledger  *ledger.Ledger
	genesis genesis.Genesis
	list    *directory.List
}

func (w *listedWorld) close() { _ = w.ledger.Close() }

// listedNode is a node's keys and its operator's.
type listedNode struct {
	key      ed25519.PrivateKey
	vrf      beacon.Key
	operator *ecdsa.PrivateKey
	at       chain.Address
	nonce    uint64 // of its registration
	index    int
}

func benchSeed(kind string, i int) [32]byte {
	return chain.SHA256(fmt.Appendf(nil, "tunic bench directory %s %d", kind, i))
}

func newListedWorld(ctx context.Context, nodes int) (*listedWorld, error) {
	prm, err := genesis.For(genesis.Dev)
	if err != nil {
		return nil, err
	}
	seed := benchSeed("sealer", 0)
	sealer := ed25519.NewKeyFromSeed(seed[:])
	w := &listedWorld{genesis: genesis.Genesis{Core: genesis.Core{ChainID: 1, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockLedger,
		Engine: genesis.EngineSealer, Time: 1, Sealers: []chain.NodeID{chain.NodeID(sealer.Public().(ed25519.PublicKey))}, Params: prm}}}
	all := make([]listedNode, nodes)
	for i := 0; i < nodes; i += perOperator {
		s := benchSeed("operator", i/perOperator)
		// A hash is a valid key but with a chance of 2^-128.
		key, err := crypto.ToECDSA(s[:])
		if err != nil {
			return nil, err
		}
		at := chain.Address(crypto.PubkeyToAddress(key.PublicKey))
		w.genesis.Allocations = append(w.genesis.Allocations,
			genesis.Allocation{Address: at, Balance: perOperator * (prm.StakingRequirement + prm.MinFee)})
		for j := i; j < min(i+perOperator, nodes); j++ {
			all[j].operator, all[j].at, all[j].nonce = key, at, uint64(j-i)
		}
	}
	slices.SortFunc(w.genesis.Allocations, func(a, b genesis.Allocation) int {
		return strings.Compare(string(a.Address[:]), string(b.Address[:]))
	})
	parallel(nodes, func(i int) {
		s := benchSeed("node", i)
		all[i].index, all[i].key, all[i].vrf = i, ed25519.NewKeyFromSeed(s[:]), beacon.NewKey(benchSeed("vrf", i))
	})
	w.ledger, err = ledger.Open(ctx, ledger.Config{Genesis: w.genesis, SealerKey: sealer, Mode: ledger.ModeManual, Clock: ledger.NewDrivenClock(w.genesis.Time)})
	if err != nil {
		return nil, err
	}
	if err := w.listAll(ctx, all); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// listAll registers the nodes, publishes for them, and begins epoch 1.
func (w *listedWorld) listAll(ctx context.Context, all []listedNode) error {
	err := each(all, func(n *listedNode) error {
		tx, err := n.register(w)
		if err == nil {
			_, err = w.ledger.Submit(ctx, tx.Encode())
		}
		return err
	})
	if err != nil {
		return err
	}
	if _, err := w.ledger.Seal(ctx); err != nil {
		return err
	}
	err = each(all, func(n *listedNode) error {
		for _, st := range n.statements(w) {
			if _, err := w.ledger.Publish(ctx, st.Encode()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if _, err := w.ledger.Seal(ctx); err != nil {
		return err
	}
	if err := w.ledger.AdvanceTo(ctx, w.genesis.EpochStart(1)); err != nil {
		return err
	}
	list, _, err := w.ledger.List(1)
	if err != nil {
		return err
	}
	if len(list.Entries) != len(all) {
		return fmt.Errorf("%d of %d nodes are listed", len(list.Entries), len(all))
	}
	w.list = list
	return nil
}

// each calls f for all nodes in parallel, those of one operator in their order.
func each(all []listedNode, f func(*listedNode) error) error {
	operators := slices.Collect(slices.Chunk(all, perOperator))
	var failed sync.Map
	parallel(len(operators), func(i int) {
		for j := range operators[i] {
			if err := f(&operators[i][j]); err != nil {
				failed.Store(i, err)
				return
			}
		}
	})
	for _, err := range failed.Range {
		return err.(error)
	}
	return nil
}

func (n *listedNode) id() chain.NodeID { return chain.NodeID(n.key.Public().(ed25519.PublicKey)) }

func (n *listedNode) register(w *listedWorld) (chain.Tx, error) {
	hash, vrf := w.genesis.Hash(), n.vrf.Public()
	sig := statement.Domain{Genesis: hash}.SignRaw(n.key, statement.LabelRegistration, statement.RegistrationBody(n.at, vrf))
	proof := n.vrf.Prove(beacon.RegistrationAlpha(hash, n.at))
	tx := registry.RegisterType.Unsigned(registry.Register{
		Head: chain.Head{Nonce: n.nonce, Fee: w.genesis.Params.MinFee, ValidUntil: 1 << 40},
		Node: n.id(), VRFKey: vrf, FeeBps: 1000, Amount: w.genesis.Params.StakingRequirement, NodeSignature: sig[:], VRFProof: proof[:],
	})
	d, err := w.ledger.Domain().Digest(registry.RegisterType.Schema(), tx.Payload)
	if err != nil {
		return tx, err
	}
	signed, err := crypto.Sign(d[:], n.operator)
	if err != nil {
		return tx, err
	}
	tx.Sig = [chain.SignatureSize]byte(signed)
	return tx, nil
}

// statements are the node's descriptor and heartbeat for epoch 1.
func (n *listedNode) statements(w *listedWorld) []statement.Statement {
	d := statement.Descriptor{Version: "0.2.0", Endpoints: []string{fmt.Sprintf("127.%d.%d.1:22021", 1+n.index%254, n.index/254)},
		Keys: []statement.OnionKey{{First: 1, Last: 10, Key: benchSeed("onion", n.index)}}}
	h := statement.Heartbeat{Version: d.Version, Height: w.ledger.Head().Header.Height, VRF: n.vrf.Prove(beacon.EpochAlpha(w.genesis.Hash(), 1))}
	seq := statement.NewSequence(1, 0)
	return []statement.Statement{
		statement.Sign(w.ledger.Statements(), n.key, statement.LabelDescriptor, seq, d.Encode()),
		statement.Sign(w.ledger.Statements(), n.key, statement.LabelHeartbeat, seq, h.Encode()),
	}
}
