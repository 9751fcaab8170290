package slashing

import (
	"bytes"
	"errors"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/wire"
	"tunic/registry/directory"
)

// Version is the version byte of the proof encoding.
const Version = 1

// MaxProof bounds a proof's encoding in bytes: it is the body of a statement.
const MaxProof = statement.MaxBody

// Proof is one canonical file that shows one offence: the two statements, and
// the directory entry with its path and sealed header that show whose key it
// was. The statements stand in ascending order of their bytes. A double-seal has
// two sealed headers in their place, and neither Entry nor Header.
type Proof struct {
	Version byte
	Kind    Kind
	Genesis chain.Hash
	Fork    uint32
	First   []byte // encoded statement or, of a double-seal, sealed header
	Second  []byte // likewise
	Entry   directory.Membership
	Header  chain.SealedHeader
}

// Encode is the canonical encoding.
func (p Proof) Encode() []byte {
	b := make([]byte, 0, 2048+len(p.First)+len(p.Second))
	b = append(b, p.Version, byte(p.Kind))
	b = append(b, p.Genesis[:]...)
	b = wire.AppendUint32(b, p.Fork)
	b = wire.AppendBytes(b, p.First)
	b = wire.AppendBytes(b, p.Second)
	return p.appendHolder(b)
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
	p.First = r.Bytes(MaxProof)
	p.Second = r.Bytes(MaxProof)
	p.readHolder(r)
	if err := r.Done(); err != nil {
		return Proof{}, chain.Refuse(ErrMalformed.Code, "%v", err)
	}
	return p, nil
}

// ID is the offence's id: SHA-256 over "tunic offence", kind, node or proposer,
// genesis hash, fork and sequence or height. It is the same for every pair that
// shows the offence; zero where the first of the pair cannot be read.
func (p Proof) ID() chain.Hash {
	c, ok := p.claim()
	if !ok {
		return chain.Hash{}
	}
	return offenceID(p.Kind, c.node, p.Genesis, p.Fork, c.number)
}

func offenceID(k Kind, node chain.NodeID, gen chain.Hash, fork uint32, number uint64) chain.Hash {
	b := append([]byte("tunic offence"), byte(k))
	b = append(b, node[:]...)
	b = append(b, gen[:]...)
	b = wire.AppendUint32(b, fork)
	return chain.SHA256(wire.AppendUint64(b, number))
}

// Assemble makes the proof of kind from two encoded statements, in any order,
// and a header with its list, which must hold the node. It validates what it
// made, so that its refusals are those of Validate. A header with hundreds of
// removals may make the proof too large: take an earlier one of the epoch.
func Assemble(kind Kind, a, b []byte, header chain.SealedHeader, list *directory.List) (Proof, error) {
	if kind == DoubleSeal {
		return Proof{}, chain.Refuse(ErrMalformed.Code, "a double-seal is made of two headers, not of statements")
	}
	first, err := statement.Decode(a)
	if err != nil {
		return Proof{}, chain.Refuse(ErrMalformed.Code, "first statement: %v", err)
	}
	if bytes.Compare(a, b) > 0 {
		a, b = b, a
	}
	if err := list.Check(header.Header); err != nil {
		return Proof{}, chain.Refuse(ErrNotListed.Code, "the list is not the header's: %v", err)
	}
	p := Proof{
		Version: Version, Kind: kind, Genesis: header.Header.Genesis, Fork: first.Fork,
		First: bytes.Clone(a), Second: bytes.Clone(b),
		Entry: list.Prove(first.Node), Header: header,
	}
	return p, p.Validate()
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
