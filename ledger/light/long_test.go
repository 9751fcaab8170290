package light_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cometbft/cometbft/crypto/ed25519"
	oraclelight "github.com/cometbft/cometbft/light"
	"github.com/cometbft/cometbft/proto/tendermint/version"
	oracle "github.com/cometbft/cometbft/types"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/ledger/comettest"
	"tunic/ledger/light"
)

// The long history: of 100 nodes 16 are validators, and every 40 blocks one ends
// and the next one begins, so that after some 600 blocks nobody is left of those
// before.
const (
	longBlocks  = 10_000
	longNodes   = 100
	longSeats   = 16
	longPeriod  = 40
	longSamples = 60
)

var long = sync.OnceValue(func() *committed {
	t := testing.TB(&made{})
	var names []string
	for i := range longNodes {
		names = append(names, fmt.Sprint("v", i))
	}
	g := comettest.Genesis(t, names[:longSeats], names[longSeats:])
	begun := longSeats
	return newCommitted(t, g, names, longBlocks, func(c *comettest.Chain, h chain.Height) [][]byte {
		if h%longPeriod != 0 {
			return nil
		}
		in, out := names[begun%longNodes], names[(begun-longSeats)%longNodes]
		begun++
		if _, ok := c.Machine.Registry().Node(comettest.Node(in)); ok {
			return [][]byte{c.Validate(in), c.Leave(out)}
		}
		return append(c.Join(in), c.Leave(out))
	})
})

// made is what the long history is made under: it outlives the test that asks
// first.
type made struct{ testing.TB }

func (*made) Helper()                   {}
func (*made) Fatal(a ...any)            { panic(fmt.Sprint(a...)) }
func (*made) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// cost is what a client had from a ledger, and did.
type cost struct {
	headers, certificates int
	bytes                 int // of both
	signatures            uint64
	took                  time.Duration
}

func (c cost) String() string {
	return fmt.Sprintf("%d headers and %d certificates of %d bytes, %d signatures, %d ms", c.headers, c.certificates, c.bytes, c.signatures, c.took.Milliseconds())
}

// reach leads v to those heights as a client is that reads what a ledger serves.
func (x *committed) reach(t testing.TB, v *light.Verifier, heights ...chain.Height) (c cost) {
	t.Helper()
	served := map[chain.Height][]byte{} // made outside of what is measured
	certs := func(h chain.Height) []byte {
		if served[h] == nil {
			cert := x.certs[h]
			served[h] = cert.Encode()
		}
		return served[h]
	}
	before := v.Work().Signatures
	for _, h := range heights {
		b := x.at(h).Encode()
		c.headers++
		c.bytes += len(b)
		began := time.Now()
		s, err := chain.DecodeSealedHeader(b)
		if err == nil {
			err = light.Reach(v, s, x.now(h), func(h chain.Height) (cometbft.Certificate, error) {
				b := certs(h)
				c.certificates++
				c.bytes += len(b)
				return cometbft.DecodeCertificate(b)
			})
		}
		c.took += time.Since(began)
		if err != nil {
			t.Fatalf("height %d: %v", h, err)
		}
	}
	c.signatures = v.Work().Signatures - before
	return c
}

func heightsTo(from, to chain.Height) (all []chain.Height) {
	for h := from; h <= to; h++ {
		all = append(all, h)
	}
	return all
}

