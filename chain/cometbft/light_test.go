package cometbft_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/light"
	"github.com/oasisprotocol/curve25519-voi/curve"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// mutateAny changes one thing somewhere in a certificate, or nothing.
func mutateAny(rng *rand.Rand, c *cometbft.Certificate) {
	switch rng.IntN(6) {
	case 0:
		headerMutations[rng.IntN(len(headerMutations))].change(c)
		if rng.IntN(2) == 0 {
			c.Commit = commitTo(&c.Header, c.Set, 0, nil)
		}
	case 1:
		if len(c.Commit.Signatures) > 3 {
			commitMutations[rng.IntN(len(commitMutations))].change(c)
		}
	case 2:
		disturb(rng, &c.Commit, c.Set)
	}
}

// TestFollowerAgainstCometBFT gives random trusted certificates, random ones to
// accept and random clocks to both. They agree, also on whether a step between
// is missing, but for one intended difference: a header that names another
// parent than the trusted one right below it.
func TestFollowerAgainstCometBFT(t *testing.T) {
	rng := seeded(3)
	said := map[string]int{}
	for n := range 400 {
		size := 1 + rng.IntN(12)
		if n%50 == 0 {
			size = 100
		}
		members := randomMembers(rng, size, nil)
		set := setOf(t, members)
		trusted := certify(headerAt(chain.Height(1+rng.IntN(20)), set, set), set, nil)

		height := trusted.Header.Height + chain.Height(1+rng.IntN(3))
		if rng.IntN(2) == 0 {
			members = randomMembers(rng, 1+rng.IntN(size+3), members)
		}
		own := setOf(t, members)
		if rng.IntN(8) > 0 && height == trusted.Header.Height+1 {
			trusted.Header.NextValidatorsHash = own.Hash()
			trusted.Commit = commitTo(&trusted.Header, set, 0, nil)
		}
		c := cometbft.Certificate{Header: headerAt(height, own, own), Set: own}
		if rng.IntN(8) > 0 {
			c.Header.LastBlockID = trusted.Commit.BlockID // right above it, the only one
		}
		var flags []cometbft.Flag
		if rng.IntN(2) == 0 {
			flags = randomFlags(rng, own.Len())
		}
		c.Commit = commitTo(&c.Header, own, cometbft.Round(rng.IntN(2)), flags)
		mutateAny(rng, &c)

		now := nowAt(height)
		switch rng.IntN(8) {
		case 0:
			now += chain.Time(config.TrustingPeriod) - 4000 + chain.Time(rng.IntN(4000))
		case 1:
			now -= chain.Time(config.MaxAhead) + chain.Time(rng.IntN(4000))
		}
		cfg := config
		cfg.MaxAhead = chain.Duration(rng.IntN(2)) * minute

		f, err := cometbft.FromCertificate(cfg, trusted, trusted.Header.Hash())
		if err != nil {
			t.Fatal(err)
		}
		ours := f.Accept(c, now)
		theirs := verifyLight(t, cfg, trusted, c, now)
		if errors.Is(ours, cometbft.ErrTwoHeads) {
			switch above := c.Header.Height - trusted.Header.Height; {
			case above == 0 && theirs != nil:
				said["a second header"]++ // CometBFT refuses it for its height
			case above == 1 && theirs == nil && c.Header.LastBlockID.Hash != trusted.Header.Hash():
				said["names another parent"]++
			default:
				t.Fatalf("case %d: %v; CometBFT says: %v", n, ours, theirs)
			}
			continue
		}
		agree(t, "case", ours, theirs)
		var theirStep light.ErrNewValSetCantBeTrusted
		if step := errors.Is(ours, cometbft.ErrTrust); step != errors.As(theirs, &theirStep) {
			t.Fatalf("case %d: %v; CometBFT says: %v", n, ours, theirs)
		}
		for _, err := range []error{nil, cometbft.ErrChain, cometbft.ErrHeader, cometbft.ErrCommit, cometbft.ErrSet, cometbft.ErrSigner, cometbft.ErrSignature,
			cometbft.ErrPower, cometbft.ErrTrust, cometbft.ErrExpired, cometbft.ErrFuture, cometbft.ErrOrder} {
			if errors.Is(ours, err) {
				what := "accepted"
				if err != nil {
					what = err.Error()
				}
				said[what]++
			}
		}
	}
	t.Log(said)
	if said["accepted"] < 40 || len(said) < 10 {
		t.Errorf("the samples say too little: %v", said)
	}
}

