package registry

import (
	"bytes"
	"slices"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
)

// maxProofs bounds the VRF proofs that a Recount keeps of one node. All
// heartbeats of one epoch carry the same, so that others are of no use.
const maxProofs = 8

// Recount finds from blocks, without a ledger, whose heartbeats closed a beacon.
// docs/spec/explain.md. Make it with NewRecount, give it the verified blocks of
// its epoch and of the one before in any order, then ask for Voices.
type Recount struct {
	genesis chain.Hash
	epoch   chain.Epoch
	first   chain.Height // lowest seen of the epoch, 0 if none
	heard   map[chain.NodeID]*heard
}

// heard is what one node's heartbeats said.
type heard struct {
	heartbeats int
	first      chain.Height
	proofs     [][beacon.ProofSize]byte
}

// NewRecount counts the heartbeats of epoch e.
func NewRecount(genesis chain.Hash, e chain.Epoch) *Recount {
	return &Recount{genesis: genesis, epoch: e, heard: map[chain.NodeID]*heard{}}
}

// Block takes the heartbeats of the epoch that b holds, as far as their nodes
// signed them for b's fork. That b's transactions are those of its header, and
// the header one of this network, is the caller's to verify.
func (c *Recount) Block(b chain.Block) {
	h := b.Header
	switch {
	case h.DirEpoch != c.epoch && h.DirEpoch+1 != c.epoch:
		return // heartbeats are for the block's epoch or the next
	case h.DirEpoch == c.epoch && (c.first == 0 || h.Height < c.first):
		c.first = h.Height
	}
	domain := statement.Domain{Genesis: c.genesis, Fork: h.Fork}
	for _, enc := range b.Txs {
		tx, err := chain.DecodeTx(enc)
		if err != nil || tx.Kind != chain.KindPublish {
			continue
		}
		st, err := statement.Decode(tx.Payload)
		if err != nil || st.Label != statement.LabelHeartbeat || st.Sequence.Epoch() != c.epoch {
			continue
		}
		body, err := statement.DecodeHeartbeat(st.Body)
		if err != nil || st.Verify(domain) != nil {
			continue
		}
		c.hear(st.Node, h.Height, body.VRF)
	}
}

func (c *Recount) hear(id chain.NodeID, at chain.Height, proof [beacon.ProofSize]byte) {
	x := c.heard[id]
	if x == nil {
		x = &heard{first: at}
		c.heard[id] = x
	}
	x.heartbeats++
	x.first = min(x.first, at)
	if len(x.proofs) < maxProofs && !slices.Contains(x.proofs, proof) {
		x.proofs = append(x.proofs, proof)
	}
}

// Heard are the nodes of whom a heartbeat was taken, ascending.
func (c *Recount) Heard() []chain.NodeID {
	out := make([]chain.NodeID, 0, len(c.heard))
	for id := range c.heard {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b chain.NodeID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// Standing is a node at the close: before the first block of the next epoch.
type Standing struct {
	VRF        [32]byte
	State      State
	Registered chain.Height
}

// Voice is what one node's heartbeats came to.
type Voice struct {
	Node       chain.NodeID
	Heartbeats int
	First      chain.Height // block that took the first
	Output     [beacon.OutputSize]byte
	Why        string // why it does not count; empty where it does
}

// Voices judges whoever was heard, ascending by node, as Contributions does.
// standing need not be trusted: a wrong answer gives another beacon than the
// header's.
func (c *Recount) Voices(standing func(chain.NodeID) (Standing, bool)) []Voice {
	var out []Voice
	for _, id := range c.Heard() {
		x := c.heard[id]
		v := Voice{Node: id, Heartbeats: x.heartbeats, First: x.first}
		s, known := standing(id)
		switch {
		case !known:
			v.Why = "it is not registered"
		case s.State != Active && s.State != Decommissioned:
			v.Why = "it was " + s.State.String() + " when the epoch ended"
		case c.first == 0 || s.Registered >= c.first:
			v.Why = "it was registered in that very epoch"
		default:
			v.Why = "its VRF proof does not verify"
			for _, p := range x.proofs {
				if o, err := beacon.Verify(s.VRF, beacon.EpochAlpha(c.genesis, c.epoch), p); err == nil {
					v.Output, v.Why = o, ""
					break
				}
			}
		}
		out = append(out, v)
	}
	return out
}

// Close is the beacon that voices, ascending by node, close over their epoch's.
func Close(parent chain.Hash, voices []Voice) chain.Hash {
	var l []beacon.Contribution
	for _, v := range voices {
		if v.Why == "" {
			l = append(l, beacon.Contribution{Node: v.Node, Output: v.Output})
		}
	}
	return beacon.Next(parent, l)
}
