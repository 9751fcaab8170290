package statement

import (
	"fmt"
	"math/bits"
	"strings"

	"tunic/chain"
	"tunic/internal/wire"
)

// Reasons are the bits of a vote: why its subject is unfit. None: it is fit.
type Reasons uint32

// The reasons. docs/spec/judgement.md, section Votes. Bits are never reused.
const (
	ReasonAbsent     Reasons = 1 // no heartbeat
	ReasonLoss       Reasons = 2 // loses packets
	ReasonUnrevealed Reasons = 4 // does not reveal its probes
	ReasonVersion    Reasons = 8 // runs a version that is not allowed

	allReasons = ReasonAbsent | ReasonLoss | ReasonUnrevealed | ReasonVersion
)

var reasonNames = [...]string{"absent", "loss", "unrevealed", "version"}

// Names gives the names of the bits, in their order; none for a fit verdict.
func (r Reasons) Names() []string {
	var out []string
	for rest := r & allReasons; rest != 0; rest &= rest - 1 {
		out = append(out, reasonNames[bits.TrailingZeros32(uint32(rest))])
	}
	return out
}

func (r Reasons) String() string {
	if r == 0 {
		return "fit"
	}
	return strings.Join(r.Names(), "+")
}

// Vote is a quorum member's verdict on one subject in one epoch, final once
// signed. Its statement's sequence is NewSequence(epoch, 0).
//
//	subject 32 | epoch 8 | reasons 4 | score 2
type Vote struct {
	Subject chain.NodeID
	Epoch   chain.Epoch
	Reasons Reasons
	Score   chain.Permille
}

// Encode is the canonical body.
func (v Vote) Encode() []byte {
	b := append([]byte(nil), v.Subject[:]...)
	b = wire.AppendUint64(b, uint64(v.Epoch))
	b = wire.AppendUint32(b, uint32(v.Reasons))
	return wire.AppendUint16(b, uint16(v.Score))
}

// DecodeVote reads a canonical body; unknown reasons and a score above 1,000
// are malformed.
func DecodeVote(body []byte) (Vote, error) {
	r := wire.NewReader(body)
	var v Vote
	r.Copy(v.Subject[:])
	v.Epoch = chain.Epoch(r.Uint64())
	v.Reasons = Reasons(r.Uint32())
	v.Score = chain.Permille(r.Uint16())
	if err := r.Done(); err != nil {
		return v, fmt.Errorf("%w: vote: %w", ErrMalformed, err)
	}
	if v.Reasons&^allReasons != 0 || v.Score > 1000 {
		return v, fmt.Errorf("%w: vote: reasons %#x, score %d", ErrMalformed, uint32(v.Reasons), v.Score)
	}
	return v, nil
}

// Bounds of a commitment's parts.
const (
	ProbeLayers  = 4   // layers of a probe: three hops and the prober
	MaxProbes    = 64  // of one prober in one epoch
	MaxOpened    = 256 // values of one opening
	MaxTreeDepth = 24
	TagSize      = 16
)

// Commitment is what a node says of the probes of three epochs, once an epoch:
// the root of the tags that it accepted in the epoch before, its draw and
// probes of the one before that, and the opening of its root at the probes that
// were revealed for the one before that. docs/spec/judgement.md.
//
//	epoch 8 | depth 1 | root 32 | reveals 1: draw 80, probes 4+64 each | opens 1: opening
type Commitment struct {
	Epoch  chain.Epoch // of the statement
	Depth  uint8       // of the tree under Root; 0, with a zero root: the node has none
	Root   chain.Hash  // over the tags accepted for Epoch - 1
	Reveal *Reveal     // of Epoch - 2
	Open   *Opening    // of the root for Epoch - 3
}

// Reveal is a node's draw and, where it was drawn, the tags of its probes.
type Reveal struct {
	Draw   [VRFProofSize]byte
	Probes [][ProbeLayers][TagSize]byte
}

