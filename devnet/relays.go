package devnet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"time"

	"tunic/chain"
	"tunic/devnet/fault"
	"tunic/ledger/wallet"
	"tunic/node"
	"tunic/onion/link"
	"tunic/relay"
	"tunic/relay/mailbox"
)

// Relay is one relay of the network with its operator's account.
type Relay struct {
	Index    int
	ID       chain.NodeID
	Operator wallet.Key
	Endpoint string
	Daemon   *relay.Relay
	// Twin is what makes the relay misbehave on command.
	Twin *fault.Twin
	// Disk is under its mailboxes.
	Disk *fault.Disk

	keys   relay.Keys
	level  *mailbox.Level // below Disk, of the present life
	starts int            // of the daemon, so that each life has other randomness

	mu      sync.Mutex // guards what follows
	synced  chain.Height
	wake    chan struct{}      // closed and replaced when synced or stop changes
	stop    context.CancelFunc // nil while the relay does not run
	stopped chan struct{}      // closed when the running daemon has ended
	doomed  bool               // a second head was shown to it
	halted  bool               // it ended because of two heads
}

func relayName(i int) string { return fmt.Sprintf("relay-%d", i+1) }

// Name is how scenarios and people call the relay: relay-1, relay-2 and so on.
func (r *Relay) Name() string { return relayName(r.Index) }

func (r *Relay) onSynced(h chain.Height) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.synced = h // lower than before after a revert
	r.tell()
}

// tell wakes whoever waits for the relay; mu is held.
func (r *Relay) tell() {
	close(r.wake)
	r.wake = make(chan struct{})
}

// runs reports whether the relay's daemon runs.
func (r *Relay) runs() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stop != nil
}

// awaitSynced waits until the relay has acted on the block at h. Who does not
// run or hears nothing of the ledger is not waited for.
func (r *Relay) awaitSynced(ctx context.Context, n *Network, h chain.Height) error {
	for {
		r.mu.Lock()
		done, wake := r.synced >= h || r.stop == nil || r.Twin.IsCut(), r.wake
		r.mu.Unlock()
		if done {
			return nil
		}
		if err := n.Err(); err != nil {
			return err
		}
		select {
		case <-wake:
		case <-n.ctx.Done():
			return fmt.Errorf("devnet: closed while waiting for %s at height %d", r.Name(), h)
		case <-ctx.Done():
			return fmt.Errorf("devnet: %s at height %d: %w", r.Name(), h, ctx.Err())
		}
	}
}

// store puts the relay's disk, and its twin, over the store of a new life.
func (r *Relay) store(s mailbox.Store) mailbox.Store {
	r.Disk.Open(s)
	return r.Twin.Store(r.Disk)
}

// runRelay starts the relay's daemon.
func (n *Network) runRelay(r *Relay) {
	ctx, stop := context.WithCancel(n.ctx)
	stopped := make(chan struct{})
	r.mu.Lock()
	r.stop, r.stopped, r.doomed, r.halted = stop, stopped, false, false
	r.mu.Unlock()
	daemon := r.Daemon
	n.wg.Go(func() {
		defer close(stopped)
		err := daemon.Run(ctx)
		if bad := r.settled(daemon.Counters()); bad != nil {
			n.fail(bad)
		}
		if ctx.Err() == nil && !r.ended(errors.Is(err, relay.ErrTwoHeads)) {
			n.fail(fmt.Errorf("devnet: %s ended: %w", r.Name(), err))
		}
	})
}

// ErrCounters means that a relay at rest, or at its end, cannot account for the
// packets that came to it: relay.Counters has the equation.
var ErrCounters = errors.New("devnet: packets that are not accounted for")

// settled holds the counters of a relay that has nothing to do.
func (r *Relay) settled(c relay.Counters) error {
	if c.Balanced() && c.Waiting == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s: %d came; %d forwarded, %d delivered, %d to clients, %d ended here, %d waiting, dropped %v",
		ErrCounters, r.Name(), c.In, c.Forwarded, c.Delivered, c.ToClient, c.Probes, c.Waiting, c.Dropped)
}

