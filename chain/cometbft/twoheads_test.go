package cometbft_test

import (
	"errors"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// another makes a second certificate of c's height by the set.
func another(c cometbft.Certificate, set *cometbft.Set, change func(*cometbft.Header)) cometbft.Certificate {
	h := c.Header
	h.ValidatorsHash, h.NextValidatorsHash = set.Hash(), set.Hash()
	change(&h)
	return certify(h, set, set)
}

// halted fails unless the follower halted for these two, in this order.
func halted(t *testing.T, f *cometbft.Follower, first, second cometbft.Certificate, now chain.Time) {
	t.Helper()
	accept(t, f, second, now, cometbft.ErrTwoHeads)
	two := f.Conflict()
	if two == nil || two.First.Header != first.Header || two.Second.Header != second.Header || two.First.Set == nil || two.Second.Set == nil {
		t.Fatalf("kept %+v", two)
	}
	for _, c := range []*cometbft.Certificate{&two.First, &two.Second} { // evidence on its own
		if err := c.Set.VerifyCommit(chainID, c.Header.Height, c.Commit.BlockID, &c.Commit); err != nil {
			t.Errorf("height %d of the evidence: %v", c.Header.Height, err)
		}
	}
	for _, c := range []cometbft.Certificate{first, second} {
		accept(t, f, c, now, cometbft.ErrTwoHeads) // nothing any more
	}
}

// going does not halt.
func going(t *testing.T, f *cometbft.Follower, c cometbft.Certificate, now chain.Time, want error) {
	t.Helper()
	accept(t, f, c, now, want)
	if f.Conflict() != nil {
		t.Fatal("halted without evidence")
	}
}

func TestTwoHeads(t *testing.T) {
	members := equals(0, 4)
	a := newHistory(t, 20, unchanged(members))
	set, now := a.at(1).Set, nowAt(20)
	change := func(h *cometbft.Header) { flip(&h.DataHash) }
	// Three of the four and another three: more than two thirds of one set, and
	// more than a third of the first.
	mixed := setOf(t, append(slices.Clone(members[:3]), equals(60, 3)...))

	follow := func(heights ...chain.Height) *cometbft.Follower {
		t.Helper()
		f := rooted(t, a.at(heights[0]))
		for _, h := range heights[1:] {
			accept(t, f, a.at(h), now, nil)
		}
		return f
	}
	t.Run("one set, newest", func(t *testing.T) { halted(t, follow(2, 3, 9), a.at(9), another(a.at(9), set, change), now) })
	t.Run("one set, without its set", func(t *testing.T) {
		second := another(a.at(9), set, change)
		second.Set, second.Next = nil, nil
		halted(t, follow(2, 9), a.at(9), second, now)
	})
	t.Run("one set, the root", func(t *testing.T) { halted(t, follow(2, 3, 9), a.at(2), another(a.at(2), set, change), now) })
	t.Run("one set, earlier than the one below", func(t *testing.T) {
		second := another(a.at(9), set, func(h *cometbft.Header) { h.Time.Seconds = began })
		halted(t, follow(2, 9), a.at(9), second, now)
	})
	t.Run("another set, vouched for", func(t *testing.T) { halted(t, follow(2, 9), a.at(9), another(a.at(9), mixed, change), now) })
	t.Run("a child of another parent", func(t *testing.T) {
		second := another(a.at(10), set, func(h *cometbft.Header) { flip(&h.LastBlockID.Hash) })
		halted(t, follow(2, 9), a.at(9), second, now)
	})
	t.Run("a parent of no child", func(t *testing.T) { halted(t, follow(2, 9), a.at(9), another(a.at(8), set, change), now) })
	t.Run("between, and later than what is above", func(t *testing.T) {
		second := another(a.at(5), set, func(h *cometbft.Header) { h.Time.Seconds += 4 })
		halted(t, follow(2, 9), a.at(9), second, now)
	})

	// What proves nothing halts nobody.
	t.Run("not signed", func(t *testing.T) {
		second := another(a.at(9), set, change)
		second.Commit.Signatures[1].Signature[7] ^= 1
		going(t, follow(2, 9), second, now, cometbft.ErrSignature)
	})
	t.Run("signed by half", func(t *testing.T) {
		second := another(a.at(9), set, change)
		second.Commit = commitTo(&second.Header, set, 0, []cometbft.Flag{2, 2, 3, 1})
		going(t, follow(2, 9), second, now, cometbft.ErrPower)
	})
	t.Run("signed by strangers", func(t *testing.T) {
		going(t, follow(2, 9), another(a.at(9), setOf(t, equals(60, 4)), change), now, cometbft.ErrTrust)
		going(t, follow(8, 9), another(a.at(9), setOf(t, equals(60, 4)), change), now, cometbft.ErrSet)
	})
	t.Run("signed when the validators had left", func(t *testing.T) {
		late := now + chain.Time(config.TrustingPeriod)
		going(t, follow(2, 9), another(a.at(9), set, change), late, cometbft.ErrExpired)
	})
	t.Run("another commit for one header", func(t *testing.T) {
		c := a.at(9)
		c.Commit = commitTo(&c.Header, set, 4, []cometbft.Flag{2, 2, 2, 1})
		going(t, follow(2, 9), c, now, nil)
	})
	t.Run("of another chain", func(t *testing.T) {
		going(t, follow(2, 9), another(a.at(9), set, func(h *cometbft.Header) { h.ChainID = "tunic-other" }), now, cometbft.ErrChain)
	})
}

// TestDuplicates: who signed both of two certificates of one round is found out,
// and nobody else is.
func TestDuplicates(t *testing.T) {
	a := newHistory(t, 9, unchanged(equals(0, 6)))
	first, set := clone(a.at(9)), a.at(9).Set
	first.Commit = commitTo(&first.Header, set, 1, []cometbft.Flag{2, 2, 2, 2, 2, 3})
	header := first.Header
	flip(&header.AppHash)
	second := certify(header, set, nil)
	second.Commit = commitTo(&header, set, 1, []cometbft.Flag{1, 2, 2, 2, 2, 2})
	f := rooted(t, a.at(3))
	accept(t, f, first, nowAt(9), nil)
	accept(t, f, second, nowAt(9), cometbft.ErrTwoHeads)
	found := f.Conflict().Duplicates(chainID)
	if len(found) != 5 {
		t.Fatalf("%d validators, want those at places 1 to 5", len(found))
	}
	for i, d := range found {
		if d.Validator != set.At(i+1).Key || d.Verify(chainID) != nil || d.Height != 9 || d.Round != 1 || d.Type != cometbft.Precommit {
			t.Errorf("place %d: %+v, %v", i+1, d, d.Verify(chainID))
		}
	}
	// A vote that nobody checked may be anything: it names nobody.
	second.Commit.Signatures[5].Signature[3] ^= 1
	two := cometbft.TwoHeads{First: first, Second: second}
	if got := two.Duplicates(chainID); len(got) != 4 {
		t.Errorf("%d validators with a wrong signature among them, want 4", len(got))
	}
	second.Commit = commitTo(&header, set, 2, nil)
	if got := (&cometbft.TwoHeads{First: first, Second: second}).Duplicates(chainID); len(got) != 0 {
		t.Errorf("%d validators of two rounds", len(got))
	}
	if !errors.Is(&two, cometbft.ErrTwoHeads) || two.Error() == "" {
		t.Error("the evidence is no error")
	}
}
