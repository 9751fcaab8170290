package cometbft_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/light"
	oracle "github.com/cometbft/cometbft/types"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// randomHash is empty now and then.
func randomHash(rng *rand.Rand) (h chain.Hash) {
	if rng.IntN(8) > 0 {
		for i := range h {
			h[i] = byte(rng.Uint32())
		}
	}
	return h
}

func randomTime(rng *rand.Rand) cometbft.Time {
	const first, last = -62135596800, 253402300799 // years 1 and 9999
	switch rng.IntN(8) {
	case 0:
		return cometbft.Time{Seconds: first}
	case 1:
		return cometbft.Time{Seconds: last, Nanos: 999_999_999}
	case 2:
		return cometbft.Time{}
	case 3:
		return cometbft.Time{Seconds: first + rng.Int64N(-first), Nanos: rng.Uint32N(1_000_000_000)}
	}
	return cometbft.Time{Seconds: rng.Int64N(last), Nanos: rng.Uint32N(1_000_000_000)}
}

func randomBlockID(rng *rand.Rand) cometbft.BlockID {
	if rng.IntN(8) == 0 {
		return cometbft.BlockID{}
	}
	return cometbft.BlockID{Hash: randomHash(rng), Parts: cometbft.PartSet{Total: rng.Uint32() >> rng.IntN(33), Hash: randomHash(rng)}}
}

// upTo is a number of any length in bits.
func upTo(rng *rand.Rand, most int64) int64 { return min(rng.Int64()>>rng.IntN(63), most) }

// TestHashesAgainstCometBFT: hashes of headers and sets, addresses, the order of
// sets and what votes sign are CometBFT's, whatever the fields hold.
func TestHashesAgainstCometBFT(t *testing.T) {
	rng := seeded(1)
	for range 2000 {
		h := cometbft.Header{
			Version: cometbft.Version{Block: rng.Uint64() >> rng.IntN(65), App: rng.Uint64() >> rng.IntN(65)},
			ChainID: chainID[:rng.IntN(len(chainID)+1)], Height: chain.Height(upTo(rng, math.MaxInt64)), Time: randomTime(rng),
			LastBlockID: randomBlockID(rng), LastCommitHash: randomHash(rng), DataHash: randomHash(rng), ValidatorsHash: digest("some"),
			NextValidatorsHash: randomHash(rng), ConsensusHash: randomHash(rng), AppHash: randomHash(rng), LastResultsHash: randomHash(rng),
			EvidenceHash: randomHash(rng), ProposerAddress: cometbft.AddressOf(chain.NodeID(digest("%d", rng.Uint64()))),
		}
		if got, want := h.Hash(), oracleHeader(h).Hash(); !bytes.Equal(got[:], want) {
			t.Fatalf("header %+v\nhash %s, CometBFT's %s", h, got, want)
		}
		v := cometbft.Vote{Type: cometbft.VoteType(1 + rng.IntN(2)), Height: chain.Height(upTo(rng, math.MaxInt64)),
			Round: cometbft.Round(upTo(rng, math.MaxInt32)), BlockID: randomBlockID(rng), Time: randomTime(rng)}
		id := chainID[:rng.IntN(len(chainID)+1)]
		if got, want := v.SignBytes(id), oracle.VoteSignBytes(id, oracleVote(v).ToProto()); !bytes.Equal(got, want) {
			t.Fatalf("vote %+v\nsigns %x, CometBFT's %x", v, got, want)
		}
	}
	for n := 1; n <= 128; n++ {
		var members []cometbft.Validator
		var theirs []*oracle.Validator
		for i := range n {
			v := validator(i, cometbft.Power(1+upTo(rng, int64(cometbft.MaxTotalPower)/128-1)))
			if rng.IntN(3) == 0 {
				v.Power = 7 // some are equal
			}
			members = append(members, v)
			theirs = append(theirs, oracle.NewValidator(ed25519.PubKey(v.Key[:]), int64(v.Power)))
		}
		got, want := setOf(t, members), oracle.NewValidatorSet(theirs)
		hash := got.Hash()
		if !bytes.Equal(hash[:], want.Hash()) || int64(got.Total()) != want.TotalVotingPower() || got.Len() != want.Size() {
			t.Fatalf("%d validators: %s of power %d, CometBFT's %X of %d", n, hash, got.Total(), want.Hash(), want.TotalVotingPower())
		}
		for i := range got.Len() {
			address := cometbft.AddressOf(got.At(i).Key)
			if !bytes.Equal(address[:], want.Validators[i].Address) {
				t.Fatalf("place %d of %d is %s, CometBFT's %s", i, n, address, want.Validators[i].Address)
			}
			if at, ok := got.Find(address); !ok || at != i {
				t.Fatalf("%s found at %d, %t", address, at, ok)
			}
		}
	}
}