// StopRelay ends relay i, counted from 0; what it held in memory is lost.
func (n *Network) StopRelay(_ context.Context, i int) error {
	r := n.Relays[i]
	r.mu.Lock()
	stop, stopped := r.stop, r.stopped
	r.stop = nil
	r.tell()
	r.mu.Unlock()
	if stop == nil {
		return fmt.Errorf("devnet: %s does not run", r.Name())
	}
	stop()
	<-stopped
	return nil
}

// StartRelay starts relay i again and returns when it has acted on the head.
func (n *Network) StartRelay(ctx context.Context, i int) error {
	r := n.Relays[i]
	if r.runs() {
		return fmt.Errorf("devnet: %s runs already", r.Name())
	}
	r.mu.Lock()
	r.synced = 0
	r.mu.Unlock()
	if err := n.buildRelay(r); err != nil {
		return fmt.Errorf("devnet: %s: %w", r.Name(), err)
	}
	n.runRelay(r)
	return r.awaitSynced(ctx, n, n.Ledger.Head().Header.Height)
}

// witnessLimit is how long a relay may take, by the machine's clock, to act on
// what another shows it, and showAgain after how long it is shown once more: a
// greeting may be lost, and relays say theirs again too.
const (
	witnessLimit = 30 * time.Second
	showAgain    = 2 * time.Second
)

// DoubleDescriptorUnseen lets relay i sign another descriptor than the one that
// it published, and show it to nobody.
func (n *Network) DoubleDescriptorUnseen(ctx context.Context, i int) error {
	r := n.Relays[i]
	if _, _, err := r.Twin.DoubleDescriptor(ctx, "127.0.0.1:1", n.Ledger.Head(), nil); err != nil {
		return fmt.Errorf("devnet: %s could not cheat: %w", r.Name(), err)
	}
	return nil
}

