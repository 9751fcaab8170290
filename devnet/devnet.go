// Package devnet is a whole network as a Go value: a ledger with its API, any
// number of relays and messenger clients, in one process, with real stores, one
// clock and one seed. `tunic devnet up` and `tunic demo` are the same for
// people, and docs/spec/scenarios.md is the language of scripts for it.
//
// Most callers Start one in a test:
//
//	net, err := devnet.Start(ctx, devnet.Spec{Relays: 5, Clients: 2, Seed: 7})
//	defer net.Close()
//
// A seed fixes keys, ids, draws and the offender of a fault; it does not fix
// scheduling. The network's clock moves by Advance alone, unless Spec.Live.
package devnet

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/devnet/fault"
	"tunic/internal/durable"
	"tunic/internal/httpx"
	"tunic/ledger"
	"tunic/ledger/wallet"
	"tunic/node"
	"tunic/onion/link"
	"tunic/relay"
)

// Network is a running network.
type Network struct {
	kept    atomic.Int64 // messages that relays were asked to keep
	Spec    Spec
	Seed    uint64
	Genesis genesis.Genesis
	// File is the network file, with the API's URL where it is served.
	File genesis.Network
	// Ledger is the sealer's; on cometbft a copy: what is to change it goes through
	// Submit.
	Ledger   *ledger.Ledger
	Handler  http.Handler // the API; on cometbft that of the copy, which passes nothing on
	URL      string       // of the API; empty where it is not served
	Admin    string       // URL of the admin listener; empty where there is none
	Accounts []wallet.Key // ten funded accounts
	Relays   []*Relay
	Clients  []*Client
	// Validators decide the blocks on cometbft.
	Validators []*Validator

	gateway  *feed.Feed      // that submits to the validators
	scratch  string          // folder that ends with the network
	internal genesis.Network // File for the parts in this process
	verified *statement.Verified
	shared   *feed.Shared
	together *relay.Shared
	log      *slog.Logger
	hub      *link.Memory
	gate     gate       // clients wait at it
	faults   *fault.Net // what all relays' twins share
	front    front      // the API of the present ledger
	clock    *ledger.Clock
	db       string                        // of the present ledger; empty: in memory
	present  atomic.Pointer[ledger.Ledger] // Ledger, for who runs beside a restart
	metrics  *node.Metrics                 // nil without Spec.Admin
	steps    atomic.Pointer[Steps]         // who takes POST /dev/step; nil: nobody
	// endLedger says that the present ledger may close.
	endLedger context.CancelFunc
	ctx       context.Context
	cancel    context.CancelFunc
	wg        sync.WaitGroup

	selling sync.Mutex // guards what follows
	told    []*Sale    // committed to, to be revealed
	sold    int

	waited atomic.Int64  // nanoseconds in barrier
	down   chan struct{} // closed with the first failure
	mu     sync.Mutex    // guards failed
	failed error
}

// apiInProcess is the URL under which parts of the network know the API.
const apiInProcess = "http://ledger.internal"

// Start builds a network and returns when every relay is in the directory and
// every client runs. It ends with Close or with ctx.
func Start(ctx context.Context, spec Spec) (*Network, error) {
	if err := spec.complete(); err != nil {
		return nil, err
	}
	n := &Network{Spec: spec, Seed: spec.Seed, log: spec.Logger, down: make(chan struct{})}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if err := n.seed(); err != nil {
		return nil, err
	}
	n.verified = statement.NewVerified()
	n.shared, n.together = feed.NewShared(n.verified), relay.NewShared()
	n.ctx, n.cancel = context.WithCancel(ctx)
	if err := n.start(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Network) start(ctx context.Context) error {
	if n.Spec.Dir != "" {
		if err := durable.MkdirAll(n.Spec.Dir); err != nil {
			return fmt.Errorf("devnet: %w", err)
		}
	}
	n.makeGenesis()
	if n.onComet() {
		return n.startComet(ctx)
	}
	ln, err := n.listen()
	if err != nil {
		return err
	}
	n.internal = n.Genesis.Network(apiInProcess)
	n.File = n.internal
	if n.URL != "" {
		n.File.URLs = []string{n.URL}
	}
	if err := n.startLedger(ctx, ln); err != nil {
		return err
	}
	if err := n.startRelays(ctx); err != nil {
		return err
	}
	n.listenToLedger()
	if err := n.barrier(ctx, n.Ledger.Head().Header.Height); err != nil {
		return err
	}
	// What the relays sign stands in a block of epoch 0, however long heartbeats
	// may wait: epoch 1 lists all of them.
	if err := n.Seal(ctx); err != nil {
		return err
	}
	if err := n.Ledger.AdvanceTo(ctx, n.Genesis.EpochStart(1)); err != nil {
		return fmt.Errorf("devnet: enter epoch 1: %w", err)
	}
	return n.startClients()
}

// listen opens the API's port first, so that its URL is known.
func (n *Network) listen() (net.Listener, error) {
	if n.Spec.HTTP == "" {
		return nil, nil
	}
	ln, err := net.Listen("tcp", n.Spec.HTTP)
	if err != nil {
		return nil, fmt.Errorf("devnet: listen for the API: %w", err)
	}
	n.URL = "http://" + ln.Addr().String()
	return ln, nil
}

// startLedger opens the ledger, serves its API and seals nothing yet.
func (n *Network) startLedger(ctx context.Context, ln net.Listener) error {
	var dir, db string
	if n.Spec.Dir != "" {
		dir = filepath.Join(n.Spec.Dir, "ledger")
		db = filepath.Join(dir, "db")
		var urls []string
		if n.URL != "" {
			urls = append(urls, n.URL)
		}
		if err := node.InitLedger(dir, n.Genesis, n.sealer(), urls...); err != nil {
			return err
		}
	}
	n.clock = ledger.NewDrivenClock(n.Genesis.Time)
	if n.Spec.Live {
		n.clock = ledger.NewOffsetClock(n.Genesis.Time)
	}
	n.faults = &fault.Net{Seed: n.Seed, Now: n.clock.Now, Driven: !n.Spec.Live}
	n.Handler = &n.front
	err := n.serveAdmin()
	if err == nil {
		err = n.openLedger(ctx, db)
	}
	if err != nil {
		if ln != nil {
			ln.Close()
		}
		return err
	}
	if ln != nil {
		n.run("API", func(ctx context.Context) error { return node.Serve(ctx, ln, n.Handler) })
	}
	return nil
}

// serveAdmin serves metrics and profiles, where the spec says so.
func (n *Network) serveAdmin() error {
	if n.Spec.Admin == "" {
		return nil
	}
	ln, err := node.ListenAdmin(n.Spec.Admin)
	if err != nil {
		return err
	}
	n.Admin = "http://" + ln.Addr().String()
	n.metrics = node.NewMetrics(n.present.Load)
	n.run("admin listener", func(ctx context.Context) error { return node.ServeAdmin(ctx, ln, n.metrics) })
	return nil
}

// feed is a verified view of the ledger over the API in process or, where there
// are validators, over that of each of them, beginning with number first.
func (n *Network) feed(first int) (*feed.Feed, error) {
	if n.onComet() {
		return n.feedOf(first)
	}
	return feed.New(feed.Config{
		Network: n.internal,
		Shared:  n.shared,
		HTTP:    &http.Client{Transport: httpx.InMemory(n.Handler)},
		Logger:  n.log,
	})
}

// run keeps a daemon going until the network closes; what ends it earlier is
// the network's failure.
func (n *Network) run(what string, f func(context.Context) error) {
	n.wg.Go(func() {
		err := f(n.ctx)
		if n.ctx.Err() == nil {
			n.fail(fmt.Errorf("devnet: %s ended: %w", what, err))
		}
	})
}

func (n *Network) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed == nil {
		n.failed = err
		close(n.down)
	}
}

