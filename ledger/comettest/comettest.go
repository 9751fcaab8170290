// Package comettest makes the history of a network under CometBFT without
// CometBFT: the ledger's machine, with validators whose keys follow from their
// names and who sign what CometBFT's would. It is for tests.
//
// A Chain decides one block after the other. Every block is one that a ledger
// imports and a light verifier follows; Certify makes what no honest validators
// would sign.
package comettest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/staking"
)

// Began is the time of genesis of every network here.
const Began chain.Time = 1_735_689_600_000

func seed(what, name string) [32]byte { return sha256.Sum256([]byte("comettest " + what + " " + name)) }

// Key is the identity of the node of this name.
func Key(name string) ed25519.PrivateKey {
	s := seed("node", name)
	return ed25519.NewKeyFromSeed(s[:])
}

// Node is its id.
func Node(name string) chain.NodeID { return chain.NodeID(Key(name)[32:]) }

func account(name string) *ecdsa.PrivateKey {
	s := seed("account", name)
	k, err := crypto.ToECDSA(s[:])
	if err != nil {
		panic("comettest: internal error: " + err.Error())
	}
	return k
}

// Address is the account of this name.
func Address(name string) chain.Address {
	return chain.Address(crypto.PubkeyToAddress(account(name).PublicKey))
}

// Genesis is a network of profile dev whose validators have these names, each
// the node of an operator of the same name. Validators and accounts have
// 10,000 TUN each.
func Genesis(t testing.TB, validators, accounts []string) genesis.Genesis {
	t.Helper()
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	g := genesis.Genesis{Core: genesis.Core{ChainID: 7, Profile: genesis.Dev, Clock: genesis.ClockReal, Engine: genesis.EngineComet,
		Time: Began, RewardPool: 1000 * chain.TUN, Params: p}}
	validators = slices.Clone(validators)
	slices.SortFunc(validators, func(a, b string) int { x, y := Node(a), Node(b); return bytes.Compare(x[:], y[:]) })
	for _, v := range validators {
		g.Sealers, g.Operators = append(g.Sealers, Node(v)), append(g.Operators, Address(v))
	}
	for _, name := range slices.Concat(validators, accounts) {
		g.Allocations = append(g.Allocations, genesis.Allocation{Address: Address(name), Balance: 10_000 * chain.TUN})
	}
	slices.SortFunc(g.Allocations, func(a, b genesis.Allocation) int { return bytes.Compare(a.Address[:], b.Address[:]) })
	return g
}

// Chain is a network and all keys of it.
type Chain struct {
	Genesis genesis.Genesis
	Machine *machine.Machine // after the newest block

	t    testing.TB
	keys map[chain.NodeID]ed25519.PrivateKey
	set  *cometbft.Set // decides the height of header
	next *cometbft.Set // and the one above
	// header is CometBFT's of the newest block; its id in the commit for it.
	header cometbft.Header
	id     cometbft.BlockID
}

