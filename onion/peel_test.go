package onion_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"tunic/chain"
	. "tunic/onion"
)

// TestSizes holds the figures of docs/spec/onion.md.
func TestSizes(t *testing.T) {
	for _, row := range []struct {
		what      string
		got, want int
	}{
		{"header", HeaderSize, 434},
		{"reply block", SURBSize, 470},
		{"layers", MaxLayers, 6},
		{"small payload", Small.PayloadSize(), 2048},
		{"small packet", Small.PacketSize(), 2482},
		{"small message", Small.MaxMessage(), 2012},
		{"large payload", Large.PayloadSize(), 32768},
		{"large packet", Large.PacketSize(), 33202},
		{"large message", Large.MaxMessage(), 32732},
		{"hybrid slot", Hybrid.SlotSize(), 1152},
		{"hybrid routing", Hybrid.RoutingSize(), 5824},
		{"hybrid header", Hybrid.HeaderSize(), 6962},
		{"hybrid payload", Hybrid.PayloadSize(), 32768},
		{"hybrid packet", Hybrid.PacketSize(), 39730},
		{"hybrid message", Hybrid.MaxMessage(), 32732},
		{"hybrid reply block", Hybrid.SURBSize(), 6998},
		{"small slot", Small.SlotSize(), SlotSize},
		{"large routing", Large.RoutingSize(), RoutingSize},
		{"small header", Small.HeaderSize(), HeaderSize},
		{"large reply block", Large.SURBSize(), SURBSize},
		{"no message", Geometry(0).MaxMessage(), 0},
	} {
		if row.got != row.want {
			t.Errorf("%s: %d bytes, want %d", row.what, row.got, row.want)
		}
	}
	for _, g := range []Geometry{Small, Large, Hybrid} {
		if again, err := ParseGeometry(g.String()); again != g || err != nil {
			t.Errorf("ParseGeometry(%q) = %v, %v", g, again, err)
		}
	}
	if _, err := ParseGeometry("none"); !errors.Is(err, ErrVersion) {
		t.Errorf("ParseGeometry(none): %v", err)
	}
}

// TestRoundTrip sends messages of telling lengths along paths of every length
// and looks at what each node sees.
func TestRoundTrip(t *testing.T) {
	for _, g := range []Geometry{Small, Large, Hybrid} {
		for n := 1; n <= MaxLayers; n++ {
			t.Run(fmt.Sprintf("%s/%d", g, n), func(t *testing.T) {
				t.Parallel()
				rand := seeded(t.Name())
				r := newRoute(t, g, rand, n)
				tables := r.tables(t)
				for _, size := range []int{0, 1, 1472, g.MaxMessage()} {
					msg := make([]byte, size)
					io.ReadFull(rand, msg)
					r.follow(t, tables, r.wrap(t, rand, msg), msg)
				}
			})
		}
	}
}

// follow takes packet through all nodes of the route and checks each view.
func (r *route) follow(t *testing.T, tables []*Keys, packet, msg []byte) {
	t.Helper()
	tags := map[Tag]bool{}
	for i := range tables {
		if len(packet) != r.geo.PacketSize() {
			t.Fatalf("layer %d: packet of %d bytes", i, len(packet))
		}
		before := bytes.Clone(packet)
		o, err := tables[i].OpenHeader(packet)
		if err != nil {
			t.Fatalf("layer %d: %v", i, err)
		}
		if !bytes.Equal(packet[r.geo.HeaderSize():], before[r.geo.HeaderSize():]) {
			t.Fatalf("layer %d: OpenHeader touched the payload", i)
		}
		if tags[o.Tag] || o.Tag == (Tag{}) {
			t.Fatalf("layer %d: tag %x is not new", i, o.Tag)
		}
		tags[o.Tag] = true
		want := Routing{Kind: Deliver, Delay: r.hops[i].Delay, Expiry: expiry}
		if i < len(tables)-1 {
			want.Kind, want.NextIndex = Forward, r.hops[i+1].Index
		}
		if o.Routing != want || o.KeyEpoch != r.hops[i].KeyEpoch || o.Directory() != expiry-1 {
			t.Fatalf("layer %d: %+v of epoch %d, want %+v", i, o.Routing, o.KeyEpoch, want)
		}
		out, err := o.Finish()
		if err != nil {
			t.Fatalf("layer %d: %v", i, err)
		}
		if _, err := o.Finish(); !errors.Is(err, ErrFinished) {
			t.Fatalf("layer %d: second Finish: %v", i, err)
		}
		if shared := common(before, packet); shared > 30+len(packet)/100 {
			t.Fatalf("layer %d: %d bytes stand where they stood", i, shared)
		}
		packet = out
	}
	if !bytes.Equal(packet, msg) || cap(packet) != len(msg) {
		t.Fatalf("got %d bytes of capacity %d, want %d", len(packet), cap(packet), len(msg))
	}
}