// DoubleDescriptor lets relay i show the next relay that runs another
// descriptor than the one it published, and returns that witness when its
// report waits for a block.
func (n *Network) DoubleDescriptor(ctx context.Context, i int) (witness *Relay, err error) {
	cheat, waiting := n.Relays[i], n.reports()
	for k := 1; k < len(n.Relays); k++ {
		witness := n.Relays[(i+k)%len(n.Relays)]
		if !witness.runs() {
			continue
		}
		err := n.awaitReport(ctx, waiting, func() error {
			_, _, err := cheat.Twin.DoubleDescriptor(ctx, "127.0.0.1:1", n.Ledger.Head(), map[chain.NodeID]string{witness.ID: witness.Endpoint})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("devnet: nobody reported %s: %w", cheat.Name(), err)
		}
		return witness, nil
	}
	return nil, fmt.Errorf("devnet: no relay runs that could see %s cheat", cheat.Name())
}

// startRelays makes the relays, registers them and lets them run.
func (n *Network) startRelays(ctx context.Context) error {
	if err := n.makeRelays(); err != nil {
		return err
	}
	if err := n.register(ctx); err != nil {
		return err
	}
	for _, r := range n.Relays {
		n.runRelay(r)
	}
	return nil
}

// makeRelays builds the relays; nothing runs yet.
func (n *Network) makeRelays() error {
	var err error
	if n.Spec.Links == LinksMemory {
		n.hub, err = link.NewMemory(n.bodySize(), link.Limits{QueueBytes: 256 << 20})
		if err != nil {
			return err
		}
	}
	for i := range n.Spec.Relays {
		r := &Relay{Index: i, Operator: n.account("operator", n.operatorOf(i)), Disk: new(fault.Disk), wake: make(chan struct{}), keys: n.relayKeys(i)}
		r.ID = r.keys.ID()
		if r.Endpoint, err = n.endpoint(i); err != nil {
			return err
		}
		if r.Twin, err = fault.New(n.Genesis.Core, n.File.Genesis, r.keys.Identity, n.faults); err != nil {
			return err
		}
		if err := n.buildRelay(r); err != nil {
			return fmt.Errorf("devnet: %s: %w", r.Name(), err)
		}
		n.Relays = append(n.Relays, r)
	}
	return nil
}

func (n *Network) buildRelay(r *Relay) error {
	t, err := n.transport(r)
	if err != nil {
		return err
	}
	if n.Spec.Wrap != nil {
		t = n.Spec.Wrap(r.Name(), r.ID, t)
	}
	f, err := n.feed(r.Index)
	if err != nil {
		return err
	}
	tr, sign, l := r.Twin.Attach(t, node.RelayLedger(f))
	cfg := relay.Config{
		Identity: r.keys.Identity, VRF: r.keys.VRF, Core: n.Genesis.Core, Genesis: n.File.Genesis,
		Ledger: l, Transport: tr, Signer: sign,
		Endpoints: []string{r.Endpoint}, Version: node.Version, OnSynced: r.onSynced,
		Logger: n.log.With("relay", r.Index+1), Workers: 1, StoreBuffer: 256 << 10, BootID: "devnet", Rand: r.Twin.Rand(n.stream(r)),
		Sealed: node.SealedBy(n.internal, f), Verified: n.verified, Shared: n.together, WrapStore: r.store,
	}
	if n.Spec.WrapStore != nil {
		cfg.WrapStore = func(s mailbox.Store) mailbox.Store { return n.Spec.WrapStore(r.Name(), r.store(s)) }
	}
	cfg.StandingClock = !n.Spec.Live
	if n.Spec.Skew > 0 {
		cfg.Clock = n.skewed(r)
	}
	if !n.Spec.Live {
		// A pause in the machine's time means nothing on a clock that stands
		// still: who cannot be reached is tried at each packet.
		cfg.Links = link.PoolConfig{BackoffMin: 1, BackoffMax: 1, GiveUp: 1}
	}
	if n.hub == nil {
		cfg.Links.MaxLinks = linksEach(n.Spec.Relays, descriptors())
	}
	if n.Spec.Dir != "" {
		cfg.Dir = filepath.Join(n.Spec.Dir, r.Name())
		if err := writeKeys(cfg.Dir, r.keys); err != nil {
			return err
		}
	}
	r.Daemon, err = relay.New(cfg)
	return err
}

// skewed is the relay's clock: the ledger's time and what it is off, by seed.
func (n *Network) skewed(r *Relay) func() chain.Time {
	d := n.derive("skew", r.Index)
	most := int64(n.Spec.Skew / time.Millisecond)
	off := int64(binary.BigEndian.Uint64(d[:8])%uint64(2*most+1)) - most
	if n.onComet() {
		return func() chain.Time { return chain.Time(time.Now().UnixMilli() + off) }
	}
	return func() chain.Time {
		return chain.Time(int64(max(n.present.Load().Head().Header.Time, n.Genesis.Time)) + off)
	}
}

func (n *Network) transport(r *Relay) (link.Transport, error) {
	if n.hub != nil {
		return n.hub.Transport(r.ID), nil
	}
	return link.NewTLS(link.Config{Identity: r.keys.Identity, BodySize: n.bodySize()})
}

// endpoint is relay i's address: its own 127.A, because no two hops may share
// a /16, and a port by seed, or the next that is free.
func (n *Network) endpoint(i int) (string, error) {
	d := n.derive("endpoint", i)
	host := fmt.Sprintf("127.%d.%d.%d", 1+i%254, d[0], 1+int(d[1])%254)
	port := 20000 + (int(d[2])<<8|int(d[3]))%20000
	if n.hub != nil {
		return fmt.Sprintf("%s:%d", host, port), nil
	}
	for try := range 64 {
		at := fmt.Sprintf("%s:%d", host, port+try)
		if ln, err := net.Listen("tcp", at); err == nil {
			ln.Close()
			return at, nil
		}
	}
	return "", fmt.Errorf("devnet: no free port from %s:%d on; is another network of this seed running?", host, port)
}
