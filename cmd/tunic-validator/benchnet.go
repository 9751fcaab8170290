package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cometbft/cometbft/abci/example/kvstore"
	abci "github.com/cometbft/cometbft/abci/types"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger"
	"tunic/ledger/comet"
	"tunic/ledger/machine"
	"tunic/ledger/wallet"
)

// The applications that are measured.
const (
	appTunic   = "tunic"
	appKV      = "kvstore" // CometBFT's own, in memory
	appRecover = "recover" // benchapp.go
)

// benchPace is the engine's, alike for all: fast, so that what the applications do
// shows.
var benchPace = comet.Pace{Propose: 3 * time.Second, Vote: time.Second, Commit: 100 * time.Millisecond, Empty: 100 * time.Millisecond, Gossip: 10 * time.Millisecond}

// benchAccounts is how many accounts sign, each as many transactions.
const benchAccounts = 100

// patience is how long a network may take for what takes seconds.
const patience = 5 * time.Minute

// subject is what is measured with a number of validators: keys, genesis and signed
// transactions, made before.
type subject struct {
	keys    []ed25519.PrivateKey
	genesis genesis.Genesis
	signed  [][]byte // transfers, by account and nonce
	pairs   [][]byte // for kvstore, of the same length
	load    int      // so many of them are the load; the rest are for latency
}

// newSubject signs load and single transactions for validators.
func newSubject(validators, load, single int) (*subject, error) {
	s := &subject{load: load}
	f := testnetFlags{seed: "bench", validators: validators, accounts: benchAccounts, genesisFlags: genesisFlags{profile: string(genesis.Private), pool: "1000000", chainID: 31337}}
	g, err := f.genesisFlags.genesis(time.Now().Add(-time.Hour))
	if err != nil {
		return nil, err
	}
	var cards []card
	for i := range validators {
		seed, err := f.draw("validator", i)
		if err != nil {
			return nil, err
		}
		operator, err := f.account("operator", i)
		if err != nil {
			return nil, err
		}
		who := operator.Address()
		key := ed25519.NewKeyFromSeed(seed[:32])
		s.keys = append(s.keys, key)
		cards = append(cards, card{Node: chain.NodeID(key.Public().(ed25519.PublicKey)), Operator: &who})
		g.Allocations = append(g.Allocations, genesis.Allocation{Address: who, Balance: g.Params.StakingRequirement})
	}
	var accounts []wallet.Key
	for i := range benchAccounts {
		k, err := f.account("account", i)
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, k)
		g.Allocations = append(g.Allocations, genesis.Allocation{Address: k.Address(), Balance: accountBalance})
	}
	if s.genesis, err = with(g, cards); err != nil {
		return nil, err
	}
	domain := chain.NewDomain(s.genesis.ChainID, s.genesis.Hash())
	for i := range load + single {
		k := accounts[i%benchAccounts]
		tx := machine.TransferType.Unsigned(machine.Transfer{Head: chain.Head{Nonce: uint64(i / benchAccounts), Fee: s.genesis.Params.MinFee, ValidUntil: 1 << 40},
			To: accounts[(i+1)%benchAccounts].Address(), Amount: 1})
		if tx, err = k.Sign(domain, machine.TransferType.Schema(), tx); err != nil {
			return nil, err
		}
		b := tx.Encode()
		s.signed = append(s.signed, b)
		s.pairs = append(s.pairs, fmt.Appendf(nil, "key%010d=%0*x", i, len(b)-14, i))
	}
	return s, nil
}

// running is a network of one application in this process.
type running struct {
	nodes   []*comet.Node
	ledgers []*ledger.Ledger // of tunic
	give    []func(context.Context, []byte) error
	dir     string
}

func (r *running) stop() error {
	var err error
	for _, n := range r.nodes {
		err = errors.Join(err, n.Stop())
	}
	for _, l := range r.ledgers {
		err = errors.Join(err, l.Close())
	}
	return errors.Join(err, os.RemoveAll(r.dir))
}

