package cometbft

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/statement"
)

// DuplicateVote is one validator's two votes on one question: the same height,
// round and type, and two blocks, of which one may be nil. Whether the validator
// was one at that height is for whoever knows the set.
//
// One offence has many forms: votes for a third block, other times, and other
// signatures of the same vote, which the signer can make. It is known by chain,
// validator and height.
type DuplicateVote struct {
	Validator     chain.NodeID
	Type          VoteType
	Height        chain.Height
	Round         Round
	First, Second Ballot // ascending: nil first, then by hash of the block
}

// Ballot is what two votes on one question may differ in.
type Ballot struct {
	BlockID   BlockID // zero: for nil
	Time      Time
	Signature [64]byte
}

// NewDuplicateVote makes the evidence from two votes of the validator with this
// key, in any order, and validates it. It checks no signature.
func NewDuplicateVote(key chain.NodeID, a, b Vote) (DuplicateVote, error) {
	address := AddressOf(key)
	if a.Validator != address || b.Validator != address || a.Type != b.Type || a.Height != b.Height || a.Round != b.Round {
		return DuplicateVote{}, fmt.Errorf("%w: %s %d/%d/%s and %s %d/%d/%s, of %s", ErrDuplicate,
			a.Type, a.Height, a.Round, a.Validator, b.Type, b.Height, b.Round, b.Validator, address)
	}
	if a.BlockID.compare(b.BlockID) > 0 {
		a, b = b, a
	}
	d := DuplicateVote{key, a.Type, a.Height, a.Round, ballot(a), ballot(b)}
	return d, d.Validate()
}

func ballot(v Vote) Ballot { return Ballot{v.BlockID, v.Time, v.Signature} }

// Validate asks, without a signature (ErrDuplicate): the type is known, height
// and round are in range, the key is none with which anyone could vote, each
// ballot is for nil or a complete block at a time that can be written, and they
// stand in order, which two of one block do not.
func (d *DuplicateVote) Validate() error {
	switch {
	case d.Type != Prevote && d.Type != Precommit:
		return fmt.Errorf("%w: %s", ErrDuplicate, d.Type)
	case d.Height == 0 || d.Height > MaxHeight || d.Round > MaxRound:
		return fmt.Errorf("%w: height %d, round %d", ErrDuplicate, d.Height, d.Round)
	case !statement.Canonical(d.Validator):
		return fmt.Errorf("%w: %s is a key with which anyone could vote", ErrDuplicate, d.Validator)
	}
	for _, b := range []*Ballot{&d.First, &d.Second} {
		if !b.BlockID.IsNil() && !b.BlockID.IsComplete() {
			return fmt.Errorf("%w: a vote for half a block id", ErrDuplicate)
		}
		if !b.Time.Valid() {
			return fmt.Errorf("%w: time of %d s and %d ns", ErrDuplicate, b.Time.Seconds, b.Time.Nanos)
		}
	}
	switch c := d.First.BlockID.compare(d.Second.BlockID); {
	case c == 0:
		return fmt.Errorf("%w: both votes are for one block", ErrDuplicate)
	case c > 0:
		return fmt.Errorf("%w: the votes stand in the wrong order", ErrDuplicate)
	}
	return nil
}

// Verify validates the evidence and checks both signatures (ErrSignature) by
// CometBFT's rule: what it took for a vote is one.
func (d *DuplicateVote) Verify(chainID string) error {
	if err := d.Validate(); err != nil {
		return err
	}
	for i, v := range d.Votes() {
		if !verifyOne(d.Validator, v.SignBytes(chainID), v.Signature) {
			return fmt.Errorf("%w: vote %d of %s for height %d", ErrSignature, i+1, d.Validator, d.Height)
		}
	}
	return nil
}

// Votes are the two votes.
func (d *DuplicateVote) Votes() [2]Vote {
	var votes [2]Vote
	for i, b := range [2]Ballot{d.First, d.Second} {
		votes[i] = Vote{d.Type, d.Height, d.Round, b.BlockID, b.Time, AddressOf(d.Validator), b.Signature}
	}
	return votes
}
