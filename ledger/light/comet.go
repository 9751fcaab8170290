package light

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
)

// Under CometBFT a header is committed by validators, who change. A verifier
// begins with those of genesis, or with the checkpoint of the network file, and
// is led on by certificates: each names who decides the next height. What it
// lacks it says with a *Needs; Reach gets that and goes on.

var (
	// ErrNeeds means that a certificate is needed to go on. errors.As gives a *Needs.
	ErrNeeds = errors.New("light: a certificate is needed")
	// ErrValidators means that it is not known who committed a header, and that no
	// certificate from here on could tell: it is of a set of validators before
	// all that are remembered, or nothing but the network file is at hand.
	ErrValidators = errors.New("light: validators of another time; ask a ledger (--ledger URL), or take a newer network file, with a checkpoint")
	// ErrExpired means that what is trusted is older than the trusting period: its
	// validators could have taken their stake and left, and sign anything.
	ErrExpired = errors.New("light: what is trusted is too old; take a newer network file, with a checkpoint, from whoever runs this network")
)

// Needs says which certificate is needed next.
type Needs struct {
	Height chain.Height // of CometBFT, with its set
}

func (e *Needs) Error() string { return fmt.Sprintf("%v: of height %d", ErrNeeds, e.Height) }

func (e *Needs) Unwrap() error { return ErrNeeds }

// Limits of what is remembered of validators.
const (
	maxSets   = 128      // sets, that of genesis among them
	maxClimb  = 64       // certificates held while one further down is fetched
	maxFetch  = 1 << 14  // certificates that one Reach fetches
	devTrust  = 30 * day // in profile dev, where no stake is worth anything
	firstCert = 2        // the lowest height that has a certificate
)

const day = genesis.Day

// committee is what a verifier knows of validators.
type committee struct {
	cfg      cometbft.Config
	follower *cometbft.Follower // nil: the checkpoint's certificate is not known yet
	sets     []*cometbft.Set    // that of genesis first, then as they were learnt
}

// TrustingPeriod is for how long a header of a network with these parameters may
// be started from: two thirds of the time for which the stake of a validator who
// leaves stays bound. In profile dev it is 30 days at least.
func TrustingPeriod(n genesis.Network) chain.Duration {
	d := n.Params.UnlockDelay / 3 * 2
	if n.Profile == genesis.Dev {
		d = max(d, devTrust)
	}
	return d
}

func newCommittee(n genesis.Network, period chain.Duration) (*committee, error) {
	m := &committee{cfg: cometbft.Config{ChainID: cometbft.ChainID(n.Genesis), TrustingPeriod: period, MaxAhead: MaxAhead}}
	first, err := cometbft.SetOf(n.Sealers)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", genesis.ErrGenesis, err)
	}
	m.sets = []*cometbft.Set{first}
	if n.Checkpoint == nil {
		m.follower, err = cometbft.FromGenesis(m.cfg, 1, cometbft.TimeAt(n.Time), first)
		return m, err
	}
	if b := n.Checkpoint.Certificate; len(b) > 0 {
		c, err := cometbft.DecodeCertificate(b)
		if err == nil {
			err = m.begin(n.Checkpoint, c)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: the checkpoint's certificate: %w", genesis.ErrGenesis, err)
		}
	}
	return m, nil
}

// begin makes the checkpoint's certificate the root.
func (m *committee) begin(p *genesis.Checkpoint, c cometbft.Certificate) error {
	if c.Header.Height != p.Height+1 {
		return &Needs{p.Height + 1}
	}
	if c.Header.AppHash != p.Hash {
		return fmt.Errorf("%w: CometBFT's height %d names header %s, checkpoint %s", ErrCheckpoint, c.Header.Height, c.Header.AppHash, p.Hash)
	}
	f, err := cometbft.FromCertificate(m.cfg, c, p.Commit)
	if err != nil {
		return err
	}
	m.follower = f
	m.know(c.Set)
	m.know(c.Next)
	return nil
}

// know remembers a set that a verified certificate names.
func (m *committee) know(s *cometbft.Set) {
	if s == nil || m.set(s.Hash()) != nil {
		return
	}
	if len(m.sets) == maxSets {
		m.sets = append(m.sets[:1], m.sets[2:]...) // that of genesis stays
	}
	m.sets = append(m.sets, s)
}

