package onion_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	. "tunic/onion"
)

var (
	token  = Token{1, 2, 3, 15: 9}
	surbID = SURBID{4, 5, 6, 15: 8}
)

func (r *route) surb(t testing.TB, rand io.Reader) (SURB, SURBKeys) {
	t.Helper()
	s, keys, err := r.geo.NewSURB(rand, genesis, expiry, r.hops, token, surbID)
	if err != nil {
		t.Fatal(err)
	}
	return s, keys
}

// TestReply sends answers by reply blocks along paths of every length.
func TestReply(t *testing.T) {
	for _, g := range []Geometry{Small, Large, Hybrid} {
		for n := 1; n <= MaxLayers; n++ {
			t.Run(fmt.Sprintf("%s/%d", g, n), func(t *testing.T) {
				rand := seeded(t.Name())
				r := newRoute(t, g, rand, n)
				tables := r.tables(t)
				made, keys := r.surb(t, rand)
				s, err := ParseSURB(made[:])
				if err != nil || !bytes.Equal(s, made) {
					t.Fatal("a reply block changed when read:", err)
				}
				msg := make([]byte, g.MaxMessage())
				io.ReadFull(rand, msg)
				first, packet, err := s.Reply(msg)
				if err != nil || first != r.hops[0].Index || s.Geometry() != g {
					t.Fatalf("Reply: first %d, geometry %s, %v", first, s.Geometry(), err)
				}
				packet = peel(t, tables, packet, 0, n-1)
				o, err := tables[n-1].OpenHeader(packet)
				if err != nil {
					t.Fatal(err)
				}
				if o.Kind != Client || o.Token != token || o.SURB != surbID || o.Delay != r.hops[n-1].Delay || o.Expiry != expiry {
					t.Fatalf("guard sees %+v", o.Routing)
				}
				payload, err := o.Finish()
				if err != nil || len(payload) != g.PayloadSize() || cap(payload) != len(payload) {
					t.Fatalf("guard hands over %d bytes, %v", len(payload), err)
				}
				got, err := keys.Open(payload)
				if err != nil || !bytes.Equal(got, msg) {
					t.Fatalf("client gets %d bytes, %v", len(got), err)
				}
			})
		}
	}
}

// TestReplyBits flips bits of an answer's payload before each hop and at the
// client's door: only the client refuses.
func TestReplyBits(t *testing.T) {
	rand := seeded("reply bits")
	r := newRoute(t, Small, rand, 3)
	tables := r.tables(t)
	s, keys := r.surb(t, rand)
	_, packet, err := s.Reply([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	for hop := range 4 {
		for bit := hop; bit < 8*Small.PayloadSize(); bit += 203 {
			at := peel(t, tables, packet, 0, min(hop, 3))
			at[len(at)-1-bit/8] ^= 1 << (bit % 8)
			if _, err := keys.Open(peel(t, tables, at, hop, 3)); !errors.Is(err, ErrPayload) {
				t.Fatalf("hop %d, bit %d: %v, want %v", hop, bit, err, ErrPayload)
			}
		}
	}
	_, other := r.surb(t, rand)
	if _, err := other.Open(peel(t, tables, packet, 0, 3)); !errors.Is(err, ErrPayload) {
		t.Errorf("answer to another reply block: %v", err)
	}
	if _, err := keys.Open(peel(t, tables, packet, 0, 3)); err != nil {
		t.Errorf("the answer itself, after all that: %v", err)
	}
}

func TestSURBRefusals(t *testing.T) {
	rand := seeded("reply refusals")
	r := newRoute(t, Small, rand, 3)
	s, keys := r.surb(t, rand)
	for _, b := range [][]byte{nil, s[:SURBSize-1], append(bytes.Clone(s[:]), 0)} {
		if _, err := ParseSURB(b); !errors.Is(err, ErrSize) {
			t.Errorf("ParseSURB of %d bytes: %v", len(b), err)
		}
	}
	bad := bytes.Clone(s)
	bad[4] = 0x14
	if _, err := ParseSURB(bad); !errors.Is(err, ErrVersion) {
		t.Errorf("ParseSURB of another version: %v", err)
	}
	if _, _, err := SURB(bad).Reply(nil); !errors.Is(err, ErrVersion) {
		t.Errorf("Reply by another version: %v", err)
	}
	if _, _, err := s.Reply(make([]byte, Small.MaxMessage()+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("Reply with too much: %v", err)
	}
	for _, row := range []struct {
		geo  Geometry
		rand io.Reader
		path []Hop
		want error
	}{
		{0, rand, r.hops, ErrVersion},
		{Small, rand, nil, ErrPath},
		{Small, rand, make([]Hop, MaxLayers+1), ErrPath},
		{Small, rand, make([]Hop, 2), ErrZeroSecret},
		{Small, bytes.NewReader(bytes.Repeat([]byte{1}, 3*32+3*64)), r.hops, io.EOF},
	} {
		if _, _, err := row.geo.NewSURB(row.rand, genesis, expiry, row.path, token, surbID); !errors.Is(err, row.want) {
			t.Errorf("NewSURB: %v, want %v", err, row.want)
		}
	}
	if _, err := keys.Open(make([]byte, 100)); !errors.Is(err, ErrSize) {
		t.Errorf("Open of 100 bytes: %v", err)
	}
	keys.Destroy()
	if keys != (SURBKeys{}) {
		t.Error("destroyed keys are still there")
	}
	if _, err := keys.Open(make([]byte, Small.PayloadSize())); !errors.Is(err, ErrSize) {
		t.Errorf("Open with destroyed keys: %v", err)
	}
}

// TestReplyLooksForward: a reply and a forward packet of one path have headers
// of one shape; what tells them apart is in the last slot alone.
func TestReplyLooksForward(t *testing.T) {
	rand := seeded("alike")
	r := newRoute(t, Small, rand, 4)
	tables := r.tables(t)
	forward := r.wrap(t, rand, []byte("hello"))
	s, _ := r.surb(t, rand)
	_, reply, err := s.Reply([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if len(forward) != len(reply) || forward[0] != reply[0] || forward[1] != reply[1] {
			t.Fatalf("layer %d: cleartext differs", i)
		}
		a, errA := tables[i].OpenHeader(forward)
		b, errB := tables[i].OpenHeader(reply)
		if errA != nil || errB != nil || a.Routing != b.Routing {
			t.Fatalf("layer %d: %+v and %+v, %v, %v", i, a.Routing, b.Routing, errA, errB)
		}
		a.Finish()
		b.Finish()
	}
}
