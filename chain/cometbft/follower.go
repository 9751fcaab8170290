package cometbft

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"tunic/chain"
)

// memory is how many accepted certificates a Follower keeps, the newest ones.
const memory = 128

// Config is what a Follower goes by.
type Config struct {
	// ChainID of the chain, 1 to MaxChainID bytes.
	ChainID string
	// TrustingPeriod is how long after its time a header may be started from.
	// It has to be well below the time for which a validator's stake stays
	// bound after it left: two thirds of that are usual.
	TrustingPeriod chain.Duration
	// MaxAhead is by how much a header may be ahead of the caller's clock.
	MaxAhead chain.Duration
}

// Work counts what a Follower did.
type Work struct {
	Certificates uint64 // accepted
	Signatures   uint64 // checked, good or bad
}

// accepted is a certificate that was accepted, or the root below them.
type accepted struct {
	height chain.Height
	time   Time
	hash   chain.Hash  // zero: the root that genesis is
	set    *Set        // whose power is trusted when heights are skipped
	next   chain.Hash  // of the set that decides height+1
	of     Certificate // zero for the root that genesis is
}

// Follower follows a chain by certificates, from what it trusts at first to
// wherever it is led. It keeps the newest 128 certificates and recognises what
// contradicts them. Make it with FromGenesis or FromCertificate. It is not safe
// for concurrent use; its owner serialises.
type Follower struct {
	cfg  Config
	kept []accepted // strictly ascending by height, never empty
	two  *TwoHeads
	work Work
}

// FromGenesis makes a follower that trusts the validators of genesis. The first
// block has height initial, usually 1, and no time before genesis.
func FromGenesis(cfg Config, initial chain.Height, time Time, set *Set) (*Follower, error) {
	if initial == 0 || initial > MaxHeight || !time.Valid() || set == nil {
		return nil, fmt.Errorf("%w: genesis without height, time or validators", ErrConfig)
	}
	return newFollower(cfg, accepted{height: initial - 1, time: time, set: set, next: set.hash})
}

// FromCertificate makes a follower that trusts the header with this hash, which
// the caller got from where it gets what it trusts. The certificate brings its
// set, which has to have signed it.
func FromCertificate(cfg Config, c Certificate, hash chain.Hash) (*Follower, error) {
	got, err := c.validate(cfg.ChainID)
	switch {
	case err != nil:
		return nil, err
	case got != hash:
		return nil, fmt.Errorf("%w: height %d is %s, not %s", ErrCheckpoint, c.Header.Height, got, hash)
	case c.Set == nil:
		return nil, fmt.Errorf("%w: height %d", ErrNoSet, c.Header.Height)
	}
	if err := c.Set.VerifyCommit(cfg.ChainID, c.Header.Height, c.Commit.BlockID, &c.Commit); err != nil {
		return nil, err
	}
	return newFollower(cfg, accepted{c.Header.Height, c.Header.Time, hash, c.Set, c.Header.NextValidatorsHash, c})
}

func newFollower(cfg Config, root accepted) (*Follower, error) {
	if cfg.ChainID == "" || len(cfg.ChainID) > MaxChainID || cfg.TrustingPeriod == 0 {
		return nil, fmt.Errorf("%w: chain id %q, trusting period of %d ms", ErrConfig, clip(cfg.ChainID), cfg.TrustingPeriod)
	}
	return &Follower{cfg: cfg, kept: []accepted{root}}, nil
}

// Intermediate says that a certificate cannot be accepted from what is trusted
// now, but might be from a certificate of Height, which is to be had first. It
// is ErrTrust.
type Intermediate struct {
	From   chain.Height // what is trusted
	Height chain.Height // to accept first, between From and To
	To     chain.Height // what was to be accepted
}

func (e *Intermediate) Error() string {
	return fmt.Sprintf("%v: from height %d to %d; accept height %d first", ErrTrust, e.From, e.To, e.Height)
}

func (e *Intermediate) Unwrap() error { return ErrTrust }

