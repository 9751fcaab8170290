package onion_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"tunic/chain"
	. "tunic/onion"
)

// TestRefusals has a row for each refusal of a packet.
func TestRefusals(t *testing.T) {
	rand := seeded("refusals")
	r := newRoute(t, Small, rand, 2)
	good := r.wrap(t, rand, []byte("hello"))
	keys := r.table(t, 0)
	foreign, err := NewKeys(Small, chain.SHA256([]byte("another network")), r.keys[0])
	if err != nil {
		t.Fatal(err)
	}
	moved, err := NewKeys(Small, genesis, LoadKey(r.keys[0].Private(), r.keys[0].FirstEpoch()+256))
	if err != nil {
		t.Fatal(err)
	}
	edit := func(change func(p []byte)) []byte {
		p := bytes.Clone(good)
		change(p)
		return p
	}
	ephemeral := func(b []byte) []byte { return edit(func(p []byte) { clear(p[2:34]); copy(p[2:34], b) }) }
	top := func(low byte, high byte) []byte {
		b := bytes.Repeat([]byte{0xff}, 32)
		b[0], b[31] = low, high
		return ephemeral(b)
	}
	for _, row := range []struct {
		name   string
		keys   *Keys
		packet []byte
		want   error
	}{
		{"nothing", keys, nil, ErrSize},
		{"a byte short", keys, good[:len(good)-1], ErrSize},
		{"a byte long", keys, append(bytes.Clone(good), 0), ErrSize},
		{"the other geometry's length", keys, make([]byte, Large.PacketSize()), ErrSize},
		{"other geometry", keys, edit(func(p []byte) { p[0] = byte(Large) }), ErrVersion},
		{"other version", keys, edit(func(p []byte) { p[0] = 0x21 }), ErrVersion},
		{"no such key", keys, edit(func(p []byte) { p[1]++ }), ErrUnknownKey},
		{"another key of the node", keys, edit(func(p []byte) { p[1] = Selector(900) }), ErrMAC},
		{"the next node's packet", keys, peel(t, r.tables(t), good, 0, 1), ErrUnknownKey},
		{"another network", foreign, good, ErrMAC},
		{"the key under another epoch with the same low byte", moved, good, ErrMAC},
		{"ephemeral 0", keys, ephemeral(nil), ErrZeroSecret},
		{"ephemeral 1", keys, ephemeral([]byte{1}), ErrZeroSecret},
		{"ephemeral p-1", keys, top(0xec, 0x7f), ErrZeroSecret},
		{"ephemeral p, not canonical", keys, top(0xed, 0x7f), ErrZeroSecret},
		{"ephemeral p+1, not canonical", keys, top(0xee, 0x7f), ErrZeroSecret},
		{"ephemeral p with the ignored bit", keys, top(0xed, 0xff), ErrZeroSecret},
		{"ephemeral of order 8", keys, ephemeral([]byte("\xe0\xeb\x7a\x7c\x3b\x41\xb8\xae\x16\x56\xe3\xfa\xf1\x9f\xc4\x6a\xda\x09\x8d\xeb\x9c\x32\xb1\xfd\x86\x62\x05\x16\x5f\x49\xb8\x00")), ErrZeroSecret},
		{"ephemeral with the ignored bit set", keys, edit(func(p []byte) { p[33] ^= 0x80 }), ErrMAC},
		{"as it is", keys, edit(func([]byte) {}), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			o, err := row.keys.OpenHeader(row.packet)
			if !errors.Is(err, row.want) {
				t.Fatalf("OpenHeader: %v, want %v", err, row.want)
			}
			if _, again := o.Finish(); (err == nil) != (again == nil) {
				t.Fatalf("Finish after %v: %v", err, again)
			}
		})
	}
}

// TestNonCanonicalEphemeral: X25519 takes 9, 9 with the ignored top bit, and
// p+9 for one point; here they are three different packets.
func TestNonCanonicalEphemeral(t *testing.T) {
	key := LoadKey([32]byte{5: 5}, 1)
	nine := [32]byte{0: 9}
	high := [32]byte{0: 9, 31: 0x80}
	over := [32]byte(bytes.Repeat([]byte{0xff}, 32))
	over[0], over[31] = 0xf6, 0x7f
	plain := Derive(key, genesis, nine[:])
	for _, other := range [][32]byte{high, over} {
		d := Derive(key, genesis, other[:])
		if d.Shared != plain.Shared {
			t.Errorf("%x is not the point 9: the test is wrong", other)
		}
		if d.MAC == plain.MAC || d.Stream == plain.Stream || d.Wide == plain.Wide || d.Tag == plain.Tag {
			t.Errorf("%x gives the secrets of 9", other)
		}
	}
}

// TestHeaderBits flips every bit of the header at every hop: that hop refuses.
func TestHeaderBits(t *testing.T) {
	rand := seeded("header bits")
	r := newRoute(t, Small, rand, MaxLayers)
	tables := r.tables(t)
	good := r.wrap(t, rand, []byte("hello"))
	for i := range tables {
		at := peel(t, tables, good, 0, i)
		t.Run(fmt.Sprint("layer ", i), func(t *testing.T) {
			t.Parallel()
			work := make([]byte, len(at))
			for bit := range 8 * HeaderSize {
				copy(work, at)
				work[bit/8] ^= 1 << (bit % 8)
				if _, err := tables[i].OpenHeader(work); err == nil {
					t.Fatalf("bit %d of byte %d flipped, not refused", bit%8, bit/8)
				}
			}
		})
	}
}

