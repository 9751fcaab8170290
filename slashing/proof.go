package slashing

import (
	"bytes"
	"errors"

	"tunic/chain"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/internal/wire"
	"tunic/registry/directory"
)

// Version is the version byte of the proof encoding.
const Version = 1

// MaxProof bounds a proof's encoding in bytes: it is the body of a statement.
const MaxProof = statement.MaxBody

// Proof is one canonical file that shows one offence. Which fields it uses
// beside the first four is a matter of its kind; the others are zero.
type Proof struct {
	Version byte
	Kind    Kind
	Genesis chain.Hash
	Fork    uint32
	First   []byte               // encoded statement or, of a double-seal, sealed header or two votes
	Second  []byte               // likewise; above First, byte by byte
	Entry   directory.Membership // of the offender, in the list of Header
	Header  chain.SealedHeader   // of the list that shows whose key it was, or which quorum was drawn
	Params  InForce              // the parameters in force at the offence
	Verdict VoteSet              // of an unavailable
	Lapsed  state.Proof          // of a lost message: the challenge's row under Header
	Opening Opening              // of a key-disclosure
	Seat    state.Proof          // of a double-seal by votes: the validator's row under Header
}

// part is a piece of a proof's encoding.
type part struct {
	put func([]byte, Proof) []byte
	get func(*wire.Reader, *Proof)
}

// The parts that proofs consist of.
var (
	partFirst = part{
		func(b []byte, p Proof) []byte { return wire.AppendBytes(b, p.First) },
		func(r *wire.Reader, p *Proof) { p.First = r.Bytes(MaxProof) },
	}
	partSecond = part{
		func(b []byte, p Proof) []byte { return wire.AppendBytes(b, p.Second) },
		func(r *wire.Reader, p *Proof) { p.Second = r.Bytes(MaxProof) },
	}
	partEntry = part{
		func(b []byte, p Proof) []byte { return directory.AppendMembership(b, p.Entry) },
		func(r *wire.Reader, p *Proof) { p.Entry = directory.ReadMembership(r) },
	}
	partHeader = part{
		func(b []byte, p Proof) []byte { return append(b, p.Header.Encode()...) },
		func(r *wire.Reader, p *Proof) { p.Header = chain.ReadSealedHeader(r) },
	}
	partParams  = part{appendInForce, readInForce}
	partVerdict = part{appendVoteSet, readVoteSet}
	partOpening = part{appendOpening, readOpening}
	partLapsed  = part{
		func(b []byte, p Proof) []byte { return append(b, p.Lapsed.Encode()...) },
		func(r *wire.Reader, p *Proof) { p.Lapsed = state.ReadProof(r) },
	}

	partSeat = part{
		func(b []byte, p Proof) []byte { return append(b, p.Seat.Encode()...) },
		func(r *wire.Reader, p *Proof) { p.Seat = state.ReadProof(r) },
	}

	allParts = []part{partFirst, partSecond, partEntry, partHeader, partParams, partVerdict, partOpening, partLapsed, partSeat}
)

// Encode is the canonical encoding. Fields that the kind does not use are left
// out; Validate refuses a proof that has any.
func (p Proof) Encode() []byte {
	b := make([]byte, 0, 2048+len(p.First)+len(p.Second))
	b = append(b, p.Version, byte(p.Kind))
	b = append(b, p.Genesis[:]...)
	b = wire.AppendUint32(b, p.Fork)
	for _, part := range p.Kind.parts() {
		b = part.put(b, p)
	}
	return b
}

func (k Kind) parts() []part {
	if k.Known() {
		return rules[k].parts
	}
	return pairParts // of bytes that nobody reads
}

// full is all of p, whatever its kind.
func (p Proof) full() []byte {
	b := append([]byte{p.Version, byte(p.Kind)}, p.Genesis[:]...)
	b = wire.AppendUint32(b, p.Fork)
	for _, part := range allParts {
		b = part.put(b, p)
	}
	return b
}

// Decode reads a proof, which aliases b. Every failure is malformed_proof.
func Decode(b []byte) (Proof, error) {
	if len(b) > MaxProof {
		return Proof{}, chain.Refuse(ErrMalformed.Code, "%d bytes, at most %d", len(b), MaxProof)
	}
	r := wire.NewReader(b)
	p := Proof{Version: r.Uint8(), Kind: Kind(r.Uint8())}
	if r.Err() == nil && p.Version != Version {
		return Proof{}, chain.Refuse(ErrMalformed.Code, "version %d, this program knows %d", p.Version, Version)
	}
	if r.Err() == nil && !p.Kind.Known() {
		return Proof{}, chain.Refuse(ErrMalformed.Code, "no kind has the number %d", p.Kind)
	}
	r.Copy(p.Genesis[:])
	p.Fork = r.Uint32()
	for _, part := range p.Kind.parts() {
		part.get(r, &p)
	}
	if err := r.Done(); err != nil {
		return Proof{}, chain.Refuse(ErrMalformed.Code, "%v", err)
	}
	return p, nil
}

// claim is what a proof says of the offence, unjudged.
type claim struct {
	node   chain.NodeID
	number uint64 // sequence, height, epoch, or the epoch of a change: what tells offences of one node apart
	about  []byte // more of the same: the subject of two votes
	epoch  chain.Epoch
}

func (p Proof) claim() (claim, bool) {
	if !p.Kind.Known() {
		return claim{}, false
	}
	return rules[p.Kind].claim(p)
}

// ID is the offence's id, the same for every proof that shows the offence;
// docs/spec/slashing.md, section Concepts. Zero where the proof cannot be read
// so far as to tell.
func (p Proof) ID() chain.Hash {
	c, ok := p.claim()
	if !ok {
		return chain.Hash{}
	}
	return offenceID(p.Kind, c, p.Genesis, p.Fork)
}

func offenceID(k Kind, c claim, gen chain.Hash, fork uint32) chain.Hash {
	b := append([]byte("tunic offence"), byte(k))
	b = append(b, c.node[:]...)
	b = append(b, gen[:]...)
	b = wire.AppendUint32(b, fork)
	b = wire.AppendUint64(b, c.number)
	return chain.SHA256(append(b, c.about...))
}

// Accused is whom the proof accuses and of which epoch, unjudged. ok is false
// where that cannot be read.
func (p Proof) Accused() (node chain.NodeID, epoch chain.Epoch, ok bool) {
	c, ok := p.claim()
	if !ok {
		return node, 0, false
	}
	return c.node, c.epoch, true
}

// ordered gives two encodings in ascending order, each a copy.
func ordered(a, b []byte) (first, second []byte) {
	if bytes.Compare(a, b) > 0 {
		a, b = b, a
	}
	return bytes.Clone(a), bytes.Clone(b)
}

// Verdict is the outcome of a judgement, for people and exit codes.
type Verdict uint8

// The verdicts.
const (
	Valid Verdict = iota
	Malformed
	Invalid
	Expired
	AlreadyPunished
)

func (v Verdict) String() string {
	return [...]string{"valid", "malformed", "invalid", "expired", "already punished"}[min(v, AlreadyPunished)]
}

// VerdictOf sorts an error of Decode, Validate, Verify or Punish.
func VerdictOf(err error) Verdict {
	switch {
	case err == nil:
		return Valid
	case errors.Is(err, ErrMalformed):
		return Malformed
	case errors.Is(err, ErrExpired):
		return Expired
	case errors.Is(err, ErrAlreadyPunished):
		return AlreadyPunished
	}
	return Invalid
}