// run starts the network.
func (s *subject) run(ctx context.Context, app, dir string) (r *running, err error) {
	r = &running{}
	if r.dir, err = os.MkdirTemp(dir, "tunic-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.stop())
		}
	}()
	var ids []chain.NodeID
	for _, k := range s.keys {
		ids = append(ids, chain.NodeID(k.Public().(ed25519.PublicKey)))
	}
	began := time.Now().Add(-time.Minute)
	var peers []string
	for i, k := range s.keys {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return r, err
		}
		at := ln.Addr().String()
		ln.Close()
		cfg := comet.Config{Dir: filepath.Join(r.dir, fmt.Sprint(i), "engine"), Key: k, Listen: at, Peers: slices.Clone(peers), Local: true, Pace: benchPace}
		var n *comet.Node
		if app == appTunic {
			l, err := ledger.Open(ctx, ledger.Config{Dir: filepath.Join(r.dir, fmt.Sprint(i), "db"), Genesis: s.genesis})
			if err != nil {
				return r, err
			}
			r.ledgers = append(r.ledgers, l)
			if n, err = comet.Start(ctx, l, cfg); err != nil {
				return r, err
			}
			r.give = append(r.give, func(ctx context.Context, tx []byte) error { _, err := l.Submit(ctx, tx); return err })
		} else {
			var a abci.Application = newRecovering()
			if app == appKV {
				a = kvstore.NewInMemoryApplication()
			}
			if n, err = comet.StartBare(ctx, a, "bench", began, ids, cfg); err != nil {
				return r, err
			}
			r.give = append(r.give, func(_ context.Context, tx []byte) error { return n.Give(tx) })
		}
		r.nodes = append(r.nodes, n)
		peers = append(peers, n.Address())
	}
	return r, r.ready(ctx)
}

// ready returns once all validators are at one height above the first.
func (r *running) ready(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for _, n := range r.nodes {
		for {
			s, ok := n.State()
			if ok && s.Height > 3 && !s.Syncing && s.Peers == len(r.nodes)-1 {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("a network did not begin in %s: %w", patience, ctx.Err())
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	return nil
}

// seen counts transactions as blocks come.
type seen struct {
	mu    sync.Mutex
	count int
	moved chan struct{} // closed at the next block
}

func (s *seen) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count += n
	close(s.moved)
	s.moved = make(chan struct{})
}

// await waits until so many were seen, and says when.
func (s *seen) await(ctx context.Context, count int) (time.Time, error) {
	for {
		s.mu.Lock()
		now, moved := s.count, s.moved
		s.mu.Unlock()
		if now >= count {
			return time.Now(), nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("%d of %d transactions were decided in %s: %w", now, count, patience, ctx.Err())
		}
	}
}

// sample is what one run of one application gave.
type sample struct {
	perSecond float64
	decided   []time.Duration // each from its submission to the commit of its block
	shown     []time.Duration // tunic: until the ledger shows it, with the header above
}

// measure loads a network, then gives it one transaction after another.
func (s *subject) measure(ctx context.Context, app, dir string) (out sample, err error) {
	r, err := s.run(ctx, app, dir)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	txs := s.signed
	if app == appKV {
		txs = s.pairs
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	decided, shown := &seen{moved: make(chan struct{})}, &seen{moved: make(chan struct{})}
	if err := r.nodes[0].Blocks(ctx, func(_ chain.Height, txs [][]byte) { decided.add(len(txs)) }); err != nil {
		return out, err
	}
	if app == appTunic {
		events := r.ledgers[0].Subscribe(ctx, 0)
		go func() {
			for e := range events {
				shown.add(int(e.Header.TxCount))
			}
		}()
	}
	began := time.Now()
	if err := r.press(ctx, txs[:s.load]); err != nil {
		return out, err
	}
	end, err := decided.await(ctx, s.load)
	if err != nil {
		return out, err
	}
	out.perSecond = float64(s.load) / end.Sub(began).Seconds()
	for i, tx := range txs[s.load:] {
		time.Sleep(rand.N(benchPace.Commit)) // at no particular time of a block
		at := time.Now()
		if err := r.give[0](ctx, tx); err != nil {
			return out, err
		}
		end, err := decided.await(ctx, s.load+i+1)
		if err != nil {
			return out, err
		}
		out.decided = append(out.decided, end.Sub(at))
		if app == appTunic {
			if end, err = shown.await(ctx, s.load+i+1); err != nil {
				return out, err
			}
			out.shown = append(out.shown, end.Sub(at))
		}
	}
	return out, nil
}

// press gives transactions to all nodes at once, those of an account in order.
func (r *running) press(ctx context.Context, txs [][]byte) error {
	const writers = 4
	failed := make(chan error, writers)
	for w := range writers {
		go func() {
			for i := w; i < len(txs); i += writers {
				account := i % benchAccounts
				for {
					err := r.give[account%len(r.give)](ctx, txs[i])
					if err == nil {
						break
					}
					no := (*chain.Refusal)(nil)
					full := errors.Is(err, comet.ErrFull) || errors.As(err, &no) && no.Code == ledger.CodePoolFull
					if !full || ctx.Err() != nil {
						failed <- err
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
			}
			failed <- nil
		}()
	}
	var err error
	for range writers {
		err = errors.Join(err, <-failed)
	}
	return err
}
