package devnet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"tunic/api"
	"tunic/ledger"
	"tunic/node"
)

// front passes requests to the API of the present ledger.
type front struct{ to atomic.Pointer[http.Handler] }

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*f.to.Load()).ServeHTTP(w, r) }

// openLedger opens the ledger in db, in memory where that is empty, and serves
// its API.
func (n *Network) openLedger(ctx context.Context, db string) error {
	mode := ledger.ModeManual
	switch {
	case n.Spec.Live:
		mode = ledger.ModeMixed
	case n.Spec.AtOnce:
		mode = ledger.ModeAuto
	}
	lcfg := ledger.Config{Dir: db, Genesis: n.Genesis, SealerKey: n.sealer(), Mode: mode, Clock: n.clock, Logger: n.log}
	if n.metrics != nil {
		lcfg.Sealed = n.metrics.Sealed
	}
	l, err := ledger.Open(ctx, lcfg)
	if err != nil {
		return err
	}
	acfg := api.Config{Ledger: l, Network: n.File, Version: node.Version, Logger: n.log, Step: n.step}
	if n.metrics != nil {
		acfg.Observer = n.metrics
	}
	h, err := api.New(acfg)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	n.Ledger, n.db = l, db
	n.present.Store(l)
	n.front.to.Store(&h)
	life, end := context.WithCancel(n.ctx)
	n.endLedger = end
	n.wg.Go(func() {
		if err := node.Halted(life, l); life.Err() == nil {
			n.fail(fmt.Errorf("devnet: ledger ended: %w", err))
		}
	})
	return nil
}

// Steps takes one step of a scenario in the running network.
type Steps func(ctx context.Context, step string) (api.Step, error)

// SetSteps serves f under POST /dev/step of the network's API.
func (n *Network) SetSteps(f Steps) { n.steps.Store(&f) }

func (n *Network) step(ctx context.Context, text string) (api.Step, error) {
	f := n.steps.Load()
	if f == nil {
		return api.Step{}, api.ErrNoSteps
	}
	return (*f)(ctx, text)
}

// listenToLedger lets the ledger wait for the relays at each block.
func (n *Network) listenToLedger() {
	n.Ledger.SetBarrier(n.barrier)
	n.Ledger.SetReverting(n.heightsAgain)
}

// ErrInMemory means that what was asked for needs a network on disk.
var ErrInMemory = errors.New("devnet: the network is in memory; give Spec.Dir")

// RestartSealer closes the ledger and opens it again from disk, as after a
// crash: what waited in its mempool is lost. Relays and clients find it again
// by themselves.
//
// On cometbft all validators are stopped and started again.
func (n *Network) RestartSealer(ctx context.Context) error {
	if n.onComet() {
		return n.restartValidators(ctx)
	}
	if n.Spec.Dir == "" {
		return ErrInMemory
	}
	return n.reopen(ctx, n.db)
}

// Load makes a database in the folder db of a dump of this network and goes on
// with that, in its new fork. It returns when every running relay has acted on
// the fork's first block.
func (n *Network) Load(ctx context.Context, dump io.Reader, db string) error {
	if _, err := ledger.Load(ctx, db, n.sealer(), dump); err != nil {
		return fmt.Errorf("devnet: %w", err)
	}
	if err := n.reopen(ctx, db); err != nil {
		return err
	}
	return n.barrier(ctx, n.Ledger.Head().Header.Height)
}

func (n *Network) reopen(ctx context.Context, db string) error {
	n.endLedger()
	if err := n.Ledger.Close(); err != nil {
		return fmt.Errorf("devnet: close the ledger: %w", err)
	}
	if db != n.db {
		n.heightsAgain()
	}
	if err := n.openLedger(ctx, db); err != nil {
		return fmt.Errorf("devnet: open the ledger again: %w", err)
	}
	n.listenToLedger()
	return nil
}