// Err is why a part of the network ended by itself, nil while all run.
func (n *Network) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.failed
}

// Wait returns when ctx ends (nil) or a part of the network has ended by itself.
func (n *Network) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-n.down:
		return n.Err()
	}
}

// Close ends everything and waits for it. ErrCounters where a relay, now or
// before, could not account for a packet.
func (n *Network) Close() error {
	n.cancel()
	n.wg.Wait()
	var err error
	for _, c := range n.Clients {
		if c.stop != nil { // else it is closed
			err = errors.Join(err, c.Close())
		}
	}
	if n.Ledger != nil {
		err = errors.Join(err, n.Ledger.Close())
	}
	err = errors.Join(err, n.closeValidators())
	if bad := n.Err(); errors.Is(bad, ErrCounters) {
		err = errors.Join(err, bad)
	}
	return err
}

// Advance moves the clock by d, sealing at each due time; relays answer each
// block before the next.
//
// On cometbft it waits until the head's time is later by d.
func (n *Network) Advance(ctx context.Context, d time.Duration) error {
	if n.onComet() {
		until := n.Ledger.Head().Header.Time + chain.Time(d.Milliseconds())
		return n.awaitHead(ctx, func(h chain.Header) bool { return h.Time >= until })
	}
	if err := n.Ledger.Advance(ctx, chain.Duration(d.Milliseconds())); err != nil {
		return err
	}
	return n.tellClients(ctx)
}

// clientsLimit is how long clients may take to hear of a block.
const clientsLimit = 5 * time.Second

// tellClients waits until those that run know the head: on a driven clock it may
// be many epochs ahead of what they knew, and their packets would have expired.
func (n *Network) tellClients(ctx context.Context) error {
	if n.Spec.Live {
		return nil
	}
	wait, stop := context.WithTimeout(ctx, clientsLimit)
	defer stop()
	for _, c := range n.Clients {
		if c.stop != nil {
			_ = c.AwaitHead(wait, n.Ledger.Head().Header) // who has halted will not
		}
	}
	return ctx.Err()
}

// AdvanceEpochs moves the clock to the first block of the k-th next epoch.
// On cometbft it waits for that.
func (n *Network) AdvanceEpochs(ctx context.Context, k int) error {
	e := n.Ledger.Head().Header.DirEpoch
	if n.onComet() {
		return n.awaitHead(ctx, func(h chain.Header) bool { return h.DirEpoch >= e+chain.Epoch(k) })
	}
	if err := n.Ledger.AdvanceTo(ctx, n.Genesis.EpochStart(e+chain.Epoch(k))); err != nil {
		return err
	}
	return n.tellClients(ctx)
}

// Seal seals what waits and lets the relays answer. On cometbft it waits for the
// next block.
func (n *Network) Seal(ctx context.Context) error {
	if n.onComet() {
		at := n.Ledger.Head().Header.Height
		return n.awaitHead(ctx, func(h chain.Header) bool { return h.Height > at })
	}
	_, err := n.Ledger.Mine(ctx, 1)
	return err
}

// BarrierTime is how long blocks have waited until all relays had acted on them.
func (n *Network) BarrierTime() time.Duration { return time.Duration(n.waited.Load()) }

func (n *Network) sealer() ed25519.PrivateKey {
	seed := n.derive("sealer", 0)
	return ed25519.NewKeyFromSeed(seed[:])
}

// bodySize is the frame body of the network's links.
func (n *Network) bodySize() int { return relay.BodySize(n.Genesis.Core) }
