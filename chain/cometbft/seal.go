package cometbft

import (
	"encoding/hex"
	"fmt"

	"tunic/chain"
)

// ChainID is what CometBFT calls a network of ours.
func ChainID(genesis chain.Hash) string { return "tunic-" + hex.EncodeToString(genesis[:20]) }

// SetOf is the set of these nodes, each with a power of 1: what a network's
// validators are.
func SetOf(nodes []chain.NodeID) (*Set, error) {
	all := make([]Validator, len(nodes))
	for i, n := range nodes {
		all[i] = Validator{n, 1}
	}
	return NewSet(all)
}

// Of reads the certificate that stands behind a committed header of ours. The
// state after height H is named by CometBFT's header of height H + 1: the
// certificate must be of that height, and name this header's hash. Whether its
// commit is that of the validators is another question (Set.VerifyCommit).
func Of(s chain.SealedHeader) (Certificate, error) {
	if !s.Header.Committed {
		return Certificate{}, fmt.Errorf("%w: height %d is sealed and not committed", ErrHeader, s.Header.Height)
	}
	c, err := DecodeCertificate(s.Commit)
	if err == nil {
		err = c.Validate(ChainID(s.Header.Genesis))
	}
	hash := s.Header.Hash()
	switch {
	case err != nil:
		return c, fmt.Errorf("read the commit of height %d: %w", s.Header.Height, err)
	case c.Header.Height != s.Header.Height+1:
		return c, fmt.Errorf("%w: it stands behind height %d and is of %d", ErrHeader, s.Header.Height, c.Header.Height)
	case c.Header.AppHash != hash:
		return c, fmt.Errorf("%w: it names the state %s after height %d, the header is %s", ErrHeader, c.Header.AppHash, s.Header.Height, hash)
	}
	return c, nil
}

// VerifySealed says whether this set has committed to a header of ours: what Of
// asks, and VerifyCommit.
func (s *Set) VerifySealed(h chain.SealedHeader) error {
	c, err := Of(h)
	switch {
	case err != nil:
		return err
	case c.Header.ValidatorsHash != s.hash:
		return fmt.Errorf("%w: height %d is decided by the set %s, not %s", ErrSet, c.Header.Height, c.Header.ValidatorsHash, s.hash)
	}
	return s.VerifyCommit(ChainID(h.Header.Genesis), c.Header.Height, c.Commit.BlockID, &c.Commit)
}
