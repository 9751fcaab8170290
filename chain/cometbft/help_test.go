package cometbft_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/cometbft"
)

const chainID = "tunic-test"

// began is the time of genesis, in seconds and milliseconds.
const (
	began   = 1_735_689_600
	beganMS = chain.Time(began) * 1000
	minute  = chain.Duration(60_000)
	day     = 24 * 60 * minute
)

// keys are what validators sign with, by their public keys.
var keys = map[chain.NodeID]ed25519.PrivateKey{}

// validator makes the n-th validator.
func validator(n int, power cometbft.Power) cometbft.Validator {
	seed := sha256.Sum256(fmt.Appendf(nil, "validator %d", n))
	private := ed25519.NewKeyFromSeed(seed[:])
	id := chain.NodeID(private[32:])
	keys[id] = private
	return cometbft.Validator{Key: id, Power: power}
}

// validators makes those from first on, one for each power.
func validators(first int, powers ...cometbft.Power) []cometbft.Validator {
	all := make([]cometbft.Validator, len(powers))
	for i, p := range powers {
		all[i] = validator(first+i, p)
	}
	return all
}

// equals makes n validators of power 10.
func equals(first, n int) []cometbft.Validator {
	return validators(first, slices.Repeat([]cometbft.Power{10}, n)...)
}

func setOf(t testing.TB, v []cometbft.Validator) *cometbft.Set {
	t.Helper()
	s, err := cometbft.NewSet(v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func digest(format string, args ...any) chain.Hash {
	return sha256.Sum256(fmt.Appendf(nil, format, args...))
}

// headerAt makes a header with something in every field.
func headerAt(h chain.Height, set, next *cometbft.Set) cometbft.Header {
	header := cometbft.Header{
		Version: cometbft.Version{Block: cometbft.BlockProtocol, App: 3}, ChainID: chainID, Height: h,
		Time:           cometbft.Time{Seconds: began + int64(h), Nanos: 123_456_789},
		LastCommitHash: digest("last commit %d", h), DataHash: digest("data %d", h),
		ValidatorsHash: set.Hash(), NextValidatorsHash: next.Hash(), ConsensusHash: digest("consensus"), AppHash: digest("app %d", h),
		LastResultsHash: digest("results %d", h), EvidenceHash: digest("evidence %d", h), ProposerAddress: cometbft.AddressOf(set.At(0).Key),
	}
	if h > 1 {
		header.LastBlockID = cometbft.BlockID{Hash: digest("parent of %d", h), Parts: cometbft.PartSet{Total: 1, Hash: digest("parts below %d", h)}}
	}
	return header
}

// commitTo makes a commit to the header; flags may be nil: all voted for it.
func commitTo(header *cometbft.Header, set *cometbft.Set, round cometbft.Round, flags []cometbft.Flag) cometbft.Commit {
	hash := header.Hash()
	c := cometbft.Commit{Height: header.Height, Round: round,
		BlockID:    cometbft.BlockID{Hash: hash, Parts: cometbft.PartSet{Total: 2, Hash: digest("parts of %s", hash)}},
		Signatures: make([]cometbft.CommitSig, set.Len())}
	for i := range c.Signatures {
		s := &c.Signatures[i]
		s.Flag = cometbft.FlagCommit
		if flags != nil {
			s.Flag = flags[i]
		}
		if s.Flag == cometbft.FlagAbsent {
			continue
		}
		s.Validator = cometbft.AddressOf(set.At(i).Key)
		s.Time = cometbft.Time{Seconds: header.Time.Seconds + 1, Nanos: uint32(i) * 1_000_003}
		sign(&c, i, set.At(i).Key)
	}
	return c
}

// sign signs place i of the commit anew.
func sign(c *cometbft.Commit, i int, key chain.NodeID) {
	v := c.Vote(i)
	c.Signatures[i].Signature = [64]byte(ed25519.Sign(keys[key], v.SignBytes(chainID)))
}

func certify(header cometbft.Header, set, next *cometbft.Set) cometbft.Certificate {
	return cometbft.Certificate{Header: header, Commit: commitTo(&header, set, 0, nil), Set: set, Next: next}
}

// history is a chain of certificates, height h at h-1, each naming the one below.
type history []cometbft.Certificate

// newHistory makes one of n heights. setAt gives the validators of each height
// and may return what it was given.
func newHistory(t testing.TB, n int, setAt func(h chain.Height, before []cometbft.Validator) []cometbft.Validator) history {
	t.Helper()
	var all history
	members := setAt(1, nil)
	set := setOf(t, members)
	for h := chain.Height(1); h <= chain.Height(n); h++ {
		next := set
		if changed := setAt(h+1, members); !slices.Equal(changed, members) {
			members, next = changed, setOf(t, changed)
		}
		header := headerAt(h, set, next)
		if h > 1 {
			header.LastBlockID = all[h-2].Commit.BlockID
		}
		all = append(all, certify(header, set, next))
		set = next
	}
	return all
}

// at is height h's certificate.
func (a history) at(h chain.Height) cometbft.Certificate { return a[h-1] }

// unchanged is for newHistory: one set for all heights.
func unchanged(v []cometbft.Validator) func(chain.Height, []cometbft.Validator) []cometbft.Validator {
	return func(chain.Height, []cometbft.Validator) []cometbft.Validator { return v }
}

// rotating is for newHistory: n equal validators of whom one is replaced at
// every period-th height.
func rotating(n int, period chain.Height) func(chain.Height, []cometbft.Validator) []cometbft.Validator {
	joined := n
	return func(h chain.Height, before []cometbft.Validator) []cometbft.Validator {
		switch {
		case before == nil:
			return equals(0, n)
		case h%period != 0:
			return before
		}
		joined++
		return append(slices.Clone(before[1:]), validator(joined-1, 10))
	}
}

var config = cometbft.Config{ChainID: chainID, TrustingPeriod: 14 * day, MaxAhead: minute}

// nowAt is a clock at which height h is fresh.
func nowAt(h chain.Height) chain.Time { return beganMS + chain.Time(h)*1000 + 2000 }

// rooted follows from the certificate on.
func rooted(t testing.TB, c cometbft.Certificate) *cometbft.Follower {
	t.Helper()
	f, err := cometbft.FromCertificate(config, c, c.Header.Hash())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// clone copies what mutations change.
func clone(c cometbft.Certificate) cometbft.Certificate {
	c.Commit.Signatures = slices.Clone(c.Commit.Signatures)
	return c
}

func seeded(seed uint64) *rand.Rand {
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], seed)
	return rand.New(rand.NewChaCha8(s))
}
