// Package slashing judges proofs of misbehaviour and punishes what they prove.
// It implements docs/spec/slashing.md.
//
// Most callers use Decode and Verify to judge a proof file, offline or not,
// Steps to show how the judgement was reached, and Assemble to make a proof of
// two statements, AssembleSeals of two headers. The machine joins Slashing to bonds and nodes and calls
// Punish.
//
// The package promises that one offence has one id whatever pair of statements
// shows it, that it is punished once, that the same questions are asked in the
// same order offline and on chain, and that a refused proof changes nothing.
// Of the registry it knows only the directory. No clock, no randomness, no I/O.
package slashing

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
)

// Kind is what a proof proves. The number is part of the proof's bytes.
type Kind uint8

// The kinds. Numbers and names are never reused.
const (
	DoubleDescriptor Kind = 1
	DoubleSeal       Kind = 2
	DoubleVote       Kind = 3
	LostMessage      Kind = 4
	KeyDisclosure    Kind = 5
	Unauthorised     Kind = 6
	Unavailable      Kind = 7
)

// Basis is what a slash rests on. Only BasisSignature needs no honest quorum
// or sealer.
type Basis string

// The bases.
const (
	BasisSignature    Basis = "signature"
	BasisUnanswered   Basis = "unanswered"
	BasisVote         Basis = "vote"
	BasisSelfDeclared Basis = "self-declared"
)

// rule is one row of the table of kinds.
type rule struct {
	name      string
	basis     Basis
	tombstone bool
	penalty   func(*genesis.Params) chain.BasisPoints
}

// rules is indexed by Kind; row 0 is empty.
var rules = [...]rule{
	DoubleDescriptor: {"double-descriptor", BasisSignature, true, func(p *genesis.Params) chain.BasisPoints { return p.SlashDoubleDescriptor }},
	DoubleSeal:       {"double-seal", BasisSignature, true, func(p *genesis.Params) chain.BasisPoints { return p.SlashDoubleSeal }},
	DoubleVote:       {"double-vote", BasisSignature, false, func(p *genesis.Params) chain.BasisPoints { return p.SlashDoubleVote }},
	LostMessage:      {"lost-message", BasisUnanswered, false, func(p *genesis.Params) chain.BasisPoints { return p.SlashLostMessage }},
	KeyDisclosure:    {"key-disclosure", BasisSignature, true, func(p *genesis.Params) chain.BasisPoints { return p.SlashKeyDisclosure }},
	Unauthorised:     {"unauthorised-software", BasisSelfDeclared, false, func(p *genesis.Params) chain.BasisPoints { return p.SlashUnauthorised }},
	Unavailable:      {"unavailable", BasisVote, false, func(*genesis.Params) chain.BasisPoints { return 0 }}, // costs credit, not stake
}

// Known reports whether k is in the table of kinds.
func (k Kind) Known() bool { return k > 0 && int(k) < len(rules) }

func (k Kind) String() string {
	if k.Known() {
		return rules[k].name
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Basis is what a slash of this kind rests on; empty for an unknown kind.
func (k Kind) Basis() Basis {
	if k.Known() {
		return rules[k].basis
	}
	return ""
}

// Tombstones reports whether an offender of this kind is out for good.
func (k Kind) Tombstones() bool { return k.Known() && rules[k].tombstone }

// Penalty is the share of the stake at the offence that is lost.
func (k Kind) Penalty(p *genesis.Params) chain.BasisPoints {
	if k.Known() {
		return rules[k].penalty(p)
	}
	return 0
}

// ParseKind reads a kind's name.
func ParseKind(s string) (Kind, error) {
	for i := range rules {
		if i > 0 && rules[i].name == s {
			return Kind(i), nil
		}
	}
	return 0, fmt.Errorf("slashing: no kind %q; kinds are double-descriptor, double-seal, double-vote, lost-message, key-disclosure, unauthorised-software, unavailable", s)
}

// MarshalText gives the name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the name.
func (k *Kind) UnmarshalText(b []byte) (err error) {
	*k, err = ParseKind(string(b))
	return err
}

// The refusals; errors.Is compares their codes. The first group is the same
// offline and on chain, the second is known only to a ledger.
var (
	ErrMalformed       = &chain.Refusal{Code: "malformed_proof"}  // not the canonical encoding of a proof
	ErrUnsupportedKind = &chain.Refusal{Code: "unsupported_kind"} // a kind that this version does not judge
	ErrForeignNetwork  = &chain.Refusal{Code: "foreign_network"}  // of another genesis
	ErrWrongFork       = &chain.Refusal{Code: "wrong_fork"}       // the parts are of different forks, or of another than the ledger's
	ErrWrongPair       = &chain.Refusal{Code: "wrong_pair"}       // the statements differ in label, node or sequence, the headers in height or proposer
	ErrSameContent     = &chain.Refusal{Code: "same_content"}     // the two say the same
	ErrWrongEpoch      = &chain.Refusal{Code: "wrong_epoch"}      // the list is not of the time of the offence
	ErrNotListed       = &chain.Refusal{Code: "not_listed"}       // the entry does not show the node in the header's list
	ErrBadSignature    = &chain.Refusal{Code: "bad_signature"}    // a statement is not the node's, or a seal not the proposer's
	ErrBadHeader       = &chain.Refusal{Code: "bad_header"}       // the header, or neither of a double-seal's, is of this network's history

	ErrUnknownNode     = &chain.Refusal{Code: "unknown_node"}     // nothing is known, or bonded any more, of the node
	ErrExpired         = &chain.Refusal{Code: "proof_expired"}    // older than the evidence age
	ErrAlreadyPunished = &chain.Refusal{Code: "already_punished"} // this offence was, by this proof or another
	ErrSingleSealer    = &chain.Refusal{Code: "single_sealer"}    // a double-seal where nobody else can seal
	ErrUnbondedSealer  = &chain.Refusal{Code: "unbonded_sealer"}  // a double-seal where others can seal, and none has a bond
)

// Offence is what a verified proof shows.
type Offence struct {
	ID        chain.Hash // of the offence, not of the proof
	Kind      Kind
	Node      chain.NodeID  // of a double-seal the proposer
	Operator  chain.Address // as the carried directory entry names it; zero for a double-seal
	Epoch     chain.Epoch   // of the offence: the statements' sequence >> 20, or the later of the headers'
	ListEpoch chain.Epoch   // of the carried header's directory; zero for a double-seal
	Basis     Basis
	Height    chain.Height // of the carried header, or of the two
}
