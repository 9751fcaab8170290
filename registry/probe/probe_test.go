package probe

import (
	"math"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion"
	"tunic/registry/directory"
)

// TestHonest: where nothing is lost every trial succeeds, at both ends, every
// node has revealed, and a recount of the blocks gives the same scores.
func TestHonest(t *testing.T) {
	w := newWorld(t, 7)
	const last = 7
	tallies := w.run(last)
	probes := 0
	for _, tally := range tallies {
		sum := uint32(0)
		for _, p := range w.peers {
			c := tally.total(p.id())
			if c.Lost != 0 {
				t.Errorf("epoch %d: %d of %d lost", tally.Epoch, c.Lost, c.Trials)
			}
			sum += c.Trials
			probes += len(w.seeds[tally.Epoch][p].Probes)
		}
		if sum != 7*3*8 { // everyone sends three, over four links with two ends
			t.Errorf("epoch %d: %d ends of links tried", tally.Epoch, sum)
		}
	}
	for _, p := range w.peers {
		s := Judge(p.id(), nil, tallies, &w.core.Params, beaconOf(last), 0)
		if s.Score != 1000 || !s.Known || s.Listed != 6 || s.Revealed != 6 || len(s.Groups) != 6 || s.Reasons(&w.core.Params) != 0 {
			t.Errorf("score %+v", s)
		}
		again, err := w.count.Score(p.id(), 0, func(e chain.Epoch) (*directory.List, error) { return w.list(e), nil })
		if err != nil || !slices.Equal(again.Epochs, s.Epochs) || !slices.Equal(again.Groups, s.Groups) || again.Score != s.Score {
			t.Errorf("recounted %+v, %v; want %+v", again, err, s)
		}
	}
	if probes != 6*7*3 {
		t.Errorf("%d probes", probes)
	}
}

// TestDropper: what one node does not pass on counts against it and against
// whom it did not pass it on to; the median finds it, and nobody else.
func TestDropper(t *testing.T) {
	w := newWorld(t, 8)
	bad := w.peers[3]
	d := beacon.NewDraw(chain.Hash{5}, "drops")
	w.drops = func(_ chain.Epoch, from, _ *peer) bool { return from == bad && d.N(10) < 6 }
	const last = 9
	tallies := w.run(last)
	for _, p := range w.peers {
		s := Judge(p.id(), nil, tallies, &w.core.Params, beaconOf(last), 0)
		if want := p == bad; (s.Reasons(&w.core.Params) == statement.ReasonLoss) != want {
			t.Errorf("dropper %v: %+v", want, s)
		}
		again, err := w.count.Score(p.id(), 0, func(e chain.Epoch) (*directory.List, error) { return w.list(e), nil })
		if err != nil || again.Score != s.Score || !slices.Equal(again.Groups, s.Groups) {
			t.Errorf("recounted %+v, %v; want %+v", again, err, s)
		}
	}
	if s := Judge(bad.id(), nil, tallies, &w.core.Params, beaconOf(last), last); s.Known || s.Score != 1000 || s.Listed != 1 {
		t.Errorf("what led to its decommission counts again: %+v", s)
	}
}

