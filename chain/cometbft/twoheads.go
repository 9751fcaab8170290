package cometbft

import "fmt"

// TwoHeads is the evidence that more than a third of the validators signed two
// histories: two certificates of one height, or of two heights of which one
// cannot stand above the other. Both have their sets, as a Follower gives them.
type TwoHeads struct {
	First, Second Certificate // in the order in which they were seen
}

func (e *TwoHeads) Error() string {
	return fmt.Sprintf("%v: height %d, %s, and height %d, %s", ErrTwoHeads,
		e.First.Header.Height, e.First.Commit.BlockID.Hash, e.Second.Header.Height, e.Second.Commit.BlockID.Hash)
}

func (e *TwoHeads) Unwrap() error { return ErrTwoHeads }

// Verify asks of evidence that comes from elsewhere, in this order: both
// certificates are of the chain and bring their sets (Validate, ErrNoSet); they
// cannot be of one history (ErrOrder where they can); both sets have signed
// (VerifyCommit). Whether these were the validators is for whoever knows them.
func (e *TwoHeads) Verify(chainID string) error {
	for _, c := range []*Certificate{&e.First, &e.Second} {
		if err := c.Validate(chainID); err != nil {
			return err
		}
		if c.Set == nil {
			return fmt.Errorf("%w: height %d", ErrNoSet, c.Header.Height)
		}
	}
	low, high := &e.First, &e.Second
	if low.Header.Height > high.Header.Height {
		low, high = high, low
	}
	apart := low.Header.Time.Compare(high.Header.Time) >= 0
	switch high.Header.Height - low.Header.Height {
	case 0:
		apart = low.Commit.BlockID.Hash != high.Commit.BlockID.Hash
	case 1:
		apart = apart || high.Header.LastBlockID.Hash != low.Commit.BlockID.Hash
	}
	if !apart {
		return fmt.Errorf("%w: heights %d and %d can be of one history", ErrOrder, low.Header.Height, high.Header.Height)
	}
	for _, c := range []*Certificate{&e.First, &e.Second} {
		if err := c.Set.VerifyCommit(chainID, c.Header.Height, c.Commit.BlockID, &c.Commit); err != nil {
			return err
		}
	}
	return nil
}

// Duplicates are the votes that some validators gave twice: those who voted in
// one round for both blocks of one height, or for one and for nil. There are
// none where the two commits are of two rounds or heights; who cheated then, the
// commits alone do not show. Each is verified, by places of the first commit.
func (e *TwoHeads) Duplicates(chainID string) []DuplicateVote {
	a, b := &e.First, &e.Second
	if a.Set == nil {
		return nil // not from a Follower
	}
	votes := make(map[Address]Vote, len(b.Commit.Signatures))
	for i := range b.Commit.Signatures {
		if b.Commit.Signatures[i].Flag != FlagAbsent {
			v := b.Commit.Vote(i)
			votes[v.Validator] = v
		}
	}
	var found []DuplicateVote
	for i := range a.Commit.Signatures {
		if a.Commit.Signatures[i].Flag == FlagAbsent {
			continue
		}
		first := a.Commit.Vote(i)
		second, ok := votes[first.Validator]
		at, member := a.Set.Find(first.Validator)
		if !ok || !member {
			continue
		}
		if d, err := NewDuplicateVote(a.Set.At(at).Key, first, second); err == nil && d.Verify(chainID) == nil {
			found = append(found, d)
		}
	}
	return found
}
