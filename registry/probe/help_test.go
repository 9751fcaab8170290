package probe

import (
	"crypto/ed25519"
	"fmt"
	"io"
	"testing"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion"
	"tunic/registry/directory"
)

// peer is a relay of a test: its keys, what it accepted, and what it did.
type peer struct {
	identity ed25519.PrivateKey
	vrf      beacon.Key
	onion    *onion.Key
	keys     *onion.Keys
	tags     []onion.Tag
	place    int
}

func (p *peer) id() chain.NodeID { return chain.NodeID(p.identity.Public().(ed25519.PublicKey)) }

// world is one network over several epochs: probes travel as real packets
// through peers that may drop them, and statements end in blocks.
type world struct {
	t      testing.TB
	core   genesis.Core
	gen    chain.Hash
	peers  []*peer
	by     map[chain.NodeID]*peer
	drops  func(e chain.Epoch, from, to *peer) bool
	forge  func(e chain.Epoch, p *peer, c *statement.Commitment)
	nets   map[chain.Epoch]*Net
	rounds map[chain.Epoch]*Round
	seeds  map[chain.Epoch]map[*peer]*statement.Reveal
	trees  map[chain.Epoch]map[*peer]*Tree
	count  *Recount
	rand   io.Reader
}

func seedOf(i int, kind string) [32]byte { return chain.SHA256(fmt.Appendf(nil, "%s %d", kind, i)) }

func beaconOf(e chain.Epoch) chain.Hash { return chain.SHA256(fmt.Appendf(nil, "beacon %d", e)) }

func newWorld(t testing.TB, n int) *world {
	t.Helper()
	params, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	params.ScoreWindow, params.ScoreForgiven = 8, 2
	w := &world{t: t, gen: chain.SHA256([]byte("world")), by: map[chain.NodeID]*peer{}, nets: map[chain.Epoch]*Net{},
		rounds: map[chain.Epoch]*Round{}, seeds: map[chain.Epoch]map[*peer]*statement.Reveal{}, trees: map[chain.Epoch]map[*peer]*Tree{},
		rand: &stream{draw: beacon.NewDraw(chain.Hash{1}, "world")}}
	w.core = genesis.Core{Params: params, Time: 1_700_000_000_000}
	for i := range n {
		seed := seedOf(i, "identity")
		p := &peer{identity: ed25519.NewKeyFromSeed(seed[:]), vrf: beacon.NewKey(seedOf(i, "vrf")), onion: onion.LoadKey(seedOf(i, "onion"), 1)}
		if p.keys, err = onion.NewKeys(onion.Small, w.gen, p.onion); err != nil {
			t.Fatal(err)
		}
		w.peers, w.by[p.id()] = append(w.peers, p), p
	}
	return w
}

func (w *world) list(e chain.Epoch) *directory.List {
	var entries []directory.Entry
	for i, p := range w.peers {
		id := p.id()
		key := directory.Key{First: 1, Key: p.onion.Public()}
		entries = append(entries, directory.Entry{Node: id, VRF: p.vrf.Public(), Operator: chain.Address(id[:20]), Stake: w.core.Params.StakingRequirement,
			Endpoints: []string{fmt.Sprintf("10.%d.0.1:9", i)}, Onion: key, OnionNext: key, Performance: chain.Permille(i)})
	}
	l, err := directory.NewList(e, entries)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range l.Entries {
		w.by[l.Entries[i].Node].place = i
	}
	return l
}

