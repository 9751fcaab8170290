package cometbft

import (
	"fmt"

	"tunic/chain"
)

// Certificate is a header with what shows that it was decided. Its sets are
// optional: whoever follows a chain knows them most of the time.
type Certificate struct {
	Header Header
	Commit Commit
	Set    *Set // that signed; nil: not sent along
	Next   *Set // that signs the next height; nil: not sent along
}

// Validate asks what a certificate says of itself, without a signature, in this
// order: Header.Validate; Commit.Validate; the commit is for the header's height
// and hash (ErrCommit); sets that came along are those that the header names
// (ErrSet).
func (c *Certificate) Validate(chainID string) error {
	_, err := c.validate(chainID)
	return err
}

// validate returns the header's hash too.
func (c *Certificate) validate(chainID string) (chain.Hash, error) {
	if err := c.Header.Validate(chainID); err != nil {
		return chain.Hash{}, err
	}
	if err := c.Commit.Validate(); err != nil {
		return chain.Hash{}, err
	}
	hash := c.Header.Hash()
	switch {
	case c.Commit.Height != c.Header.Height:
		return hash, fmt.Errorf("%w: for height %d, the header is of %d", ErrCommit, c.Commit.Height, c.Header.Height)
	case c.Commit.BlockID.Hash != hash:
		return hash, fmt.Errorf("%w: for block %s, the header is of %s", ErrCommit, c.Commit.BlockID.Hash, hash)
	case c.Set != nil && c.Set.hash != c.Header.ValidatorsHash:
		return hash, fmt.Errorf("%w: set %s, the header names %s", ErrSet, c.Set.hash, c.Header.ValidatorsHash)
	case c.Next != nil && c.Next.hash != c.Header.NextValidatorsHash:
		return hash, fmt.Errorf("%w: next set %s, the header names %s", ErrSet, c.Next.hash, c.Header.NextValidatorsHash)
	}
	return hash, nil
}
