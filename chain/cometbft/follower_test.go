package cometbft_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/cometbft/cometbft/light"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// accept fails unless the follower says want of the certificate.
func accept(t *testing.T, f *cometbft.Follower, c cometbft.Certificate, now chain.Time, want error) {
	t.Helper()
	if err := f.Accept(c, now); !errors.Is(err, want) {
		t.Fatalf("height %d: %v, want %v", c.Header.Height, err, want)
	}
}

// TestFromGenesis: the validators of genesis decide the first block, which is
// not before genesis and has no parent, or vouch for a later one.
func TestFromGenesis(t *testing.T) {
	a := newHistory(t, 12, rotating(4, 100))
	from := func(initial chain.Height, time cometbft.Time, set *cometbft.Set) *cometbft.Follower {
		t.Helper()
		f, err := cometbft.FromGenesis(config, initial, time, set)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := f.Newest(); ok || f.Conflict() != nil {
			t.Fatal("something was accepted before anything was")
		}
		return f
	}
	first := a.at(1)
	now := nowAt(12)
	atOnce := first.Header.Time // CometBFT dates the first block with genesis
	accept(t, from(1, atOnce, first.Set), first, now, nil)
	accept(t, from(1, cometbft.Time{Seconds: began}, first.Set), a.at(9), now, nil)
	accept(t, from(1, cometbft.Time{Seconds: began + 5}, first.Set), first, now, cometbft.ErrOrder)
	accept(t, from(1, atOnce, setOf(t, equals(50, 4))), first, now, cometbft.ErrSet)
	accept(t, from(1, atOnce, setOf(t, equals(50, 4))), a.at(9), now, cometbft.ErrTrust)
	accept(t, from(2, atOnce, first.Set), first, now, cometbft.ErrOld)
	accept(t, from(1, atOnce, first.Set), first, beganMS+chain.Time(15*day), cometbft.ErrExpired)

	withParent := clone(first)
	withParent.Header.LastBlockID = a.at(3).Commit.BlockID
	withParent.Commit = commitTo(&withParent.Header, first.Set, 0, nil)
	accept(t, from(1, atOnce, first.Set), withParent, now, cometbft.ErrOrder)

	f := from(1, atOnce, first.Set)
	for h := chain.Height(1); h <= 12; h++ {
		c := a.at(h)
		c.Set, c.Next = nil, nil // all from genesis
		accept(t, f, c, now, nil)
		accept(t, f, c, now, nil)
		if newest, ok := f.Newest(); !ok || newest.Header != c.Header || newest.Set == nil || newest.Set.Hash() != first.Set.Hash() {
			t.Fatalf("the newest is not the one of height %d with its set", h)
		}
	}
	if w := f.Work(); w.Certificates != 12 || w.Signatures != 12*3 {
		t.Errorf("work %+v, want 12 certificates and three of four signatures each", w)
	}
	if _, ok := f.At(13); ok {
		t.Error("height 13 was accepted")
	}
	if c, ok := f.At(4); !ok || c.Header != a.at(4).Header {
		t.Error("height 4 is not remembered")
	}
}