// TestLies: each way to lie about probes, and whom it hurts.
func TestLies(t *testing.T) {
	const last = 3
	run := func(forge func(e chain.Epoch, w *world, p *peer, c *statement.Commitment)) (*world, *Tally) {
		w := newWorld(t, 7)
		w.forge = func(e chain.Epoch, p *peer, c *statement.Commitment) { forge(e, w, p, c) }
		return w, w.run(last)[last-First]
	}
	revealed := func(w *world, tally *Tally, p *peer) bool {
		_, r := tally.of(p.id(), func(chain.Address, bool) {})
		return r
	}
	t.Run("a forged tag: the reveal is void and its prober marked", func(t *testing.T) {
		w, tally := run(func(e chain.Epoch, w *world, p *peer, c *statement.Commitment) {
			if e == last+2 && p == w.peers[0] {
				r := *c.Reveal
				r.Probes = slices.Clone(r.Probes)
				r.Probes[1][2][5] ^= 1
				r.Probes[1][3][5] ^= 1
				c.Reveal = &r
			}
		})
		for i, p := range w.peers {
			if revealed(w, tally, p) != (i != 0) || tally.total(p.id()).Lost != 0 {
				t.Errorf("peer %d: revealed %v, %+v", i, revealed(w, tally, p), tally.total(p.id()))
			}
		}
	})
	for name, change := range map[string]func(w *world, r *statement.Reveal){
		"a probe too few": func(_ *world, r *statement.Reveal) { r.Probes = r.Probes[1:] },
		"another's draw":  func(w *world, r *statement.Reveal) { r.Draw = w.seeds[last][w.peers[1]].Draw },
		"an older draw":   func(w *world, r *statement.Reveal) { r.Draw = w.seeds[last-1][w.peers[0]].Draw },
		"a broken draw":   func(_ *world, r *statement.Reveal) { r.Draw[3] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			w, tally := run(func(e chain.Epoch, w *world, p *peer, c *statement.Commitment) {
				if e == last+2 && p == w.peers[0] {
					r := *c.Reveal
					r.Probes = slices.Clone(r.Probes)
					change(w, &r)
					c.Reveal = &r
				}
			})
			if revealed(w, tally, w.peers[0]) || !revealed(w, tally, w.peers[1]) {
				t.Error("the reveal counts")
			}
		})
	}
	for name, change := range map[string]func(e chain.Epoch, c *statement.Commitment){
		"no root": func(e chain.Epoch, c *statement.Commitment) {
			if e == last+1 {
				c.Depth, c.Root = 0, chain.Hash{}
			}
		},
		"another root": func(e chain.Epoch, c *statement.Commitment) {
			if e == last+1 {
				c.Root[0] ^= 1
			}
		},
		"no opening": func(e chain.Epoch, c *statement.Commitment) {
			if e == last+3 {
				c.Open = nil
			}
		},
		"another salt": func(e chain.Epoch, c *statement.Commitment) {
			if e == last+3 {
				c.Open.Salt[1] ^= 1
			}
		},
		"another's layer": func(e chain.Epoch, c *statement.Commitment) {
			if e == last+3 {
				c.Open.Opened[0].Layer ^= 1
			}
		},
		"a prober that is none": func(e chain.Epoch, c *statement.Commitment) {
			if e == last+3 {
				c.Open.Opened[0].Prober = math.MaxUint32
			}
		},
		"a probe that is none": func(e chain.Epoch, c *statement.Commitment) {
			if e == last+3 {
				c.Open.Opened[0].Probe = 63
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, tally := run(func(e chain.Epoch, w *world, p *peer, c *statement.Commitment) {
				if p == w.peers[2] {
					change(e, c)
				}
			})
			// As a last layer it cannot hide behind anyone: those of its own
			// probes are lost. What it passed on, the next one opened.
			c := tally.total(w.peers[2].id())
			if c.Lost != uint32(len(w.seeds[last][w.peers[2]].Probes)) {
				t.Errorf("%+v, with %d probes of its own", c, len(w.seeds[last][w.peers[2]].Probes))
			}
			// Nobody else is blamed for what was lost on the way to it.
			for i, p := range w.peers {
				if c := tally.total(p.id()); i != 2 && c.Lost != 0 {
					t.Errorf("peer %d: %+v", i, c)
				}
			}
		})
	}
}

