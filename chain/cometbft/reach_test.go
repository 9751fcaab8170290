package cometbft_test

import (
	"errors"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// TestReach follows 10,000 heights whose validators change one after the other,
// step by step and by halves, and counts.
func TestReach(t *testing.T) {
	const top = 10_000
	a := newHistory(t, top, rotating(7, 50))
	now := nowAt(top)

	step := rooted(t, a.at(1))
	for h := chain.Height(2); h <= top; h++ {
		accept(t, step, a.at(h), now, nil)
	}
	if w := step.Work(); w.Certificates != top-1 || w.Signatures != (top-1)*5 {
		t.Errorf("step by step: %+v, want %d certificates with 5 of 7 signatures each", w, top-1)
	}

	asked := 0
	fetch := func(h chain.Height) (cometbft.Certificate, error) { asked++; return a.at(h), nil }
	halves := rooted(t, a.at(1))
	if err := halves.Reach(a.at(top), now, fetch); err != nil {
		t.Fatal(err)
	}
	w := halves.Work()
	newest, _ := halves.Newest()
	if newest.Header != a.at(top).Header || int(w.Certificates) > asked+1 {
		t.Errorf("at %d after %d questions: %+v", newest.Header.Height, asked, w)
	}
	// 200 changes of one in seven: more than a third is left after four.
	if w.Certificates < 199/4 || w.Certificates > 199 {
		t.Errorf("by halves: %+v", w)
	}
	t.Logf("step by step %+v; by halves %+v with %d fetched", step.Work(), w, asked)

	same := newHistory(t, 1000, unchanged(equals(0, 4)))
	once := rooted(t, same.at(1))
	if err := once.Reach(same.at(1000), now, nil); err != nil || once.Work() != (cometbft.Work{Certificates: 1, Signatures: 3}) {
		t.Errorf("validators that never change: %v, %+v", err, once.Work())
	}
}

// TestReachTriesTheFurthest: once height 12 is trusted the top is within reach,
// and the steps that had been fetched on the way down are not taken.
func TestReachTriesTheFurthest(t *testing.T) {
	a := newHistory(t, 64, func(h chain.Height, before []cometbft.Validator) []cometbft.Validator {
		switch {
		case before == nil:
			return equals(0, 6)
		case h < 10 || h > 14:
			return before
		}
		return append(slices.Clone(before[1:]), validator(int(h), 10))
	})
	var asked []chain.Height
	f := rooted(t, a.at(1))
	err := f.Reach(a.at(64), nowAt(64), func(h chain.Height) (cometbft.Certificate, error) { asked = append(asked, h); return a.at(h), nil })
	if err != nil || !slices.Equal(asked, []chain.Height{32, 16, 8, 12}) || f.Work().Certificates != 3 {
		t.Errorf("asked for %v, %+v, %v", asked, f.Work(), err)
	}
}

// TestReachFails: a fetch that fails, gives another height, or gives a
// certificate that nobody decided.
func TestReachFails(t *testing.T) {
	a := newHistory(t, 64, rotating(6, 1))
	now := nowAt(64)
	gone := errors.New("gone")
	err := rooted(t, a.at(1)).Reach(a.at(64), now, func(chain.Height) (cometbft.Certificate, error) { return cometbft.Certificate{}, gone })
	if !errors.Is(err, gone) {
		t.Errorf("failed fetch: %v", err)
	}
	err = rooted(t, a.at(1)).Reach(a.at(64), now, func(h chain.Height) (cometbft.Certificate, error) { return a.at(h + 1), nil })
	if !errors.Is(err, cometbft.ErrHeader) {
		t.Errorf("another height: %v", err)
	}
	f := rooted(t, a.at(1))
	err = f.Reach(a.at(64), now, func(h chain.Height) (cometbft.Certificate, error) {
		c := clone(a.at(h))
		if h < 10 {
			c.Commit.Signatures[0].Signature[1] ^= 1
		}
		return c, nil
	})
	if !errors.Is(err, cometbft.ErrSignature) {
		t.Errorf("wrong signature: %v", err)
	}
	// What is left can still be reached.
	if err := f.Reach(a.at(64), now, func(h chain.Height) (cometbft.Certificate, error) { return a.at(h), nil }); err != nil {
		t.Error(err)
	}
}
