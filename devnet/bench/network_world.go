package bench

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/registry/directory"
	"tunic/relay"
)

// relayNet is relays in this process with real links, state on disk and a ledger
// that stands still, and two ends: nodes of the list that send and take packets
// and are no relays.
type relayNet struct {
	netList
	ledger *stillLedger
	relays []*relay.Relay
	ends   []*netEnd

	stop   context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	failed error // of a relay that ended early
	dir    string
}

// netList is the list of epoch 1.
type netList struct{ list *directory.List }

func (n *netList) resolve(id chain.NodeID) (string, bool) {
	if n.list == nil {
		return "", false
	}
	e, ok := n.list.Find(id)
	if !ok {
		return "", false
	}
	return e.Endpoints[0], true
}

// hop is a node of the list as a sender knows it.
func (n *netList) hop(id chain.NodeID) onion.Hop {
	at, _ := n.list.Index(id) // the ends and relays are all listed
	e := &n.list.Entries[at]
	return onion.Hop{Index: uint32(at), Key: e.Onion.Key, KeyEpoch: e.Onion.First}
}

// relayNetOptions say what a relayNet is like.
type relayNetOptions struct {
	profile genesis.Profile
	relays  int
	apart   int // of these, the first, that are in no swarm
	ends    int
	others  []directory.Entry // ends of another process
	dir     string            // where a temporary folder is made; empty: the system's
	tune    func(i int, c *relay.Config)
}

func newRelayNet(ctx context.Context, o relayNetOptions) (_ *relayNet, err error) {
	n := &relayNet{}
	if n.ledger, err = newStillLedger(o.profile, o.relays); err != nil {
		return nil, err
	}
	if n.dir, err = os.MkdirTemp(o.dir, "tunic-bench-"); err != nil {
		return nil, err
	}
	ctx, n.stop = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	synced := make(chan chain.Height, 2*o.relays)
	for i := range o.relays {
		if err := n.startRelay(ctx, i, o, func(h chain.Height) { synced <- h }); err != nil {
			return nil, err
		}
	}
	for range o.relays {
		if err := n.wait(ctx, n.ledger.ready); err != nil {
			return nil, err
		}
	}
	var entries []directory.Entry
	for i := range o.ends {
		e, err := newNetEnd(n.ledger.core, "end", i, n.resolve)
		if err != nil {
			return nil, err
		}
		n.ends, entries = append(n.ends, e), append(entries, e.entry)
	}
	entries = append(entries, o.others...)
	if err := n.ledger.seal(1, entries); err != nil {
		return nil, err
	}
	n.list = n.ledger.lists[1]
	for at := 0; at < o.relays; {
		select {
		case h := <-synced:
			if h == 2 {
				at++
			}
		case <-ctx.Done():
			return nil, n.why(ctx)
		}
	}
	return n, nil
}

// wait takes one token, or says why there will be none.
func (n *relayNet) wait(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return n.why(ctx)
	}
}

func (n *relayNet) why(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed != nil {
		return n.failed
	}
	return context.Cause(ctx)
}

func nodeSeed(kind string, i int) ed25519.PrivateKey {
	s := benchSeed(kind, i)
	return ed25519.NewKeyFromSeed(s[:])
}

func (n *relayNet) startRelay(ctx context.Context, i int, o relayNetOptions, synced func(chain.Height)) error {
	key := nodeSeed("relay", i)
	cfg := relay.Config{
		Identity: key, VRF: benchSeed("vrf", i), Core: n.ledger.core, Genesis: n.ledger.hash, Ledger: n.ledger,
		Listen: []string{fmt.Sprintf("127.%d.0.1:0", i+1)}, Version: "1.0.0", Dir: filepath.Join(n.dir, fmt.Sprint("relay-", i)),
		Clock: n.ledger.now, OnSynced: synced, Greet: -1,
		Links: link.PoolConfig{IdleTimeout: time.Hour, AcceptIdleTimeout: time.Hour},
	}
	var err error
	if cfg.Transport, err = link.NewTLS(link.Config{Identity: key, BodySize: relay.BodySize(n.ledger.core)}); err != nil {
		return err
	}
	if o.tune != nil {
		o.tune(i, &cfg)
	}
	r, err := relay.New(cfg)
	if err != nil {
		return err
	}
	n.relays = append(n.relays, r)
	n.ledger.apart[r.ID()] = i < o.apart
	n.wg.Go(func() {
		if err := r.Run(ctx); err != nil {
			n.mu.Lock()
			n.failed = errors.Join(n.failed, err)
			n.mu.Unlock()
			n.stop()
		}
	})
	return nil
}

// close ends everything and removes the folder.
func (n *relayNet) close() error {
	n.stop()
	for _, e := range n.ends {
		e.close()
	}
	n.wg.Wait()
	return errors.Join(n.failed, os.RemoveAll(n.dir))
}

// path is relays by number.
func (n *relayNet) path(numbers ...int) []onion.Hop {
	hops := make([]onion.Hop, len(numbers))
	for i, k := range numbers {
		hops[i] = n.hop(n.relays[k].ID())
	}
	return hops
}

// balanced reports whether every relay accounts for every packet.
func (n *relayNet) balanced() bool {
	return !slices.ContainsFunc(n.relays, func(r *relay.Relay) bool { return !r.Counters().Balanced() })
}
