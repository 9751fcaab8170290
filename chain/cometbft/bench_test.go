package cometbft_test

import (
	"fmt"
	"testing"

	"github.com/cometbft/cometbft/light"

	"tunic/chain/cometbft"
)

// BenchmarkVerifyCommit has the cost of a commit by 4 and by 100 validators,
// beside CometBFT's: the light check, all signatures, and the trusting one.
// CometBFT keeps expanded keys in memory, which makes it faster for a known set.
func BenchmarkVerifyCommit(b *testing.B) {
	for _, n := range []int{4, 100} {
		set := setOf(b, equals(0, n))
		c := certify(headerAt(5, set, set), set, nil)
		commit, id := oracleCommit(c.Commit), oracleBlockID(c.Commit.BlockID)
		theirs := oracleSet(b, set)
		for name, verify := range map[string]func() error{
			"light/ours":        func() error { return set.VerifyCommit(chainID, 5, c.Commit.BlockID, &c.Commit) },
			"light/cometbft":    func() error { return theirs.VerifyCommitLight(chainID, id, 5, commit) },
			"all/ours":          func() error { return set.VerifyAll(chainID, 5, c.Commit.BlockID, &c.Commit) },
			"all/cometbft":      func() error { return theirs.VerifyCommit(chainID, id, 5, commit) },
			"trusting/ours":     func() error { return set.VerifyTrusting(chainID, &c.Commit) },
			"trusting/cometbft": func() error { return theirs.VerifyCommitLightTrusting(chainID, commit, light.DefaultTrustLevel) },
		} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := verify(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkCertificate has the cost of reading a certificate with its set, and
// of accepting it some heights above the trusted one, beside CometBFT's.
func BenchmarkCertificate(b *testing.B) {
	for _, n := range []int{4, 100} {
		set := setOf(b, equals(0, n))
		trusted, c := certify(headerAt(5, set, set), set, nil), certify(headerAt(9, set, set), set, nil)
		bytes := c.Encode()
		b.Run(fmt.Sprintf("%d/decode", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := cometbft.DecodeCertificate(bytes); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(bytes)), "bytes")
		})
		signed, former, theirs, own := oracleSigned(trusted), oracleSet(b, set), oracleSigned(c), oracleSet(b, set)
		b.Run(fmt.Sprintf("%d/accept-cometbft", n), func(b *testing.B) {
			for b.Loop() {
				if err := light.Verify(signed, former, theirs, own, oracleDuration(config.TrustingPeriod), oracleMillis(nowAt(9)),
					oracleDuration(config.MaxAhead), light.DefaultTrustLevel); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/accept", n), func(b *testing.B) {
			root := rooted(b, trusted)
			for b.Loop() {
				f := *root
				if err := f.Accept(c, nowAt(9)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