func TestUnusableRoots(t *testing.T) {
	set := setOf(t, equals(0, 4))
	c := newHistory(t, 3, unchanged(equals(0, 4))).at(3)
	hash := c.Header.Hash()
	long := string(make([]byte, cometbft.MaxChainID+1))
	for name, try := range map[string]func() error{
		"no chain id": func() error {
			_, err := cometbft.FromGenesis(cometbft.Config{TrustingPeriod: day}, 1, cometbft.Time{}, set)
			return err
		},
		"chain id too long": func() error {
			_, err := cometbft.FromGenesis(cometbft.Config{ChainID: long, TrustingPeriod: day}, 1, cometbft.Time{}, set)
			return err
		},
		"no trusting period": func() error {
			_, err := cometbft.FromGenesis(cometbft.Config{ChainID: chainID}, 1, cometbft.Time{}, set)
			return err
		},
		"no set":    func() error { _, err := cometbft.FromGenesis(config, 1, cometbft.Time{}, nil); return err },
		"height 0":  func() error { _, err := cometbft.FromGenesis(config, 0, cometbft.Time{}, set); return err },
		"over":      func() error { _, err := cometbft.FromGenesis(config, 1<<63, cometbft.Time{}, set); return err },
		"no moment": func() error { _, err := cometbft.FromGenesis(config, 1, cometbft.Time{Nanos: 1e9}, set); return err },
	} {
		if err := try(); !errors.Is(err, cometbft.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []struct {
		name   string
		change func(*cometbft.Certificate, *chain.Hash)
		want   error
	}{
		{"another hash", func(_ *cometbft.Certificate, h *chain.Hash) { h[0] ^= 1 }, cometbft.ErrCheckpoint},
		{"another chain", func(c *cometbft.Certificate, _ *chain.Hash) { c.Header.ChainID = "x" }, cometbft.ErrChain},
		{"no set", func(c *cometbft.Certificate, _ *chain.Hash) { c.Set = nil }, cometbft.ErrNoSet},
		{"another set", func(c *cometbft.Certificate, _ *chain.Hash) { c.Set = setOf(t, equals(1, 4)) }, cometbft.ErrSet},
		{"another next set", func(c *cometbft.Certificate, _ *chain.Hash) { c.Next = setOf(t, equals(1, 4)) }, cometbft.ErrSet},
		{"a header at no moment", func(c *cometbft.Certificate, _ *chain.Hash) { c.Header.Time.Nanos = 1e9 }, cometbft.ErrHeader},
		{"a vote at no moment", func(c *cometbft.Certificate, _ *chain.Hash) { c.Commit.Signatures[3].Time.Nanos = 1e9 }, cometbft.ErrCommit},
		{"a commit for another height", func(c *cometbft.Certificate, _ *chain.Hash) { c.Commit.Height++ }, cometbft.ErrCommit},
		{"a wrong signature", func(c *cometbft.Certificate, _ *chain.Hash) { c.Commit.Signatures[0].Signature[5] ^= 1 }, cometbft.ErrSignature},
	} {
		c, hash := clone(c), hash
		bad.change(&c, &hash)
		if _, err := cometbft.FromCertificate(config, c, hash); !errors.Is(err, bad.want) {
			t.Errorf("%s: %v", bad.name, err)
		}
		if self := c.Validate(chainID); (self != nil) != slices.Contains([]error{cometbft.ErrChain, cometbft.ErrHeader, cometbft.ErrCommit, cometbft.ErrSet}, bad.want) {
			t.Errorf("%s, of itself: %v", bad.name, self)
		}
	}
}

// TestSetsThatStayBehind: a set comes along once; while it does not change, and
// where the certificate before brought it as its next one, it need not.
func TestSetsThatStayBehind(t *testing.T) {
	a := newHistory(t, 30, rotating(7, 10))
	f := rooted(t, a.at(1))
	now := nowAt(30)
	for h := chain.Height(2); h <= 30; h++ {
		c := a.at(h)
		if c.Set.Hash() == c.Next.Hash() {
			c.Next = nil
		}
		c.Set = nil
		accept(t, f, c, now, nil)
	}
	f = rooted(t, a.at(1))
	stranger := a.at(12)
	stranger.Set = nil
	accept(t, f, stranger, now, cometbft.ErrNoSet)
	accept(t, f, a.at(12), now, nil)
	stranger = a.at(13)
	stranger.Set = nil
	accept(t, f, stranger, now, nil)
}

// TestSkipping: what can be reached at once is, what cannot asks for half the
// way; overlaps above and below a third.
func TestSkipping(t *testing.T) {
	// One of six replaced at every height: at h+3 half are left, at h+4 a third,
	// which is not enough.
	a := newHistory(t, 40, rotating(6, 1))
	now := nowAt(40)
	for _, c := range []struct {
		to   chain.Height
		want error
		ask  chain.Height
	}{{2, nil, 0}, {3, nil, 0}, {4, nil, 0}, {5, cometbft.ErrTrust, 3}, {6, cometbft.ErrTrust, 3}, {40, cometbft.ErrTrust, 20}} {
		f := rooted(t, a.at(1))
		err := f.Accept(a.at(c.to), now)
		var step *cometbft.Intermediate
		if !errors.Is(err, c.want) || errors.As(err, &step) != (c.ask > 0) || c.ask > 0 && (step.Height != c.ask || step.From != 1 || step.To != c.to) {
			t.Errorf("to %d: %v", c.to, err)
		}
		if c.want != nil && f.Work().Signatures != 0 {
			t.Errorf("to %d: %d signatures were checked for nothing", c.to, f.Work().Signatures)
		}
	}
	// The third that is trusted has to have signed, not only to be there.
	f, c := rooted(t, a.at(1)), a.at(4)
	flags := slices.Repeat([]cometbft.Flag{cometbft.FlagCommit}, 6)
	for i := range flags {
		if _, old := a.at(1).Set.Find(cometbft.AddressOf(c.Set.At(i).Key)); old {
			flags[i] = cometbft.FlagNil
			break
		}
	}
	c.Commit = commitTo(&c.Header, c.Set, 0, flags)
	accept(t, f, c, now, cometbft.ErrTrust)
	// And two thirds of its own set.
	f, c = rooted(t, a.at(1)), a.at(2)
	flags = slices.Repeat([]cometbft.Flag{cometbft.FlagCommit}, 6)
	flags[1], flags[4] = cometbft.FlagAbsent, cometbft.FlagNil
	c.Commit = commitTo(&c.Header, c.Set, 0, flags)
	accept(t, f, c, now, cometbft.ErrPower)
	// One of the old validators in two places is nobody's vote.
	f, c = rooted(t, a.at(1)), clone(a.at(3))
	for i := range c.Commit.Signatures {
		if _, old := a.at(1).Set.Find(c.Commit.Signatures[i].Validator); old {
			c.Commit.Signatures[0], c.Commit.Signatures[1] = c.Commit.Signatures[i], c.Commit.Signatures[i]
			break
		}
	}
	accept(t, f, c, now, cometbft.ErrSigner)
}

// TestForgedTrust: a set that someone made up, in which its own validators have
// nearly all the power and those who are trusted stand last. It signs for
// itself; votes of the trusted ones are copied from elsewhere.
func TestForgedTrust(t *testing.T) {
	honest := equals(0, 4)
	a := newHistory(t, 9, unchanged(honest))
	made := validators(70, 1000, 1000, 1000)
	for _, v := range honest {
		made = append(made, cometbft.Validator{Key: v.Key, Power: 1})
	}
	set := setOf(t, made)
	header := headerAt(9, set, set)
	c := certify(header, set, nil)
	for i := 3; i < set.Len(); i++ {
		c.Commit.Signatures[i].Signature = a.at(9).Commit.Signatures[0].Signature
	}
	f := rooted(t, a.at(2))
	err := f.Accept(c, nowAt(9))
	agree(t, "forged trust", err, verifyLight(t, config, a.at(2), c, nowAt(9)))
	if !errors.Is(err, cometbft.ErrSignature) {
		t.Errorf("%v", err)
	}
}

// TestClock: the edges of the trusting period and of the clock, to the
// millisecond.
func TestClock(t *testing.T) {
	a := newHistory(t, 5, unchanged(equals(0, 4)))
	at := func(h chain.Height) chain.Time { return beganMS + chain.Time(h)*1000 + 123 } // and 456,789 ns
	for _, c := range []struct {
		name string
		now  chain.Time
		want error
	}{
		{"the last moment of trust", at(2) + chain.Time(config.TrustingPeriod), nil},
		{"past it", at(2) + chain.Time(config.TrustingPeriod) + 1, cometbft.ErrExpired},
		{"the end of time", ^chain.Time(0), cometbft.ErrExpired},
		{"ahead by as much as may be", at(3) - chain.Time(config.MaxAhead) + 1, nil},
		{"ahead by more", at(3) - chain.Time(config.MaxAhead), cometbft.ErrFuture},
		{"the beginning of time", 0, cometbft.ErrFuture},
	} {
		t.Run(c.name, func(t *testing.T) { accept(t, rooted(t, a.at(2)), a.at(3), c.now, c.want) })
	}
	// The very moment, where a header has whole milliseconds: too old for trust,
	// and too far ahead, as for CometBFT.
	whole := func(c cometbft.Certificate) cometbft.Certificate {
		c.Header.Time.Nanos = 123_000_000
		c.Commit = commitTo(&c.Header, c.Set, 0, nil)
		return c
	}
	trusted := whole(a.at(2))
	c := a.at(3)
	c.Header.LastBlockID = trusted.Commit.BlockID
	c = whole(c)
	for _, edge := range []struct {
		now  chain.Time
		want error
	}{
		{at(2) + chain.Time(config.TrustingPeriod) - 1, nil}, {at(2) + chain.Time(config.TrustingPeriod), cometbft.ErrExpired},
		{at(3) - chain.Time(config.MaxAhead) + 1, nil}, {at(3) - chain.Time(config.MaxAhead), cometbft.ErrFuture},
	} {
		err := rooted(t, trusted).Accept(c, edge.now)
		agree(t, "edge", err, verifyLight(t, config, trusted, c, edge.now))
		if !errors.Is(err, edge.want) {
			t.Errorf("at %d: %v, want %v", edge.now, err, edge.want)
		}
	}
	// What was accepted stays so, and what is below the root never is.
	f := rooted(t, a.at(2))
	accept(t, f, a.at(2), ^chain.Time(0), nil)
	accept(t, f, a.at(1), nowAt(5), cometbft.ErrOld)
}

// TestBetween: a certificate between two that were accepted is held against both.
func TestBetween(t *testing.T) {
	a := newHistory(t, 20, unchanged(equals(0, 4)))
	now := nowAt(20)
	f := rooted(t, a.at(2))
	accept(t, f, a.at(12), now, nil)
	accept(t, f, a.at(7), now, nil)
	accept(t, f, a.at(11), now, nil)
	for _, h := range []chain.Height{2, 7, 11, 12} {
		if c, ok := f.At(h); !ok || c.Header != a.at(h).Header {
			t.Errorf("height %d is not remembered", h)
		}
	}
	if newest, _ := f.Newest(); newest.Header.Height != 12 {
		t.Errorf("newest is %d", newest.Header.Height)
	}
	wrong := clone(a.at(8))
	wrong.Header.Time.Seconds = began + 7
	wrong.Commit = commitTo(&wrong.Header, wrong.Set, 0, nil)
	accept(t, f, wrong, now, cometbft.ErrOrder)
}

// TestMemory: the newest are kept, and what is below them is refused.
func TestMemory(t *testing.T) {
	const kept = 128
	a := newHistory(t, 3*kept, unchanged(equals(0, 1)))
	f := rooted(t, a.at(1))
	now := nowAt(3 * kept)
	for h := chain.Height(2); h <= 3*kept; h++ {
		accept(t, f, a.at(h), now, nil)
	}
	if _, ok := f.At(2*kept + 1); !ok {
		t.Error("the lowest of those kept is gone")
	}
	if _, ok := f.At(2 * kept); ok {
		t.Error("one more is kept")
	}
	accept(t, f, a.at(2*kept), now, cometbft.ErrOld)
	other := headerAt(5, a.at(5).Set, a.at(5).Set)
	accept(t, f, certify(other, a.at(5).Set, nil), now, cometbft.ErrOld)
}

// TestVerifyParent goes down from a trusted header.
func TestVerifyParent(t *testing.T) {
	a := newHistory(t, 4, unchanged(equals(0, 4)))
	child, parent := a.at(4).Header, a.at(3).Header
	for _, c := range []struct {
		name   string
		change func(h *cometbft.Header)
		want   error
	}{
		{"the parent", func(*cometbft.Header) {}, nil},
		{"another block", func(h *cometbft.Header) { flip(&h.AppHash) }, cometbft.ErrOrder},
		{"the grandparent", func(h *cometbft.Header) { *h = a.at(2).Header }, cometbft.ErrOrder},
		{"a later one", func(h *cometbft.Header) { h.Time = child.Time }, cometbft.ErrOrder},
		{"of another chain", func(h *cometbft.Header) { h.ChainID = "x" }, cometbft.ErrChain},
		{"without validators", func(h *cometbft.Header) { h.ValidatorsHash = chain.Hash{} }, cometbft.ErrHeader},
	} {
		h := parent
		c.change(&h)
		err := cometbft.VerifyParent(&h, &child)
		agree(t, c.name, err, light.VerifyBackwards(oracleHeader(h), oracleHeader(child)))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestAnyOrder gives the certificates of a chain in any order, with forged ones
// among them that a minority signed, and some more than once: what is accepted
// is of the chain, nothing halts, and Reach always comes to the end.
func TestAnyOrder(t *testing.T) {
	const top = 80
	a := newHistory(t, top, rotating(7, 5))
	now := nowAt(top)
	minority := []cometbft.Flag{2, 3, 2, 1, 2, 2, 3} // four of seven
	for seed := range uint64(20) {
		rng := seeded(100 + seed)
		f := rooted(t, a.at(1))
		for range 150 {
			h := chain.Height(2 + rng.IntN(top-1))
			c := a.at(h)
			if forged := rng.IntN(3) == 0; forged {
				flip(&c.Header.DataHash)
				set := c.Set
				if rng.IntN(2) == 0 { // of its own making
					set = setOf(t, append(equals(500, 5), validator(rng.IntN(10), 10), validator(20+rng.IntN(10), 10)))
					c.Header.ValidatorsHash, c.Set, c.Next = set.Hash(), set, nil
				}
				c.Commit = commitTo(&c.Header, set, 0, minority)
				if f.Accept(c, now) == nil {
					t.Fatalf("seed %d: a forged height %d was accepted", seed, h)
				}
				continue
			}
			if err := f.Accept(c, now); err != nil && !errors.Is(err, cometbft.ErrTrust) {
				t.Fatalf("seed %d: height %d: %v", seed, h, err)
			}
		}
		if err := f.Reach(a.at(top), now, func(h chain.Height) (cometbft.Certificate, error) { return a.at(h), nil }); err != nil || f.Conflict() != nil {
			t.Fatalf("seed %d: %v, %v", seed, err, f.Conflict())
		}
		for h := chain.Height(1); h <= top; h++ {
			if c, ok := f.At(h); ok && c.Header != a.at(h).Header {
				t.Fatalf("seed %d: another height %d is remembered", seed, h)
			}
		}
	}
}
