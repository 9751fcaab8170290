// Package slashing judges proofs of misbehaviour and punishes what they prove.
// It implements docs/spec/slashing.md.
//
// Most callers use Decode and Verify to judge a proof file, offline or not,
// Steps to show how the judgement was reached, and Assemble to make a proof of
// two statements, AssembleSeals of two headers, AssembleSoftware of a heartbeat,
// AssembleVerdict of votes, AssembleLost of a challenge that lapsed,
// AssembleDisclosure of a signature by a node's key. The machine joins Slashing to
// bonds and nodes and calls Commit for commits of disclosures, Punish for proofs,
// RecordVerdict for votes that it counted, Settle and Lapse at the beginning of each
// block, and Open, Answer, Draw and LapseChallenges for challenges.
//
// A kind is a row in each of two tables, rules and questions, and a file.
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

// rule is one row of the table of kinds: what a proof of the kind holds, whom it
// accuses, and what it costs. What is asked of it stands in the table questions.
type rule struct {
	name     string
	basis    Basis
	penalty  func(*genesis.Params) chain.BasisPoints
	then     consequence
	parts    []part // of the encoding, after the common head
	claim    func(Proof) (claim, bool)
	unpunish func(*genesis.Core) *chain.Refusal // why no ledger takes it for a penalty; nil: it does
	size     func(Proof) uint8                  // chunks that a penalty by size counts; nil: it does not go by size
}

// consequence is what follows beside the loss of stake.
type consequence uint8

const (
	tombstone    consequence = 1 << iota // out for good
	decommission                         // out of the lists to come
	correlate                            // a further loss where many are punished in one window
)

// rules is indexed by Kind; row 0 is empty.
var rules = [...]rule{
	DoubleDescriptor: {name: "double-descriptor", basis: BasisSignature, then: tombstone | correlate, parts: pairParts, claim: claimOfPair,
		penalty: func(p *genesis.Params) chain.BasisPoints { return p.SlashDoubleDescriptor }},
	DoubleSeal: {name: "double-seal", basis: BasisSignature, then: tombstone | correlate, parts: sealParts, claim: claimOfSeals, unpunish: unbonded,
		penalty: func(p *genesis.Params) chain.BasisPoints { return p.SlashDoubleSeal }},
	DoubleVote: {name: "double-vote", basis: BasisSignature, then: correlate, parts: pairParts, claim: claimOfVotes,
		penalty: func(p *genesis.Params) chain.BasisPoints { return p.SlashDoubleVote }},
	LostMessage: {name: "lost-message", basis: BasisUnanswered, parts: lostParts, claim: claimOfLost, size: sizeOfLost,
		penalty: func(p *genesis.Params) chain.BasisPoints { return p.SlashLostMessage }},
	KeyDisclosure: {name: "key-disclosure", basis: BasisSignature, then: tombstone | correlate, parts: disclosureParts, claim: claimOfDisclosure,
		penalty: func(p *genesis.Params) chain.BasisPoints { return p.SlashKeyDisclosure }},
	Unauthorised: {name: "unauthorised-software", basis: BasisSelfDeclared, then: decommission, parts: softwareParts, claim: claimOfSoftware,
		penalty: func(p *genesis.Params) chain.BasisPoints { return p.SlashUnauthorised }},
	Unavailable: {name: "unavailable", basis: BasisVote, parts: verdictParts, claim: claimOfVerdict, unpunish: counted,
		penalty: func(*genesis.Params) chain.BasisPoints { return 0 }}, // costs credit, not stake
}

