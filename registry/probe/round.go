package probe

import (
	"math/bits"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/internal/wire"
)

// Round gathers what is said of the probes of one epoch: roots in the epoch
// after, reveals in the next, openings in the next after that.
type Round struct {
	net     *Net
	known   *statement.Verified
	roots   []committed // by place in the list
	reveals []*revealed
	opened  []bool
	shown   []bool // some layer was opened validly
	scratch []byte // what open asks, while it asks
}

// committed is a node's root; of depth 0 there is none.
type committed struct {
	depth uint8
	root  chain.Hash
}

// revealed is what a prober says, and what was opened of it.
type revealed struct {
	seed   chain.Hash
	routes []Route
	tags   []Tags
	got    []uint8 // bits: layers that were opened
}

// NewRound begins the round of net's epoch. The ledger does not verify draws; a
// round does, and remembers in known what it found valid (nil: nothing).
func NewRound(net *Net, known *statement.Verified) *Round {
	n := len(net.list.Entries)
	return &Round{net: net, known: known, roots: make([]committed, n), reveals: make([]*revealed, n), opened: make([]bool, n), shown: make([]bool, n)}
}

// Epoch is the probed epoch.
func (r *Round) Epoch() chain.Epoch { return r.net.list.Epoch }

// Take takes the part of a node's commitment that is about this round: that it
// was signed, and stands in a block of its epoch, is the caller's to know. Of
// several the first counts.
func (r *Round) Take(node chain.NodeID, c *statement.Commitment) {
	at, ok := r.net.list.Index(node)
	if !ok {
		return
	}
	switch c.Epoch {
	case r.Epoch() + 1:
		if r.roots[at].depth == 0 {
			r.roots[at] = committed{c.Depth, c.Root}
		}
	case r.Epoch() + 2:
		if c.Reveal != nil && r.reveals[at] == nil {
			r.reveals[at] = r.read(at, c.Reveal)
		}
	case r.Epoch() + 3:
		if c.Open != nil && !r.opened[at] {
			r.opened[at] = true
			r.open(at, c.Open)
		}
	}
}

// read is a reveal, nil where it is not what its draw says.
func (r *Round) read(at int, v *statement.Reveal) *revealed {
	output, ok := r.output(at, v.Draw)
	if !ok {
		return nil
	}
	x := &revealed{seed: r.net.Seed(&output), tags: v.Probes}
	x.routes = r.net.Routes(x.seed, at, r.net.Drawn(&output))
	if len(x.routes) != len(x.tags) {
		return nil
	}
	x.got = make([]uint8, len(x.tags))
	return x
}

// output is the VRF output that a draw proves.
func (r *Round) output(at int, draw [beacon.ProofSize]byte) (out [beacon.OutputSize]byte, ok bool) {
	return r.net.output(at, draw, func() bool {
		key, alpha := r.net.list.Entries[at].VRF, r.net.Alpha()
		question := chain.SHA256([]byte("draw"), key[:], draw[:], alpha)
		return r.known.Once(question, func() bool { _, err := beacon.Verify(key, alpha, draw); return err == nil })
	})
}

// open notes what an opening shows; one that claims anything wrong shows
// nothing.
func (r *Round) open(at int, o *statement.Opening) {
	root := r.roots[at]
	// What is asked is all that the answer depends on, of fixed lengths but for
	// the two lists, whose lengths stand first.
	q := append(append(append(r.scratch[:0], "opening"...), root.root[:]...), root.depth)
	q = wire.AppendUint32(wire.AppendUint32(append(q, o.Salt[:]...), uint32(len(o.Opened))), uint32(len(o.Siblings)))
	for _, x := range o.Opened {
		tag, ok := r.tagOf(at, x)
		if !ok {
			return
		}
		q = append(wire.AppendUint32(q, x.Place), tag[:]...)
	}
	for i := range o.Siblings {
		q = append(q, o.Siblings[i][:]...)
	}
	r.scratch = q
	if !r.known.Once(chain.SHA256(q), func() bool {
		return verifyOpening(root.root, root.depth, o, func(x statement.Opened) (*[statement.TagSize]byte, bool) { return r.tagOf(at, x) }) == nil
	}) {
		return
	}
	for _, x := range o.Opened {
		r.reveals[x.Prober].got[x.Probe] |= 1 << x.Layer
		r.shown[at] = true
	}
}

// tagOf is the tag of a layer that the node at a place has to open.
func (r *Round) tagOf(at int, x statement.Opened) (*[statement.TagSize]byte, bool) {
	v := r.find(x)
	if v == nil || v.routes[x.Probe][x.Layer] != uint32(at) {
		return nil, false
	}
	return &v.tags[x.Probe][x.Layer], true
}

// find is the reveal with the layer x, nil where there is none.
func (r *Round) find(x statement.Opened) *revealed {
	if int64(x.Prober) >= int64(len(r.reveals)) || x.Layer >= statement.ProbeLayers {
		return nil
	}
	v := r.reveals[x.Prober]
	if v == nil || int64(x.Probe) >= int64(len(v.tags)) {
		return nil
	}
	return v
}

// Layers are those of the revealed probes that the node has to open.
func (r *Round) Layers(node chain.NodeID) []Layer {
	at, ok := r.net.list.Index(node)
	if !ok {
		return nil
	}
	var out []Layer
	for p, v := range r.reveals {
		if v == nil {
			continue
		}
		for k, route := range v.routes {
			for i, place := range route {
				if place == uint32(at) {
					out = append(out, Layer{uint32(p), uint32(k), uint8(i), v.tags[k][i]})
				}
			}
		}
	}
	return out
}

// Tally counts the trials. Reveals whose tags are not those of their plan are
// void. What is lost on the way to a node that shows nothing at all of this epoch
// says nothing of who sent it: it counts against that node alone.
func (r *Round) Tally() *Tally {
	kept := make([]bool, len(r.reveals))
	most := 0
	for _, v := range r.reveals {
		if v != nil {
			most += len(v.routes) * statement.ProbeLayers
		}
	}
	trials := make([]trial, 0, most)
	for p, v := range r.reveals {
		if v == nil || r.forged(v) {
			continue
		}
		kept[p] = true
		for k, route := range v.routes {
			from := uint32(p)
			last := bits.Len8(v.got[k]) // layers up to here received
			for i, to := range route {
				lost := i >= last
				trials = append(trials, trial{from, to, lost, lost && !r.shown[to]})
				if lost {
					break
				}
				from = to
			}
		}
	}
	return newTally(r.net.list, trials, kept)
}

// forged derives the tags of the probes that were lost: whoever names others
// blames nodes for packets that it never sent.
func (r *Round) forged(v *revealed) bool {
	for k, got := range v.got {
		if bits.Len8(got) == statement.ProbeLayers {
			continue
		}
		if !r.derived(v, k) {
			return true
		}
	}
	return false
}

// derived reports whether the tags named for probe k are those of its plan. The
// list and the seed give the plan.
func (r *Round) derived(v *revealed, k int) bool {
	root := r.net.list.Root()
	b := append(append([]byte("tags"), root[:]...), v.seed[:]...)
	b = append(b, byte(k))
	for i := range v.tags[k] {
		b = append(b, v.tags[k][i][:]...)
	}
	return r.known.Once(chain.SHA256(b), func() bool {
		tags, err := r.net.Tags(v.seed, k, v.routes[k])
		return err == nil && tags == v.tags[k]
	})
}
