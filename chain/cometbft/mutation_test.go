package cometbft_test

import (
	"slices"
	"testing"

	"github.com/cometbft/cometbft/libs/math"
	"github.com/cometbft/cometbft/light"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// verifyLight is what CometBFT's light client says of a certificate, from a
// trusted one.
func verifyLight(t *testing.T, cfg cometbft.Config, trusted, c cometbft.Certificate, now chain.Time) error {
	t.Helper()
	return light.Verify(oracleSigned(trusted), oracleSet(t, trusted.Set), oracleSigned(c), oracleSet(t, c.Set),
		oracleDuration(cfg.TrustingPeriod), oracleMillis(now), oracleDuration(cfg.MaxAhead), math.Fraction{Numerator: 1, Denominator: 3})
}

// mutation changes one thing in a certificate.
type mutation struct {
	name   string
	change func(*cometbft.Certificate)
	// From where it is accepted once the validators sign the changed header.
	resigned reach
}

// reach says from which trusted header: the one right below, one further below.
type reach uint8

const (
	near reach = 1 << iota
	far
	never reach = 0
	both        = near | far
)

func flip(h *chain.Hash) { h[9] ^= 1 }

// headerMutations have one for each field of a header.
var headerMutations = []mutation{
	{"version of blocks", func(c *cometbft.Certificate) { c.Header.Version.Block++ }, never},
	{"version of the application", func(c *cometbft.Certificate) { c.Header.Version.App++ }, both},
	{"chain id", func(c *cometbft.Certificate) { c.Header.ChainID += "x" }, never},
	{"no chain id", func(c *cometbft.Certificate) { c.Header.ChainID = "" }, never},
	{"height above", func(c *cometbft.Certificate) { c.Header.Height++ }, both},
	{"height below", func(c *cometbft.Certificate) { c.Header.Height -= 2 }, far},
	{"height 0", func(c *cometbft.Certificate) { c.Header.Height = 0 }, never},
	{"height over bound", func(c *cometbft.Certificate) { c.Header.Height = 1 << 63 }, never},
	{"time later", func(c *cometbft.Certificate) { c.Header.Time.Nanos++ }, both},
	{"time as below", func(c *cometbft.Certificate) { c.Header.Time.Seconds-- }, far},
	{"time ahead", func(c *cometbft.Certificate) { c.Header.Time.Seconds += 120 }, never},
	{"parent's hash", func(c *cometbft.Certificate) { flip(&c.Header.LastBlockID.Hash) }, both},
	{"parent's parts", func(c *cometbft.Certificate) { c.Header.LastBlockID.Parts.Total++ }, both},
	{"hash of parent's parts", func(c *cometbft.Certificate) { flip(&c.Header.LastBlockID.Parts.Hash) }, both},
	{"no parent", func(c *cometbft.Certificate) { c.Header.LastBlockID = cometbft.BlockID{} }, both},
	{"last commit", func(c *cometbft.Certificate) { flip(&c.Header.LastCommitHash) }, both},
	{"data", func(c *cometbft.Certificate) { flip(&c.Header.DataHash) }, both},
	{"validators", func(c *cometbft.Certificate) { flip(&c.Header.ValidatorsHash) }, never},
	{"no validators", func(c *cometbft.Certificate) { c.Header.ValidatorsHash = chain.Hash{} }, never},
	{"next validators", func(c *cometbft.Certificate) { flip(&c.Header.NextValidatorsHash); c.Next = nil }, both},
	{"no next validators", func(c *cometbft.Certificate) { c.Header.NextValidatorsHash = chain.Hash{}; c.Next = nil }, both},
	{"consensus parameters", func(c *cometbft.Certificate) { flip(&c.Header.ConsensusHash) }, both},
	{"application's hash", func(c *cometbft.Certificate) { flip(&c.Header.AppHash) }, both},
	{"no application's hash", func(c *cometbft.Certificate) { c.Header.AppHash = chain.Hash{} }, both},
	{"results", func(c *cometbft.Certificate) { flip(&c.Header.LastResultsHash) }, both},
	{"evidence", func(c *cometbft.Certificate) { flip(&c.Header.EvidenceHash) }, both},
	{"proposer", func(c *cometbft.Certificate) { c.Header.ProposerAddress[3] ^= 1 }, both},
}

// commitMutations have one for each field of a commit that counts; place 0 has
// the greatest power.
var commitMutations = []mutation{
	{"height", func(c *cometbft.Certificate) { c.Commit.Height++ }, never},
	{"height 0", func(c *cometbft.Certificate) { c.Commit.Height = 0 }, never},
	{"round", func(c *cometbft.Certificate) { c.Commit.Round++ }, never},
	{"round over bound", func(c *cometbft.Certificate) { c.Commit.Round = 1 << 31 }, never},
	{"block", func(c *cometbft.Certificate) { flip(&c.Commit.BlockID.Hash) }, never},
	{"no block", func(c *cometbft.Certificate) { c.Commit.BlockID = cometbft.BlockID{} }, never},
	{"parts", func(c *cometbft.Certificate) { c.Commit.BlockID.Parts.Total++ }, never},
	{"hash of parts", func(c *cometbft.Certificate) { flip(&c.Commit.BlockID.Parts.Hash) }, never},
	{"no signatures", func(c *cometbft.Certificate) { c.Commit.Signatures = nil }, never},
	{"a signature less", func(c *cometbft.Certificate) { c.Commit.Signatures = c.Commit.Signatures[1:] }, never},
	{"a signature more", func(c *cometbft.Certificate) {
		c.Commit.Signatures = append(c.Commit.Signatures, c.Commit.Signatures[0])
	}, never},
	{"flag 0", func(c *cometbft.Certificate) { c.Commit.Signatures[0].Flag = 0 }, never},
	{"flag 4", func(c *cometbft.Certificate) { c.Commit.Signatures[0].Flag = 4 }, never},
	{"flag absent, with a vote", func(c *cometbft.Certificate) { c.Commit.Signatures[3].Flag = cometbft.FlagAbsent }, never},
	{"address", func(c *cometbft.Certificate) { c.Commit.Signatures[0].Validator[0] ^= 1 }, never},
	{"address of another", func(c *cometbft.Certificate) { c.Commit.Signatures[0].Validator = c.Commit.Signatures[1].Validator }, never},
	{"seconds", func(c *cometbft.Certificate) { c.Commit.Signatures[0].Time.Seconds++ }, never},
	{"nanoseconds", func(c *cometbft.Certificate) { c.Commit.Signatures[0].Time.Nanos++ }, never},
	{"signature, R", func(c *cometbft.Certificate) { c.Commit.Signatures[0].Signature[0] ^= 1 }, never},
	{"signature, S", func(c *cometbft.Certificate) { c.Commit.Signatures[0].Signature[32] ^= 1 }, never},
	{"signature, S over the order", func(c *cometbft.Certificate) { c.Commit.Signatures[0].Signature[63] |= 0xe0 }, never},
	{"signature of another", func(c *cometbft.Certificate) { c.Commit.Signatures[0].Signature = c.Commit.Signatures[1].Signature }, never},
	{"places swapped", func(c *cometbft.Certificate) {
		c.Commit.Signatures[0], c.Commit.Signatures[1] = c.Commit.Signatures[1], c.Commit.Signatures[0]
	}, never},
	{"nobody voted", func(c *cometbft.Certificate) {
		for i := range c.Commit.Signatures {
			c.Commit.Signatures[i] = cometbft.CommitSig{Flag: cometbft.FlagAbsent}
		}
	}, never},
}

// setMutations change the set that comes along and nothing else.
func setMutations(t *testing.T) []mutation {
	replace := func(change func([]cometbft.Validator) []cometbft.Validator) func(*cometbft.Certificate) {
		return func(c *cometbft.Certificate) {
			var v []cometbft.Validator
			for i := range c.Set.Len() {
				v = append(v, c.Set.At(i))
			}
			c.Set = setOf(t, change(v))
		}
	}
	return []mutation{
		{"a power", replace(func(v []cometbft.Validator) []cometbft.Validator { v[0].Power++; return v }), never},
		{"another key", replace(func(v []cometbft.Validator) []cometbft.Validator { v[1] = validator(900, v[1].Power); return v }), never},
		{"one less", replace(func(v []cometbft.Validator) []cometbft.Validator { return v[1:] }), never},
		{"one more", replace(func(v []cometbft.Validator) []cometbft.Validator { return append(v, validator(901, 1)) }), never},
	}
}

// TestEveryField: a certificate with one field changed is refused by both, right
// above the trusted one and further up. A changed header that the validators
// sign is accepted where no rule is about that field.
func TestEveryField(t *testing.T) {
	// Powers all differ, and the first three make up two thirds and more.
	members := validators(0, 40, 30, 20, 10, 5)
	grown := append(slices.Clone(members), validator(5, 1))
	chainOf := newHistory(t, 9, func(h chain.Height, before []cometbft.Validator) []cometbft.Validator {
		if h < 4 {
			return members
		}
		return grown
	})
	all := map[string][]mutation{"header": headerMutations, "commit": commitMutations, "set": setMutations(t)}
	for trustedAt, from := range map[chain.Height]reach{6: near, 2: far} {
		trusted, sound, now := chainOf.at(trustedAt), chainOf.at(7), nowAt(7)
		if err := rooted(t, trusted).Accept(sound, now); err != nil || verifyLight(t, config, trusted, sound, now) != nil {
			t.Fatalf("the sound one: %v", err)
		}
		for part, list := range all {
			for _, m := range list {
				c := clone(sound)
				m.change(&c)
				if ours, theirs := rooted(t, trusted).Accept(c, now), verifyLight(t, config, trusted, c, now); ours == nil || theirs == nil {
					t.Errorf("from %d, %s, %s: %v; CometBFT says: %v", trustedAt, part, m.name, ours, theirs)
				}
				if part != "header" {
					continue
				}
				c.Commit = commitTo(&c.Header, c.Set, 0, nil)
				ours, theirs := rooted(t, trusted).Accept(c, now), verifyLight(t, config, trusted, c, now)
				want := m.resigned&from != 0
				if (theirs == nil) != want {
					t.Errorf("from %d, resigned, %s: CometBFT says: %v", trustedAt, m.name, theirs)
				}
				// The intended difference: who names another parent than the one
				// that was decided has forked.
				if from == near && (m.name == "parent's hash" || m.name == "no parent") {
					want = false
				}
				if (ours == nil) != want {
					t.Errorf("from %d, resigned, %s: %v", trustedAt, m.name, ours)
				}
			}
		}
	}
}
