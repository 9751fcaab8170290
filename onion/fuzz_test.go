package onion_test

import (
	"bytes"
	"testing"

	. "tunic/onion"
)

// FuzzOpenHeader: whatever arrives, a node neither panics nor takes a header
// that its sender did not make.
func FuzzOpenHeader(f *testing.F) {
	rand := seeded("fuzz")
	r := newRoute(f, Small, rand, 3)
	keys := r.table(f, 0)
	good := r.wrap(f, rand, []byte("hello"))
	f.Add(good)
	f.Add(good[:HeaderSize])
	f.Add(make([]byte, len(good)))
	f.Fuzz(func(t *testing.T, b []byte) {
		work := bytes.Clone(b)
		o, err := keys.OpenHeader(work)
		if err != nil {
			return
		}
		if !bytes.Equal(b[:HeaderSize], good[:HeaderSize]) {
			t.Fatalf("taken: %x", b[:HeaderSize])
		}
		if out, err := o.Finish(); err != nil || len(out) != len(b) {
			t.Fatalf("forwarded as %d bytes, %v", len(out), err)
		}
	})
}

// FuzzSlot: a slot that is read is written again as the same bytes.
func FuzzSlot(f *testing.F) {
	f.Add(bytes.Repeat([]byte{1}, SlotSize))
	f.Add(append([]byte{byte(Deliver)}, make([]byte, SlotSize-1)...))
	f.Add(append([]byte{byte(Client)}, make([]byte, SlotSize-1)...))
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

// FuzzSURB: a reply block from anyone makes a packet or an error, never more.
func FuzzSURB(f *testing.F) {
	rand := seeded("fuzz surb")
	s, _ := newRoute(f, Small, rand, 3).surb(f, rand)
	f.Add(s[:])
	f.Add(make([]byte, SURBSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSURB(b)
		if err != nil {
			return
		}
		_, packet, err := s.Reply([]byte("hello"))
		if err != nil || len(packet) != s.Geometry().PacketSize() {
			t.Fatalf("packet of %d bytes, %v", len(packet), err)
		}
	})
}
