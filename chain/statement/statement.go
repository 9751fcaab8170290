// Package statement defines what nodes sign for the ledger and for each other:
// descriptors, heartbeats, votes, probe commitments, storage receipts and answers
// about them, proof reports, registrations and header seals. It implements
// docs/spec/statements.md.
//
// Most callers use Sign and Verify on one of the body types, and Decode for
// the payload of a publish transaction. All are Ed25519 over one domain: label,
// genesis hash, fork number and version; evidence of equivocation must agree in
// all four. Verification is strict: S below the order, canonical points, no
// trailing bytes.
package statement

import (
	"crypto/ed25519"
	"errors"
	"fmt"

	signer "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"tunic/chain"
	"tunic/internal/wire"
)

// Label names a kind of statement. Its text is in labels, the one table.
type Label uint8

// The labels. Numbers and texts are never reused. Nothing but a disclosure
// proof is ever signed under LabelDisclosure.
const (
	LabelDescriptor   Label = 1
	LabelHeartbeat    Label = 2
	LabelVote         Label = 3
	LabelCommitment   Label = 4
	LabelReceipt      Label = 5
	LabelSeal         Label = 6
	LabelRegistration Label = 7
	LabelProof        Label = 8
	LabelDisclosure   Label = 9
	LabelAnswer       Label = 10
)

// Version is the version of all statement encodings.
const Version = 1

var labels = map[Label]string{
	LabelDescriptor:   "tunic descriptor",
	LabelHeartbeat:    "tunic heartbeat",
	LabelVote:         "tunic vote",
	LabelCommitment:   "tunic probe commitment",
	LabelReceipt:      "tunic storage receipt",
	LabelSeal:         "tunic header seal",
	LabelRegistration: "tunic registration",
	LabelProof:        "tunic proof report",
	LabelDisclosure:   "tunic key disclosure",
	LabelAnswer:       "tunic storage answer",
}

func (l Label) String() string {
	if s, ok := labels[l]; ok {
		return s[len("tunic "):]
	}
	return fmt.Sprintf("label %d", uint8(l))
}

var (
	// ErrMalformed means that bytes are not the canonical encoding of a statement.
	ErrMalformed = errors.New("statement: malformed")
	// ErrSignature means that the signature is not the node's, or not canonical.
	ErrSignature = errors.New("statement: invalid signature")
	// ErrFork means that the statement belongs to another fork of this network.
	ErrFork = errors.New("statement: signed for another fork")
)

// Domain separates signatures by network and fork.
type Domain struct {
	Genesis chain.Hash
	Fork    uint32
}

// message is what is signed: length-prefixed label, version, genesis, fork, body.
func (d Domain) message(l Label, body []byte) []byte {
	return append(d.appendHead(make([]byte, 0, headMost+len(body)), l), body...)
}

// headMost is the room for what stands before the body of a message.
const headMost = 96

func (d Domain) appendHead(b []byte, l Label) []byte {
	b = append(wire.AppendString(b, labels[l]), Version)
	return wire.AppendUint32(append(b, d.Genesis[:]...), d.Fork)
}

// SignRaw signs body under label with a node's identity key.
func (d Domain) SignRaw(key ed25519.PrivateKey, l Label, body []byte) [64]byte {
	// The same bytes as the standard library's, in two thirds of the time: a
	// member signs a receipt for all that it keeps.
	return [64]byte(signer.Sign(signer.PrivateKey(key), d.message(l, body)))
}

// VerifyRaw checks a signature made by SignRaw.
func (d Domain) VerifyRaw(node chain.NodeID, l Label, body []byte, sig [64]byte) error {
	if labels[l] == "" || !Canonical(node) || !ed25519.Verify(node[:], d.message(l, body), sig[:]) {
		return ErrSignature
	}
	return nil
}

// Sequence orders one node's statements of one kind: epoch << 20 | counter.
// The upper bits are the epoch that the statement is for.
type Sequence uint64

// CounterBits is the width of a sequence's counter.
const CounterBits = 20

// NewSequence is the sequence of counter n, below 2^20, in epoch e.
func NewSequence(e chain.Epoch, n uint32) Sequence {
	if n>>CounterBits != 0 || e>>(64-CounterBits) != 0 {
		panic("statement: internal error: sequence out of range") // it would be signed twice
	}
	return Sequence(uint64(e)<<CounterBits | uint64(n)&(1<<CounterBits-1))
}

// Epoch is the epoch that a statement with this sequence is for.
func (s Sequence) Epoch() chain.Epoch { return chain.Epoch(s >> CounterBits) }

// Counter is the number within the epoch.
func (s Sequence) Counter() uint32 { return uint32(s & (1<<CounterBits - 1)) }

// Statement is a signed body as it travels:
//
//	label 1 | version 1 | fork 4 | node 32 | sequence 8 | body 4+n | signature 64
//
// The signature covers fork (in the domain), node, sequence and body.
type Statement struct {
	Label    Label
	Fork     uint32
	Node     chain.NodeID
	Sequence Sequence
	Body     []byte
	Sig      [64]byte
}

// MaxBody bounds a statement's body in bytes; a proof report is the largest.
const MaxBody = 1 << 14

func (s Statement) signed() []byte {
	return append(s.appendFront(make([]byte, 0, signedFront+len(s.Body))), s.Body...)
}

// signedFront is the length of what is signed before the body.
const signedFront = 44

func (s Statement) appendFront(b []byte) []byte {
	b = wire.AppendUint64(append(b, s.Node[:]...), uint64(s.Sequence))
	return wire.AppendUint32(b, uint32(len(s.Body)))
}

// Sign makes the statement of the node that key belongs to.
func Sign(d Domain, key ed25519.PrivateKey, l Label, seq Sequence, body []byte) Statement {
	s := Statement{Label: l, Fork: d.Fork, Node: chain.NodeID(key.Public().(ed25519.PublicKey)), Sequence: seq, Body: body}
	s.Sig = d.SignRaw(key, l, s.signed())
	return s
}

// Verify checks that s belongs to the domain's fork and carries its node's signature.
func (s Statement) Verify(d Domain) error {
	if s.Fork != d.Fork {
		return ErrFork
	}
	return d.VerifyRaw(s.Node, s.Label, s.signed(), s.Sig)
}

// Encode is the canonical encoding.
func (s Statement) Encode() []byte {
	b := make([]byte, 0, 114+len(s.Body))
	b = append(b, byte(s.Label), Version)
	b = wire.AppendUint32(b, s.Fork)
	b = append(b, s.Node[:]...)
	b = wire.AppendUint64(b, uint64(s.Sequence))
	b = wire.AppendBytes(b, s.Body)
	return append(b, s.Sig[:]...)
}

// Read reads one statement, whose body aliases the input.
func Read(r *wire.Reader) Statement {
	s := Statement{Label: Label(r.Uint8())}
	if v := r.Uint8(); r.Err() == nil && (v != Version || labels[s.Label] == "") {
		r.Fail(fmt.Errorf("%w: label %d, version %d", ErrMalformed, s.Label, v))
	}
	s.Fork = r.Uint32()
	r.Copy(s.Node[:])
	s.Sequence = Sequence(r.Uint64())
	s.Body = r.Bytes(MaxBody)
	r.Copy(s.Sig[:])
	return s
}

// Decode reads one statement and nothing else.
func Decode(b []byte) (Statement, error) {
	r := wire.NewReader(b)
	s := Read(r)
	if err := r.Done(); err != nil {
		return s, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return s, nil
}
