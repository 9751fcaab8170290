package ratchet_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"tunic/client/ratchet"
)

// Both send and answer, a step of the DH ratchet each time (double ratchet, sections
// 2.3, 4.5 and 4.6), from states as they stand on disk (section 4.3).
func TestTurns(t *testing.T) {
	a, b := pair(t, env(), newParty(t, "alice"), newParty(t, "bob"))
	for i := range 20 {
		a, b = reload(t, env(), a), reload(t, env(), b)
		for k := range 1 + i%3 {
			mustOpen(t, &b, mustSeal(t, &a, fmt.Sprint("to bob ", i, k)), fmt.Sprint("to bob ", i, k))
		}
		for k := range i % 4 {
			mustOpen(t, &a, mustSeal(t, &b, fmt.Sprint("to alice ", i, k)), fmt.Sprint("to alice ", i, k))
		}
	}
	for _, n := range []int{0, 1, ratchet.MaxPlaintext(small)} {
		text := string(bytes.Repeat([]byte{7}, n))
		mustOpen(t, &a, mustSeal(t, &b, text), text)
	}
	if _, _, err := a.Seal(make([]byte, ratchet.MaxPlaintext(small)+1)); !errors.Is(err, ratchet.ErrTooLong) {
		t.Error(err)
	}
}

// Who was asked for contact can send first: the request brings a ratchet key. By the
// double ratchet, section 4.4, Bob has no sending chain before Alice's first message;
// here he takes the step of section 4.6 with the request.
func TestBothCanBegin(t *testing.T) {
	a, b := pair(t, env(), newParty(t, "alice"), newParty(t, "bob"))
	first, second := mustSeal(t, &a, "crossing 1"), mustSeal(t, &b, "crossing 2")
	mustOpen(t, &b, first, "crossing 1")
	mustOpen(t, &a, second, "crossing 2")
	mustOpen(t, &b, mustSeal(t, &a, "on"), "on")
	mustOpen(t, &a, mustSeal(t, &b, "and on"), "and on")
}