// randomMembers makes a set of n that has some of the former's members, with
// powers that may have changed.
func randomMembers(rng *rand.Rand, n int, former []cometbft.Validator) []cometbft.Validator {
	most := int64(1) << rng.IntN(40)
	var members []cometbft.Validator
	first, stay := 1000+len(former)*1000+rng.IntN(500), rng.IntN(5)
	for i := range n {
		v := validator(first+i, cometbft.Power(1+rng.Int64N(most)))
		if i < len(former) && rng.IntN(4) < stay {
			v.Key = former[i].Key
			if rng.IntN(2) == 0 {
				v.Power = former[i].Power
			}
		}
		members = append(members, v)
	}
	return members
}

func randomFlags(rng *rand.Rand, n int) []cometbft.Flag {
	flags := make([]cometbft.Flag, n)
	absent, null := rng.IntN(60), rng.IntN(30) // in a hundred
	for i := range flags {
		switch x := rng.IntN(100); {
		case x < absent:
			flags[i] = cometbft.FlagAbsent
		case x < absent+null:
			flags[i] = cometbft.FlagNil
		default:
			flags[i] = cometbft.FlagCommit
		}
	}
	return flags
}

// disturb changes something about a commit, or nothing.
func disturb(rng *rand.Rand, c *cometbft.Commit, set *cometbft.Set) string {
	i := rng.IntN(len(c.Signatures))
	s := &c.Signatures[i]
	if s.Flag == cometbft.FlagAbsent {
		return "nothing"
	}
	switch rng.IntN(14) {
	case 0:
		s.Signature[rng.IntN(64)] ^= 1 << rng.IntN(8)
		return "a signature"
	case 1:
		s.Validator[rng.IntN(20)] ^= 1
		return "an address"
	case 2:
		s.Time.Nanos ^= 1
		return "a time"
	case 3:
		s.Flag = cometbft.FlagCommit + cometbft.FlagNil - s.Flag
		return "a flag"
	case 4:
		*s = c.Signatures[rng.IntN(len(c.Signatures))]
		return "a double"
	case 5:
		c.Signatures = c.Signatures[:len(c.Signatures)-1]
		return "one less"
	case 6:
		c.Signatures = append(c.Signatures, *s)
		return "one more"
	case 7:
		c.Round++
		return "the round"
	}
	return "nothing"
}

// agree fails unless both accept or both refuse.
func agree(t *testing.T, what string, ours, theirs error) bool {
	t.Helper()
	if (ours == nil) != (theirs == nil) {
		t.Fatalf("%s: %v; CometBFT says: %v", what, ours, theirs)
	}
	return ours == nil
}

// TestCommitsAgainstCometBFT: random sets and commits, sound and not, are
// accepted by both or refused by both, by the set of the height and by a former
// one.
func TestCommitsAgainstCometBFT(t *testing.T) {
	rng := seeded(2)
	said := map[string]int{}
	for n := range 200 {
		size := 1 + rng.IntN(128)
		if n%4 > 0 {
			size = 1 + rng.IntN(8) // most are small: more luck with few votes
		}
		former := randomMembers(rng, 1+rng.IntN(size), nil)
		members := randomMembers(rng, size, former)
		set, trusted := setOf(t, members), setOf(t, former)
		header := headerAt(7, set, set)
		var flags []cometbft.Flag
		if rng.IntN(3) > 0 {
			flags = randomFlags(rng, size)
		}
		commit := commitTo(&header, set, cometbft.Round(rng.IntN(3)), flags)
		id := commit.BlockID
		what := disturb(rng, &commit, set)
		if commit.Validate() != nil {
			if what != "one less" { // of one
				t.Fatalf("%s: %v", what, commit.Validate())
			}
			continue
		}
		theirs, theirSet, theirTrusted := oracleCommit(commit), oracleSet(t, set), oracleSet(t, trusted)
		count := func(how string, ok bool) {
			if ok {
				said[how+" accepted"]++
			} else {
				said[how+" refused"]++
			}
		}
		count("light", agree(t, what, set.VerifyCommit(chainID, 7, id, &commit),
			theirSet.VerifyCommitLight(chainID, oracleBlockID(id), 7, theirs)))
		count("all", agree(t, what+" (all)", set.VerifyAll(chainID, 7, id, &commit),
			theirSet.VerifyCommit(chainID, oracleBlockID(id), 7, theirs)))
		count("trusting", agree(t, what+" (trusting)", trusted.VerifyTrusting(chainID, &commit),
			theirTrusted.VerifyCommitLightTrusting(chainID, theirs, light.DefaultTrustLevel)))
	}
	t.Log(said)
	for _, how := range []string{"light accepted", "light refused", "all accepted", "all refused", "trusting accepted", "trusting refused"} {
		if said[how] < 20 {
			t.Errorf("%s %d times: the samples say too little", how, said[how])
		}
	}
}