// Opening shows tags in the tree of an earlier commitment.
//
//	salt 32 | opened 4+13 each | siblings 4+32 each
type Opening struct {
	Salt     [32]byte
	Opened   []Opened     // strictly ascending by Place
	Siblings []chain.Hash // of the multiproof, in the order in which a verifier needs them
}

// Opened says that the tag of one layer of a revealed probe has its value at a
// place of the tree.
type Opened struct {
	Prober uint32 // place in the list of the probed epoch
	Probe  uint32
	Layer  uint8
	Place  uint32 // leaf of the tree
}

// Encode is the canonical body.
func (c Commitment) Encode() []byte {
	b := wire.AppendUint64(nil, uint64(c.Epoch))
	b = append(b, c.Depth)
	b = append(b, c.Root[:]...)
	b = wire.AppendBool(b, c.Reveal != nil)
	if c.Reveal != nil {
		b = append(b, c.Reveal.Draw[:]...)
		b = wire.AppendUint32(b, uint32(len(c.Reveal.Probes)))
		for i := range c.Reveal.Probes {
			for l := range c.Reveal.Probes[i] {
				b = append(b, c.Reveal.Probes[i][l][:]...)
			}
		}
	}
	b = wire.AppendBool(b, c.Open != nil)
	if c.Open != nil {
		b = append(b, c.Open.Salt[:]...)
		b = wire.AppendUint32(b, uint32(len(c.Open.Opened)))
		for _, o := range c.Open.Opened {
			b = wire.AppendUint32(b, o.Prober)
			b = wire.AppendUint32(b, o.Probe)
			b = append(b, o.Layer)
			b = wire.AppendUint32(b, o.Place)
		}
		b = wire.AppendUint32(b, uint32(len(c.Open.Siblings)))
		for i := range c.Open.Siblings {
			b = append(b, c.Open.Siblings[i][:]...)
		}
	}
	return b
}

// DecodeCommitment reads a canonical body and validates it (stateless): bounds,
// order of places, layers that a probe has.
func DecodeCommitment(body []byte) (Commitment, error) {
	r := wire.NewReader(body)
	c := Commitment{Epoch: chain.Epoch(r.Uint64()), Depth: r.Uint8()}
	r.Copy(c.Root[:])
	if r.Bool() {
		c.Reveal = readReveal(r)
	}
	if r.Bool() {
		c.Open = readOpening(r)
	}
	if err := r.Done(); err != nil {
		return c, fmt.Errorf("%w: commitment: %w", ErrMalformed, err)
	}
	if c.Depth > MaxTreeDepth || (c.Depth == 0) != c.Root.IsZero() {
		return c, fmt.Errorf("%w: commitment: a root of depth %d", ErrMalformed, c.Depth)
	}
	if c.Open != nil {
		for i, o := range c.Open.Opened {
			if o.Layer >= ProbeLayers || o.Probe >= MaxProbes || i > 0 && o.Place <= c.Open.Opened[i-1].Place {
				return c, fmt.Errorf("%w: commitment: opening %d", ErrMalformed, i)
			}
		}
	}
	return c, nil
}

func readReveal(r *wire.Reader) *Reveal {
	v := new(Reveal)
	r.Copy(v.Draw[:])
	for range r.Count(MaxProbes, ProbeLayers*TagSize) {
		var p [ProbeLayers][TagSize]byte
		for l := range p {
			r.Copy(p[l][:])
		}
		v.Probes = append(v.Probes, p)
	}
	return v
}

func readOpening(r *wire.Reader) *Opening {
	v := new(Opening)
	r.Copy(v.Salt[:])
	for range r.Count(MaxOpened, 13) {
		v.Opened = append(v.Opened, Opened{r.Uint32(), r.Uint32(), r.Uint8(), r.Uint32()})
	}
	for range r.Count(MaxOpened*MaxTreeDepth, 32) {
		var h chain.Hash
		r.Copy(h[:])
		v.Siblings = append(v.Siblings, h)
	}
	return v
}
