package slashing_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger/light"
	"tunic/registry/directory"
	"tunic/slashing"
)

func key(n byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, 32)) }

func nodeOf(k ed25519.PrivateKey) chain.NodeID { return chain.NodeID(k.Public().(ed25519.PublicKey)) }

// world is a network of six nodes with keys 1 to 6 and a sealer with key 100,
// at epoch 12.
type world struct {
	core   genesis.Core
	anchor *light.Verifier
	list   *directory.List
	header chain.SealedHeader
}

const epoch = 12

var sealer = key(100)

func newWorld() world {
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		panic(err)
	}
	core := genesis.Core{
		ChainID: 7, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockLedger, Engine: genesis.EngineSealer,
		Time: 1_735_689_600_000, Sealers: []chain.NodeID{nodeOf(sealer)}, Params: p,
	}
	net := genesis.Genesis{Core: core}.Network()
	v, err := light.New(net)
	if err != nil {
		panic(err)
	}
	var entries []directory.Entry
	for n := byte(1); n <= 6; n++ {
		entries = append(entries, directory.Entry{
			Node: nodeOf(key(n)), Operator: chain.Address{n}, Endpoints: []string{fmt.Sprintf("127.%d.0.1:1", n)},
			Version: "1", Stake: p.StakingRequirement, Performance: 1000,
		})
	}
	l, err := directory.NewList(epoch, entries)
	if err != nil {
		panic(err)
	}
	w := world{core: core, anchor: v, list: l}
	w.header = w.seal(sealer, func(*chain.Header) {})
	return w
}

// seal makes the header of w's list with a change.
func (w world) seal(k ed25519.PrivateKey, with func(*chain.Header)) chain.SealedHeader {
	h := chain.Header{
		Genesis: w.anchor.Genesis(), Height: 120, Time: w.core.EpochStart(w.list.Epoch) + 500, Parent: chain.Hash{1},
		Directory: w.list.Root(), DirCount: uint32(len(w.list.Entries)), DirEpoch: w.list.Epoch, Proposer: nodeOf(k),
	}
	with(&h)
	return light.Seal(k, h)
}

func (w world) domain() statement.Domain { return statement.Domain{Genesis: w.anchor.Genesis()} }

// descriptor is one of key n with the given version and sequence epoch.
func descriptor(d statement.Domain, n byte, version string, e chain.Epoch) statement.Statement {
	body := statement.Descriptor{
		Version: version, Endpoints: []string{"127.0.0.1:9"},
		Keys: []statement.OnionKey{{First: e, Last: e + 24, Key: [32]byte{n}}},
	}.Encode()
	return statement.Sign(d, key(n), statement.LabelDescriptor, statement.NewSequence(e, 5), body)
}

// proof is a good one against key n.
func (w world) proof(n byte) slashing.Proof {
	p, err := slashing.Assemble(slashing.DoubleDescriptor,
		descriptor(w.domain(), n, "1.0", epoch).Encode(), descriptor(w.domain(), n, "1.1", epoch).Encode(), w.header, w.list)
	if err != nil {
		panic(err)
	}
	return p
}

// pair puts two statements into p in canonical order.
func pair(p *slashing.Proof, a, b statement.Statement) {
	p.First, p.Second = a.Encode(), b.Encode()
	if bytes.Compare(p.First, p.Second) > 0 {
		p.First, p.Second = p.Second, p.First
	}
}

// chainAnchor is what a ledger knows: its own headers by height.
type chainAnchor struct {
	genesis chain.Hash
	own     map[chain.Height]chain.SealedHeader
}

func (a chainAnchor) Genesis() chain.Hash { return a.genesis }

func (a chainAnchor) CheckHeader(s chain.SealedHeader) error {
	if own, ok := a.own[s.Header.Height]; !ok || own.Header.Hash() != s.Header.Hash() {
		return errors.New("not a header of this ledger")
	}
	return light.VerifySeal(s)
}

func (w world) ledger() chainAnchor {
	return chainAnchor{w.anchor.Genesis(), map[chain.Height]chain.SealedHeader{w.header.Header.Height: w.header}}
}

// bonds is a naive twin of the stakes: one operator and contributors by share.
type bonds struct {
	stake  map[chain.NodeID]map[chain.Epoch]chain.Amount
	slash  []string
	burned chain.Amount
	gone   bool
}

func (b *bonds) Bonded(chain.NodeID) chain.Amount {
	if b.gone {
		return 0
	}
	return 1
}

func (b *bonds) StakeAt(n chain.NodeID, e chain.Epoch) chain.Amount { return b.stake[n][e] }

func (b *bonds) Slash(n chain.NodeID, k slashing.Taking) slashing.Slashed {
	x := k.Amount
	b.slash = append(b.slash, fmt.Sprintf("%s %s, held until %d", n.Short(), x, k.HoldUntil))
	reward := k.Share.Of(x)
	b.burned += x - reward
	return slashing.Slashed{Total: x, OperatorLoss: x, Reward: reward, Burned: x - reward, Losses: []slashing.Loss{{Account: chain.Address{9}, Amount: x}}}
}

// nodes is a naive twin of the registry.
type nodes struct {
	known []chain.NodeID
	dead  []chain.NodeID
	out   []chain.NodeID // decommissioned
}

func (n *nodes) Known(id chain.NodeID) bool { return slices.Contains(n.known, id) }

func (n *nodes) Tombstone(id chain.NodeID, _ string, _ chain.Hash) { n.dead = append(n.dead, id) }

func (n *nodes) Decommission(id chain.NodeID, _ string, _ chain.Hash) { n.out = append(n.out, id) }
