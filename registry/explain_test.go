package registry_test

import (
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/registry"
)

// blocks keeps what a bench was given, as blocks.
type blocks struct {
	b   *bench
	all []chain.Block
}

// take publishes statements in a block of their own.
func (x *blocks) take(t *testing.T, sts ...statement.Statement) {
	t.Helper()
	must(t, x.b.publish(sts...))
	x.all = append(x.all, blockOf(x.b, sts...))
}

func blockOf(b *bench, sts ...statement.Statement) chain.Block {
	blk := chain.Block{SealedHeader: chain.SealedHeader{Header: chain.Header{Height: b.ctx.Height, DirEpoch: b.ctx.Epoch, Fork: b.ctx.Fork}}}
	for _, st := range sts {
		blk.Txs = append(blk.Txs, chain.Tx{Kind: chain.KindPublish, Payload: st.Encode()}.Encode())
	}
	return blk
}

func (b *bench) standing(id chain.NodeID) (registry.Standing, bool) {
	n, ok := b.Node(id)
	return registry.Standing{VRF: n.VRF, State: n.State, Registered: n.RegisteredHeight}, ok
}

// counted is a run in which epoch 2 closes: 1 to 4 are listed; 1 spoke in epoch
// 1 already, 3 twice, 4 not at all, and 5 registered in epoch 2.
func counted(t *testing.T) (*bench, []chain.Block) {
	b := newBench(t)
	x := &blocks{b: b}
	for i := range byte(4) {
		b.join(t, newRelay(i+1))
	}
	b.at(t, 10_000)
	x.take(t, b.heartbeat(newRelay(1), 2, 0))
	b.at(t, 20_000)
	x.take(t, b.descriptor(newRelay(2), 2, 0), b.heartbeat(newRelay(2), 2, 0), b.heartbeat(newRelay(3), 2, 0))
	b.at(t, 21_000)
	must(t, b.register(newRelay(5), 1000))
	x.take(t, b.heartbeat(newRelay(5), 2, 0))
	b.at(t, 25_000)
	x.take(t, b.heartbeat(newRelay(3), 2, 1), b.heartbeat(newRelay(2), 3, 0))
	return b, x.all
}

func TestRecount(t *testing.T) {
	b, all := counted(t)
	parent := chain.SHA256([]byte("parent"))
	want := beacon.Next(parent, b.Contributions(2))

	slices.Reverse(all) // the order of blocks does not matter
	c := registry.NewRecount(b.hash, 2)
	for _, x := range all {
		c.Block(x)
	}
	voices := c.Voices(b.standing)
	if got := registry.Close(parent, voices); got != want {
		t.Fatalf("recounted %s, the registry closed %s: %+v", got, want, voices)
	}
	heartbeats := map[chain.NodeID]int{}
	for _, v := range voices {
		heartbeats[v.Node] = v.Heartbeats
		if late := v.Node == newRelay(5).id(); late != (v.Why != "") {
			t.Errorf("node %s: %q", v.Node.Short(), v.Why)
		}
	}
	for i, n := range map[byte]int{1: 1, 2: 1, 3: 2, 4: 0, 5: 1} {
		if got := heartbeats[newRelay(i).id()]; got != n {
			t.Errorf("relay %d: %d heartbeats, want %d", i, got, n)
		}
	}
}

// Whatever is changed gives another beacon than the one that was closed.
func TestRecountTampered(t *testing.T) {
	two := newRelay(2)
	// say is a heartbeat of relay 2 for epoch 2 in place of its own.
	say := func(b *bench, of *bench, r relay, proof [80]byte) chain.Block {
		h := statement.Heartbeat{Version: "v1", VRF: proof}
		blk := blockOf(b, of.sign(r, statement.LabelHeartbeat, statement.NewSequence(2, 0), h.Encode()), b.heartbeat(newRelay(3), 2, 0))
		blk.Header.Height, blk.Header.DirEpoch = 3, 2
		return blk
	}
	good := func(b *bench) [80]byte { return two.vrf.Prove(beacon.EpochAlpha(b.hash, 2)) }
	for name, c := range map[string]struct {
		with     func(b *bench) chain.Block
		standing func(chain.NodeID, *registry.Standing)
		why      string // of relay 2; "absent" where it is not heard
	}{
		"flipped proof": {with: func(b *bench) chain.Block { p := good(b); p[40] ^= 1; return say(b, b, two, p) }, why: "its VRF proof does not verify"},
		"another's proof": {with: func(b *bench) chain.Block {
			return say(b, b, two, newRelay(3).vrf.Prove(beacon.EpochAlpha(b.hash, 2)))
		}, why: "its VRF proof does not verify"},
		"proof of another epoch": {with: func(b *bench) chain.Block { return say(b, b, two, two.vrf.Prove(beacon.EpochAlpha(b.hash, 3))) },
			why: "its VRF proof does not verify"},
		"signed for another network": {with: func(b *bench) chain.Block {
			o := newBench(t)
			o.hash = chain.Hash{1}
			return say(b, o, two, good(b))
		}, why: "absent"},
		"signed for another fork": {with: func(b *bench) chain.Block {
			o := newBench(t)
			o.ctx.Fork = 1
			return say(b, o, two, good(b))
		}, why: "absent"},
		"left out": {with: func(b *bench) chain.Block { x := say(b, b, two, good(b)); x.Txs = x.Txs[1:]; return x }, why: "absent"},
		"in a later epoch's block": {with: func(b *bench) chain.Block {
			x := say(b, b, two, good(b))
			x.Header.DirEpoch = 3
			return x
		}, why: "absent"},
		"another key": {standing: func(id chain.NodeID, s *registry.Standing) {
			if id == two.id() {
				s.VRF = newRelay(3).vrf.Public()
			}
		}, why: "its VRF proof does not verify"},
		"another state": {standing: func(id chain.NodeID, s *registry.Standing) {
			if id == two.id() {
				s.State = registry.Unlocking
			}
		}, why: "it was unlocking when the epoch ended"},
		"another registration": {standing: func(id chain.NodeID, s *registry.Standing) {
			if id == two.id() {
				s.Registered = 1000
			}
		}, why: "it was registered in that very epoch"},
	} {
		t.Run(name, func(t *testing.T) {
			b, all := counted(t)
			if c.with != nil {
				all[1] = c.with(b)
			}
			r := registry.NewRecount(b.hash, 2)
			for _, x := range all {
				r.Block(x)
			}
			voices := r.Voices(func(id chain.NodeID) (registry.Standing, bool) {
				s, ok := b.standing(id)
				if c.standing != nil {
					c.standing(id, &s)
				}
				return s, ok
			})
			if registry.Close(chain.Hash{}, voices) == beacon.Next(chain.Hash{}, b.Contributions(2)) {
				t.Error("the beacon is the same")
			}
			why := "absent"
			for _, v := range voices {
				if v.Node == two.id() {
					why = v.Why
				}
			}
			if why != c.why {
				t.Errorf("relay 2: %q, want %q", why, c.why)
			}
		})
	}
}
