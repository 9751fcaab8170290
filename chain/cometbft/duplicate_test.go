package cometbft_test

import (
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/cometbft/cometbft/evidence"
	oracle "github.com/cometbft/cometbft/types"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// oracleEvidence is CometBFT's word on two votes, which it puts in order itself.
func oracleEvidence(t *testing.T, set *cometbft.Set, a, b cometbft.Vote) error {
	t.Helper()
	theirs := oracleSet(t, set)
	e, err := oracle.NewDuplicateVoteEvidence(oracleVote(a), oracleVote(b), time.Unix(began, 0), theirs)
	if err == nil {
		err = e.ValidateBasic()
	}
	if err == nil {
		err = evidence.VerifyDuplicateVote(e, chainID, theirs)
	}
	return err
}

// TestDuplicateVoteAgainstCometBFT: pairs of votes, sound and not, are evidence
// for both or for none.
func TestDuplicateVoteAgainstCometBFT(t *testing.T) {
	set := setOf(t, equals(0, 4))
	key, other := set.At(1).Key, set.At(2).Key
	a := voteFor(key, digest("a"))
	resign := func(v *cometbft.Vote) { v.Signature = [64]byte(ed25519.Sign(keys[key], v.SignBytes(chainID))) }
	for _, c := range []struct {
		name   string
		change func(b *cometbft.Vote) // another vote, for block b
		want   error
	}{
		{"two blocks", func(*cometbft.Vote) {}, nil},
		{"a block and nil", func(b *cometbft.Vote) { *b = voteFor(key, chain.Hash{}) }, nil},
		{"one hash in other parts", func(b *cometbft.Vote) { b.BlockID = a.BlockID; b.BlockID.Parts.Total = 300; resign(b) }, nil},
		{"one hash in parts of another hash", func(b *cometbft.Vote) { b.BlockID = a.BlockID; flip(&b.BlockID.Parts.Hash); resign(b) }, nil},
		{"at other times", func(b *cometbft.Vote) { b.Time.Seconds += 7; resign(b) }, nil},
		{"one block at two times", func(b *cometbft.Vote) { b.BlockID = a.BlockID; b.Time.Seconds += 7; resign(b) }, cometbft.ErrDuplicate},
		{"one vote", func(b *cometbft.Vote) { *b = a }, cometbft.ErrDuplicate},
		{"two heights", func(b *cometbft.Vote) { b.Height++; resign(b) }, cometbft.ErrDuplicate},
		{"two rounds", func(b *cometbft.Vote) { b.Round++; resign(b) }, cometbft.ErrDuplicate},
		{"two types", func(b *cometbft.Vote) { b.Type = cometbft.Prevote; resign(b) }, cometbft.ErrDuplicate},
		{"two validators", func(b *cometbft.Vote) { *b = voteFor(other, digest("b")) }, cometbft.ErrDuplicate},
		{"half a block id", func(b *cometbft.Vote) { b.BlockID.Parts = cometbft.PartSet{}; resign(b) }, cometbft.ErrDuplicate},
		{"a wrong signature", func(b *cometbft.Vote) { b.Signature[0] ^= 1 }, cometbft.ErrSignature},
		{"a changed time", func(b *cometbft.Vote) { b.Time.Nanos++ }, cometbft.ErrSignature},
		{"signed by another", func(b *cometbft.Vote) {
			b.Signature = [64]byte(ed25519.Sign(keys[other], b.SignBytes(chainID)))
		}, cometbft.ErrSignature},
		{"for another chain", func(b *cometbft.Vote) {
			b.Signature = [64]byte(ed25519.Sign(keys[key], b.SignBytes("tunic-other")))
		}, cometbft.ErrSignature},
	} {
		b := voteFor(key, digest("b"))
		c.change(&b)
		for _, pair := range [][2]cometbft.Vote{{a, b}, {b, a}} {
			d, ours := cometbft.NewDuplicateVote(key, pair[0], pair[1])
			if ours == nil {
				ours = d.Verify(chainID)
			}
			agree(t, c.name, ours, oracleEvidence(t, set, pair[0], pair[1]))
			if !errors.Is(ours, c.want) {
				t.Errorf("%s: %v", c.name, ours)
			}
			if ours != nil {
				continue
			}
			reverse, err := cometbft.NewDuplicateVote(key, pair[1], pair[0])
			if err != nil || reverse != d {
				t.Errorf("%s: the order of the votes matters: %v", c.name, err)
			}
			e := oracle.DuplicateVoteEvidence{VoteA: oracleVote(d.Votes()[0]), VoteB: oracleVote(d.Votes()[1])}
			if err := e.ValidateBasic(); err != nil {
				t.Errorf("%s: not CometBFT's order: %v", c.name, err)
			}
			swapped := d
			swapped.First, swapped.Second = d.Second, d.First
			if err := swapped.Verify(chainID); !errors.Is(err, cometbft.ErrDuplicate) {
				t.Errorf("%s, in the wrong order: %v", c.name, err)
			}
			if again, err := cometbft.DecodeDuplicateVote(d.Encode()); err != nil || again != d {
				t.Errorf("%s: read again: %v", c.name, err)
			}
			if _, err := cometbft.DecodeDuplicateVote(swapped.Encode()); !errors.Is(err, cometbft.ErrDuplicate) {
				t.Errorf("%s: the wrong order was read: %v", c.name, err)
			}
		}
	}
	// Part totals are ordered as their protobuf is.
	for _, totals := range [][2]uint32{{1, 2}, {127, 128}, {128, 129}, {255, 256}, {300, 16384}, {1 << 31, 3}} {
		v, w := voteFor(key, digest("a")), voteFor(key, digest("a"))
		v.BlockID.Parts.Total, w.BlockID.Parts.Total = totals[0], totals[1]
		resign(&v)
		resign(&w)
		d, err := cometbft.NewDuplicateVote(key, v, w)
		if err != nil {
			t.Fatal(err)
		}
		e := oracle.DuplicateVoteEvidence{VoteA: oracleVote(d.Votes()[0]), VoteB: oracleVote(d.Votes()[1])}
		if err := e.ValidateBasic(); err != nil {
			t.Errorf("totals %v: not CometBFT's order: %v", totals, err)
		}
	}
	weak := chain.NodeID{0: 1}
	bad := cometbft.DuplicateVote{Validator: weak, Type: cometbft.Prevote, Height: 1, Second: cometbft.Ballot{BlockID: a.BlockID}}
	if err := bad.Validate(); !errors.Is(err, cometbft.ErrDuplicate) {
		t.Errorf("a key with which anyone can vote: %v", err)
	}
}
