package ratchet_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"tunic/client/ratchet"
)

// `make soak-ratchet` asks for more of them.
var (
	operations = flag.Int("operations", 30_000, "how many random operations")
	seed       = flag.Uint64("seed", 1, "of the random operations")
)

// sent is an item on its way, and what the model knows of it.
type sent struct {
	item         []byte
	text         string
	chain, n, pn int
	opened       bool
}

type skippedKey struct {
	chain, n int
	since    uint64
}

// side is one party: its session as its disk has it, and a model that knows no
// cryptography. chain counts the ratchet keys that a side has sent with.
type side struct {
	stored []byte

	chain, ns, pn int
	theirs, nr    int // the other side's newest chain, -1 for none, and what comes next of it
	skipped       []skippedKey
	flight        []*sent // to this side
	done          []*sent // opened, or given up
	lost          int
}

// expect is what the model says of an item; it changes nothing.
func (s *side) expect(m *sent, now uint64) error {
	if m.opened {
		return ratchet.ErrDecrypt
	}
	if slices.ContainsFunc(s.alive(now), func(k skippedKey) bool { return k.chain == m.chain && k.n == m.n }) {
		return nil
	}
	nr := s.nr
	switch {
	case m.chain == s.theirs+1:
		if s.theirs >= 0 && m.pn-s.nr > ratchet.MaxSkip {
			return ratchet.ErrSkip
		}
		nr = 0
	case m.chain != s.theirs || m.n < s.nr:
		return ratchet.ErrDecrypt
	}
	if m.n-nr > ratchet.MaxSkip {
		return ratchet.ErrSkip
	}
	return nil
}

func (s *side) alive(now uint64) []skippedKey {
	return slices.DeleteFunc(slices.Clone(s.skipped), func(k skippedKey) bool { return now-k.since > keep })
}

// take is what opening an item does.
func (s *side) take(m *sent, now uint64) {
	s.skipped = s.alive(now)
	m.opened = true
	if i := slices.IndexFunc(s.skipped, func(k skippedKey) bool { return k.chain == m.chain && k.n == m.n }); i >= 0 {
		s.skipped = slices.Delete(s.skipped, i, i+1)
		return
	}
	skip := func(until int) {
		for ; s.nr < until; s.nr++ {
			s.skipped = append(s.skipped, skippedKey{s.theirs, s.nr, now})
		}
		s.skipped = s.skipped[max(0, len(s.skipped)-ratchet.MaxKept):]
	}
	if m.chain > s.theirs {
		if s.theirs >= 0 {
			skip(m.pn)
		}
		s.theirs, s.nr = m.chain, 0
		s.chain, s.pn, s.ns = s.chain+1, s.ns, 0
	}
	skip(m.n)
	s.nr++
}

// TestModel: random seals, deliveries in any order, losses, repetitions, changed
// bits, and ends of the process before a state is on disk. What opens, what is
// refused and how many keys are kept is what a model says: RatchetDecryptHE with
// TrySkippedMessageKeysHE, SkipMessageKeysHE and DHRatchetHE (double ratchet, section
// 4.6), without its cryptography.
func TestModel(t *testing.T) {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], *seed)
	e := envOf(rand.NewChaCha8(key))
	rng := rand.New(rand.NewPCG(*seed, 2))
	alice, bob := newParty(t, "alice"), newParty(t, "bob")
	begin := func() []*side {
		a, b := pair(t, e, alice, bob)
		return []*side{{stored: a.State(), theirs: -1}, {stored: b.State(), theirs: 0}}
	}
	sides := begin()
	now, count := uint64(0), map[string]int{}
	load := func(s *side) *ratchet.Session {
		x, err := ratchet.Load(e, s.stored)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	bias := 0 // who speaks, for a while
	for op := range *operations {
		if op%200 == 0 {
			bias = rng.IntN(4)
			if op%(1<<17) == 0 && op > 0 {
				fmt.Fprintf(os.Stderr, "%d operations: %v\n", op, count)
			}
		}
		now += uint64(rng.IntN(4))
		who := rng.IntN(2)
		if bias < 2 && rng.IntN(10) > 0 {
			who = bias
		}
		me, other := sides[who], sides[1-who]
		seal := func() *sent {
			text := fmt.Sprint(op)
			item, next, err := load(me).Seal([]byte(text))
			if err != nil {
				t.Fatalf("operation %d: %v", op, err)
			}
			if rng.IntN(20) == 0 {
				count["seal not stored"]++ // so it did not leave
				return nil
			}
			me.stored = next.State()
			m := &sent{item: item, text: text, chain: me.chain, n: me.ns, pn: me.pn}
			me.ns++
			count["sealed"]++
			return m
		}
		switch r := rng.IntN(100); {
		case rng.IntN(5000) == 0: // many are lost in a row
			for range rng.IntN(ratchet.MaxSkip * 3 / 2) {
				seal()
			}
			count["burst"]++
		case r < 45:
			if m := seal(); m != nil {
				other.flight = append(other.flight, m)
			}
		case r < 50: // lost; now and then all that is on its way
			for range 1 + rng.IntN(3)*rng.IntN(2)*len(me.flight) {
				if n := len(me.flight); n > 0 {
					me.flight = slices.Delete(me.flight, n-1, n)
					count["lost"]++
				}
			}
		case len(me.flight) > 0: // deliver
			i := 0 // in order
			if rng.IntN(3) == 0 {
				i = rng.IntN(len(me.flight))
			}
			m := me.flight[i]
			if len(me.done) > 0 && rng.IntN(10) == 0 {
				m = me.done[rng.IntN(len(me.done))] // again
			} else if rng.IntN(20) > 0 {
				me.flight = slices.Delete(me.flight, i, i+1)
				me.done = append(me.done[max(0, len(me.done)-500):], m)
			}
			s := load(me)
			if rng.IntN(10) == 0 {
				changed := bytes.Clone(m.item)
				changed[rng.IntN(len(changed))] ^= 1 << rng.IntN(8)
				if _, next, err := s.Open(changed, now); err == nil || next != nil {
					t.Fatalf("operation %d: a changed item opens", op)
				}
				count["changed"]++
			}
			want := me.expect(m, now)
			got, next, err := s.Open(m.item, now)
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Fatalf("operation %d: %v, want %v (chain %d, n %d, pn %d; at chain %d, n %d)", op, err, want, m.chain, m.n, m.pn, me.theirs, me.nr)
			}
			if !bytes.Equal(s.State(), me.stored) {
				t.Fatalf("operation %d: Open changes the session", op)
			}
			if errors.Is(err, ratchet.ErrSkip) {
				count["begun anew"]++
				sides = begin()
				continue
			}
			if err != nil {
				count["refused"]++
				continue
			}
			if string(got) != m.text {
				t.Fatalf("operation %d: %q, want %q", op, got, m.text)
			}
			if rng.IntN(20) == 0 {
				count["open not stored"]++
				me.flight = append(me.flight, m) // it is shown again
				continue
			}
			me.stored = next.State()
			me.take(m, now)
			count["opened"]++
			if next.Skipped() != len(me.skipped) {
				t.Fatalf("operation %d: %d keys are kept, want %d", op, next.Skipped(), len(me.skipped))
			}
		}
	}
	t.Log(count)
	if count["opened"] < *operations/10 || count["changed"] == 0 || count["open not stored"] == 0 {
		t.Error("hardly anything happened")
	}
}
