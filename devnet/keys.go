package devnet

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/durable"
	"tunic/internal/wire"
	"tunic/ledger/wallet"
	"tunic/relay"
)

const (
	// AccountCount is how many funded accounts a network has beside its operators.
	AccountCount = 10
	// The last CouncilSize of them are the council, CouncilMin of whom have to
	// agree on a change of parameters.
	CouncilSize, CouncilMin = 3, 2
	devBalance              = 10_000 * chain.TUN
	devPool                 = 1_000_000 * chain.TUN
	// ChainID is the EIP-712 chain id of dev networks.
	ChainID = 31337
)

// seededTime is when the ledger of a seeded network begins: 2025-01-01T00:00:00Z.
const seededTime chain.Time = 1_735_689_600_000

// seed draws a seed where none was given.
func (n *Network) seed() error {
	if n.Seed != 0 {
		return nil
	}
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return fmt.Errorf("devnet: draw a seed: %w", err)
	}
	n.Seed = binary.BigEndian.Uint64(b[:])>>12 | 1
	return nil
}

// derive is 32 bytes for one purpose of this seed. Keys made from a seed are
// worth nothing outside a dev network.
func (n *Network) derive(purpose string, i int) [32]byte {
	return chain.SHA256([]byte("tunic devnet"), wire.AppendUint64(nil, n.Seed), []byte(purpose), wire.AppendUint32(nil, uint32(i)))
}

func (n *Network) account(purpose string, i int) wallet.Key {
	for try := 0; ; try++ {
		// A seed outside the curve's order has a chance of 2^-128.
		if k, err := wallet.NewKey(n.derive(fmt.Sprintf("%s %d", purpose, try), i)); err == nil {
			return k
		}
	}
}

// makeGenesis fills in the dev genesis, the accounts and the operators.
func (n *Network) makeGenesis() {
	if n.Spec.Profile == "" {
		n.Spec.Profile = genesis.Dev
	}
	prm, err := genesis.For(n.Spec.Profile)
	if err != nil {
		panic("devnet: internal error: " + err.Error())
	}
	if n.Spec.Params != nil {
		prm = *n.Spec.Params
	}
	core := genesis.Core{
		ChainID: ChainID, Profile: n.Spec.Profile, Dev: true, Clock: genesis.ClockLedger, Engine: genesis.EngineSealer,
		Time: seededTime, Nonce: n.derive("nonce", 0), Sealers: []chain.NodeID{chain.NodeID(n.sealer().Public().(ed25519.PublicKey))}, RewardPool: devPool, Params: prm,
	}
	if n.Spec.Seed == 0 {
		core.Time = chain.Time(time.Now().UnixMilli())
	}
	g := genesis.Genesis{Core: core}
	if n.onComet() {
		n.foundValidators(&g)
	}
	for i := range AccountCount {
		n.Accounts = append(n.Accounts, n.account("account", i))
	}
	for _, k := range n.Accounts[AccountCount-CouncilSize:] {
		g.Council = append(g.Council, k.Address())
	}
	slices.SortFunc(g.Council, func(a, b chain.Address) int { return bytes.Compare(a[:], b[:]) })
	g.CouncilMin = CouncilMin
	for i, k := range n.Accounts {
		g.Allocations = append(g.Allocations, genesis.Allocation{Address: k.Address(), Balance: devBalance + n.contributed(prm, i)})
	}
	for i := range n.operators() {
		g.Allocations = append(g.Allocations, genesis.Allocation{Address: n.account("operator", i).Address(), Balance: n.operatorBalance(prm, i)})
	}
	slices.SortFunc(g.Allocations, func(a, b genesis.Allocation) int { return bytes.Compare(a.Address[:], b.Address[:]) })
	n.Genesis = g
}

// relayKeys are relay i's long-lived keys.
func (n *Network) relayKeys(i int) relay.Keys {
	seed := n.derive("identity", i)
	return relay.Keys{Identity: ed25519.NewKeyFromSeed(seed[:]), VRF: n.derive("vrf", i)}
}

// stream is the randomness of one relay: of a seeded network the same each
// time, so that ids and sequences are; else the system's.
func (n *Network) stream(r *Relay) io.Reader {
	if n.Spec.Seed == 0 {
		return rand.Reader
	}
	r.starts++
	return &stream{r: mathrand.NewChaCha8(n.derive(fmt.Sprintf("random %d", r.starts), r.Index))}
}

// stream may be read from several goroutines.
type stream struct {
	mu sync.Mutex
	r  *mathrand.ChaCha8
}

func (s *stream) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.r.Read(b)
}

// writeKeys puts a relay's keys into its folder, where its daemon looks.
func writeKeys(dir string, k relay.Keys) error {
	if err := durable.MkdirAll(dir); err != nil {
		return fmt.Errorf("devnet: %w", err)
	}
	return durable.WriteFile(filepath.Join(dir, relay.KeyFile), k.Encode(), 0o600)
}