func (m *committee) set(hash chain.Hash) *cometbft.Set {
	for i := len(m.sets) - 1; i >= 0; i-- {
		if m.sets[i].Hash() == hash {
			return m.sets[i]
		}
	}
	return nil
}

// accept holds a certificate against what is trusted and keeps it.
func (m *committee) accept(c cometbft.Certificate, now chain.Time) error {
	if err := m.follower.Accept(c, now); err != nil {
		return err
	}
	if at, ok := m.follower.At(c.Header.Height); ok {
		m.know(at.Set)
	}
	m.know(c.Next)
	return nil
}

// committed asks whether any set that is known, or one that came along and of
// which a known one vouches, has committed to a certificate, of whatever age.
func (m *committee) committed(c *cometbft.Certificate) error {
	set := m.set(c.Header.ValidatorsHash)
	if set == nil && c.Set != nil {
		for i := len(m.sets) - 1; i >= 0 && set == nil; i-- {
			if m.sets[i].VerifyTrusting(m.cfg.ChainID, &c.Commit) == nil {
				set = c.Set
			}
		}
	}
	if set == nil {
		return fmt.Errorf("%w: height %d is decided by the set %s", ErrValidators, c.Header.Height, c.Header.ValidatorsHash)
	}
	return set.VerifyCommit(m.cfg.ChainID, c.Header.Height, c.Commit.BlockID, &c.Commit)
}

// NewJudge makes a verifier that judges evidence of whatever age: its root never
// expires. Validators who have left can make such a verifier believe what they
// like of the time after them; so it says what was committed once, and not what
// is news.
func NewJudge(n genesis.Network) (*Verifier, error) { return open(n, math.MaxInt64) }

// Learn takes a certificate that leads on to later headers, as a *Needs named it,
// at the caller's time. The error is again a *Needs where another one is needed
// before, a *TwoHeads where it contradicts what is known, ErrExpired, ErrFuture,
// and ErrSeal where it is not of this network or those who have to did not sign
// it. ErrEngine where keys in genesis seal.
func (v *Verifier) Learn(c cometbft.Certificate, now chain.Time) error {
	switch {
	case v.committee == nil:
		return fmt.Errorf("%w: no certificates are asked for", ErrEngine)
	case v.twoHeads != nil:
		return v.twoHeads
	case v.committee.follower == nil:
		return v.sealError(v.committee.begin(v.net.Checkpoint, c))
	}
	return v.sealError(v.committee.accept(c, now))
}