// TestHeaderBitsSampled samples the same in the other geometries.
func TestHeaderBitsSampled(t *testing.T) {
	for g, stride := range map[Geometry]int{Large: 13, Hybrid: 401} {
		rand := seeded("header bits")
		r := newRoute(t, g, rand, 4)
		tables := r.tables(t)
		packet := r.wrap(t, rand, []byte("hello"))
		for i := range tables {
			at := peel(t, tables, packet, 0, i)
			for bit := 0; bit < 8*g.HeaderSize(); bit += stride {
				work := bytes.Clone(at)
				work[bit/8] ^= 1 << (bit % 8)
				if _, err := tables[i].OpenHeader(work); err == nil {
					t.Fatalf("%s, layer %d, bit %d: not refused", g, i, bit)
				}
			}
		}
	}
}

// TestPayloadBits flips bits of the payload before each hop: every hop behind
// forwards the packet, and the last refuses it. On the last hop of the small
// geometry every bit is tried, elsewhere every stride-th.
func TestPayloadBits(t *testing.T) {
	for _, row := range []struct {
		geo    Geometry
		layers int
		hop    int
		stride int
	}{
		{Small, 1, 0, 1}, {Small, 4, 0, 97}, {Small, 4, 1, 97}, {Small, 4, 2, 97}, {Small, 4, 3, 97},
		{Small, 6, 0, 401}, {Large, 3, 0, 4001}, {Large, 3, 2, 2003}, {Hybrid, 4, 1, 5003}, {Hybrid, 2, 1, 3001},
	} {
		t.Run(fmt.Sprintf("%s/%d/%d", row.geo, row.layers, row.hop), func(t *testing.T) {
			t.Parallel()
			if testing.Short() {
				row.stride = max(row.stride, 97)
			}
			rand := seeded("payload bits")
			r := newRoute(t, row.geo, rand, row.layers)
			tables := r.tables(t)
			at := peel(t, tables, r.wrap(t, rand, []byte("hello")), 0, row.hop)
			last := row.layers - 1
			for bit := 0; bit < 8*row.geo.PayloadSize(); bit += row.stride {
				work := bytes.Clone(at)
				work[row.geo.HeaderSize()+bit/8] ^= 1 << (bit % 8)
				work = peel(t, tables, work, row.hop, last)
				o, err := tables[last].OpenHeader(work)
				if err != nil {
					t.Fatalf("bit %d: header refused: %v", bit, err)
				}
				if _, err := o.Finish(); !errors.Is(err, ErrPayload) {
					t.Fatalf("bit %d: %v at the end, want %v", bit, err, ErrPayload)
				}
			}
		})
	}
}

// TestReplay: the same packet has the same tag, under each node its own.
func TestReplay(t *testing.T) {
	rand := seeded("replay")
	r := newRoute(t, Small, rand, 3)
	keys := r.table(t, 0)
	good := r.wrap(t, rand, nil)
	other := bytes.Clone(good)
	other[len(other)-1] ^= 1 // another payload is the same packet
	a, err := keys.OpenHeader(bytes.Clone(good))
	if err != nil {
		t.Fatal(err)
	}
	b, err := keys.OpenHeader(other)
	if err != nil {
		t.Fatal(err)
	}
	if a.Tag != b.Tag {
		t.Errorf("tags %x and %x of one header", a.Tag, b.Tag)
	}
}

// TestSenderRefusals has a row for each refusal of a path, message or source.
func TestSenderRefusals(t *testing.T) {
	rand := seeded("sender")
	r := newRoute(t, Small, rand, MaxLayers+1)
	path := r.hops[:4]
	low := append(append([]Hop{}, path...), Hop{Index: 3})
	broken := errors.New("broken source")
	for _, row := range []struct {
		name   string
		geo    Geometry
		rand   io.Reader
		expiry chain.Epoch
		path   []Hop
		size   int
		want   error
	}{
		{"good", Small, rand, expiry, path, 10, nil},
		{"no geometry", 0, rand, expiry, path, 10, ErrVersion},
		{"no path", Small, rand, expiry, nil, 10, ErrPath},
		{"seven layers", Small, rand, expiry, r.hops, 10, ErrPath},
		{"expiry beyond 32 bits", Small, rand, 1 << 32, path, 10, ErrPath},
		{"a node's key of low order", Small, rand, expiry, low, 10, ErrZeroSecret},
		{"message too long", Small, rand, expiry, path, Small.MaxMessage() + 1, ErrTooLong},
		{"no randomness", Small, bytes.NewReader(nil), expiry, path, 10, io.EOF},
		{"randomness for three keys and a half", Small, bytes.NewReader(make([]byte, 112)), expiry, path, 10, io.ErrUnexpectedEOF},
		{"randomness for the keys alone", Small, bytes.NewReader(bytes.Repeat([]byte{7}, 128)), expiry, path, 10, io.EOF},
		{"broken source", Small, iotest.ErrReader(broken), expiry, path, 10, broken},
	} {
		t.Run(row.name, func(t *testing.T) {
			if p, err := row.geo.Wrap(row.rand, genesis, row.expiry, row.path, make([]byte, row.size)); !errors.Is(err, row.want) || (err != nil) != (p == nil) {
				t.Errorf("Wrap: %d bytes, %v, want %v", len(p), err, row.want)
			}
		})
	}
	if _, err := NewKeys(Small, genesis, LoadKey([32]byte{}, 3), LoadKey([32]byte{}, 259)); !errors.Is(err, ErrKeys) {
		t.Errorf("NewKeys with one selector twice: %v", err)
	}
	if _, err := NewKeys(0, genesis); !errors.Is(err, ErrVersion) {
		t.Errorf("NewKeys without geometry: %v", err)
	}
	if _, err := NewKey(bytes.NewReader(nil), 3); !errors.Is(err, io.EOF) {
		t.Errorf("NewKey without randomness: %v", err)
	}
}
