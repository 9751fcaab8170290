package comet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cometbft/cometbft/types"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/state"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/slashing"
)

// CometBFT hands the application what it concluded of a validator, and keeps the
// votes in the evidence of its block. A prover makes the proof file from both,
// beside the blocks: none waits for it.
type prover struct {
	ledger *ledger.Ledger
	blocks interface {
		LoadBlock(height int64) *types.Block
	}
	log  *slog.Logger
	wake chan struct{} // something was concluded
}

func newProver(l *ledger.Ledger, log *slog.Logger) *prover {
	return &prover{ledger: l, log: log, wake: make(chan struct{}, 1)}
}

// nudge has it look again.
func (p *prover) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run makes what proofs are missing, at once and whenever it is nudged, until ctx
// ends.
func (p *prover) run(ctx context.Context) {
	for {
		if err := p.prove(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("no proof file of a double-seal was made", "why", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
	}
}

func (p *prover) prove(ctx context.Context) error {
	missing, err := p.ledger.Unproven()
	for _, r := range missing {
		one, e := p.proof(ctx, r)
		if e == nil {
			e = p.ledger.KeepProof(one)
		}
		if e != nil {
			err = errors.Join(err, fmt.Errorf("offence %s: %w", r.ID, e))
		}
	}
	return err
}

// proof is that of a record, whose block carries the evidence.
func (p *prover) proof(ctx context.Context, r slashing.Record) (slashing.Proof, error) {
	d, err := p.votes(r)
	if err != nil {
		return slashing.Proof{}, err
	}
	at, _ := slashing.SeatHeights(d.Height)
	header, err := p.ledger.Header(at)
	if err != nil {
		return slashing.Proof{}, err
	}
	var row state.Proof
	if err := p.ledger.ViewAt(ctx, at, func(m *machine.Machine) { row = m.Prove(state.PartNodes, state.ValidatorKey(d.Validator)) }); err != nil {
		return slashing.Proof{}, err
	}
	return slashing.AssembleBallots(d, header, row)
}

// votes are those that the record's block has of its node and height.
func (p *prover) votes(r slashing.Record) (cometbft.DuplicateVote, error) {
	address := cometbft.AddressOf(r.Node)
	if b := p.blocks.LoadBlock(int64(r.At)); b != nil {
		for _, e := range b.Evidence.Evidence {
			d, ok := e.(*types.DuplicateVoteEvidence)
			if !ok || chain.Height(d.VoteA.Height) != r.Height || !bytes.Equal(d.VoteA.ValidatorAddress, address[:]) {
				continue
			}
			a, errA := vote(d.VoteA)
			b, errB := vote(d.VoteB)
			if err := errors.Join(errA, errB); err != nil {
				return cometbft.DuplicateVote{}, err
			}
			return cometbft.NewDuplicateVote(r.Node, a, b)
		}
	}
	return cometbft.DuplicateVote{}, fmt.Errorf("the engine has no votes of it in block %d", r.At)
}