// Accept verifies a certificate against the highest accepted one below it and
// keeps it; the caller does not change its signatures afterwards. now is the
// caller's clock. The questions, in this order:
//
//   - no two heads were seen before (ErrTwoHeads);
//   - Certificate.Validate;
//   - one that was accepted before is accepted again, and nothing more is asked;
//   - one below is known (ErrOld), which is not past the trusting period
//     (ErrExpired), and not later (ErrOrder);
//   - it is not ahead of the clock (ErrFuture);
//   - its set came along or is known (ErrNoSet);
//   - right above the one below: its set is the one that was announced there
//     (ErrSet). Further above: more than a third of the trusted power signed it
//     (ErrTrust, an *Intermediate; ErrSigner);
//   - more than two thirds of its own set signed it (ErrCommit, ErrSigner,
//     ErrPower);
//   - the signatures that this took are good (ErrSignature);
//   - it contradicts none that was accepted (ErrTwoHeads): no other at its
//     height, none above that is not later, and neighbours are parent and child.
//
// A second header of an accepted height whose set is the same is held against
// the first one instead of the one below: no step between can be missing.
func (f *Follower) Accept(c Certificate, now chain.Time) error {
	if f.two != nil {
		return f.two
	}
	hash, err := c.validate(f.cfg.ChainID)
	if err != nil {
		return err
	}
	i, known := f.find(c.Header.Height)
	if known && f.kept[i].hash == hash {
		return nil
	}
	rival := known && f.kept[i].of.Header.ValidatorsHash == c.Header.ValidatorsHash
	below := i - 1
	if rival {
		below = i
	}
	if below < 0 {
		return fmt.Errorf("%w: height %d, the lowest is %d", ErrOld, c.Header.Height, f.kept[0].height)
	}
	base := &f.kept[below]
	if err := f.timely(&c.Header, base, rival, TimeAt(now)); err != nil {
		return err
	}
	set, err := f.setOf(&c)
	if err != nil {
		return err
	}
	if err := f.decided(&c, base, rival, set); err != nil {
		return err
	}
	if other := f.contradicted(&c.Header, hash, i, known); other != nil {
		c.Set = set
		f.two = &TwoHeads{*other, c}
		return f.two
	}
	if !known {
		if base.height+1 == c.Header.Height && c.Header.LastBlockID.Hash != base.hash {
			return fmt.Errorf("%w: the first block names a parent", ErrOrder)
		}
		f.keep(i, accepted{c.Header.Height, c.Header.Time, hash, set, c.Header.NextValidatorsHash, c})
	}
	return nil
}

func (f *Follower) timely(h *Header, base *accepted, rival bool, now Time) error {
	order := h.Time.Compare(base.time)
	switch {
	case base.time.Add(f.cfg.TrustingPeriod).Compare(now) <= 0:
		return fmt.Errorf("%w: height %d", ErrExpired, base.height)
	case order < 0 && !rival, order == 0 && !rival && !base.hash.IsZero():
		return fmt.Errorf("%w: height %d is not later than height %d", ErrOrder, h.Height, base.height)
	case h.Time.Compare(now.Add(f.cfg.MaxAhead)) >= 0:
		return fmt.Errorf("%w: height %d", ErrFuture, h.Height)
	}
	return nil
}

// setOf is the set that the certificate has to be signed by, taken from those
// that are known where it is one of them.
func (f *Follower) setOf(c *Certificate) (*Set, error) {
	hash := c.Header.ValidatorsHash
	for _, a := range slices.Backward(f.kept) {
		switch {
		case a.set.hash == hash:
			return a.set, nil
		case a.of.Next != nil && a.of.Next.hash == hash:
			return a.of.Next, nil
		}
	}
	if c.Set == nil {
		return nil, fmt.Errorf("%w: height %d names %s", ErrNoSet, c.Header.Height, hash)
	}
	return c.Set, nil
}

// decided asks whether those signed who have to. Power is added up first, all
// signatures that count are checked once.
func (f *Follower) decided(c *Certificate, base *accepted, rival bool, set *Set) error {
	var trusted []counted
	switch {
	case rival:
	case base.height+1 == c.Header.Height:
		if set.hash != base.next {
			return fmt.Errorf("%w: set %s, height %d announced %s", ErrSet, set.hash, base.height, base.next)
		}
	default:
		var err error
		if trusted, err = base.set.countTrusted(&c.Commit); errors.Is(err, ErrTrust) {
			return &Intermediate{base.height, base.height + (c.Header.Height-base.height)/2, c.Header.Height}
		} else if err != nil {
			return err
		}
	}
	of, err := set.count(c.Header.Height, c.Commit.BlockID, &c.Commit, false)
	if err != nil {
		return err
	}
	n, err := verifySignatures(f.cfg.ChainID, &c.Commit, union(of, trusted))
	f.work.Signatures += uint64(n)
	return err
}

