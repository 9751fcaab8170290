package cometbft

import (
	"fmt"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"tunic/chain"
)

// VoteType says on what a validator votes.
type VoteType uint8

// The two votes of a round. Numbers as CometBFT's.
const (
	Prevote   VoteType = 1
	Precommit VoteType = 2
)

func (t VoteType) String() string {
	switch t {
	case Prevote:
		return "prevote"
	case Precommit:
		return "precommit"
	}
	return fmt.Sprintf("vote of type %d", uint8(t))
}

// Vote is a validator's vote in one round. The validator's place in its set,
// which CometBFT sends along and nobody signs, is left out, and so are vote
// extensions, which are signed on their own.
type Vote struct {
	Type      VoteType
	Height    chain.Height
	Round     Round
	BlockID   BlockID // zero: for nil
	Time      Time
	Validator Address
	Signature [64]byte
}

// SignBytes is what the validator signs. The address is not part of it.
func (v *Vote) SignBytes(chainID string) []byte {
	return appendSignBytes(nil, chainID, v.Type, v.Height, v.Round, v.BlockID, v.Time)
}

// Verify says whether the vote is by the validator with this key: ErrSigner
// where the address is another's, ErrSignature where the signature is not its.
func (v *Vote) Verify(chainID string, key chain.NodeID) error {
	if AddressOf(key) != v.Validator {
		return fmt.Errorf("%w: a vote of %s, not of %s", ErrSigner, v.Validator, AddressOf(key))
	}
	if !verifyOne(key, v.SignBytes(chainID), v.Signature) {
		return fmt.Errorf("%w: of %s for height %d", ErrSignature, v.Validator, v.Height)
	}
	return nil
}

// zip215 is CometBFT's rule for signatures (ZIP-215): the equation with the
// cofactor, R and keys in any encoding, S below the order. All other signatures
// of Tunic are held to the stricter rule of chain/statement; a commit is not
// ours to be strict about, see docs/spec/cometbft.md.
var zip215 = &ed25519.Options{Verify: ed25519.VerifyOptionsZIP_215}

func verifyOne(key chain.NodeID, message []byte, signature [64]byte) bool {
	return ed25519.VerifyWithOptions(key[:], message, signature[:], zip215)
}
