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
