package probe

import (
	"testing"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
)

// BenchmarkEpoch is what all of 12 relays compute for the probes of one epoch,
// by its parts: each relay draws and makes its own, commits, opens, and counts
// everybody's.
func BenchmarkEpoch(b *testing.B) {
	const relays = 12
	w := newWorld(b, relays)
	tallies := w.run(9)
	n, list := w.nets[9], w.list(9)
	outputs := map[*peer]chain.Hash{}
	each := func(name string, work func(p *peer)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for _, p := range w.peers {
					work(p)
				}
			}
		})
	}
	each("draw", func(p *peer) {
		proof := p.vrf.Prove(n.Alpha())
		output, err := beacon.Output(proof)
		if err != nil {
			b.Fatal(err)
		}
		outputs[p] = n.Seed(&output)
	})
	each("wrap", func(p *peer) {
		for k, plan := range n.Plans(outputs[p], p.place, len(w.seeds[9][p].Probes)) {
			if _, _, err := n.Wrap(outputs[p], k, plan); err != nil {
				b.Fatal(err)
			}
		}
	})
	each("commit", func(p *peer) {
		if _, err := NewTree(w.rand, p.tags, w.core.Params.ProbeDepth); err != nil {
			b.Fatal(err)
		}
	})
	each("open", func(p *peer) { w.trees[9][p].Open(w.rounds[9].Layers(p.id()), statement.MaxBody) })
	bodies := map[*peer][3]statement.Commitment{}
	for _, p := range w.peers {
		t := w.trees[9][p]
		bodies[p] = [3]statement.Commitment{{Epoch: 10, Depth: t.Depth(), Root: t.Root()},
			{Epoch: 11, Reveal: w.seeds[9][p]}, {Epoch: 12, Open: t.Open(w.rounds[9].Layers(p.id()), statement.MaxBody)}}
	}
	for name, known := range map[string]*statement.Verified{"count": nil, "count, verified once": statement.NewVerified()} {
		each(name, func(*peer) {
			r := NewRound(NewNet(&w.core, &w.core.Params, w.gen, list, beaconOf(8), beaconOf(9)), known)
			for stage := range 3 {
				for _, q := range w.peers {
					c := bodies[q][stage]
					r.Take(q.id(), &c)
				}
			}
			r.Tally()
		})
	}
	each("judge", func(*peer) {
		for _, q := range w.peers {
			Judge(q.id(), nil, tallies, &w.core.Params, beaconOf(9), 0)
		}
	})
}
