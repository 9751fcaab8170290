package onion_test

import (
	"errors"
	"slices"
	"testing"

	. "tunic/onion"
)

// TestTags: the tags that a sender derives are those that the nodes see,
// whether it made the packet or only knows the randomness.
func TestTags(t *testing.T) {
	for n := 1; n <= MaxLayers; n++ {
		r := newRoute(t, Small, seeded("tag nodes"), n)
		packet, tags, err := Small.WrapTagged(seeded("tags"), genesis, expiry, r.hops, []byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := Small.Wrap(seeded("tags"), genesis, expiry, r.hops, []byte("hello"))
		if err != nil || !slices.Equal(plain, packet) {
			t.Fatalf("Wrap makes another packet: %v", err)
		}
		again, err := Tags(seeded("tags"), genesis, r.hops)
		if err != nil || !slices.Equal(again, tags) {
			t.Fatalf("%d layers: %x, %v; want %x", n, again, err, tags)
		}
		tables := r.tables(t)
		for i := range n {
			o, err := tables[i].OpenHeader(packet)
			if err != nil || o.Tag != tags[i] {
				t.Fatalf("layer %d sees %x, %v; want %x", i, o.Tag, err, tags[i])
			}
			packet, _ = o.Finish()
		}
	}
	if _, err := Tags(seeded("tags"), genesis, nil); !errors.Is(err, ErrPath) {
		t.Errorf("no path: %v", err)
	}
	if _, err := Tags(seeded("tags"), genesis, make([]Hop, 1)); !errors.Is(err, ErrZeroSecret) {
		t.Errorf("a key of zeros: %v", err)
	}
}
