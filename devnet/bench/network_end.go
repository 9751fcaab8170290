package bench

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/registry/directory"
	"tunic/relay"
)

// netEnd is a listed node without a relay: it sends packets and takes them.
type netEnd struct {
	id    chain.NodeID
	onion *onion.Key
	entry directory.Entry
	pool  *link.Pool
	frame func(*link.Link, link.Frame) // set before anything is sent
	wg    sync.WaitGroup
}

// newNetEnd makes the end number i of a kind, which listens.
func newNetEnd(core genesis.Core, kind string, i int, resolve link.Resolver) (*netEnd, error) {
	key := nodeSeed(kind, i)
	e := &netEnd{id: chain.NodeID(key.Public().(ed25519.PublicKey)), frame: func(*link.Link, link.Frame) {}}
	tr, err := link.NewTLS(link.Config{Identity: key, BodySize: relay.BodySize(core)})
	if err != nil {
		return nil, err
	}
	if e.onion, err = onion.NewKey(rand.Reader, 1); err != nil {
		return nil, err
	}
	l, err := tr.Listen(fmt.Sprintf("127.%d.0.1:0", 100+i))
	if err != nil {
		return nil, err
	}
	e.pool = link.NewPool(tr, resolve, link.PoolConfig{Self: e.id, IdleTimeout: time.Hour, AcceptIdleTimeout: time.Hour,
		OnFrame: func(l *link.Link, f link.Frame) { e.frame(l, f) }})
	e.wg.Go(func() { _ = e.pool.Serve(context.Background(), l) }) // ends with the pool
	public := directory.Key{First: 1, Key: e.onion.Public()}
	e.entry = directory.Entry{Node: e.id, Operator: chain.Address(e.id[:20]), Endpoints: []string{l.Addr()}, Version: "1.0.0",
		Stake: chain.TUN, Swarm: directory.NoSwarm, PreviousSwarm: directory.NoSwarm, Performance: 1000, Onion: public, OnionNext: public}
	return e, nil
}

func (e *netEnd) close() {
	e.pool.Close()
	e.wg.Wait()
}
