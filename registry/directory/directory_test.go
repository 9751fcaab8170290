package directory_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"tunic/chain"
	"tunic/internal/merkle"
	"tunic/internal/wire"
	"tunic/registry/directory"
)

// A list is checked against its header in epoch, count and root.
func TestCheck(t *testing.T) {
	l := list(3, entries(5))
	good := header(l)
	for _, c := range []struct {
		name string
		with func(*chain.Header)
		want error
	}{
		{"same", func(*chain.Header) {}, nil},
		{"epoch", func(h *chain.Header) { h.DirEpoch++ }, directory.ErrEpoch},
		{"count", func(h *chain.Header) { h.DirCount++ }, directory.ErrRoot},
		{"root", func(h *chain.Header) { h.Directory[0] ^= 1 }, directory.ErrRoot},
	} {
		h := good
		c.with(&h)
		if err := l.Check(h); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// A node added, removed or changed in any field changes the root.
func TestRootCoversEveryField(t *testing.T) {
	base := entries(4)
	roots := map[chain.Hash]string{list(1, base).Root(): "unchanged", list(1, base[:3]).Root(): "removed", list(1, entries(5)).Root(): "added"}
	for name, change := range changes {
		e := slices.Clone(base)
		change(&e[2])
		r := list(1, e).Root()
		if other, taken := roots[r]; taken {
			t.Errorf("%s: same root as %s", name, other)
		}
		roots[r] = name
	}
}

// changes change one field each.
var changes = map[string]func(*directory.Entry){
	"vrf":            func(e *directory.Entry) { e.VRF[0] ^= 1 },
	"operator":       func(e *directory.Entry) { e.Operator[0] ^= 1 },
	"endpoints":      func(e *directory.Entry) { e.Endpoints = append(slices.Clone(e.Endpoints), "[2001:db8::1]:22021") },
	"no endpoints":   func(e *directory.Entry) { e.Endpoints = nil },
	"family":         func(e *directory.Entry) { e.Family = nil },
	"swarm":          func(e *directory.Entry) { e.Swarm = 7 },
	"previous swarm": func(e *directory.Entry) { e.PreviousSwarm = 7 },
	"version":        func(e *directory.Entry) { e.Version = "1.0.1" },
	"stake":          func(e *directory.Entry) { e.Stake++ },
	"onion":          func(e *directory.Entry) { e.Onion.Key[31] ^= 1 },
	"onion shift":    func(e *directory.Entry) { e.Onion = e.OnionNext },
	"onion next":     func(e *directory.Entry) { e.OnionNext.First++ },
	"performance":    func(e *directory.Entry) { e.Performance = 999 },
}

// Decode gives back what was encoded and refuses every other encoding.
func TestDecodeRefuses(t *testing.T) {
	l := list(9, entries(3))
	good := l.Encode()
	got, err := directory.Decode(good)
	if err != nil || got.Root() != l.Root() || !bytes.Equal(got.Encode(), good) {
		t.Fatalf("round trip: %v", err)
	}
	swapped := list(9, entries(3))
	swapped.Entries[0], swapped.Entries[1] = swapped.Entries[1], swapped.Entries[0]
	double := list(9, entries(3))
	double.Entries[1] = double.Entries[0]
	fast := list(9, entries(3))
	fast.Entries[0].Performance = 1001
	for name, b := range map[string][]byte{
		"empty":       nil,
		"version":     append([]byte{2}, good[1:]...),
		"short":       good[:len(good)-1],
		"trailing":    append(slices.Clone(good), 0),
		"order":       swapped.Encode(),
		"twice":       double.Encode(),
		"performance": fast.Encode(),
		"count":       append(wire.AppendUint32(append([]byte{}, good[:9]...), 1<<31), good[13:]...),
	} {
		if _, err := directory.Decode(b); !errors.Is(err, directory.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := directory.NewList(1, []directory.Entry{entry(1), entry(1)}); !errors.Is(err, directory.ErrMalformed) {
		t.Errorf("a node twice: %v", err)
	}
}

// Every listed node is provably present and every other provably absent, in
// lists of all small sizes; no membership serves for another node or list.
func TestMembership(t *testing.T) {
	for n := range 9 {
		l := list(2, entries(n))
		h := header(l)
		other := header(list(2, entries(n+1)))
		for i := range n + 4 {
			id := entry(i).Node
			m := l.Prove(id)
			enc := directory.AppendMembership(nil, m)
			r := wire.NewReader(enc)
			back := directory.ReadMembership(r)
			if err := r.Done(); err != nil || !bytes.Equal(directory.AppendMembership(nil, back), enc) {
				t.Fatalf("encoding: %v", err)
			}
			listed, err := back.Verify(h)
			if err != nil || listed != (i < n) {
				t.Fatalf("%d of %d: listed %v, %v", i, n, listed, err)
			}
			if listed, err := m.Verify(other); err == nil {
				t.Fatalf("%d of %d: verifies against another list: %v", i, n, listed)
			}
			m.Node = entry((i + 1) % (n + 4)).Node
			if listed, err := m.Verify(h); err == nil {
				if want := (i+1)%(n+4) < n; listed != want {
					t.Fatalf("%d of %d: a moved proof says %v", i, n, listed)
				}
			}
		}
	}
}

// Lies of a membership.
func TestMembershipRefuses(t *testing.T) {
	l := list(2, entries(6))
	h := header(l)
	present, absent := l.Prove(l.Entries[2].Node), l.Prove(entry(100).Node)
	between := l.Entries[2].Node
	between[31]++ // right behind entry 2
	for name, c := range map[string]struct {
		m    directory.Membership
		want error
	}{
		"places missing":      {directory.Membership{Node: present.Node, Entries: present.Entries}, directory.ErrMalformed},
		"nothing":             {directory.Membership{Node: present.Node}, directory.ErrRoot},
		"changed entry":       {func() directory.Membership { m := l.Prove(between); m.Entries[0].Stake++; return m }(), directory.ErrRoot},
		"not neighbours":      {directory.Membership{Node: between, Entries: []directory.Entry{l.Entries[1], l.Entries[3]}, Places: []merkle.Proof{l.Prove(l.Entries[1].Node).Places[0], l.Prove(l.Entries[3].Node).Places[0]}}, directory.ErrRoot},
		"one inner neighbour": {directory.Membership{Node: between, Entries: l.Entries[2:3], Places: l.Prove(l.Entries[2].Node).Places}, directory.ErrRoot},
		"listed as absent":    {directory.Membership{Node: l.Entries[2].Node, Entries: []directory.Entry{l.Entries[1], l.Entries[3]}, Places: []merkle.Proof{l.Prove(l.Entries[1].Node).Places[0], l.Prove(l.Entries[3].Node).Places[0]}}, directory.ErrRoot},
		"three":               {directory.Membership{Node: absent.Node, Entries: l.Entries[:3], Places: make([]merkle.Proof, 3)}, directory.ErrMalformed},
	} {
		if listed, err := c.m.Verify(h); !errors.Is(err, c.want) || listed {
			t.Errorf("%s: %v, %v", name, listed, err)
		}
	}
}
