// Package comet joins a ledger to CometBFT: the validators' engine decides
// blocks, the ledger's machine carries them out. It implements
// docs/spec/cometbft.md, section Application, and is the one place that speaks
// ABCI 2.0.
//
// App only translates. The mempool, with its order of nonces and statements
// first, is the ledger's; CometBFT's own carries transactions between validators.
package comet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/crypto/ed25519"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// AppVersion is the version of the application in CometBFT's headers.
const AppVersion = 1

// Codes of CometBFT's results. What a refusal is stands in Data, the ledger's code.
const (
	codeApplied uint32 = 0
	codeRefused uint32 = 1
)

const (
	// txOverhead is the most that CometBFT adds to a transaction in a block: a tag
	// and a length.
	txOverhead = 6
	// maxTxBytes is what transactions of a block may have together; the rest is
	// for misbehaviour.
	maxTxBytes = machine.MaxBlockBytes - 1<<18
)

// Blocks are what CometBFT has stored: the header of a height and the commit for
// it.
type Blocks interface {
	Certificate(chain.Height) (cometbft.Certificate, bool)
}

// App is the application of one validator.
type App struct {
	abci.BaseApplication
	ledger *ledger.Ledger
	log    *slog.Logger

	blocks Blocks // set before the first block
	prover *prover
	found  chain.Height // of the newest block with misbehaviour that is not stored yet

	snapshots *snapshots   // nil: none are made or taken
	keep      chain.Height // blocks to keep; 0: all

	mu    sync.Mutex
	known map[cometbft.Address]chain.NodeID // all nodes that were ever seen to validate
}

// New is the application over an open ledger that was attached to an engine.
func New(l *ledger.Ledger, log *slog.Logger) *App {
	a := &App{ledger: l, log: log, prover: newProver(l, log), known: map[cometbft.Address]chain.NodeID{}}
	l.View(func(m *machine.Machine) {
		for n := range m.Registry().All() {
			a.learn(n.ID)
		}
	})
	return a
}

// Stored says where blocks are found. It is called before CometBFT starts.
func (a *App) Stored(b Blocks) { a.blocks = b }

func (a *App) learn(n chain.NodeID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[cometbft.AddressOf(n)] = n
}

func (a *App) node(address []byte) (chain.NodeID, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(address) == len(cometbft.Address{}) {
		if n, ok := a.known[cometbft.Address(address)]; ok {
			return n, nil
		}
	}
	return chain.NodeID{}, fmt.Errorf("no validator has the address %x", address)
}

// Info says up to which block the ledger is on disk: CometBFT decides those above
// it anew.
func (a *App) Info(context.Context, *abci.RequestInfo) (*abci.ResponseInfo, error) {
	height, hash := a.ledger.Tip()
	r := &abci.ResponseInfo{Data: "tunic", AppVersion: AppVersion, LastBlockHeight: int64(height)}
	if height > 0 {
		r.LastBlockAppHash = hash[:]
	}
	return r, nil
}

// InitChain answers with the validators of genesis, and the genesis hash as the
// state before the first block.
func (a *App) InitChain(_ context.Context, r *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	hash := a.ledger.Genesis().Hash()
	if want := cometbft.ChainID(hash); r.ChainId != want {
		return nil, fmt.Errorf("CometBFT's genesis is of chain %q, the ledger's of %q", r.ChainId, want)
	}
	var out []abci.ValidatorUpdate
	for _, n := range a.ledger.Validators() {
		out = append(out, update(n, 1))
	}
	return &abci.ResponseInitChain{Validators: out, AppHash: hash[:]}, nil
}

func update(n chain.NodeID, power int64) abci.ValidatorUpdate {
	return abci.UpdateValidator(n[:], power, ed25519.KeyType)
}

// CheckTx takes a transaction into the ledger's mempool. On a recheck it says
// whether it is still there.
func (a *App) CheckTx(_ context.Context, r *abci.RequestCheckTx) (*abci.ResponseCheckTx, error) {
	if r.Type == abci.CheckTxType_Recheck {
		if a.ledger.Waits(r.Tx) {
			return &abci.ResponseCheckTx{}, nil
		}
		return &abci.ResponseCheckTx{Code: codeRefused, Log: "it waits no more"}, nil
	}
	err := a.ledger.Take(r.Tx)
	if no := (*chain.Refusal)(nil); errors.As(err, &no) {
		return &abci.ResponseCheckTx{Code: codeRefused, Codespace: no.Code, Log: no.Detail}, nil
	}
	if err != nil {
		return nil, err
	}
	return &abci.ResponseCheckTx{}, nil
}

