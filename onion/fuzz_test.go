package onion_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"testing"

	. "tunic/onion"
)

// vectorPackets are packets of the golden vectors, as each node receives them:
// seeds that mutations start from.
func vectorPackets(t testing.TB, name string) (v vector, packets [][]byte) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	for _, l := range v.Layers {
		packets = append(packets, append(bytes.Clone(l.Header), l.Payload...))
	}
	return v, packets
}

// FuzzOpenHeader: whatever arrives, a node neither panics nor takes a header
// that its sender did not make, and what it refuses it refuses for the first
// reason in the order of docs/spec/onion.md.
func FuzzOpenHeader(f *testing.F) {
	v, packets := vectorPackets(f, "forward-small")
	for _, p := range packets {
		f.Add(p)
	}
	f.Add(packets[0][:HeaderSize])
	f.Add(make([]byte, len(packets[0])))
	keys, err := NewKeys(Small, v.Genesis, LoadKey([32]byte(v.Nodes[0].Private), v.Nodes[0].FirstEpoch))
	if err != nil {
		f.Fatal(err)
	}
	fuzzOpenHeader(f, keys, Small, packets[0][:HeaderSize], Selector(v.Nodes[0].FirstEpoch))
}

// FuzzOpenHybrid is the same in the hybrid geometry.
func FuzzOpenHybrid(f *testing.F) {
	v, headers := vectorPackets(f, "forward-hybrid")
	f.Add(make([]byte, Hybrid.PacketSize()))
	for _, h := range headers {
		f.Add(append(h, make([]byte, Hybrid.PayloadSize())...))
	}
	keys, err := NewKeys(Hybrid, v.Genesis, LoadHybridKey([32]byte(v.Nodes[0].Private), v.Nodes[0].FirstEpoch))
	if err != nil {
		f.Fatal(err)
	}
	fuzzOpenHeader(f, keys, Hybrid, headers[0][:Hybrid.HeaderSize()], Selector(v.Nodes[0].FirstEpoch))
}

func fuzzOpenHeader(f *testing.F, keys *Keys, g Geometry, good []byte, selector byte) {
	f.Fuzz(func(t *testing.T, b []byte) {
		work := bytes.Clone(b)
		o, err := keys.OpenHeader(work)
		var want error
		switch {
		case len(b) != g.PacketSize():
			want = ErrSize
		case b[0] != byte(g):
			want = ErrVersion
		case b[1] != selector:
			want = ErrUnknownKey
		case !bytes.Equal(b[:len(good)], good):
			want = ErrMAC
		}
		if !errors.Is(err, want) && !(want == ErrMAC && errors.Is(err, ErrZeroSecret)) {
			t.Fatalf("%v, want %v", err, want)
		}
		if len(b) == g.PacketSize() && !bytes.Equal(work[g.HeaderSize():], b[g.HeaderSize():]) {
			t.Fatal("OpenHeader touched the payload")
		}
		out, err := o.Finish()
		if want != nil {
			if !errors.Is(err, ErrFinished) {
				t.Fatalf("what was refused is finished: %v", err)
			}
			return
		}
		if err != nil || len(out) != len(b) || out[0] != byte(g) {
			t.Fatalf("forwarded as %d bytes, %v", len(out), err)
		}
	})
}

// FuzzSlot: a slot that is read is written again as the same bytes.
func FuzzSlot(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1}, SlotSize))
	f.Add(append([]byte{byte(Deliver)}, make([]byte, SlotSize-1)...))
	f.Add(append([]byte{byte(Client)}, make([]byte, SlotSize-1)...))
	f.Add(append([]byte{byte(Forward), 7, 0, 0, 0, 3}, make([]byte, SlotSize-6)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		var b [SlotSize]byte
		copy(b[:], in)
		again, err := DecodeSlot(b)
		if err == nil && again != b {
			t.Fatalf("%x written again as %x", b, again)
		}
	})
}

// FuzzPayload: whatever a payload holds at the end of its path, a message that
// comes out of it is the one message that makes it.
func FuzzPayload(f *testing.F) {
	rand := seeded("fuzz payload")
	r := newRoute(f, Small, rand, 1)
	keys := r.table(f, 0)
	empty := r.wrap(f, rand, nil)
	wide := Derive(r.keys[0], genesis, empty[2:34]).Wide
	f.Add([]byte{})
	f.Add(append(make([]byte, TagSize+3), 1, 'x'))
	f.Fuzz(func(t *testing.T, in []byte) {
		packet := bytes.Clone(empty)
		payload := packet[HeaderSize:]
		clear(payload)
		copy(payload, in)
		plain := bytes.Clone(payload)
		SealWide(payload, wide)
		o, err := keys.OpenHeader(packet)
		if err != nil {
			t.Fatal(err)
		}
		msg, err := o.Finish()
		if err != nil {
			return
		}
		again := make([]byte, len(plain))
		again[TagSize+2], again[TagSize+3] = byte(len(msg)>>8), byte(len(msg))
		copy(again[TagSize+4:], msg)
		if !bytes.Equal(again, plain) {
			t.Fatalf("a second payload gives the message %q", msg)
		}
	})
}

// FuzzSURB: a reply block from anyone makes a packet of its geometry whose
// header is its own, or an error, never more; it reads as the bytes it is.
func FuzzSURB(f *testing.F) {
	for _, name := range []string{"reply-small", "reply-large", "reply-hybrid"} {
		v, _ := vectorPackets(f, name)
		f.Add([]byte(v.SURB))
	}
	f.Add(make([]byte, SURBSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSURB(b)
		if err != nil {
			if g := SURB(b).Geometry(); g.PayloadSize() != 0 {
				t.Fatalf("refused with %v, and of the %s geometry", err, g)
			}
			return
		}
		g := s.Geometry()
		first, packet, err := s.Reply([]byte("hello"))
		if err != nil || len(packet) != g.PacketSize() || first != s.First() || !bytes.Equal(s, b) {
			t.Fatalf("packet of %d bytes, %v", len(packet), err)
		}
		if !bytes.Equal(packet[:g.HeaderSize()], b[4:4+g.HeaderSize()]) {
			t.Fatal("another header than the block's")
		}
	})
}