// probe lets the probes of epoch e travel.
func (w *world) probe(e chain.Epoch) *Net {
	n := NewNet(&w.core, &w.core.Params, w.gen, w.list(e), beaconOf(e-1), beaconOf(e))
	w.nets[e], w.rounds[e] = n, NewRound(n, nil)
	w.seeds[e], w.trees[e] = map[*peer]*statement.Reveal{}, map[*peer]*Tree{}
	for _, p := range w.peers {
		p.tags = nil
	}
	for _, p := range w.peers {
		r := &statement.Reveal{Draw: p.vrf.Prove(n.Alpha())}
		w.seeds[e][p] = r
		output, err := beacon.Output(r.Draw)
		if err != nil {
			w.t.Fatal(err)
		}
		seed := n.Seed(&output)
		for k, plan := range n.Plans(seed, p.place, n.Drawn(&output)) {
			packet, tags, err := n.Wrap(seed, k, plan)
			if err != nil {
				w.t.Fatal(err)
			}
			r.Probes = append(r.Probes, tags)
			w.travel(e, p, n.list, plan.Route, packet)
		}
	}
	for _, p := range w.peers {
		tree, err := NewTree(w.rand, p.tags, w.core.Params.ProbeDepth)
		if err != nil {
			w.t.Fatal(err)
		}
		w.trees[e][p] = tree
	}
	return n
}

func (w *world) travel(e chain.Epoch, from *peer, list *directory.List, route Route, packet []byte) {
	at := route[0]
	for i := range route {
		to := w.by[list.Entries[at].Node]
		if w.drops != nil && w.drops(e, from, to) {
			return
		}
		o, err := to.keys.OpenHeader(packet)
		if err != nil || o.Expired(e) != nil || o.Directory() != e {
			w.t.Fatalf("layer %d: %v", i, err)
		}
		to.tags = append(to.tags, o.Tag)
		if packet, err = o.Finish(); err != nil {
			w.t.Fatal(err)
		}
		if o.Kind == onion.Deliver {
			if i != Hops || len(packet) != 0 {
				w.t.Fatalf("a probe ends at layer %d with %d bytes", i, len(packet))
			}
			return
		}
		from, at = to, o.NextIndex
	}
}

// commitments are those of epoch e, as its only block holds them.
func (w *world) commitments(e chain.Epoch) chain.Block {
	b := chain.Block{}
	b.Header = chain.Header{Height: chain.Height(e), DirEpoch: e, Beacon: beaconOf(e)}
	for _, p := range w.peers {
		c := statement.Commitment{Epoch: e}
		if t := w.trees[e-1][p]; t != nil {
			c.Depth, c.Root = t.Depth(), t.Root()
		}
		c.Reveal = w.seeds[e-2][p]
		if t := w.trees[e-3][p]; t != nil {
			c.Open = t.Open(w.rounds[e-3].Layers(p.id()), statement.MaxBody-len(c.Encode()))
		}
		if w.forge != nil {
			w.forge(e, p, &c)
		}
		body := c.Encode()
		if _, err := statement.DecodeCommitment(body); err != nil {
			w.t.Fatal(err)
		}
		s := statement.Sign(statement.Domain{Genesis: w.gen}, p.identity, statement.LabelCommitment, statement.NewSequence(e, 0), body)
		b.Txs = append(b.Txs, chain.Tx{Kind: chain.KindPublish, Payload: s.Encode()}.Encode())
		for x := e - 3; x < e; x++ {
			if r := w.rounds[x]; r != nil {
				r.Take(p.id(), &c)
			}
		}
	}
	if w.count != nil {
		w.count.Block(b)
	}
	return b
}

// run lets the epochs 2 to last be probed and all of them judged.
func (w *world) run(last chain.Epoch) []*Tally {
	if w.count == nil {
		w.count = NewRecount(&w.core, &w.core.Params, w.gen, last+Delay)
	}
	var out []*Tally
	w.commitments(1)
	for e := First; e < last+Delay; e++ {
		w.commitments(e)
		if e <= last {
			w.probe(e)
		}
	}
	for e := First; e <= last; e++ {
		out = append(out, w.rounds[e].Tally())
	}
	return out
}

// total sums up a node's trials of one epoch.
func (t *Tally) total(id chain.NodeID) (c Count) {
	t.of(id, func(_ chain.Address, lost bool) { c.add(lost) })
	return c
}