// union merges two lists, each ascending by place, without doubles. The same
// place stays twice where the two sets know two keys by one address.
func union(a, b []counted) []counted {
	all := append(a, b...)
	slices.SortStableFunc(all, func(x, y counted) int { return cmp.Compare(x.place, y.place) })
	return slices.Compact(all)
}

// contradicted is an accepted certificate that cannot be of one history with the
// header, which stands at place i of those kept, or would.
func (f *Follower) contradicted(h *Header, hash chain.Hash, i int, known bool) *Certificate {
	if known {
		return &f.kept[i].of // of another hash
	}
	if below := &f.kept[i-1]; below.height+1 == h.Height && !below.hash.IsZero() && below.hash != h.LastBlockID.Hash {
		return &below.of
	}
	if i < len(f.kept) {
		above := &f.kept[i]
		if above.time.Compare(h.Time) <= 0 || h.Height+1 == above.height && above.of.Header.LastBlockID.Hash != hash {
			return &above.of
		}
	}
	return nil
}

func (f *Follower) keep(i int, a accepted) {
	// What is kept shares sets: a set that came along and is known is let go.
	a.of.Set = a.set
	if n := a.of.Next; n != nil {
		for _, k := range f.kept {
			if k.set.hash == n.hash {
				a.of.Next = k.set
			}
		}
		if a.set.hash == n.hash {
			a.of.Next = a.set
		}
	}
	f.work.Certificates++
	f.kept = slices.Insert(f.kept, i, a)
	if len(f.kept) > memory {
		f.kept = slices.Delete(f.kept, 0, 1)
	}
}

func (f *Follower) find(h chain.Height) (int, bool) {
	return slices.BinarySearchFunc(f.kept, h, func(a accepted, h chain.Height) int { return cmp.Compare(a.height, h) })
}

// Newest is the accepted certificate of the greatest height, with its set; false
// where none was accepted yet.
func (f *Follower) Newest() (Certificate, bool) {
	a := &f.kept[len(f.kept)-1]
	return a.of, !a.hash.IsZero()
}

// At is the accepted certificate of this height, with its set; false where none
// is remembered.
func (f *Follower) At(h chain.Height) (Certificate, bool) {
	i, known := f.find(h)
	if !known || f.kept[i].hash.IsZero() {
		return Certificate{}, false
	}
	return f.kept[i].of, true
}

// Conflict is the evidence for which the follower halted, nil if there is none.
func (f *Follower) Conflict() *TwoHeads { return f.two }

// Work is what the follower did so far.
func (f *Follower) Work() Work { return f.work }

// Reach accepts a certificate and whatever it takes in between, which fetch gets.
// From each newly trusted height it tries the furthest that it holds first. It
// holds at most 64 certificates, half the way from each to the next. Errors are
// those of Accept, but for ErrTrust, and of fetch; what was accepted before
// stays.
func (f *Follower) Reach(c Certificate, now chain.Time, fetch func(chain.Height) (Certificate, error)) error {
	waiting := []Certificate{c} // descending by height
	for at := 0; len(waiting) > 0; {
		err := f.Accept(waiting[at], now)
		var step *Intermediate
		switch {
		case err == nil:
			waiting, at = waiting[:at], 0
		case !errors.As(err, &step):
			return err
		case at+1 < len(waiting):
			at++ // one further down may be within reach
		default:
			next, err := fetch(step.Height)
			if err != nil {
				return fmt.Errorf("fetch height %d: %w", step.Height, err)
			}
			if next.Header.Height != step.Height {
				return fmt.Errorf("%w: height %d, asked for %d", ErrHeader, next.Header.Height, step.Height)
			}
			waiting, at = append(waiting, next), at+1
		}
	}
	return nil
}
