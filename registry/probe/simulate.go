package probe

import (
	"encoding/binary"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/registry/directory"
)

// Simulation is a network of relays, each of its own operator, of which one is
// watched. It probes without packets: what is drawn is which probes are lost
// where. It is what Detection in docs/spec/judgement.md is computed by.
type Simulation struct {
	Relays   int
	Epochs   int            // judged, from the first on
	Honest   int            // of these, before the watched relay begins to drop
	Drop     chain.Permille // of the packets that the watched relay should send
	LinkLoss chain.Permille // of the packets on every link of the watched relay
	NetLoss  chain.Permille // of the packets on every link
	Liars    int            // other relays that let nothing through to it or from it
	Seed     uint64
}

// Scores are the watched relay's scores after each of the epochs, the first
// being that of one judged epoch.
func (s Simulation) Scores(p *genesis.Params) (out []Score) {
	s.run(p, func(_ int, score Score) bool {
		out = append(out, score)
		return true
	})
	return out
}

// Found is after how many epochs, from the watched relay's first dropped packet
// on, it is decommissioned; 0: not in the epochs of the simulation. An epoch that
// is judged bad takes effect Delay epochs later, in the first block of the next.
func (s Simulation) Found(p *genesis.Params) (epochs int) {
	s.run(p, func(e int, score Score) bool {
		epochs = s.found(p, e, score)
		return epochs == 0
	})
	return epochs
}

// found is what Found is if the score after the epoch e is the first bad one.
func (s Simulation) found(p *genesis.Params, e int, score Score) int {
	if e < s.Honest || score.Score >= p.ScoreLeast {
		return 0
	}
	return e - s.Honest + Delay + 1
}

// run calls each after every epoch, counted from 0, until it says no.
func (s Simulation) run(p *genesis.Params, each func(e int, score Score) bool) {
	entries := make([]directory.Entry, s.Relays)
	for i := range entries {
		binary.BigEndian.PutUint32(entries[i].Node[:], uint32(i))
		binary.BigEndian.PutUint32(entries[i].Operator[:], uint32(i))
	}
	var seed chain.Hash
	binary.BigEndian.PutUint64(seed[:], s.Seed)
	d := beacon.NewDraw(seed, "simulation")
	var window []*Tally
	for e := range s.Epochs {
		now := s
		if e < s.Honest {
			now.Drop = 0
		}
		trials, revealed := now.epoch(p, d)
		list := directory.List{Epoch: First + chain.Epoch(e), Entries: entries} // ascending; nobody asks for its root
		if window = append(window, newTally(&list, trials, revealed)); len(window) > int(p.ScoreWindow) {
			window = window[1:]
		}
		at := chain.SHA256(seed[:], fmt.Append(nil, e))
		if !each(e, Judge(entries[0].Node, nil, window, p, at, 0)) {
			return
		}
	}
}

// Detection is what many simulations came to.
type Detection struct {
	Runs   int `json:"runs"`
	Found  int `json:"found"`  // runs in which the watched relay was decommissioned
	Median int `json:"median"` // epochs from its first dropped packet until then; 0: not in so many runs
	Most   int `json:"most"`   // in nine of ten runs
	Scores int `json:"scores"`
	Below  int `json:"below"` // scores below the least
}

// Detect runs the simulation with the seeds from s.Seed on.
func (s Simulation) Detect(p *genesis.Params, runs int) Detection {
	out := Detection{Runs: runs}
	var at []int
	for range runs {
		found := 0
		s.run(p, func(e int, score Score) bool {
			out.Scores++
			if score.Score < p.ScoreLeast {
				out.Below++
			}
			if found == 0 {
				found = s.found(p, e, score)
			}
			return true
		})
		if s.Seed++; found > 0 {
			at = append(at, found)
		}
	}
	slices.Sort(at)
	if out.Found = len(at); 2*len(at) > runs {
		out.Median = at[runs/2]
	}
	if 10*len(at) > 9*runs {
		out.Most = at[9*runs/10]
	}
	return out
}

// epoch draws the trials of one epoch.
func (s Simulation) epoch(p *genesis.Params, d *beacon.Draw) (out []trial, revealed []bool) {
	n := s.Relays
	revealed = make([]bool, n)
	x, m := Expected(n, p), Each(n, p)
	for prober := range n {
		revealed[prober] = true
		if n > x && d.N(uint64(n)) >= uint64(x) {
			continue
		}
		for range m {
			way := []int{prober}
			for len(way) <= Hops {
				if at := int(d.N(uint64(n))); at != prober && (len(way) < 2 || at != way[1]) && (len(way) < 3 || at != way[2]) {
					way = append(way, at)
				}
			}
			way = append(way, prober)
			for i, from := range way[:len(way)-1] {
				lost := s.lost(d, from, way[i+1])
				out = append(out, trial{from: uint32(from), to: uint32(way[i+1]), lost: lost})
				if lost {
					break
				}
			}
		}
	}
	return out, revealed
}

// lost draws whether a packet is lost between two relays; the watched one is
// number 0, and the liars are those after it.
func (s Simulation) lost(d *beacon.Draw, from, to int) bool {
	chance := func(p chain.Permille) bool { return p > 0 && d.N(1000) < uint64(p) }
	return (from == 0 && to <= s.Liars || to == 0 && from <= s.Liars) ||
		from == 0 && chance(s.Drop) || (from == 0 || to == 0) && chance(s.LinkLoss) || chance(s.NetLoss)
}