// sealError says in this package's words why a certificate was not accepted.
func (v *Verifier) sealError(err error) error {
	var two *cometbft.TwoHeads
	var step *cometbft.Intermediate
	switch {
	case err == nil, errors.Is(err, ErrNeeds), errors.Is(err, ErrCheckpoint), errors.Is(err, ErrValidators):
		return err
	case errors.As(err, &two):
		v.twoHeads = &TwoHeads{v.sealedBy(two.First), v.sealedBy(two.Second), two}
		return v.twoHeads
	case errors.As(err, &step):
		return &Needs{max(step.Height, firstCert)}
	case errors.Is(err, cometbft.ErrExpired):
		return fmt.Errorf("%w: %w", ErrExpired, err)
	case errors.Is(err, cometbft.ErrFuture):
		return fmt.Errorf("%w: %w", ErrFuture, err)
	case errors.Is(err, cometbft.ErrOrder):
		return fmt.Errorf("%w: %w", ErrOrder, err)
	case errors.Is(err, cometbft.ErrOld):
		return fmt.Errorf("%w: %w", ErrOld, err)
	case errors.Is(err, cometbft.ErrChain):
		return fmt.Errorf("%w: %w", ErrNetwork, err)
	case errors.Is(err, cometbft.ErrCheckpoint):
		return fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	return fmt.Errorf("%w: %w", ErrSeal, err)
}

// sealedBy is the accepted header that a certificate stands behind, a zero one
// where it was but a step on the way.
func (v *Verifier) sealedBy(c cometbft.Certificate) chain.SealedHeader {
	if i, ok := v.find(c.Header.Height - 1); ok && v.kept[i].block == c.Commit.BlockID.Hash {
		return v.kept[i].header
	}
	return chain.SealedHeader{}
}

// checkCommit asks of a committed header what CheckHeader asks of a seal.
func (v *Verifier) checkCommit(s chain.SealedHeader, hash chain.Hash) error {
	c, err := cometbft.Of(s)
	if err != nil {
		return v.sealError(err)
	}
	if p := v.net.Checkpoint; p != nil && c.Header.Height == p.Height+1 && c.Commit.BlockID.Hash != p.Commit {
		return fmt.Errorf("%w: CometBFT's height %d is %s, checkpoint %s", ErrCheckpoint, c.Header.Height, c.Commit.BlockID.Hash, p.Commit)
	}
	if i, ok := v.find(s.Header.Height); ok && v.kept[i].hash == hash && v.kept[i].block == c.Commit.BlockID.Hash {
		return nil // it is known, whoever of them signed this copy
	}
	return v.sealError(v.committee.committed(&c))
}

// acceptCommit holds the certificate behind s against what is trusted.
func (v *Verifier) acceptCommit(s chain.SealedHeader, now chain.Time) (block chain.Hash, err error) {
	c, err := cometbft.Of(s)
	if err != nil {
		return block, v.sealError(err)
	}
	block = c.Commit.BlockID.Hash
	if v.committee.follower == nil {
		return block, &Needs{v.net.Checkpoint.Height + 1}
	}
	err = v.committee.accept(c, now)
	switch {
	case errors.Is(err, cometbft.ErrNoSet):
		return block, &Needs{c.Header.Height}
	case errors.Is(err, cometbft.ErrTrust): // no step is fetched for what its own set has not signed
		if set := v.committee.set(c.Header.ValidatorsHash); set != nil {
			if bad := set.VerifyCommit(c.Header.ChainID, c.Header.Height, c.Commit.BlockID, &c.Commit); bad != nil {
				err = bad
			}
		}
	case errors.Is(err, cometbft.ErrOld) && len(v.kept) > 0: // below all that the follower remembers, and yet of a set that is known
		err = v.committee.committed(&c)
	}
	err = v.sealError(err)
	if two := (*TwoHeads)(nil); errors.As(err, &two) && two.Certificates != nil && two.Certificates.Second.Commit.BlockID.Hash == block {
		two.Second = s
	}
	return block, err
}

// commitNow is Sealed of a committed header.
func (v *Verifier) commitNow(s chain.SealedHeader, now chain.Time) error {
	c, err := cometbft.Of(s)
	if err != nil {
		return v.sealError(err)
	}
	m := v.committee
	if m.follower == nil {
		return fmt.Errorf("%w: nothing is known yet", ErrValidators)
	}
	newest, ok := m.follower.Newest()
	if !ok {
		return fmt.Errorf("%w: nothing is known yet", ErrValidators)
	}
	allowed := []chain.Hash{newest.Header.ValidatorsHash, newest.Header.NextValidatorsHash}
	if i, known := v.find(s.Header.Height); known {
		at, err := cometbft.Of(v.kept[i].header)
		if err != nil {
			return v.sealError(err)
		}
		if at.Commit.BlockID.Hash == c.Commit.BlockID.Hash {
			return nil
		}
		allowed = []chain.Hash{at.Header.ValidatorsHash}
	} else if c.Header.Height <= newest.Header.Height {
		return fmt.Errorf("%w: height %d is not remembered", ErrValidators, s.Header.Height)
	} else if newest.Header.Time.Add(m.cfg.TrustingPeriod).Compare(cometbft.TimeAt(now)) <= 0 {
		return fmt.Errorf("%w: height %d", ErrExpired, newest.Header.Height)
	}
	set := m.set(c.Header.ValidatorsHash)
	if set == nil || !slices.Contains(allowed, c.Header.ValidatorsHash) {
		return fmt.Errorf("%w: height %d is decided by the set %s", ErrValidators, c.Header.Height, c.Header.ValidatorsHash)
	}
	return v.sealError(set.VerifyCommit(m.cfg.ChainID, c.Header.Height, c.Commit.BlockID, &c.Commit))
}

// Contradiction is the evidence that two headers are: of one height and fork, not
// the same, and both sealed; nil if they are not. Committed ones have to be of the
// same validators, and not past the trusting period at the caller's time: those
// who left can sign anything.
func (v *Verifier) Contradiction(first, second chain.SealedHeader, now chain.Time) *TwoHeads {
	a, b := first.Header, second.Header
	if a.Height != b.Height || a.Fork != b.Fork || first.Same(second) {
		return nil
	}
	for _, s := range []chain.SealedHeader{first, second} {
		if v.checkAll(s, s.Header.Hash()) != nil {
			return nil
		}
	}
	two := &TwoHeads{First: first, Second: second}
	if v.committee == nil {
		return two
	}
	x, err := cometbft.Of(v.Trusted(first))
	y, err2 := cometbft.Of(v.Trusted(second))
	if err != nil || err2 != nil || x.Header.ValidatorsHash != y.Header.ValidatorsHash {
		return nil
	}
	for _, c := range []*cometbft.Certificate{&x, &y} {
		if c.Header.Time.Add(v.committee.cfg.TrustingPeriod).Compare(cometbft.TimeAt(now)) <= 0 {
			return nil
		}
	}
	two.Certificates = &cometbft.TwoHeads{First: x, Second: y}
	return two
}

// CheckConflict verifies the evidence of two heads under CometBFT that comes from
// elsewhere: that both certificates are committed and contradict each other
// (ErrSeal), and that those who signed are known as validators (ErrValidators).
func (v *Verifier) CheckConflict(two *cometbft.TwoHeads) error {
	if v.committee == nil {
		return ErrEngine
	}
	if err := two.Verify(v.committee.cfg.ChainID); err != nil {
		return v.sealError(err)
	}
	for _, c := range []*cometbft.Certificate{&two.First, &two.Second} {
		if err := v.committee.committed(c); err != nil {
			return v.sealError(err)
		}
	}
	return nil
}

// Bare is a committed header without the sets that came along with its commit; any
// other as it is.
func Bare(s chain.SealedHeader) chain.SealedHeader {
	if c, err := cometbft.Of(s); err == nil && (c.Set != nil || c.Next != nil) {
		c.Set, c.Next = nil, nil
		return chain.Commit(s.Header, c.Encode())
	}
	return s
}

// Resume makes what an earlier run has verified the root, where it is newer than
// the present one: s has the certificate with its sets behind it, as Trusted gave
// it. Only what nobody else can write may be taken for that. ErrExpired where it
// is too old to begin from, ErrSeal where it is damaged.
func (v *Verifier) Resume(s chain.SealedHeader, now chain.Time) error {
	if v.committee == nil {
		return nil
	}
	c, err := cometbft.Of(s)
	if err != nil {
		return v.sealError(err)
	}
	m := v.committee
	if c.Header.Time.Add(m.cfg.TrustingPeriod).Compare(cometbft.TimeAt(now)) <= 0 {
		return fmt.Errorf("%w: height %d", ErrExpired, c.Header.Height)
	}
	if m.follower == nil && v.net.Checkpoint.Height >= c.Header.Height {
		return nil
	}
	if m.follower != nil {
		if at, ok := m.follower.Newest(); ok && at.Header.Height >= c.Header.Height {
			return nil
		}
	}
	f, err := cometbft.FromCertificate(m.cfg, c, c.Commit.BlockID.Hash)
	if err != nil {
		return v.sealError(err)
	}
	m.follower = f
	m.know(c.Set)
	m.know(c.Next)
	return nil
}

// Trusted is s with its sets in the certificate behind it, for Resume; s itself
// where they are not known, and where keys in genesis seal.
func (v *Verifier) Trusted(s chain.SealedHeader) chain.SealedHeader {
	if v.committee == nil {
		return s
	}
	c, err := cometbft.Of(s)
	if err != nil {
		return s
	}
	if known := v.committee.set(c.Header.ValidatorsHash); known != nil {
		c.Set = known
	}
	if c.Next = v.committee.set(c.Header.NextValidatorsHash); c.Header.ValidatorsHash == c.Header.NextValidatorsHash {
		c.Next = c.Set
	}
	if b := c.Encode(); len(b) <= chain.MaxCommit {
		return chain.Commit(s.Header, b)
	}
	return s
}

// Work is how many certificates were accepted and signatures checked since the
// root.
func (v *Verifier) Work() cometbft.Work {
	if v.committee == nil || v.committee.follower == nil {
		return cometbft.Work{}
	}
	return v.committee.follower.Work()
}