// TestDraw: as many are drawn as expected, and each sends what makes up for
// those who are not.
func TestDraw(t *testing.T) {
	p, _ := genesis.For(genesis.Dev)
	for _, c := range []struct{ n, x, m int }{{4, 10, 2}, {10, 10, 4}, {12, 10, 5}, {40, 10, 16}, {41, 11, 15}, {100, 25, 16}, {1000, 250, 16}} {
		if x, m := Expected(c.n, &p), Each(c.n, &p); x != c.x || m != c.m {
			t.Errorf("%d nodes: %d send %d, want %d and %d", c.n, x, m, c.x, c.m)
		}
	}
	p.ProbesPerRelay = 16
	if m := Each(1000, &p); m != MaxEach {
		t.Errorf("%d probes of one prober", m)
	}
	d, hits := beacon.NewDraw(chain.Hash{9}, "outputs"), 0
	for range 20000 {
		var out [beacon.OutputSize]byte
		for i := range out[:8] {
			out[i] = byte(d.N(256))
		}
		if !drawn(&out, 10, 10) {
			t.Fatal("with as many probers as nodes somebody is not drawn")
		}
		if drawn(&out, 100, 25) {
			hits++
		}
	}
	if hits < 4700 || hits > 5300 { // five deviations of 61
		t.Errorf("%d of 20000 drawn, a quarter expected", hits)
	}
	low, high := [beacon.OutputSize]byte{0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, [beacon.OutputSize]byte{0x40}
	if !drawn(&low, 100, 25) || drawn(&high, 100, 25) {
		t.Error("the bound is not 2^64 x / n")
	}
}

// TestPlan: paths keep the rules, times the epoch, and a list that is too short
// or of one operator has none.
func TestPlan(t *testing.T) {
	w := newWorld(t, 9)
	n := NewNet(&w.core, &w.core.Params, w.gen, w.list(5), beaconOf(4), beaconOf(5))
	hops := make([]int, 9)
	for k, p := range n.Plans(chain.Hash{7}, 2, 64) {
		if p.Route[Hops] != 2 {
			t.Fatalf("probe %d ends at %d", k, p.Route[Hops])
		}
		seen := map[uint32]bool{}
		for _, at := range p.Route {
			if seen[at] {
				t.Fatalf("probe %d: %v", k, p.Route)
			}
			seen[at] = true
			hops[at]++
		}
		if at := p.At - w.core.EpochStart(5); at >= chain.Time(w.core.Params.EpochLength*3/4) || p.Delay != [Hops]uint32{} {
			t.Fatalf("probe %d after %d ms, delays %v", k, at, p.Delay)
		}
	}
	for at, c := range hops { // 24 expected, whatever the performance
		if at != 2 && (c < 8 || c > 45) {
			t.Errorf("node %d is a hop %d times of 192", at, c)
		}
	}
	for _, few := range []struct {
		peers int
		epoch chain.Epoch
	}{{3, 5}, {9, 1}} {
		w := newWorld(t, few.peers)
		n := NewNet(&w.core, &w.core.Params, w.gen, w.list(few.epoch), beaconOf(4), beaconOf(5))
		if n.Probed() || n.Drawn(&[beacon.OutputSize]byte{}) != 0 {
			t.Errorf("%d nodes are probed in epoch %d", few.peers, few.epoch)
		}
	}
	l := w.list(5)
	for i := range l.Entries {
		l.Entries[i].Operator = chain.Address{}
	}
	n = NewNet(&w.core, &w.core.Params, w.gen, l, beaconOf(4), beaconOf(5))
	if got := n.Plans(chain.Hash{7}, 2, 5); len(got) != 0 {
		t.Errorf("%d probes through one operator", len(got))
	}
}

// TestDelays: the delays of probes have the law that every sender draws by, and
// their times fill the epoch but for its end.
func TestDelays(t *testing.T) {
	w := newWorld(t, 6)
	w.core.Params.MixingMean = 100
	for _, c := range []struct{ epoch, window chain.Duration }{
		{10 * genesis.Second, 7500},
		{10 * genesis.Minute, 10*genesis.Minute - 93*genesis.Second},
		{genesis.Hour, genesis.Hour - 93*genesis.Second},
	} {
		w.core.Params.EpochLength = c.epoch
		n := NewNet(&w.core, &w.core.Params, w.gen, w.list(5), beaconOf(4), beaconOf(5))
		const plans = 4000
		var below, whole int
		start, last := w.core.EpochStart(5), chain.Time(0)
		for _, p := range n.Plans(chain.Hash{9}, 2, plans) {
			for _, d := range p.Delay {
				whole++
				if d < 69 { // half of an exponential of mean 100 lies below 69.3
					below++
				}
			}
			last = max(last, p.At-start)
		}
		if d := 2*below - whole; d < -700 || d > 700 { // over six deviations
			t.Errorf("%d of %d delays below the median", below, whole)
		}
		if last >= chain.Time(c.window) || last < chain.Time(c.window)*99/100 {
			t.Errorf("epoch of %d ms: the last of %d probes leaves at %d; the window is %d", c.epoch, plans, last, c.window)
		}
	}
}

// TestTree: a tree is as deep as its tags need, opens what is in it and fits
// the room that it is given.
func TestTree(t *testing.T) {
	tags := make([]onion.Tag, 100)
	var layers []Layer
	for i := range tags {
		tags[i] = onion.Tag{byte(i), 1}
		layers = append(layers, Layer{Prober: uint32(i), Probe: 1, Layer: 2, Tag: tags[i]})
	}
	random := func() *stream { return &stream{draw: beacon.NewDraw(chain.Hash{8}, "tree")} }
	for _, c := range []struct {
		tags  int
		least uint8
		depth uint8
	}{{0, 0, 1}, {0, 6, 6}, {2, 1, 1}, {3, 1, 2}, {64, 6, 6}, {65, 6, 7}, {100, 9, 9}} {
		tree, err := NewTree(random(), tags[:c.tags], c.least)
		if err != nil || tree.Depth() != c.depth {
			t.Fatalf("%d tags: depth %d, %v; want %d", c.tags, tree.Depth(), err, c.depth)
		}
		o := tree.Open(layers, statement.MaxBody)
		if c.tags == 0 {
			if o != nil {
				t.Fatal("an empty tree opens something")
			}
			continue
		}
		named := func(x statement.Opened) (*[16]byte, bool) { return (*[16]byte)(&tags[x.Prober]), true }
		if len(o.Opened) != c.tags || verifyOpening(tree.Root(), tree.Depth(), o, named) != nil {
			t.Fatalf("%d of %d opened", len(o.Opened), c.tags)
		}
		if verifyOpening(tree.Root(), tree.Depth()+1, o, named) == nil {
			t.Fatal("opened in a deeper tree")
		}
		for room := 30; room < 3000; room += 97 {
			o := tree.Open(layers, room)
			if o == nil {
				continue
			}
			if n := len(statement.Commitment{Open: o}.Encode()) - len(statement.Commitment{}.Encode()); n > room {
				t.Fatalf("%d bytes in a room of %d", n, room)
			}
			if verifyOpening(tree.Root(), tree.Depth(), o, named) != nil {
				t.Fatalf("with a room of %d it does not verify", room)
			}
		}
	}
	if _, err := NewTree(onlyRead(40), tags[:1], 6); err == nil {
		t.Error("a tree without randomness")
	}
	if tree, _ := NewTree(random(), tags[:3], 6); tree.Open([]Layer{layers[1], {Prober: 9, Tag: tags[1]}}, statement.MaxBody).Opened[0].Place == 0 &&
		len(tree.Open([]Layer{layers[1], {Prober: 9, Tag: tags[1]}}, statement.MaxBody).Opened) != 1 {
		t.Error("one tag opened twice")
	}
}

// onlyRead ends after so many bytes.
type onlyRead int

func (n onlyRead) Read(b []byte) (int, error) {
	if len(b) > int(n) {
		return 0, ErrOpening
	}
	return len(b), nil
}