// Out of order, also across ratchet steps (double ratchet, section 2.6): each item
// opens once, by the keys that section 4.6 keeps.
func TestOrder(t *testing.T) {
	a, b := pair(t, env(), newParty(t, "alice"), newParty(t, "bob"))
	var items [][]byte
	for round := range 3 { // over two ratchet steps
		for i := range 5 {
			items = append(items, mustSeal(t, &a, fmt.Sprint(round, i)))
		}
		if round < 2 {
			mustOpen(t, &b, items[len(items)-1], fmt.Sprint(round, 4))
			mustOpen(t, &a, mustSeal(t, &b, "turn"), "turn")
		}
	}
	for i, item := range slices.Backward(items) {
		if i%5 == 4 && i < 10 {
			if _, _, err := b.Open(item, 0); !errors.Is(err, ratchet.ErrDecrypt) {
				t.Errorf("opened twice: %v", err)
			}
			continue
		}
		b = reload(t, env(), b)
		mustOpen(t, &b, item, fmt.Sprint(i/5, i%5))
	}
	if n := b.Skipped(); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

// MAX_SKIP (double ratchet, section 3.1), and that what is refused changes nothing
// (section 3.5).
func TestThousandPassedOver(t *testing.T) {
	a, b := pair(t, env(), newParty(t, "alice"), newParty(t, "bob"))
	first := mustSeal(t, &a, "first")
	for range ratchet.MaxSkip - 1 {
		mustSeal(t, &a, "lost")
	}
	last := mustSeal(t, &a, "last")
	mustOpen(t, &b, last, "last")
	b = reload(t, env(), b)
	if n := b.Skipped(); n != ratchet.MaxSkip {
		t.Fatalf("%d keys are kept", n)
	}
	mustOpen(t, &b, first, "first")

	// One more is too many, and changes nothing.
	for range ratchet.MaxSkip + 1 {
		mustSeal(t, &a, "lost")
	}
	before := b.State()
	if _, _, err := b.Open(mustSeal(t, &a, "too far"), 0); !errors.Is(err, ratchet.ErrSkip) {
		t.Errorf("%d passed over: %v", ratchet.MaxSkip+1, err)
	}
	if !bytes.Equal(before, b.State()) {
		t.Error("a refused item changes the session")
	}
}

// Keys of passed-over messages are bounded in number and age (double ratchet,
// section 6.4).
func TestForget(t *testing.T) {
	a, b := pair(t, env(), newParty(t, "alice"), newParty(t, "bob"))
	old := mustSeal(t, &a, "old")
	item := mustSeal(t, &a, "newer")
	_, b, err := b.Open(item, 100)
	if err != nil || b.Skipped() != 1 {
		t.Fatal(b.Skipped(), err)
	}
	if _, any := b.Forget(100 + keep); any {
		t.Error("forgotten too early")
	}
	if next, any := b.Forget(101 + keep); !any || next.Skipped() != 0 {
		t.Error("not forgotten")
	}
	if _, _, err := b.Open(old, 101+keep); !errors.Is(err, ratchet.ErrDecrypt) {
		t.Errorf("an old message opens: %v", err)
	}
	mustOpen(t, &b, old, "old") // in time

	for range 3 {
		for range ratchet.MaxSkip {
			mustSeal(t, &a, "lost")
		}
		mustOpen(t, &b, mustSeal(t, &a, "on"), "on")
	}
	if n := b.Skipped(); n != ratchet.MaxKept {
		t.Errorf("%d keys are kept", n)
	}
}

// Header and body are authenticated, and the body with the header and AD (double
// ratchet, sections 4.2 and 4.5); what fails changes no state (section 3.5).
func TestRefused(t *testing.T) {
	alice, bob := newParty(t, "alice"), newParty(t, "bob")
	a, b := pair(t, env(), alice, bob)
	other, stranger := pair(t, env(), alice, bob)
	item, own := mustSeal(t, &a, "hello"), mustSeal(t, &b, "hello")
	before := b.State()
	refused := func(what string, item []byte) {
		t.Helper()
		if _, next, err := b.Open(item, 0); !errors.Is(err, ratchet.ErrDecrypt) || next != nil {
			t.Errorf("%s: %v", what, err)
		}
		if !bytes.Equal(before, b.State()) {
			t.Errorf("%s changes the session", what)
		}
	}
	for i := range item {
		changed := bytes.Clone(item)
		changed[i] ^= 1 << (i % 8)
		refused(fmt.Sprintf("bit of byte %d", i), changed)
	}
	refused("a shorter one", item[:small-1])
	refused("a longer one", append(bytes.Clone(item), 0))
	refused("nothing", nil)
	refused("one of another session", mustSeal(t, &other, "hello"))
	refused("one of its own", own)
	refused("one of another session's other side", mustSeal(t, &stranger, "hello"))
	second := mustSeal(t, &a, "second")
	refused("a header on another body", append(bytes.Clone(item[:80]), second[80:]...))
	mustOpen(t, &b, item, "hello")
	before = b.State()
	refused("opened before", item)
	mustOpen(t, &b, second, "second")
}

// An old state that comes back uses keys again; the nonces differ, so that what
// was sealed under one key twice gives nothing away, and the other side refuses
// what it cannot tell from a repetition. Message keys serve once by the double
// ratchet, section 3.1 (ENCRYPT), which so needs no nonce; a random one is the
// addition here.
func TestOldStateComesBack(t *testing.T) {
	a, b := pair(t, env(), newParty(t, "alice"), newParty(t, "bob"))
	old := reload(t, env(), a)
	first := mustSeal(t, &a, "first")
	again := mustSeal(t, &old, "another")
	x, y := first[96:], again[96:]
	same := 0
	for i := range x {
		if x[i] == y[i] {
			same++
		}
	}
	if same > 40 { // 1,184 bytes, one in 256 by chance; 1,170 are zeros before they are sealed
		t.Errorf("%d bytes are the same under one key", same)
	}
	mustOpen(t, &b, first, "first")
	if _, _, err := b.Open(again, 0); !errors.Is(err, ratchet.ErrDecrypt) {
		t.Error(err)
	}
	// Once it is beyond what was sent before, it goes on.
	mustOpen(t, &b, mustSeal(t, &old, "beyond"), "beyond")
}

// A state (double ratchet, section 4.3) is taken whole and as it was written, or not.
func TestLoad(t *testing.T) {
	_, b := pair(t, env(), newParty(t, "alice"), newParty(t, "bob"))
	state := b.State()
	for n := range state {
		if _, err := ratchet.Load(env(), state[:n]); !errors.Is(err, ratchet.ErrMalformed) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	state[0]++
	if _, err := ratchet.Load(env(), state); !errors.Is(err, ratchet.ErrMalformed) {
		t.Error(err)
	}
	state[0]--
	if _, err := ratchet.Load(env(), append(state, 0)); !errors.Is(err, ratchet.ErrMalformed) {
		t.Error(err)
	}
	e := env()
	e.Item = 98
	if _, err := ratchet.Load(e, state); !errors.Is(err, ratchet.ErrKey) {
		t.Error(err)
	}
}
