package relay

import (
	"crypto/ed25519"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/registry/directory"
)

// Of many that ask at once one works it out, and the oldest is forgotten.
func TestMemo(t *testing.T) {
	var m memo[int, int]
	var made atomic.Int32
	square := func(k int) int {
		return m.get(k, 3, func() int { made.Add(1); return k * k })
	}
	var wg sync.WaitGroup
	for range 50 {
		for k := range 3 {
			wg.Go(func() {
				if got := square(k); got != k*k {
					t.Errorf("%d for %d", got, k)
				}
			})
		}
	}
	wg.Wait()
	if made.Load() != 3 {
		t.Fatalf("made %d times", made.Load())
	}
	square(3) // one of the three goes
	if len(m.kept) != 3 || len(m.order) != 3 || m.kept[3] == nil {
		t.Fatalf("%v", m.order)
	}
}

// What is shared is what each would have worked out; lists, beacons and sizes that
// differ are told apart.
func TestSharedVoters(t *testing.T) {
	list := func(n int) *directory.List {
		entries := make([]directory.Entry, n)
		for i := range entries {
			entries[i] = directory.Entry{Node: chain.NodeID{byte(i + 1)}, Operator: chain.Address{byte(i / 2)}, Version: "1", Endpoints: []string{"192.0.2.1:1"}}
		}
		l, err := directory.NewList(5, entries)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	s := NewShared()
	for _, l := range []*directory.List{list(20), list(21)} {
		for _, seed := range []chain.Hash{{1}, {2}} {
			for _, size := range []int{4, 10} {
				for _, who := range []*Shared{s, s, nil} {
					voters := who.votersOn(l, seed, size)
					for i := range l.Entries {
						id := l.Entries[i].Node
						if want := l.Voters(seed, id, size); !slices.Equal(voters(id), want) {
							t.Fatalf("%v, want %v", voters(id), want)
						}
					}
				}
			}
		}
	}
}

func TestSharedCommitment(t *testing.T) {
	d := statement.Domain{Genesis: chain.Hash{3}, Fork: 1}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	sign := func(d statement.Domain, body []byte) (statement.Statement, []byte) {
		s := statement.Sign(d, key, statement.LabelCommitment, statement.NewSequence(7, 1), body)
		return s, s.Encode()
	}
	body := statement.Commitment{Epoch: 7, Depth: 4, Root: chain.Hash{9}}.Encode()
	good, encoded := sign(d, body)
	s, known := NewShared(), statement.NewVerified()
	first := s.commitment(d, good, encoded, known)
	if first == nil || first.Epoch != 7 || first.Root != (chain.Hash{9}) || s.commitment(d, good, encoded, known) != first {
		t.Fatalf("%+v", first)
	}
	for name, who := range map[string]*Shared{"shared": s, "alone": nil} {
		if c := who.commitment(d, good, slices.Clone(encoded), known); c == nil || c.Root != first.Root {
			t.Errorf("%s: the same bytes elsewhere: %+v", name, c)
		}
		other := d
		other.Fork++
		if who.commitment(other, good, encoded, known) != nil {
			t.Errorf("%s: taken on another fork", name)
		}
		short, e := sign(d, body[1:])
		if who.commitment(d, short, e, known) != nil {
			t.Errorf("%s: what is none was taken", name)
		}
		forged, _ := sign(d, body)
		forged.Sig[0] ^= 1
		if who.commitment(d, forged, forged.Encode(), known) != nil {
			t.Errorf("%s: a forged one was taken", name)
		}
	}
}