// TestIntendedDifferences is the table of what CometBFT's light client accepts
// and this package does not, beside the other parent above.
func TestIntendedDifferences(t *testing.T) {
	set := setOf(t, equals(0, 4))
	trusted := certify(headerAt(3, set, set), set, nil)

	t.Run("a key with which anyone can vote", func(t *testing.T) {
		// A key of order 1 adds nothing to the equation: R = S*B will do.
		weak := chain.NodeID{0: 1}
		var sig [64]byte
		copy(sig[:], curve.ED25519_BASEPOINT_COMPRESSED[:])
		sig[32] = 1
		for _, message := range []string{"one", "two"} {
			if !ed25519.PubKey(weak[:]).VerifySignature([]byte(message), sig[:]) {
				t.Error("CometBFT refuses it too")
			}
		}
		members := append(equals(0, 3), cometbft.Validator{Key: weak, Power: 1})
		if _, err := cometbft.NewSet(members); !errors.Is(err, cometbft.ErrSet) {
			t.Errorf("%v", err)
		}
	})
	t.Run("more validators than are read", func(t *testing.T) {
		if _, err := cometbft.NewSet(make([]cometbft.Validator, cometbft.MaxValidators+1)); !errors.Is(err, cometbft.ErrSet) {
			t.Errorf("%v", err)
		}
	})
	// A vote for nil is passed over by both, wrong as it may be; the one that
	// comes too late for the count too.
	t.Run("not different: votes that do not count", func(t *testing.T) {
		c := certify(headerAt(5, set, set), set, nil)
		c.Commit = commitTo(&c.Header, set, 0, []cometbft.Flag{3, 2, 2, 2})
		c.Commit.Signatures[0].Signature[0] ^= 1
		c.Commit.Signatures[0].Validator[0] ^= 1
		if ours, theirs := rooted(t, trusted).Accept(c, nowAt(5)), verifyLight(t, config, trusted, c, nowAt(5)); ours != nil || theirs != nil {
			t.Errorf("for nil: %v; CometBFT says: %v", ours, theirs)
		}
		c.Commit = commitTo(&c.Header, set, 0, nil)
		c.Commit.Signatures[3].Signature[0] ^= 1
		if ours, theirs := rooted(t, trusted).Accept(c, nowAt(5)), verifyLight(t, config, trusted, c, nowAt(5)); ours != nil || theirs != nil {
			t.Errorf("late: %v; CometBFT says: %v", ours, theirs)
		}
		if err := set.VerifyAll(chainID, 5, c.Commit.BlockID, &c.Commit); !errors.Is(err, cometbft.ErrSignature) {
			t.Errorf("late, all: %v", err)
		}
	})
	for name, members := range map[string][]cometbft.Validator{
		"no power":       append(equals(0, 3), validator(9, 0)),
		"negative power": append(equals(0, 3), validator(9, -1)),
		"twice":          append(equals(0, 3), validator(0, 10)),
		"twice, powers":  append(equals(0, 3), validator(0, 11)),
		"too much power": {validator(0, cometbft.MaxTotalPower), validator(1, 1)},
		"none":           nil,
	} {
		if _, err := cometbft.NewSet(members); !errors.Is(err, cometbft.ErrSet) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, err := cometbft.NewSet(slices.Clone([]cometbft.Validator{validator(0, cometbft.MaxTotalPower-1), validator(1, 1)})); err != nil || s.Total() != cometbft.MaxTotalPower {
		t.Errorf("the most power: %v", err)
	}
}