// questions are what is asked of each kind once its bytes, kind and network are
// in order; cheap ones first. A kind without any is not judged.
var questions = [...][]question{
	DoubleDescriptor: descriptorQuestions,
	DoubleSeal:       sealQuestions,
	DoubleVote:       voteQuestions,
	LostMessage:      lostQuestions,
	KeyDisclosure:    disclosureQuestions,
	Unauthorised:     softwareQuestions,
	Unavailable:      verdictQuestions,
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
func (k Kind) Tombstones() bool { return k.then(tombstone) }

// Correlates reports whether offenders of this kind lose more where many of
// these kinds are punished in one window.
func (k Kind) Correlates() bool { return k.then(correlate) }

func (k Kind) then(c consequence) bool { return k.Known() && rules[k].then&c != 0 }

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
	ErrWrongPair       = &chain.Refusal{Code: "wrong_pair"}       // the statements differ in label, node, sequence or subject, the headers in height or proposer
	ErrWrongStatement  = &chain.Refusal{Code: "wrong_statement"}  // the statement is no heartbeat, or no storage receipt
	ErrSameContent     = &chain.Refusal{Code: "same_content"}     // the two say the same
	ErrWrongEpoch      = &chain.Refusal{Code: "wrong_epoch"}      // the list is not of the time of the offence
	ErrNotListed       = &chain.Refusal{Code: "not_listed"}       // the entry does not show the node in the header's list
	ErrBadState        = &chain.Refusal{Code: "bad_state"}        // the state proof does not show its row, of parameters, a commit or a challenge, under its header
	ErrKeyNotInForce   = &chain.Refusal{Code: "key_not_in_force"} // the list names another onion key of the node: rotated, or not begun
	ErrEarlyBeacon     = &chain.Refusal{Code: "early_beacon"}     // the beacon is not of a later epoch than the commit
	ErrNotLapsed       = &chain.Refusal{Code: "not_lapsed"}       // the challenge was open
	ErrVersionAllowed  = &chain.Refusal{Code: "version_allowed"}  // the version may run, or any may
	ErrInGrace         = &chain.Refusal{Code: "in_grace"}         // signed before the time of grace was over
	ErrWrongQuorum     = &chain.Refusal{Code: "wrong_quorum"}     // the entries are not those drawn, or a voter has no seat
	ErrTooFewVotes     = &chain.Refusal{Code: "too_few_votes"}    // below the number needed, or a vote that finds nothing unfit
	ErrBadSignature    = &chain.Refusal{Code: "bad_signature"}    // a statement is not the node's, or a seal not the proposer's
	ErrBadHeader       = &chain.Refusal{Code: "bad_header"}       // the header, or neither of a double-seal's, is of this network's history

	ErrUnknownNode     = &chain.Refusal{Code: "unknown_node"}     // nothing is known, or bonded any more, of the node
	ErrExpired         = &chain.Refusal{Code: "proof_expired"}    // older than the evidence age
	ErrAlreadyPunished = &chain.Refusal{Code: "already_punished"} // this offence was, by this proof or another
	ErrSingleSealer    = &chain.Refusal{Code: "single_sealer"}    // a double-seal where nobody else can seal
	ErrCounted         = &chain.Refusal{Code: "counted_on_chain"} // votes count where they are published, not by a proof
	ErrCommitLapsed    = &chain.Refusal{Code: "commit_lapsed"}    // no such commit is live: made too long ago, or never
	ErrWrongReporter   = &chain.Refusal{Code: "wrong_reporter"}   // only whom the disclosure is signed for may reveal it
	ErrUnbondedSealer  = &chain.Refusal{Code: "unbonded_sealer"}  // a double-seal where others can seal, and none has a bond
)

// Offence is what a verified proof shows.
type Offence struct {
	ID        chain.Hash // of the offence, not of the proof
	Kind      Kind
	Node      chain.NodeID  // of a double-seal the proposer
	Operator  chain.Address // as the carried directory entry names it; zero for a double-seal and, in a proof alone, for an unavailable
	Epoch     chain.Epoch   // of the offence: the statements' sequence >> 20, the votes' epoch, the later of the headers' or that of the carried one, or in which the challenge lapsed
	ListEpoch chain.Epoch   // of the carried header's directory; zero for a double-seal
	Basis     Basis
	Height    chain.Height // of the carried header, or of the two
	Commit    CommitKey    // that a key-disclosure opens; zero in a record, whose proof says it
}
