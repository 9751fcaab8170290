package bench

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"sync"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/registry/directory"
	"tunic/relay"
)

// stillLedger is a ledger of two blocks: in the first nobody is listed, in the
// second everybody who has sent a descriptor. After that it stands still, so
// that what is measured is packets.
type stillLedger struct {
	core   genesis.Core
	hash   chain.Hash
	sealer ed25519.PrivateKey
	ready  chan struct{}         // a token for each first descriptor of a node
	apart  map[chain.NodeID]bool // are in no swarm; set before the list is made

	mu      sync.Mutex
	past    []relay.Event
	lists   map[chain.Epoch]*directory.List
	latest  map[chain.NodeID]statement.Descriptor
	streams map[chan relay.Event]struct{}
}

func newStillLedger(profile genesis.Profile, nodes int) (*stillLedger, error) {
	params, err := genesis.For(profile)
	if err != nil {
		return nil, err
	}
	seed := benchSeed("sealer", 0)
	sealer := ed25519.NewKeyFromSeed(seed[:])
	l := &stillLedger{sealer: sealer, ready: make(chan struct{}, nodes),
		apart: map[chain.NodeID]bool{}, lists: map[chain.Epoch]*directory.List{}, latest: map[chain.NodeID]statement.Descriptor{}, streams: map[chan relay.Event]struct{}{}}
	l.core = genesis.Core{ChainID: 1, Profile: profile, Dev: profile == genesis.Dev, Clock: genesis.ClockReal, Engine: genesis.EngineSealer,
		Time: 1_700_000_000_000, Sealers: []chain.NodeID{chain.NodeID(sealer.Public().(ed25519.PublicKey))}, Params: params}
	l.hash = l.core.HashWith(chain.Hash{})
	return l, l.seal(0, nil)
}

// now is the network's time: that of the newest block.
func (l *stillLedger) now() chain.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.past[len(l.past)-1].Header.Header.Time
}

// seal makes the first block of an epoch, with the nodes that have sent a
// descriptor and others that are no relays.
func (l *stillLedger) seal(epoch chain.Epoch, others []directory.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries := others
	if epoch > 0 {
		for id, d := range l.latest {
			now, ok := d.KeyFor(epoch)
			next, ok2 := d.KeyFor(epoch + 1)
			if !ok || !ok2 {
				return errors.New("a relay has no key for the epoch")
			}
			entries = append(entries, directory.Entry{Node: id, Operator: chain.Address(id[:20]), Endpoints: d.Endpoints, Version: d.Version,
				Stake: chain.TUN, Swarm: l.swarm(id), PreviousSwarm: l.swarm(id), Performance: 1000,
				Onion: directory.Key{First: now.First, Key: now.Key}, OnionNext: directory.Key{First: next.First, Key: next.Key}})
		}
	}
	list, err := directory.NewList(epoch, entries)
	if err != nil {
		return err
	}
	h := chain.Header{Genesis: l.hash, Height: chain.Height(len(l.past) + 1), Time: l.core.EpochStart(epoch),
		Directory: list.Root(), DirCount: uint32(len(list.Entries)), DirEpoch: epoch, Proposer: l.core.Sealers[0]}
	if len(l.past) > 0 {
		h.Parent = l.past[len(l.past)-1].Header.Header.Hash()
	}
	hash := h.Hash()
	e := relay.Event{Header: chain.SealedHeader{Header: h,
		Seal: statement.Domain{Genesis: l.hash}.SignRaw(l.sealer, statement.LabelSeal, hash[:])}}
	l.lists[epoch], l.past = list, append(l.past, e)
	for c := range l.streams {
		c <- e
	}
	return nil
}

func (l *stillLedger) swarm(id chain.NodeID) directory.SwarmID {
	if l.apart[id] {
		return directory.NoSwarm
	}
	return 1
}

// Directory implements relay.Ledger.
func (l *stillLedger) Directory(_ context.Context, e chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	newest := l.past[len(l.past)-1].Header
	if e == 0 {
		return l.lists[newest.Header.DirEpoch], newest, nil
	}
	if e != newest.Header.DirEpoch {
		return nil, chain.SealedHeader{}, errors.New("no list of that epoch")
	}
	return l.lists[e], newest, nil
}

// Submit implements relay.Ledger.
func (l *stillLedger) Submit(_ context.Context, b []byte) error {
	s, err := statement.Decode(bytes.Clone(b))
	if err != nil {
		return err
	}
	if s.Label != statement.LabelDescriptor {
		return nil
	}
	d, err := statement.DecodeDescriptor(s.Body)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.latest[s.Node]
	l.latest[s.Node] = d
	if !known {
		l.ready <- struct{}{} // has room for all
	}
	return nil
}

// Events implements relay.Ledger.
func (l *stillLedger) Events(ctx context.Context, since chain.Height) (<-chan relay.Event, error) {
	c := make(chan relay.Event, 4) // two blocks are all that there is
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.past {
		if e.Header.Header.Height > since {
			c <- e
		}
	}
	l.streams[c] = struct{}{}
	context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.streams, c)
	})
	return c, nil
}