// TestTenThousandBlocks: a client follows them from genesis and from a checkpoint,
// block by block and at once, and each lie is caught from wherever it is told.
func TestTenThousandBlocks(t *testing.T) {
	x := long()
	checkpoint := func(h chain.Height) genesis.Network {
		n := x.net
		c := x.certs[h+1]
		n.Checkpoint = &genesis.Checkpoint{Height: h, Hash: x.at(h).Header.Hash(), Commit: c.Header.Hash()}
		return n
	}
	v := verifier(t, x.net)
	t.Logf("from genesis, block by block: %s", x.reach(t, v, heightsTo(1, longBlocks)...))
	once := verifier(t, x.net)
	c := x.reach(t, once, longBlocks)
	t.Logf("from genesis, at once: %s", c)
	if c.certificates > longBlocks/longPeriod {
		t.Errorf("at once took more certificates than there were changes: %s", c)
	}
	from := verifier(t, checkpoint(9000))
	t.Logf("from a checkpoint 1,000 blocks back, at once: %s", x.reach(t, from, longBlocks))
	from = verifier(t, checkpoint(9000))
	t.Logf("from a checkpoint 1,000 blocks back, block by block: %s", x.reach(t, from, heightsTo(9000, longBlocks)...))
	// A client that wakes every 100 blocks.
	slow := verifier(t, x.net)
	var some []chain.Height
	for h := chain.Height(100); h <= longBlocks; h += 100 {
		some = append(some, h)
	}
	t.Logf("from genesis, every 100th block: %s", x.reach(t, slow, some...))

	strangers := x.certs[2].Set // who decided at first, and left long ago
	last := chain.Height(longBlocks)
	now := x.now(last)
	for name, v := range map[string]*light.Verifier{"followed": v, "at once": once, "checkpoint": from, "slow": slow, "fresh": verifier(t, x.net), "fresh checkpoint": verifier(t, checkpoint(9000))} {
		// A forged header under a true commit, and under one of too few.
		forged := x.at(last)
		forged.Header.State[0] ^= 1
		if err := light.Reach(v, forged, now, x.fetch); !errors.Is(err, light.ErrSeal) {
			t.Errorf("%s: a forged header: %v", name, err)
		}
		above := x.certs[last+1].Header
		above.AppHash = forged.Header.Hash()
		few := x.Certify(forged.Header, above, x.certs[last+1].Set, 0, 1, 2, 3, 4, 5)
		if err := light.Reach(v, few, now, x.fetch); !errors.Is(err, light.ErrSeal) {
			t.Errorf("%s: a header that ten of sixteen signed: %v", name, err)
		}
		// A forged change: those who have left say that they decide, and a server has
		// the certificate that says so.
		above.ValidatorsHash = strangers.Hash()
		taken := x.Certify(forged.Header, above, strangers)
		err := light.Reach(v, taken, now, func(h chain.Height) (cometbft.Certificate, error) {
			if h == last+1 {
				return x.Certificate(above, strangers), nil
			}
			return x.fetch(h)
		})
		if err == nil || errors.Is(err, light.ErrTwoHeads) {
			t.Errorf("%s: a forged change: %v", name, err)
		}
		announced := x.certs[last].Header // of the height below, with other successors
		announced.NextValidatorsHash = strangers.Hash()
		err = light.Reach(v, x.Certify(x.at(last-1).Header, announced, x.certs[last].Set, 0, 1, 2, 3, 4, 5), now, x.fetch)
		if err == nil || errors.Is(err, light.ErrTwoHeads) {
			t.Errorf("%s: a forged announcement: %v", name, err)
		}
		if v.Conflict() != nil {
			t.Errorf("%s halted", name)
		}
	}

	// A fork that the validators decided beside, and kept back until now.
	forked := chain.Height(longBlocks - 20)
	for name, n := range map[string]genesis.Network{"genesis": x.net, "checkpoint": checkpoint(9000)} {
		for _, at := range []chain.Height{forked, forked + 1} {
			v := verifier(t, n)
			x.reach(t, v, heightsTo(forked-5, forked+5)...)
			h, above := x.at(at).Header, x.certs[at+1].Header
			h.State[5] ^= 1
			above.AppHash, above.DataHash = h.Hash(), chain.Hash{9}
			err := light.Reach(v, x.Certify(h, above, x.certs[at+1].Set), now, x.fetch)
			var two *light.TwoHeads
			if !errors.As(err, &two) || two.Height() != at || v.CheckConflict(two.Certificates) != nil {
				t.Errorf("%s: a fork at %d that was kept back: %v", name, at, err)
			}
		}
		// Seen by its next block alone, whose parent is another.
		v := verifier(t, n)
		x.reach(t, v, heightsTo(forked-5, forked)...)
		h, above := x.at(forked+1).Header, x.certs[forked+2].Header
		h.State[5] ^= 1
		above.AppHash, above.LastBlockID.Hash = h.Hash(), chain.Hash{9}
		if err := light.Reach(v, x.Certify(h, above, x.certs[forked+2].Set), now, x.fetch); !errors.Is(err, light.ErrTwoHeads) {
			t.Errorf("%s: a fork by its next block: %v", name, err)
		}
	}
}