// common counts the places at which a and b have the same byte: one in 256 by
// chance.
func common(a, b []byte) (n int) {
	for i := range a {
		if a[i] == b[i] {
			n++
		}
	}
	return n
}

// TestUnusedSpace checks that the last node sees no sign of the path's length:
// behind its slot there is noise, whether slots were unused or used up.
func TestUnusedSpace(t *testing.T) {
	for _, g := range []Geometry{Small, Hybrid} {
		for n := 1; n <= MaxLayers; n++ {
			rand := seeded("unused")
			r := newRoute(t, g, rand, n)
			tables := r.tables(t)
			packet := peel(t, tables, r.wrap(t, rand, nil), 0, n-1)
			if _, err := tables[n-1].OpenHeader(packet); err != nil {
				t.Fatal(err)
			}
			rest := packet[g.HeaderSize()-g.RoutingSize() : g.HeaderSize()]
			for i := 0; i < len(rest); i += SlotSize {
				if c := bytes.Count(rest[i:i+SlotSize], []byte{0}); c > 6 {
					t.Errorf("%s, %d layers, byte %d: %d zeros of %d bytes", g, n, i, c, SlotSize)
				}
			}
		}
	}
}

// TestFreshness: two packets for one path with one message share nothing.
func TestFreshness(t *testing.T) {
	rand := seeded("fresh")
	r := newRoute(t, Small, rand, 4)
	a, b := r.wrap(t, rand, []byte("hello")), r.wrap(t, rand, []byte("hello"))
	if n := common(a[2:], b[2:]); n > 40 {
		t.Errorf("two packets have %d of %d bytes in common", n, len(a))
	}
}

func TestExpired(t *testing.T) {
	r := Routing{Expiry: ExpiryOf(7)}
	if r.Directory() != 7 {
		t.Errorf("directory epoch %d, want 7", r.Directory())
	}
	for now, want := range map[chain.Epoch]error{7: nil, 8: nil, 9: ErrExpired} {
		if err := r.Expired(now); err != want {
			t.Errorf("epoch %d: %v, want %v", now, err, want)
		}
	}
}

func TestAllocations(t *testing.T) {
	for _, g := range []Geometry{Small, Large, Hybrid} {
		rand := seeded("allocations")
		r := newRoute(t, g, rand, 4)
		packet := r.wrap(t, rand, nil)
		keys, work := r.table(t, 0), make([]byte, len(packet))
		n := testing.AllocsPerRun(100, func() {
			copy(work, packet)
			o, err := keys.OpenHeader(work)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := o.Finish(); err != nil {
				t.Fatal(err)
			}
		})
		if n > 6 {
			t.Errorf("%s: a peel allocates %v times, 6 at most", g, n)
		}
	}
}

// TestKeyPrintsNoSecret formats a key in every usual way.
func TestKeyPrintsNoSecret(t *testing.T) {
	testKeyPrintsNoSecret(t, LoadKey)
	testKeyPrintsNoSecret(t, LoadHybridKey)
}

func testKeyPrintsNoSecret(t *testing.T, load func([32]byte, chain.Epoch) *Key) {
	k := load([32]byte{0: 0xab, 1: 0xcd, 31: 0xef}, 12)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		if s := fmt.Sprintf(format, k); bytes.Contains([]byte(s), []byte("abcd")) || bytes.Contains([]byte(s), []byte("171")) {
			t.Errorf("%s shows the key: %s", format, s)
		}
	}
	if again := load(k.Private(), 12); again.Public() != k.Public() {
		t.Error("a restored key has another public half")
	}
	k.Destroy()
	if k.Private() != [32]byte{} {
		t.Error("a destroyed key still has its secret half")
	}
}
