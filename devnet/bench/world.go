package bench

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/node"
	"tunic/registry"
	"tunic/registry/directory"
)

// perOperator is how many nodes one account runs, at most.
const perOperator = 100

// worldOptions say what a world is like.
type worldOptions struct {
	nodes    int            // listed in epoch 1
	payers   int            // accounts that can pay, beside the operators
	interval chain.Duration // between blocks, with epochs of an hour; 0: as on any dev network
	dir      string         // a ledger's folder, made anew; empty: in memory
}

// world is a ledger in whose first epoch many nodes are listed. They came by
// transactions and statements, as any.
type world struct {
	ledger  *ledger.Ledger // open; whoever made the world closes it
	genesis genesis.Genesis
	domain  chain.Domain
	list    *directory.List // of epoch 1
	payers  []*ecdsa.PrivateKey
}

// worldNode is a node's keys and its operator's.
type worldNode struct {
	key      ed25519.PrivateKey
	vrf      beacon.Key
	operator *ecdsa.PrivateKey
	at       chain.Address
	nonce    uint64 // of its registration
	index    int
}

func benchSeed(kind string, i int) [32]byte {
	return chain.SHA256(fmt.Appendf(nil, "tunic bench %s %d", kind, i))
}

func benchAccount(kind string, i int) (*ecdsa.PrivateKey, chain.Address) {
	s := benchSeed(kind, i)
	k, _ := crypto.ToECDSA(s[:]) // a hash is a valid key but with a chance of 2^-128
	return k, chain.Address(crypto.PubkeyToAddress(k.PublicKey))
}

func newWorld(ctx context.Context, o worldOptions) (*world, error) {
	prm, err := genesis.For(genesis.Dev)
	if err != nil {
		return nil, err
	}
	if o.interval > 0 {
		prm.BlockInterval, prm.EpochLength, prm.HeartbeatEvery, prm.HeartbeatValid = o.interval, genesis.Hour, genesis.Hour, 2*genesis.Hour
		prm.UnlockDelay, prm.DeregisterLock = genesis.Day, genesis.Day
	}
	seed := benchSeed("sealer", 0)
	sealer := ed25519.NewKeyFromSeed(seed[:])
	w := &world{genesis: genesis.Genesis{Core: genesis.Core{ChainID: 1, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockLedger,
		Engine: genesis.EngineSealer, Time: 1, Sealers: []chain.NodeID{chain.NodeID(sealer.Public().(ed25519.PublicKey))}, Params: prm}}}
	all := w.populate(o)
	c := ledger.Config{Genesis: w.genesis, SealerKey: sealer, Mode: ledger.ModeManual, Clock: ledger.NewDrivenClock(w.genesis.Time)}
	if o.dir != "" {
		if err := node.InitLedger(o.dir, w.genesis, sealer, "http://127.0.0.1:8400"); err != nil {
			return nil, err
		}
		c.Dir = filepath.Join(o.dir, "db")
	}
	if w.ledger, err = ledger.Open(ctx, c); err != nil {
		return nil, err
	}
	w.domain = w.ledger.Domain()
	if err := w.listAll(ctx, all); err != nil {
		return nil, errors.Join(err, w.ledger.Close())
	}
	return w, nil
}

// populate makes the keys of nodes and accounts, and gives the accounts what
// they need at genesis.
func (w *world) populate(o worldOptions) []worldNode {
	prm := &w.genesis.Params
	fund := func(at chain.Address, x chain.Amount) {
		w.genesis.Allocations = append(w.genesis.Allocations, genesis.Allocation{Address: at, Balance: x})
	}
	for i := range o.payers {
		key, at := benchAccount("payer", i)
		w.payers = append(w.payers, key)
		fund(at, chain.TUN)
	}
	all := make([]worldNode, o.nodes)
	for i := 0; i < o.nodes; i += perOperator {
		key, at := benchAccount("operator", i/perOperator)
		fund(at, perOperator*(prm.StakingRequirement+prm.MinFee))
		for j := i; j < min(i+perOperator, o.nodes); j++ {
			all[j].operator, all[j].at, all[j].nonce = key, at, uint64(j-i)
		}
	}
	slices.SortFunc(w.genesis.Allocations, func(a, b genesis.Allocation) int {
		return strings.Compare(string(a.Address[:]), string(b.Address[:]))
	})
	parallel(o.nodes, func(i int) {
		s := benchSeed("node", i)
		all[i].index, all[i].key, all[i].vrf = i, ed25519.NewKeyFromSeed(s[:]), beacon.NewKey(benchSeed("vrf", i))
	})
	return all
}