// TestTenThousandOracle: from a sample of heights to another, CometBFT's own light
// client takes what is taken here, and says when a step is missing.
func TestTenThousandOracle(t *testing.T) {
	x := long()
	r := rand.New(rand.NewPCG(1, 2))
	taken, missing := 0, 0
	for range longSamples {
		from := chain.Height(2 + r.IntN(longBlocks-2))
		to := from + 1 + chain.Height(r.IntN(min(longBlocks+1-int(from), 900)))
		n := x.net
		root := x.certs[from]
		n.Checkpoint = &genesis.Checkpoint{Height: from - 1, Hash: x.at(from - 1).Header.Hash(), Commit: root.Header.Hash(), Certificate: root.Encode()}
		v := verifier(t, n)
		now := x.certs[to].Header.Time.Millis() + 1000
		ours := v.Learn(x.certs[to], now)
		target := x.certs[to]
		theirs := oraclelight.Verify(oracleSigned(root), oracleSet(t, root.Set), oracleSigned(target), oracleSet(t, target.Set),
			time.Duration(light.TrustingPeriod(n))*time.Millisecond, time.UnixMilli(int64(now)).UTC(), time.Minute, oraclelight.DefaultTrustLevel)
		switch {
		case ours == nil && theirs == nil:
			taken++
		case errors.Is(ours, light.ErrNeeds) && errors.As(theirs, new(oraclelight.ErrNewValSetCantBeTrusted)):
			missing++
		default:
			t.Errorf("from %d to %d: %v, CometBFT says %v", from, to, ours, theirs)
		}
	}
	if taken < 10 || missing < 10 {
		t.Errorf("of the sample %d were taken and %d miss a step", taken, missing)
	}
}

// BenchmarkFollow is what it costs a client to verify one block more: 16
// validators, of whom one changes every 40 blocks.
func BenchmarkFollow(b *testing.B) {
	x := long()
	for b.Loop() {
		c := x.reach(b, verifier(b, x.net), heightsTo(1, 2000)...)
		b.ReportMetric(float64(c.bytes)/2000, "bytes/block")
		b.ReportMetric(float64(c.signatures)/2000, "signatures/block")
		b.ReportMetric(float64(c.took.Nanoseconds())/2000, "ns/block")
	}
}

// BenchmarkCatchUp is what it costs a client to go from genesis to block 10,000
// at once, everyone having been replaced many times.
func BenchmarkCatchUp(b *testing.B) {
	x := long()
	for b.Loop() {
		c := x.reach(b, verifier(b, x.net), longBlocks)
		b.ReportMetric(float64(c.bytes), "bytes")
		b.ReportMetric(float64(c.signatures), "signatures")
		b.ReportMetric(float64(c.certificates), "certificates")
	}
}

func oracleHash(h chain.Hash) []byte {
	if h.IsZero() {
		return nil
	}
	return h[:]
}

func oracleTime(t cometbft.Time) time.Time { return time.Unix(t.Seconds, int64(t.Nanos)).UTC() }

func oracleBlockID(id cometbft.BlockID) oracle.BlockID {
	return oracle.BlockID{Hash: oracleHash(id.Hash), PartSetHeader: oracle.PartSetHeader{Total: id.Parts.Total, Hash: oracleHash(id.Parts.Hash)}}
}

func oracleSigned(c cometbft.Certificate) *oracle.SignedHeader {
	h := c.Header
	o := &oracle.SignedHeader{Header: &oracle.Header{
		Version: version.Consensus{Block: h.Version.Block, App: h.Version.App}, ChainID: h.ChainID, Height: int64(h.Height), Time: oracleTime(h.Time),
		LastBlockID: oracleBlockID(h.LastBlockID), LastCommitHash: oracleHash(h.LastCommitHash), DataHash: oracleHash(h.DataHash),
		ValidatorsHash: oracleHash(h.ValidatorsHash), NextValidatorsHash: oracleHash(h.NextValidatorsHash), ConsensusHash: oracleHash(h.ConsensusHash),
		AppHash: oracleHash(h.AppHash), LastResultsHash: oracleHash(h.LastResultsHash), EvidenceHash: oracleHash(h.EvidenceHash),
		ProposerAddress: h.ProposerAddress[:],
	}, Commit: &oracle.Commit{Height: int64(c.Commit.Height), Round: int32(c.Commit.Round), BlockID: oracleBlockID(c.Commit.BlockID)}}
	for _, s := range c.Commit.Signatures {
		o.Commit.Signatures = append(o.Commit.Signatures, oracle.CommitSig{BlockIDFlag: oracle.BlockIDFlag(s.Flag),
			ValidatorAddress: s.Validator[:], Timestamp: oracleTime(s.Time), Signature: s.Signature[:]})
	}
	return o
}

func oracleSet(t testing.TB, s *cometbft.Set) *oracle.ValidatorSet {
	t.Helper()
	var all []*oracle.Validator
	for i := range s.Len() {
		v := s.At(i)
		all = append(all, oracle.NewValidator(ed25519.PubKey(v.Key[:]), int64(v.Power)))
	}
	set, err := oracle.ValidatorSetFromExistingValidators(all)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
