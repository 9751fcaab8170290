package cometbft

import (
	"fmt"

	"tunic/chain"
)

// Flag says what a validator did in the round that decided a height.
type Flag uint8

// Numbers as CometBFT's. Zero is none of them.
const (
	FlagAbsent Flag = 1 // no vote was seen
	FlagCommit Flag = 2 // voted for the block
	FlagNil    Flag = 3 // voted for no block
)

func (f Flag) String() string {
	switch f {
	case FlagAbsent:
		return "absent"
	case FlagCommit:
		return "block"
	case FlagNil:
		return "nil"
	}
	return fmt.Sprintf("flag %d", uint8(f))
}

// CommitSig is what one validator contributed to a commit. Of an absent one
// everything but the flag is zero.
type CommitSig struct {
	Flag      Flag
	Validator Address
	Time      Time
	Signature [64]byte
}

// Commit is the precommits by which a height was decided, one place for each
// validator in the order of the set.
type Commit struct {
	Height     chain.Height
	Round      Round
	BlockID    BlockID
	Signatures []CommitSig
}

// Vote is the vote at place i, which must not be an absent one's.
func (c *Commit) Vote(i int) Vote {
	s := &c.Signatures[i]
	v := Vote{Type: Precommit, Height: c.Height, Round: c.Round, Time: s.Time, Validator: s.Validator, Signature: s.Signature}
	if s.Flag == FlagCommit {
		v.BlockID = c.BlockID
	}
	return v
}

// Votes is how many voted for the block.
func (c *Commit) Votes() int {
	n := 0
	for i := range c.Signatures {
		if c.Signatures[i].Flag == FlagCommit {
			n++
		}
	}
	return n
}

func (c *Commit) signBytes(b []byte, chainID string, i int) []byte {
	v := c.Vote(i)
	return appendSignBytes(b, chainID, v.Type, v.Height, v.Round, v.BlockID, v.Time)
}

// Validate asks for the form alone (ErrCommit): height and round in range, a
// block, 1 to MaxValidators places, and in each a known flag, a time that can be
// written, and nothing beside the flag of an absent one.
func (c *Commit) Validate() error {
	switch {
	case c.Height == 0 || c.Height > MaxHeight:
		return fmt.Errorf("%w: height %d", ErrCommit, c.Height)
	case c.Round > MaxRound:
		return fmt.Errorf("%w: round %d", ErrCommit, c.Round)
	case c.BlockID.IsNil():
		return fmt.Errorf("%w: for no block", ErrCommit)
	case len(c.Signatures) == 0 || len(c.Signatures) > MaxValidators:
		return fmt.Errorf("%w: %d signatures; 1 to %d", ErrCommit, len(c.Signatures), MaxValidators)
	}
	for i := range c.Signatures {
		s := &c.Signatures[i]
		switch s.Flag {
		case FlagAbsent:
			if *s != (CommitSig{Flag: FlagAbsent}) {
				return fmt.Errorf("%w: place %d is absent and has a vote", ErrCommit, i)
			}
		case FlagCommit, FlagNil:
			if !s.Time.Valid() {
				return fmt.Errorf("%w: place %d has a time of %d s and %d ns", ErrCommit, i, s.Time.Seconds, s.Time.Nanos)
			}
		default:
			return fmt.Errorf("%w: place %d has flag %d", ErrCommit, i, s.Flag)
		}
	}
	return nil
}