// PrepareProposal proposes what the ledger's mempool has, not what CometBFT's has:
// that does not keep the order of nonces between validators.
func (a *App) PrepareProposal(_ context.Context, r *abci.RequestPrepareProposal) (*abci.ResponsePrepareProposal, error) {
	room := chain.MaxBlockTxs - len(r.Misbehavior)
	return &abci.ResponsePrepareProposal{Txs: a.ledger.Proposal(room, min(int(r.MaxTxBytes), maxTxBytes), txOverhead)}, nil
}

// ProcessProposal accepts what can be carried out: whatever a transaction does, it
// has a result. Only what no ledger could read or hold is refused, so that a block
// is never refused by some and accepted by others.
func (a *App) ProcessProposal(_ context.Context, r *abci.RequestProcessProposal) (*abci.ResponseProcessProposal, error) {
	if why := unfit(r.Txs, len(r.Misbehavior)); why != nil {
		a.log.Warn("a proposal was refused", "height", r.Height, "why", why)
		return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_REJECT}, nil
	}
	return &abci.ResponseProcessProposal{Status: abci.ResponseProcessProposal_ACCEPT}, nil
}

// unfit is why a block cannot be decoded or held.
func unfit(txs [][]byte, found int) error {
	if n := len(txs) + found; n > chain.MaxBlockTxs {
		return fmt.Errorf("%d transactions, at most %d", n, chain.MaxBlockTxs)
	}
	size := 0
	for i, tx := range txs {
		if _, err := chain.DecodeTx(tx); err != nil {
			return fmt.Errorf("transaction %d: %w", i, err)
		}
		size += len(tx)
	}
	if size > maxTxBytes {
		return fmt.Errorf("%d bytes of transactions, at most %d", size, maxTxBytes)
	}
	return nil
}

// FinalizeBlock carries out a decided block.
func (a *App) FinalizeBlock(_ context.Context, r *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	proposer, err := a.node(r.ProposerAddress)
	if err != nil {
		return nil, fmt.Errorf("finalize block %d: its proposer: %w", r.Height, err)
	}
	d := ledger.Decided{Height: chain.Height(r.Height), Time: chain.Time(r.Time.UnixMilli()), Proposer: proposer, Txs: r.Txs}
	for _, m := range r.Misbehavior {
		c, err := a.concluded(m)
		if err != nil {
			return nil, fmt.Errorf("finalize block %d: misbehaviour: %w", r.Height, err)
		}
		d.Found = append(d.Found, c)
		a.found = d.Height
	}
	out, err := a.ledger.Decide(d)
	if err != nil {
		return nil, fmt.Errorf("finalize block %d: %w", r.Height, err)
	}
	hash := out.Header.Hash()
	answer := &abci.ResponseFinalizeBlock{AppHash: hash[:], TxResults: make([]*abci.ExecTxResult, len(out.Codes))}
	for i, code := range out.Codes {
		answer.TxResults[i] = &abci.ExecTxResult{}
		if code != "" {
			answer.TxResults[i] = &abci.ExecTxResult{Code: codeRefused, Data: []byte(code)}
		}
	}
	for _, v := range out.Validators {
		power := int64(0)
		if v.Seals {
			power = 1
		}
		a.learn(v.Node)
		answer.ValidatorUpdates = append(answer.ValidatorUpdates, update(v.Node, power))
	}
	return answer, nil
}

func (a *App) concluded(m abci.Misbehavior) (slashing.Conclusion, error) {
	n, err := a.node(m.Validator.Address)
	c := slashing.Conclusion{Node: n, Height: chain.Height(m.Height), Time: chain.Time(m.Time.UnixMilli()),
		Power: uint64(m.Validator.Power), Total: uint64(m.TotalVotingPower)}
	switch m.Type {
	case abci.MisbehaviorType_DUPLICATE_VOTE:
		c.Fault = slashing.DuplicateVote
	case abci.MisbehaviorType_LIGHT_CLIENT_ATTACK:
		c.Fault = slashing.LightAttack
	default:
		err = errors.Join(err, fmt.Errorf("of type %d", m.Type))
	}
	return c, err
}

// Commit stores and shows the block before the one that was just decided: now
// there is a header that names the state after it, with the commit for it.
func (a *App) Commit(ctx context.Context, _ *abci.RequestCommit) (*abci.ResponseCommit, error) {
	err := a.ledger.Settle(ctx, func(h chain.Height) ([]byte, bool) {
		c, ok := a.blocks.Certificate(h + 1)
		if !ok {
			return nil, false
		}
		return c.Encode(), true
	})
	if err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	if a.found > 0 && a.ledger.Head().Header.Height >= a.found {
		a.found = 0
		a.prover.nudge()
	}
	a.freeze()
	retain, err := a.retain()
	if err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	return &abci.ResponseCommit{RetainHeight: int64(retain)}, nil
}
