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
)

// loadWorld is a ledger's folder in which many nodes are listed, and accounts
// that can pay.
type loadWorld struct {
	dir     string
	genesis genesis.Genesis
	domain  chain.Domain
	payers  []*ecdsa.PrivateKey
}

func loadSeed(kind string, i int) [32]byte {
	return chain.SHA256(fmt.Appendf(nil, "tunic bench load %s %d", kind, i))
}

func loadAccount(kind string, i int) (*ecdsa.PrivateKey, chain.Address) {
	s := loadSeed(kind, i)
	k, _ := crypto.ToECDSA(s[:]) // a hash is a valid key but with a chance of 2^-128
	return k, chain.Address(crypto.PubkeyToAddress(k.PublicKey))
}

// newLoadWorld makes the folder: nodes that came by transactions and statements,
// as any, are listed in epoch 1, which lasts for an hour.
func newLoadWorld(ctx context.Context, dir string, nodes, payers int, interval chain.Duration) (*loadWorld, error) {
	prm, err := genesis.For(genesis.Dev)
	if err != nil {
		return nil, err
	}
	prm.BlockInterval, prm.EpochLength, prm.HeartbeatEvery, prm.HeartbeatValid = interval, genesis.Hour, genesis.Hour, 2*genesis.Hour
	seed := loadSeed("sealer", 0)
	sealer := ed25519.NewKeyFromSeed(seed[:])
	w := &loadWorld{dir: dir, genesis: genesis.Genesis{Core: genesis.Core{ChainID: 1, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockLedger,
		Engine: genesis.EngineSealer, Time: 1, Sealers: []chain.NodeID{chain.NodeID(sealer.Public().(ed25519.PublicKey))}, Params: prm}}}
	fund := func(at chain.Address, x chain.Amount) {
		w.genesis.Allocations = append(w.genesis.Allocations, genesis.Allocation{Address: at, Balance: x})
	}
	for i := range payers {
		k, at := loadAccount("payer", i)
		w.payers = append(w.payers, k)
		fund(at, chain.TUN)
	}
	for i := range nodes {
		_, at := loadAccount("operator", i)
		fund(at, prm.StakingRequirement+chain.TUN)
	}
	slices.SortFunc(w.genesis.Allocations, func(a, b genesis.Allocation) int {
		return strings.Compare(string(a.Address[:]), string(b.Address[:]))
	})
	if err := node.InitLedger(dir, w.genesis, sealer, "http://127.0.0.1:8400"); err != nil {
		return nil, err
	}
	l, err := ledger.Open(ctx, ledger.Config{Dir: filepath.Join(dir, "db"), Genesis: w.genesis, SealerKey: sealer, Mode: ledger.ModeManual,
		Clock: ledger.NewDrivenClock(w.genesis.Time)})
	if err != nil {
		return nil, err
	}
	w.domain = l.Domain()
	if err := w.list(ctx, l, nodes); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return w, l.Close()
}

// list registers the nodes, publishes for them, and begins epoch 1.
func (w *loadWorld) list(ctx context.Context, l *ledger.Ledger, nodes int) error {
	failed := make([]error, nodes)
	all := func(f func(i int) error) error {
		parallel(nodes, func(i int) { failed[i] = f(i) })
		if err := errors.Join(failed...); err != nil {
			return err
		}
		_, err := l.Seal(ctx)
		return err
	}
	err := all(func(i int) error {
		tx, err := w.registration(i)
		if err == nil {
			_, err = l.Submit(ctx, tx)
		}
		return err
	})
	if err != nil {
		return err
	}
	height := l.Head().Header.Height
	err = all(func(i int) error {
		for _, st := range w.statements(l.Statements(), i, height) {
			if _, err := l.Publish(ctx, st.Encode()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for l.Waiting() > 0 { // a block takes so many statements
		if _, err := l.Seal(ctx); err != nil {
			return err
		}
	}
	if err := l.AdvanceTo(ctx, w.genesis.EpochStart(1)); err != nil {
		return err
	}
	if n := l.Head().Header.DirCount; int(n) != nodes {
		return fmt.Errorf("%d of %d nodes are listed", n, nodes)
	}
	return nil
}

func loadKeys(i int) (ed25519.PrivateKey, beacon.Key) {
	s := loadSeed("node", i)
	return ed25519.NewKeyFromSeed(s[:]), beacon.NewKey(loadSeed("vrf", i))
}

func (w *loadWorld) registration(i int) ([]byte, error) {
	key, vrf := loadKeys(i)
	operator, at := loadAccount("operator", i)
	hash, public := w.genesis.Hash(), vrf.Public()
	sig := statement.Domain{Genesis: hash}.SignRaw(key, statement.LabelRegistration, statement.RegistrationBody(at, public))
	proof := vrf.Prove(beacon.RegistrationAlpha(hash, at))
	return signLoad(w.domain, operator, registry.RegisterType, registry.Register{
		Head: chain.Head{Fee: w.genesis.Params.MinFee, ValidUntil: 1 << 40},
		Node: chain.NodeID(key.Public().(ed25519.PublicKey)), VRFKey: public, FeeBps: 1000, Amount: w.genesis.Params.StakingRequirement,
		NodeSignature: sig[:], VRFProof: proof[:],
	})
}

// statements are a node's descriptor and heartbeat for epoch 1.
func (w *loadWorld) statements(d statement.Domain, i int, height chain.Height) []statement.Statement {
	key, vrf := loadKeys(i)
	about := statement.Descriptor{Version: "0.2.0", Endpoints: []string{fmt.Sprintf("127.%d.%d.1:22021", 1+i%254, i/254)},
		Keys: []statement.OnionKey{{First: 1, Last: 10, Key: loadSeed("onion", i)}}}
	beat := statement.Heartbeat{Version: about.Version, Height: height, VRF: vrf.Prove(beacon.EpochAlpha(w.genesis.Hash(), 1))}
	seq := statement.NewSequence(1, 0)
	return []statement.Statement{
		statement.Sign(d, key, statement.LabelDescriptor, seq, about.Encode()),
		statement.Sign(d, key, statement.LabelHeartbeat, seq, beat.Encode()),
	}
}

// transfer is a payer's signed transfer with this nonce.
func (w *loadWorld) transfer(payer int, nonce uint64) ([]byte, error) {
	_, to := loadAccount("operator", 0)
	return signLoad(w.domain, w.payers[payer], machine.TransferType, machine.Transfer{
		Head: chain.Head{Nonce: nonce, Fee: w.genesis.Params.MinFee, ValidUntil: 1 << 40}, To: to, Amount: 1})
}

func signLoad[T any](domain chain.Domain, key *ecdsa.PrivateKey, def *chain.TypeDef[T], v T) ([]byte, error) {
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
