package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tunic/chain/genesis"
	"tunic/ledger"
)

// ErrEngine means that blocks of a network are decided in another way than this
// program was asked to, or that what decides them has ended.
var ErrEngine = errors.New("node: engine")

// Engine decides a ledger's blocks in the sealer's place.
type Engine interface {
	// Stop ends it, and returns once the ledger is not touched any more: nil, or
	// why it had ended before. It may be called again.
	Stop() error
	// Done is closed when it has ended by itself.
	Done() <-chan struct{}
}

// StartEngine starts the engine of a ledger that nothing else uses yet.
type StartEngine func(ctx context.Context, l *ledger.Ledger, log *slog.Logger) (Engine, error)

// fits refuses to run a network in another way than its genesis says.
func (start StartEngine) fits(dir string, g genesis.Genesis) error {
	switch {
	case g.Engine == genesis.EngineComet && start == nil:
		return fmt.Errorf("%w: validators decide the blocks of this network; run it with `tunic-validator start --dir %s`", ErrEngine, dir)
	case g.Engine != genesis.EngineComet && start != nil:
		return fmt.Errorf("%w: one sealer makes the blocks of this network; run it with `tunic ledger run --dir %s`", ErrEngine, dir)
	}
	return nil
}

// haltGrace is how long an engine that has ended waits for the ledger to say why.
const haltGrace = time.Second

// over waits until the ledger halts or its engine ends, and says why; nil where ctx
// ends before.
func over(ctx context.Context, l *ledger.Ledger, e Engine) error {
	ctx, stop := context.WithCancel(ctx)
	halted := make(chan error, 1)
	go func() { halted <- Halted(ctx, l) }()
	var ended <-chan struct{}
	if e != nil {
		ended = e.Done()
	}
	var err error
	select {
	case err = <-halted:
		stop()
		return err
	case <-ended:
	}
	select { // an engine ends, too, where its ledger cannot write
	case err = <-halted:
		stop()
		return err
	case <-time.After(haltGrace):
	}
	stop()
	<-halted
	if err := e.Stop(); err != nil {
		return fmt.Errorf("%w: %w", ErrEngine, err)
	}
	return fmt.Errorf("%w: it ended by itself", ErrEngine)
}
