package onion_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	. "tunic/onion"
)

// TestHybridSenderRefusals: what a sender, and a table of keys, makes of keys
// that are none.
func TestHybridSenderRefusals(t *testing.T) {
	rand := seeded("hybrid sender")
	r := newRoute(t, Hybrid, rand, 3)
	missing := append([]Hop{}, r.hops...)
	missing[1].Hybrid = nil
	malformed := append([]Hop{}, r.hops...)
	bad := *malformed[2].Hybrid
	bad[0], bad[1] = 0xff, 0xff // a coefficient above q
	malformed[2].Hybrid = &bad
	endless := func() io.Reader { return rand }
	some := func(n int) func() io.Reader {
		return func() io.Reader { return bytes.NewReader(make([]byte, n)) }
	}
	for _, row := range []struct {
		name string
		rand func() io.Reader
		path []Hop
		want error
	}{
		{"good", endless, r.hops, nil},
		{"a node without hybrid key", endless, missing, ErrPublicKey},
		{"no ML-KEM key", endless, malformed, ErrPublicKey},
		{"no path", endless, nil, ErrPath},
		{"seven layers", endless, newRoute(t, Hybrid, rand, MaxLayers+1).hops, ErrPath},
		{"no randomness", some(0), r.hops, io.EOF},
		{"randomness for two keys and a half", some(160), r.hops, io.ErrUnexpectedEOF},
		{"randomness for the keys alone", some(192), r.hops, io.EOF},
	} {
		if p, err := Hybrid.Wrap(row.rand(), genesis, expiry, row.path, nil); !errors.Is(err, row.want) || (err != nil) != (p == nil) {
			t.Errorf("%s: Wrap: %d bytes, %v, want %v", row.name, len(p), err, row.want)
		}
		if s, _, err := Hybrid.NewSURB(row.rand(), genesis, expiry, row.path, token, surbID); !errors.Is(err, row.want) || (err != nil) != (s == nil) {
			t.Errorf("%s: NewSURB: %d bytes, %v, want %v", row.name, len(s), err, row.want)
		}
	}
	if _, err := NewKeys(Hybrid, genesis, LoadKey([32]byte{1}, 1)); !errors.Is(err, ErrKeys) {
		t.Errorf("an X25519 key in a hybrid table: %v", err)
	}
	for _, g := range []Geometry{Small, Large} {
		if _, err := NewKeys(g, genesis, LoadHybridKey([32]byte{1}, 1)); !errors.Is(err, ErrKeys) {
			t.Errorf("a hybrid key in a table of %s: %v", g, err)
		}
	}
	if LoadKey([32]byte{1}, 1).Hybrid() != nil {
		t.Error("an X25519 key has a hybrid half")
	}
	if _, err := NewHybridKey(bytes.NewReader(nil), 3); !errors.Is(err, io.EOF) {
		t.Errorf("NewHybridKey without randomness: %v", err)
	}
}

// TestHybridKeyIsNotLent: who holds the public half cannot change the key's.
func TestHybridKeyIsNotLent(t *testing.T) {
	k := LoadHybridKey([32]byte{7}, 1)
	k.Hybrid()[0] ^= 1
	if *k.Hybrid() != *LoadHybridKey([32]byte{7}, 1).Hybrid() {
		t.Error("a key's public half was changed from outside")
	}
}

// TestHybridNeedsBothHalves: who knows a layer's secret of one of the two
// primitives alone has another key. The ciphertext's X25519 half is kept and
// ML-KEM's is that of another packet, and the other way round.
func TestHybridNeedsBothHalves(t *testing.T) {
	rand := seeded("hybrid halves")
	r := newRoute(t, Hybrid, rand, 1)
	a, b := r.wrap(t, rand, nil), r.wrap(t, rand, nil)
	for _, cut := range [][2]int{{2, 2 + 1088}, {2 + 1088, 2 + 1120}} {
		mixed := bytes.Clone(a)
		copy(mixed[cut[0]:cut[1]], b[cut[0]:])
		if Derive(r.keys[0], genesis, mixed[2:1122]).Shared == Derive(r.keys[0], genesis, a[2:1122]).Shared {
			t.Errorf("bytes %d to %d do not count", cut[0], cut[1])
		}
		if _, err := r.table(t, 0).OpenHeader(mixed); !errors.Is(err, ErrMAC) {
			t.Errorf("bytes %d to %d exchanged: %v", cut[0], cut[1], err)
		}
	}
}

// TestHybridSURBSizes: a reply block is exactly as long as its geometry says.
func TestHybridSURBSizes(t *testing.T) {
	rand := seeded("hybrid reply blocks")
	s, _ := newRoute(t, Hybrid, rand, 3).surb(t, rand)
	for _, b := range [][]byte{s[:SURBSize], s[:len(s)-1], append(bytes.Clone(s), 0)} {
		if _, err := ParseSURB(b); !errors.Is(err, ErrSize) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
		if g := SURB(b).Geometry(); g != 0 {
			t.Errorf("%d bytes are of the %s geometry", len(b), g)
		}
		if _, _, err := SURB(b).Reply(nil); !errors.Is(err, ErrVersion) {
			t.Errorf("Reply by %d bytes: %v", len(b), err)
		}
	}
	if SURB(nil).Geometry() != 0 {
		t.Error("no reply block has a geometry")
	}
	short, _ := newRoute(t, Small, rand, 3).surb(t, rand)
	short[4] = byte(Hybrid)
	if _, err := ParseSURB(short); !errors.Is(err, ErrSize) {
		t.Errorf("a small reply block that says hybrid: %v", err)
	}
}
