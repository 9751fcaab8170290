package devnet

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tunic/api"
	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/devnet/fault"
	"tunic/internal/durable"
	"tunic/ledger"
	"tunic/node"
)

// DefaultValidators is how many validators there are where nothing is said.
const DefaultValidators = 4

// engine fills in what the engine says of a spec.
func (s *Spec) engine() error {
	switch s.Engine {
	case "", genesis.EngineSealer:
		s.Engine = genesis.EngineSealer
		if s.Validators != 0 || s.Validator != "" {
			return fmt.Errorf("%w: there are validators with --engine comet alone", ErrSpec)
		}
		return nil
	case genesis.EngineComet:
	default:
		return fmt.Errorf("%w: engine %q; use %s or %s", ErrSpec, s.Engine, genesis.EngineSealer, genesis.EngineComet)
	}
	if s.Validators == 0 {
		s.Validators = DefaultValidators
	}
	if s.Validators < 1 || s.Validators > MaxValidators {
		return fmt.Errorf("%w: 1 to %d validators", ErrSpec, MaxValidators)
	}
	s.Live = true // nobody moves the clock of several machines
	if s.Validator == "" {
		at, err := FindValidator()
		if err != nil {
			return err
		}
		s.Validator = at
	}
	return nil
}

func (n *Network) onComet() bool { return n.Spec.Engine == genesis.EngineComet }

// validatorKey is the identity of validator i as it stands in genesis: by place.
func (n *Network) validatorKeys() []ed25519.PrivateKey {
	keys := make([]ed25519.PrivateKey, n.Spec.Validators)
	for i := range keys {
		seed := n.derive("validator", i)
		keys[i] = ed25519.NewKeyFromSeed(seed[:])
	}
	slices.SortFunc(keys, func(a, b ed25519.PrivateKey) int {
		return bytes.Compare(a.Public().(ed25519.PublicKey), b.Public().(ed25519.PublicKey))
	})
	return keys
}

// foundValidators makes g one of validators, each with a bond of its own operator's,
// who has devBalance left. It has no dev controls, and a real clock.
func (n *Network) foundValidators(g *genesis.Genesis) {
	g.Engine, g.Dev, g.Clock = genesis.EngineComet, false, genesis.ClockReal
	g.Sealers = nil
	for i, k := range n.validatorKeys() {
		operator := n.account("validator operator", i).Address()
		g.Sealers = append(g.Sealers, chain.NodeID(k.Public().(ed25519.PublicKey)))
		g.Operators = append(g.Operators, operator)
		g.Allocations = append(g.Allocations, genesis.Allocation{Address: operator, Balance: devBalance + g.Params.StakingRequirement})
	}
	g.Time = node.GenesisTime(time.Now(), g.Params, n.headStart())
}

// headStart is how long the nodes have until the first epoch that lists anybody.
func (n *Network) headStart() time.Duration {
	wait := 5*time.Second + time.Duration(n.Spec.Relays)*100*time.Millisecond
	return min(wait, time.Duration(n.Genesis.Params.EpochLength)*time.Millisecond)
}

// startComet starts the validators, the copy of the ledger, relays and clients.
func (n *Network) startComet(ctx context.Context) (err error) {
	if n.Spec.Dir == "" {
		if n.scratch, err = os.MkdirTemp("", "tunic-devnet-"); err != nil {
			return fmt.Errorf("devnet: %w", err)
		}
	}
	n.clock = ledger.NewRealClock()
	n.faults = &fault.Net{Seed: n.Seed, Now: n.clock.Now}
	n.Handler = &n.front
	if err := n.serveAdmin(); err != nil {
		return err
	}
	if n.Validators, err = n.startValidators(ctx, filepath.Join(n.folder(), validatorsDir)); err != nil {
		return err
	}
	n.URL = n.Validators[0].URL
	n.nameValidators(n.Validators)
	if n.Spec.Dir != "" {
		if _, err := n.writeNetwork(); err != nil {
			return err
		}
	}
	if err := n.openCopy(); err != nil {
		return err
	}
	if n.gateway, err = n.feedOf(0); err != nil {
		return err
	}
	if err := n.awaitHead(ctx, func(h chain.Header) bool { return h.Height > 0 }); err != nil {
		return fmt.Errorf("devnet: the validators decide nothing: %w", err)
	}
	if err := n.startRelays(ctx); err != nil {
		return err
	}
	wait, stop := context.WithTimeout(ctx, cometLimit)
	defer stop()
	if err := n.awaitHead(wait, func(h chain.Header) bool { return int(h.DirCount) == n.Spec.Relays }); err != nil {
		return fmt.Errorf("devnet: not all relays came into the directory: %w", err)
	}
	return n.startClients()
}