// New is the network before its first block. names are all nodes that may ever
// be validators.
func New(t testing.TB, g genesis.Genesis, names ...string) *Chain {
	t.Helper()
	m, err := machine.New(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &Chain{Genesis: g, Machine: m, t: t, keys: map[chain.NodeID]ed25519.PrivateKey{}}
	for _, n := range names {
		c.keys[Node(n)] = Key(n)
	}
	c.set = c.setNow()
	c.next = c.set
	hash := g.Hash()
	c.header = cometbft.Header{Version: cometbft.Version{Block: cometbft.BlockProtocol, App: 1}, ChainID: cometbft.ChainID(hash), Height: 1,
		Time: cometbft.TimeAt(g.Time), DataHash: digest("data"), ConsensusHash: digest("consensus"), EvidenceHash: digest("evidence"),
		ValidatorsHash: c.set.Hash(), NextValidatorsHash: c.set.Hash(), AppHash: hash, ProposerAddress: cometbft.AddressOf(c.set.At(0).Key)}
	c.id = idOf(&c.header)
	return c
}

func digest(what string) chain.Hash { return chain.SHA256([]byte("comettest"), []byte(what)) }

func idOf(h *cometbft.Header) cometbft.BlockID {
	hash := h.Hash()
	return cometbft.BlockID{Hash: hash, Parts: cometbft.PartSet{Total: 1, Hash: digest("parts of " + hash.String())}}
}

func (c *Chain) setNow() *cometbft.Set {
	c.t.Helper()
	s, err := cometbft.SetOf(c.Machine.Registry().Validators())
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// Height is of the newest block.
func (c *Chain) Height() chain.Height { return c.Machine.Head().Height }

// Block decides the next block, of these transactions, and the header above it,
// which has the time next: it is the time of the block after this one.
func (c *Chain) Block(next chain.Time, txs ...[]byte) (chain.Block, machine.Output) {
	c.t.Helper()
	m := c.Machine
	at := m.Head().Height + 1
	proposer := c.set.At(int(uint64(at) % uint64(c.set.Len()))).Key
	prepared := make([]machine.Prepared, len(txs))
	for i, tx := range txs {
		prepared[i] = m.Prepare(tx)
	}
	out, err := m.Apply(machine.Input{Height: at, Time: c.header.Time.Millis(), Proposer: proposer, Txs: prepared})
	if err != nil {
		c.t.Fatal(err)
	}
	h := c.header
	h.Height, h.Time, h.LastBlockID, h.LastCommitHash = at+1, cometbft.TimeAt(next), c.id, digest("commit")
	h.AppHash, h.LastResultsHash = out.Header.Hash(), digest("results")
	c.set, c.next = c.next, c.setNow()
	h.ValidatorsHash, h.NextValidatorsHash = c.set.Hash(), c.next.Hash()
	h.ProposerAddress = cometbft.AddressOf(c.set.At(int(uint64(at+1) % uint64(c.set.Len()))).Key)
	c.header, c.id = h, idOf(&h)
	return chain.Block{SealedHeader: c.Certify(out.Header, h, c.set), Txs: txs}, out
}

// OK is Block where every transaction has to be applied.
func (c *Chain) OK(next chain.Time, txs ...[]byte) chain.Block {
	c.t.Helper()
	b, out := c.Block(next, txs...)
	for i, r := range out.Results {
		if r.Code != "" {
			c.t.Fatalf("block %d, transaction %d: %s", b.Header.Height, i, r.Code)
		}
	}
	return b
}

// Engine is CometBFT's header above the newest block, and the set that decides it.
func (c *Chain) Engine() (cometbft.Header, *cometbft.Set) { return c.header, c.set }

// Certify commits to h by CometBFT's header above it, which must name h: signed by
// all of the set whose keys are known but those at the places absent.
func (c *Chain) Certify(h chain.Header, above cometbft.Header, set *cometbft.Set, absent ...int) chain.SealedHeader {
	commit := c.commit(above, set, absent...)
	x := cometbft.Certificate{Header: above, Commit: commit}
	return chain.Commit(h, x.Encode())
}

// Certificate is CometBFT's header with the commit for it and its set, signed as
// Certify's.
func (c *Chain) Certificate(header cometbft.Header, set *cometbft.Set, absent ...int) cometbft.Certificate {
	return cometbft.Certificate{Header: header, Commit: c.commit(header, set, absent...), Set: set}
}

func (c *Chain) commit(header cometbft.Header, set *cometbft.Set, absent ...int) cometbft.Commit {
	out := cometbft.Commit{Height: header.Height, BlockID: idOf(&header), Signatures: make([]cometbft.CommitSig, set.Len())}
	for i := range out.Signatures {
		s := &out.Signatures[i]
		key := c.keys[set.At(i).Key]
		if s.Flag = cometbft.FlagAbsent; key == nil || slices.Contains(absent, i) {
			continue
		}
		s.Flag, s.Validator, s.Time = cometbft.FlagCommit, cometbft.AddressOf(set.At(i).Key), header.Time
		v := out.Vote(i)
		s.Signature = [64]byte(ed25519.Sign(key, v.SignBytes(header.ChainID)))
	}
	return out
}

// Sign fills in an account's signature.
func (c *Chain) Sign(name string, tx chain.Tx) []byte {
	c.t.Helper()
	s, ok := machine.SchemaOf(tx.Kind)
	if !ok {
		c.t.Fatalf("no schema of kind %d", tx.Kind)
	}
	d, err := chain.NewDomain(c.Genesis.ChainID, c.Genesis.Hash()).Digest(s, tx.Payload)
	if err != nil {
		c.t.Fatal(err)
	}
	sig, err := crypto.Sign(d[:], account(name))
	if err != nil {
		c.t.Fatal(err)
	}
	tx.Sig = [65]byte(sig)
	return tx.Encode()
}

// Head is of the next transaction of an account; after counts its earlier ones
// in the same block.
func (c *Chain) Head(name string, after int) chain.Head {
	return chain.Head{Nonce: c.Machine.Account(Address(name)).Nonce + uint64(after), Fee: c.Machine.InForce().Params.MinFee, ValidUntil: c.Height() + 100}
}

// Join are two transactions that make the node of this name, whose operator has
// the same name, a validator: it is registered with its whole stake, then seals.
func (c *Chain) Join(name string) [][]byte {
	vrf := beacon.NewKey(seed("vrf", name))
	hash := c.Genesis.Hash()
	sig := statement.Domain{Genesis: hash}.SignRaw(Key(name), statement.LabelRegistration, statement.RegistrationBody(Address(name), vrf.Public()))
	proof := vrf.Prove(beacon.RegistrationAlpha(hash, Address(name)))
	return [][]byte{
		c.Sign(name, registry.RegisterType.Unsigned(registry.Register{Head: c.Head(name, 0), Node: Node(name), VRFKey: vrf.Public(),
			Amount: c.Machine.InForce().Params.StakingRequirement, NodeSignature: sig[:], VRFProof: proof[:]})),
		c.Sign(name, registry.ValidateType.Unsigned(registry.Validate{Head: c.Head(name, 1), Node: Node(name)})),
	}
}

// Validate makes a registered node a validator again.
func (c *Chain) Validate(name string) []byte {
	return c.Sign(name, registry.ValidateType.Unsigned(registry.Validate{Head: c.Head(name, 0), Node: Node(name)}))
}

// Leave ends that the node is a validator.
func (c *Chain) Leave(name string) []byte {
	return c.Sign(name, registry.ResignType.Unsigned(registry.Resign{Head: c.Head(name, 0), Node: Node(name)}))
}

// Unlock asks for the stake of the node; after counts the operator's earlier
// transactions of the block.
func (c *Chain) Unlock(name string, after int) []byte {
	return c.Sign(name, staking.RequestUnlockType.Unsigned(staking.RequestUnlock{Head: c.Head(name, after), Node: Node(name)}))
}