// listAll registers the nodes, publishes for them, and begins epoch 1.
func (w *world) listAll(ctx context.Context, all []worldNode) error {
	err := w.each(ctx, all, func(n *worldNode) error {
		tx, err := n.register(w)
		if err == nil {
			_, err = w.ledger.Submit(ctx, tx)
		}
		return err
	})
	if err != nil {
		return err
	}
	err = w.each(ctx, all, func(n *worldNode) error {
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
	if err := w.ledger.AdvanceTo(ctx, w.genesis.EpochStart(1)); err != nil {
		return err
	}
	if w.list, _, err = w.ledger.List(1); err != nil {
		return err
	}
	if len(w.list.Entries) != len(all) {
		return fmt.Errorf("%d of %d nodes are listed", len(w.list.Entries), len(all))
	}
	return nil
}

// each calls f for all nodes in parallel, those of one operator in their order,
// and seals what they sent.
func (w *world) each(ctx context.Context, all []worldNode, f func(*worldNode) error) error {
	operators := slices.Collect(slices.Chunk(all, perOperator))
	failed := make([]error, len(operators))
	parallel(len(operators), func(i int) {
		for j := 0; j < len(operators[i]) && failed[i] == nil; j++ {
			failed[i] = f(&operators[i][j])
		}
	})
	err := errors.Join(failed...)
	for err == nil && w.ledger.Waiting() > 0 { // a block takes so many statements
		_, err = w.ledger.Seal(ctx)
	}
	return err
}

func (n *worldNode) id() chain.NodeID { return chain.NodeID(n.key.Public().(ed25519.PublicKey)) }

func (n *worldNode) register(w *world) ([]byte, error) {
	hash, vrf := w.genesis.Hash(), n.vrf.Public()
	sig := statement.Domain{Genesis: hash}.SignRaw(n.key, statement.LabelRegistration, statement.RegistrationBody(n.at, vrf))
	proof := n.vrf.Prove(beacon.RegistrationAlpha(hash, n.at))
	return signed(w.domain, n.operator, registry.RegisterType, registry.Register{
		Head: chain.Head{Nonce: n.nonce, Fee: w.genesis.Params.MinFee, ValidUntil: 1 << 40},
		Node: n.id(), VRFKey: vrf, FeeBps: 1000, Amount: w.genesis.Params.StakingRequirement, NodeSignature: sig[:], VRFProof: proof[:],
	})
}

// statements are the node's descriptor and heartbeat for epoch 1.
func (n *worldNode) statements(w *world) []statement.Statement {
	d := statement.Descriptor{Version: "0.2.0", Endpoints: []string{fmt.Sprintf("127.%d.%d.1:22021", 1+n.index%254, n.index/254)},
		Keys: []statement.OnionKey{{First: 1, Last: 10, Key: benchSeed("onion", n.index)}}}
	h := statement.Heartbeat{Version: d.Version, Height: w.ledger.Head().Header.Height, VRF: n.vrf.Prove(beacon.EpochAlpha(w.genesis.Hash(), 1))}
	seq := statement.NewSequence(1, 0)
	return []statement.Statement{
		statement.Sign(w.ledger.Statements(), n.key, statement.LabelDescriptor, seq, d.Encode()),
		statement.Sign(w.ledger.Statements(), n.key, statement.LabelHeartbeat, seq, h.Encode()),
	}
}

// transfer is a payer's signed transfer with this nonce.
func (w *world) transfer(payer int, nonce uint64) ([]byte, error) {
	_, to := benchAccount("operator", 0)
	return signed(w.domain, w.payers[payer], machine.TransferType, machine.Transfer{
		Head: chain.Head{Nonce: nonce, Fee: w.genesis.Params.MinFee, ValidUntil: 1 << 40}, To: to, Amount: 1})
}

// signed is the encoding of an account's transaction.
func signed[T any](domain chain.Domain, key *ecdsa.PrivateKey, def *chain.TypeDef[T], v T) ([]byte, error) {
	tx := def.Unsigned(v)
	d, err := domain.Digest(def.Schema(), tx.Payload)
	if err != nil {
		return nil, err
	}
	sig, err := crypto.Sign(d[:], key)
	if err != nil {
		return nil, err
	}
	tx.Sig = [chain.SignatureSize]byte(sig)
	return tx.Encode(), nil
}
