// Package machine is the ledger's one state machine: it joins accounts,
// staking, registry and slashing, and turns transactions into state, results
// and an unsealed header. It implements docs/spec/chain.md and
// docs/spec/state.md.
//
// An engine (the embedded sealer, CometBFT) only fills in an Input: Propose
// makes a block of what waits, Apply and Replay execute one that exists. Most
// readers use Head, Account, Registry, Staking, Slashing, List and Prove; tests
// and `tunic db verify` use Check.
//
// The same inputs give the same roots everywhere: no clock, no randomness, no
// order of maps reaches state. A refused transaction changes nothing. A Machine
// is not safe for concurrent use, an Intake is.
package machine

import (
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

// ErrState means that stored rows are not the state that the head commits to.
var ErrState = errors.New("machine: rows do not give the head's state root")

// HeaderIndex finds the hash of a block's header by its height and, under CometBFT,
// who the validators are after that block. It must know all blocks of the current
// history within Reach: whether it is accepted depends on it.
type HeaderIndex interface {
	HeaderHash(chain.Height) (chain.Hash, bool)
	ValidatorsAfter(chain.Height) ([]chain.NodeID, bool)
}

// Machine is the state after one block.
type Machine struct {
	*Intake
	core    genesis.Core // its Params are those in force
	genesis chain.Hash
	supply  chain.Amount
	fork    uint32

	parts    [Parts]*table.Part
	accounts *table.Table[chain.Address, Account]
	params   *table.Table[uint8, []byte]
	council
	modules

	head     chain.Header
	headHash chain.Hash
	list     *directory.List
	headers  *headers
	nonces   map[chain.Address]uint64 // as the last Check saw them
	verified *statement.Verified      // statements that CheckTx found valid
}

// Keys of the singletons in the params part.
const (
	keyParams = state.KeyParams
	keyFork   = state.KeyFork
	keySupply = state.KeySupply
)

func empty(core genesis.Core, hash chain.Hash, index HeaderIndex) *Machine {
	m := &Machine{Intake: NewIntake(core.ChainID, hash), core: core, genesis: hash, headers: newHeaders(index), nonces: map[chain.Address]uint64{},
		verified: statement.NewVerified()}
	for i := range m.parts {
		m.parts[i] = new(table.Part)
	}
	m.accounts = newAccounts(m.parts[PartAccounts])
	m.params = table.New(m.parts[PartParams], table.Codec[uint8, []byte]{
		Prefix:      state.PrefixSingletons,
		AppendKey:   func(b []byte, k uint8) []byte { return append(b, k) },
		ReadKey:     (*wire.Reader).Uint8,
		AppendValue: func(b, v []byte) []byte { return append(b, v...) },
		ReadValue:   func(r *wire.Reader) []byte { return r.Fixed(r.Len()) },
	})
	m.council = newCouncil(m.parts[PartParams])
	m.modules = newModules(m)
	return m
}

// New is the state before the first block. A nil index keeps all header hashes
// in memory.
func New(g genesis.Genesis, index HeaderIndex) (*Machine, error) {
	if err := g.Validate(); err != nil {
		return nil, fmt.Errorf("start machine: %w", err)
	}
	m := empty(g.Core, g.Hash(), index)
	m.supply, _ = g.Supply()
	for _, a := range g.Allocations {
		if a.Balance > 0 {
			m.accounts.Set(a.Address, Account{Balance: a.Balance})
		}
	}
	m.setInForce(genesis.InForce{Params: g.Params})
	m.params.Set(keySupply, wire.AppendUint64(nil, uint64(m.supply)))
	m.setFork(0)
	m.fund(g.RewardPool)
	m.found(g)
	for _, p := range m.parts {
		p.Commit()
	}
	m.list = EmptyList()
	m.head = m.first()
	m.headHash = m.genesis
	m.headers.record(0, m.genesis, m.registry.Validators())
	return m, nil
}

// found bonds and registers the validators of genesis.
func (m *Machine) found(g genesis.Genesis) {
	p := purse{m: m}
	for i, operator := range g.Operators { // as many as sealers; none but on CometBFT
		if err := m.staking.Open(g.Sealers[i], operator, 0, g.Params.StakingRequirement, 0, &p); err != nil {
			panic("machine: internal error: a valid genesis whose validator cannot be bonded: " + err.Error())
		}
		m.registry.Found(g.Sealers[i], operator, g.Time)
		p.keep()
	}
	m.registry.TakeEvents()
	m.registry.TakeValidators()
}

// first stands for the block before the first: what height 1 follows.
func (m *Machine) first() chain.Header {
	return chain.Header{Genesis: m.genesis, Time: m.core.Time, State: light.StateRoot(m.roots()),
		Directory: EmptyList().Root(), Beacon: beacon.Zero(m.genesis)}
}

// Load rebuilds the state after head from stored rows and the epoch's list, and
// holds it against the head's roots. Where head.Height is zero, use New.
func Load(core genesis.Core, hash chain.Hash, head chain.Header, rows [Parts][]table.Row, list *directory.List, index HeaderIndex) (*Machine, error) {
	m := empty(core, hash, index)
	for i, p := range m.parts {
		if err := p.Load(rows[i]); err != nil {
			return nil, fmt.Errorf("%w: part %s: %w", ErrState, Part(i), err)
		}
	}
	if got := light.StateRoot(m.roots()); got != head.State {
		return nil, fmt.Errorf("%w: rows give %s, header %d says %s", ErrState, got, head.Height, head.State)
	}
	fork, _ := m.params.Get(keyFork)
	supply, _ := m.params.Get(keySupply)
	r := wire.NewReader(append(append([]byte(nil), fork...), supply...))
	m.fork, m.supply = r.Uint32(), chain.Amount(r.Uint64())
	if r.Done() != nil || m.fork != head.Fork || head.Genesis != hash {
		return nil, fmt.Errorf("%w: fork, supply or genesis", ErrState)
	}
	inForce, _ := m.params.Get(keyParams)
	f, err := genesis.DecodeInForce(inForce)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	m.inForce, m.core.Params = f, f.Params
	if err := list.Check(head); err != nil {
		return nil, fmt.Errorf("%w: list of epoch %d: %w", ErrState, head.DirEpoch, err)
	}
	m.list, m.head, m.headHash = list, head, head.Hash()
	m.headers.record(head.Height, m.headHash, m.registry.Validators())
	return m, nil
}

// Rows gives the committed rows of a part, ascending by key.
func (m *Machine) Rows(part Part) []table.Row {
	out := make([]table.Row, 0, m.parts[part].Count())
	for r := range m.parts[part].Rows() {
		out = append(out, r)
	}
	return out
}

func (m *Machine) setFork(fork uint32) {
	m.fork = fork
	m.params.Set(keyFork, wire.AppendUint32(nil, fork))
}

func (m *Machine) parent() chain.Hash { return m.headHash }

// Head is the header of the last block; before the first, a header of height 0
// whose hash nothing refers to (the parent of height 1 is the genesis hash).
func (m *Machine) Head() chain.Header { return m.head }

// HeadHash is what the next block names as its parent.
func (m *Machine) HeadHash() chain.Hash { return m.headHash }

// Core is the network's genesis without its allocations, with the parameters
// that are in force now in place of its own.
func (m *Machine) Core() genesis.Core { return m.core }

// Genesis is the genesis hash.
func (m *Machine) Genesis() chain.Hash { return m.genesis }

// Fork is the network's fork number.
func (m *Machine) Fork() uint32 { return m.fork }

// List is the directory of the head's epoch.
func (m *Machine) List() *directory.List { return m.list }

// headers is the index that evidence is held against.
type headers struct {
	outer HeaderIndex
	own   map[chain.Height]seen // what outer may not know yet, or all
}

// seen is what is known of a block.
type seen struct {
	hash       chain.Hash
	validators []chain.NodeID // after it
}

func newHeaders(outer HeaderIndex) *headers {
	return &headers{outer: outer, own: map[chain.Height]seen{}}
}

func (h *headers) record(at chain.Height, hash chain.Hash, validators []chain.NodeID) {
	if h.outer != nil {
		clear(h.own)
	}
	h.own[at] = seen{hash, validators}
}

// HeaderHash finds the header hash of a block up to the head.
func (h *headers) HeaderHash(at chain.Height) (chain.Hash, bool) {
	if b, ok := h.own[at]; ok || h.outer == nil {
		return b.hash, ok
	}
	return h.outer.HeaderHash(at)
}

// ValidatorsAfter are those after a block up to the head.
func (h *headers) ValidatorsAfter(at chain.Height) ([]chain.NodeID, bool) {
	if b, ok := h.own[at]; ok || h.outer == nil {
		return b.validators, ok
	}
	return h.outer.ValidatorsAfter(at)
}

// EmptyList is the directory of epoch 0, in which nobody is listed.
func EmptyList() *directory.List {
	l, err := directory.NewList(0, nil)
	if err != nil {
		panic("machine: internal error: " + err.Error())
	}
	return l
}