// nameValidators puts the ledgers of all validators into the network file.
func (n *Network) nameValidators(all []*Validator) {
	var urls []string
	for _, v := range all {
		urls = append(urls, v.URL)
	}
	n.File = n.Genesis.Network(urls...)
	n.internal = n.File
}

// writeNetwork writes the network file where that of a sealer's network is.
func (n *Network) writeNetwork() (path string, err error) {
	dir := filepath.Join(n.Spec.Dir, "ledger")
	if err := durable.MkdirAll(dir); err != nil {
		return "", fmt.Errorf("devnet: %w", err)
	}
	path = filepath.Join(dir, node.NetworkFile)
	if err := durable.WriteFile(path, n.File.Encode(), 0o644); err != nil {
		return "", fmt.Errorf("devnet: %w", err)
	}
	return path, nil
}

// cometLimit is how long validators may take for what they do at once where the
// machine has nothing else to do.
const cometLimit = 2 * time.Minute

// folder is where the network's files are.
func (n *Network) folder() string {
	if n.Spec.Dir != "" {
		return n.Spec.Dir
	}
	return n.scratch
}

// openCopy opens a copy of the ledger in memory, which follows the validators.
func (n *Network) openCopy() error {
	l, err := node.OpenCopy(n.ctx, "", n.Genesis, n.log)
	if err != nil {
		return err
	}
	acfg := api.Config{Ledger: l, Network: n.File, Version: node.Version, Logger: n.log}
	if n.metrics != nil {
		acfg.Observer = n.metrics
	}
	h, err := api.New(acfg)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	n.Ledger = l
	n.present.Store(l)
	n.front.to.Store(&h)
	n.run("copy of the ledger", func(ctx context.Context) error {
		return node.FollowBlocks(ctx, node.FollowConfig{Ledger: l, URLs: n.File.URLs, Pause: followPause, Logger: n.log})
	})
	return nil
}

// followPause is how often the copy looks for the next block.
const followPause = 50 * time.Millisecond

// feedOf is a view of the ledgers of all validators, beginning with number first.
func (n *Network) feedOf(first int) (*feed.Feed, error) {
	file := n.internal
	k := first % len(file.URLs)
	file.URLs = slices.Concat(file.URLs[k:], file.URLs[:k])
	return feed.New(feed.Config{Network: file, Shared: n.shared, Logger: n.log})
}

// awaitHead waits until the copy's head is as wanted and all relays that run have
// acted on it.
func (n *Network) awaitHead(ctx context.Context, ok func(chain.Header) bool) error {
	again := time.NewTicker(followPause / 5)
	defer again.Stop()
	for {
		h := n.Ledger.Head().Header
		if ok(h) {
			return n.barrier(ctx, h.Height)
		}
		if err := n.Err(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("devnet: at height %d: %w", h.Height, ctx.Err())
		case <-n.ctx.Done():
			return fmt.Errorf("devnet: closed at height %d", h.Height)
		case <-again.C:
		}
	}
}

// Submit offers the ledger a transaction; on cometbft to one validator after another
// until one takes it. A refusal is a *chain.Refusal.
func (n *Network) Submit(ctx context.Context, tx []byte) (chain.Hash, error) {
	if !n.onComet() {
		return n.Ledger.Submit(ctx, tx)
	}
	id := chain.SHA256(tx)
	if err := n.gateway.Submit(ctx, tx); err != nil {
		return id, err
	}
	// The copy's mempool knows then which nonces are taken. It may be a block behind
	// and refuse.
	_, _ = n.Ledger.Submit(ctx, tx)
	return id, nil
}

// Settle returns when a transaction that was submitted stands in a block, or was
// refused, with what became of it. Relays that run have acted on that block.
func (n *Network) Settle(ctx context.Context, id chain.Hash) (ledger.TxStatus, error) {
	if !n.onComet() {
		if err := n.Seal(ctx); err != nil {
			return ledger.TxStatus{}, err
		}
		return n.Ledger.Tx(id)
	}
	ctx, stop := context.WithTimeout(ctx, cometLimit)
	defer stop()
	var s ledger.TxStatus
	err := n.awaitHead(ctx, func(chain.Header) bool {
		var err error
		s, err = n.Ledger.Tx(id)
		return err == nil && s.State == ledger.TxIncluded
	})
	if err != nil {
		return s, fmt.Errorf("transaction %s is in no block: %w", id, err)
	}
	return s, nil
}

// closeValidators ends the validators and removes what nobody asked to keep.
func (n *Network) closeValidators() error {
	for _, v := range n.Validators {
		v.stop()
	}
	if n.scratch == "" {
		return nil
	}
	return os.RemoveAll(n.scratch)
}
