package cometbft

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"tunic/chain"
)

// VerifyCommit says whether more than two thirds of the set's power signed this
// block at this height of this chain. It asks, in this order:
//
//   - the commit has a place for each validator, and is for this height and
//     block (ErrCommit);
//   - going up from place 0 until the power suffices, each signature for the
//     block names the validator of its place (ErrSigner);
//   - there is enough of them (ErrPower);
//   - each of those counted is the validator's (ErrSignature).
//
// It stops where the power suffices: what stands behind is not looked at, and
// neither are votes for nil. The commit has passed Validate.
func (s *Set) VerifyCommit(chainID string, height chain.Height, id BlockID, c *Commit) error {
	_, err := s.verifyCommit(chainID, height, id, c, false)
	return err
}

// VerifyAll is VerifyCommit that stops nowhere: every vote of the commit, those
// for nil too, has to be the one of its place's validator. It is what CometBFT
// asks of the commit inside a block.
func (s *Set) VerifyAll(chainID string, height chain.Height, id BlockID, c *Commit) error {
	_, err := s.verifyCommit(chainID, height, id, c, true)
	return err
}

func (s *Set) verifyCommit(chainID string, height chain.Height, id BlockID, c *Commit, all bool) (checked int, err error) {
	counted, err := s.count(height, id, c, all)
	if err != nil {
		return 0, err
	}
	return verifySignatures(chainID, c, counted)
}

// VerifyTrusting says whether more than a third of the set's power signed the
// commit, which may be of a later height and another set. It asks, in this order:
//
//   - going up from place 0 until the power suffices, no validator of the set
//     has signed the block at two places (ErrSigner);
//   - there is enough of them (ErrTrust);
//   - each of those counted is the validator's (ErrSignature).
//
// Signatures of others are passed over. That the commit is for a header, and
// that two thirds of its own set signed it, is VerifyCommit's question. The
// commit has passed Validate.
func (s *Set) VerifyTrusting(chainID string, c *Commit) error {
	counted, err := s.countTrusted(c)
	if err == nil {
		_, err = verifySignatures(chainID, c, counted)
	}
	return err
}

// counted is a signature that counts: its place in the commit and whose it has
// to be.
type counted struct {
	place int
	key   chain.NodeID
}

func (s *Set) count(height chain.Height, id BlockID, c *Commit, all bool) ([]counted, error) {
	switch {
	case len(c.Signatures) != len(s.validators):
		return nil, fmt.Errorf("%w: %d signatures of %d validators", ErrCommit, len(c.Signatures), len(s.validators))
	case c.Height != height:
		return nil, fmt.Errorf("%w: for height %d, not %d", ErrCommit, c.Height, height)
	case c.BlockID != id:
		return nil, fmt.Errorf("%w: for block %s, not %s", ErrCommit, c.BlockID.Hash, id.Hash)
	}
	var power Power // at most s.total: no place is counted twice
	needed := s.total * 2 / 3
	found := make([]counted, 0, len(c.Signatures))
	for i := range c.Signatures {
		signed := &c.Signatures[i]
		if signed.Flag != FlagCommit && (!all || signed.Flag == FlagAbsent) {
			continue
		}
		if signed.Validator != s.addresses[i] {
			return nil, fmt.Errorf("%w: place %d is of %s, not of %s", ErrSigner, i, s.addresses[i], signed.Validator)
		}
		found = append(found, counted{i, s.validators[i].Key})
		if signed.Flag == FlagCommit {
			power += s.validators[i].Power
		}
		if !all && power > needed {
			break
		}
	}
	if power <= needed {
		return nil, fmt.Errorf("%w: %d of %d at height %d", ErrPower, power, s.total, c.Height)
	}
	return found, nil
}

func (s *Set) countTrusted(c *Commit) ([]counted, error) {
	var power Power // at most s.total: no validator is counted twice
	needed := s.total / 3
	var found []counted
	seen := make(map[int]struct{}, len(c.Signatures))
	for i := range c.Signatures {
		signed := &c.Signatures[i]
		if signed.Flag != FlagCommit {
			continue
		}
		at, ok := s.places[signed.Validator]
		if !ok {
			continue
		}
		if _, twice := seen[at]; twice {
			return nil, fmt.Errorf("%w: %s signed twice", ErrSigner, signed.Validator)
		}
		seen[at] = struct{}{}
		found = append(found, counted{i, s.validators[at].Key})
		if power += s.validators[at].Power; power > needed {
			return found, nil
		}
	}
	return nil, fmt.Errorf("%w: %d of %d at height %d", ErrTrust, power, s.total, c.Height)
}

// verifySignatures checks each of the signatures and returns how many they were.
// They are checked together, which takes a third of the time: a sum of the
// equations, each times a coefficient that nobody can choose. With the cofactor,
// as here, that says of valid signatures that they are, and of an invalid one
// that it is with a chance of 2^-128 for each try. Where it says no, each is
// asked on its own, so that the answer is the one that single verification gives.
func verifySignatures(chainID string, c *Commit, of []counted) (int, error) {
	if len(of) == 1 {
		v := c.Vote(of[0].place)
		if !verifyOne(of[0].key, v.SignBytes(chainID), v.Signature) {
			return 1, wrongSignature(c, of[0])
		}
		return 1, nil
	}
	batch := ed25519.NewBatchVerifierWithCapacity(len(of))
	seed := sha256.New()
	seed.Write(batchLabel)
	var message [256]byte
	for _, n := range of {
		signature := &c.Signatures[n.place].Signature
		m := c.signBytes(message[:0], chainID, n.place)
		batch.AddWithOptions(n.key[:], m, signature[:], zip215)
		// The coefficients depend on all that is checked; the message is the
		// only part whose length is not fixed.
		seed.Write(n.key[:])
		seed.Write(signature[:])
		seed.Write(binary.BigEndian.AppendUint32(nil, uint32(len(m))))
		seed.Write(m)
	}
	ok, valid := batch.Verify(bytes.NewReader(seed.Sum(nil)))
	if ok {
		return len(of), nil
	}
	for i, good := range valid {
		if !good {
			return len(of), wrongSignature(c, of[i])
		}
	}
	return len(of), nil // each on its own is valid
}

var batchLabel = []byte("tunic cometbft batch")

func wrongSignature(c *Commit, n counted) error {
	return fmt.Errorf("%w: place %d, of %s, at height %d", ErrSignature, n.place, c.Signatures[n.place].Validator, c.Height)
}