// TestPowerAtTheEdge: exactly two thirds, or a third, is not enough; one more is.
func TestPowerAtTheEdge(t *testing.T) {
	const most = int64(cometbft.MaxTotalPower)
	for _, c := range []struct {
		powers []int64 // the last one does not vote
		enough bool
	}{
		{[]int64{1, 1, 1}, false}, {[]int64{1, 2, 1}, true}, {[]int64{2, 1}, false}, {[]int64{3, 1}, true}, {[]int64{5, 3}, false},
		{[]int64{7, 3}, true}, {[]int64{most / 3, most / 3, most - 2*(most/3)}, false}, {[]int64{most/3 + 1, most / 3, most - 2*(most/3) - 1}, true},
	} {
		var members []cometbft.Validator
		for i, p := range c.powers {
			members = append(members, validator(i, cometbft.Power(p)))
		}
		absent := members[len(members)-1].Key
		set := setOf(t, members)
		flags := make([]cometbft.Flag, set.Len())
		for i := range flags {
			flags[i] = cometbft.FlagCommit
			if set.At(i).Key == absent {
				flags[i] = cometbft.FlagNil
			}
		}
		header := headerAt(3, set, set)
		commit := commitTo(&header, set, 0, flags)
		err := set.VerifyCommit(chainID, 3, commit.BlockID, &commit)
		agree(t, "edge", err, oracleSet(t, set).VerifyCommitLight(chainID, oracleBlockID(commit.BlockID), 3, oracleCommit(commit)))
		if (err == nil) != c.enough || !c.enough && !errors.Is(err, cometbft.ErrPower) {
			t.Errorf("%v: %v", c.powers, err)
		}
	}
	for _, c := range []struct {
		powers []int64 // the first one alone votes
		enough bool
	}{{[]int64{1, 2}, false}, {[]int64{1, 1}, true}, {[]int64{2, 3}, true}, {[]int64{most / 3, most - most/3}, false}, {[]int64{most/3 + 1, most - most/3 - 1}, true}} {
		var members []cometbft.Validator
		for i, p := range c.powers {
			members = append(members, validator(i, cometbft.Power(p)))
		}
		trusted, set := setOf(t, members), setOf(t, members[:1])
		header := headerAt(3, set, set)
		commit := commitTo(&header, set, 0, nil)
		err := trusted.VerifyTrusting(chainID, &commit)
		agree(t, "edge of trust", err, oracleSet(t, trusted).VerifyCommitLightTrusting(chainID, oracleCommit(commit), light.DefaultTrustLevel))
		if (err == nil) != c.enough || !c.enough && !errors.Is(err, cometbft.ErrTrust) {
			t.Errorf("trusting %v: %v", c.powers, err)
		}
	}
}

// TestAnotherQuestion: a sound commit is no answer for another height, block or
// chain, nor by other validators.
func TestAnotherQuestion(t *testing.T) {
	set, others := setOf(t, equals(0, 4)), setOf(t, equals(4, 4))
	header := headerAt(7, set, set)
	commit := commitTo(&header, set, 0, nil)
	id := commit.BlockID
	otherHash, otherParts := id, id
	flip(&otherHash.Hash)
	otherParts.Parts.Total++
	for _, c := range []struct {
		name   string
		chain  string
		set    *cometbft.Set
		height chain.Height
		id     cometbft.BlockID
		want   error
	}{
		{"the question", chainID, set, 7, id, nil},
		{"another chain", "tunic-other", set, 7, id, cometbft.ErrSignature},
		{"other validators", chainID, others, 7, id, cometbft.ErrSigner},
		{"another height", chainID, set, 8, id, cometbft.ErrCommit},
		{"another block", chainID, set, 7, otherHash, cometbft.ErrCommit},
		{"other parts", chainID, set, 7, otherParts, cometbft.ErrCommit},
		{"no block", chainID, set, 7, cometbft.BlockID{}, cometbft.ErrCommit},
	} {
		theirs := oracleSet(t, c.set)
		for how, errs := range map[string][2]error{
			"light": {c.set.VerifyCommit(c.chain, c.height, c.id, &commit),
				theirs.VerifyCommitLight(c.chain, oracleBlockID(c.id), int64(c.height), oracleCommit(commit))},
			"all": {c.set.VerifyAll(c.chain, c.height, c.id, &commit),
				theirs.VerifyCommit(c.chain, oracleBlockID(c.id), int64(c.height), oracleCommit(commit))},
		} {
			agree(t, c.name, errs[0], errs[1])
			if !errors.Is(errs[0], c.want) {
				t.Errorf("%s, %s: %v", c.name, how, errs[0])
			}
		}
	}
}
