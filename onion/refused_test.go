package onion_test

import (
	"bytes"
	"crypto/ecdh"
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

	"tunic/chain"
	"tunic/internal/testenv"
	. "tunic/onion"
)

// refusedVectors is testdata/refused.json: for each refusal of a node the
// packets that meet it, beside some that do not.
type refusedVectors struct {
	Command string          `json:"command"`
	Cases   []refusedVector `json:"cases"`
}

// refusedVector is a packet at the node that ends its path, and its one key.
type refusedVector struct {
	Name     string      `json:"name"`
	Geometry string      `json:"geometry"`
	Genesis  chain.Hash  `json:"genesis"`
	Private  hexBytes    `json:"private"`
	First    chain.Epoch `json:"first_epoch"`
	Now      chain.Epoch `json:"now"`
	Packet   hexBytes    `json:"packet"` // without the zeros at its end
	Length   int         `json:"length"` // with them
	Error    string      `json:"error"`  // empty: the packet is taken
}

// refusedRow is a vector to be made: a change of an authentic packet.
type refusedRow struct {
	name   string
	change func(v *refusedVector, p []byte) []byte
	want   error
}

func at(offset int, b ...byte) func(*refusedVector, []byte) []byte {
	return func(_ *refusedVector, p []byte) []byte { copy(p[offset:], b); return p }
}

func xor(offset int, x byte) func(*refusedVector, []byte) []byte {
	return func(_ *refusedVector, p []byte) []byte { p[offset] ^= x; return p }
}

// headerRows are refused by what stands in the header as it comes in.
func headerRows(g Geometry) []refusedRow {
	as := func(_ *refusedVector, p []byte) []byte { return p }
	routing := g.HeaderSize() - g.RoutingSize()
	rows := []refusedRow{
		{"as it is", as, nil},
		{"an epoch later", func(v *refusedVector, p []byte) []byte { v.Now = expiry + 1; return p }, ErrExpired},
		{"nothing", func(_ *refusedVector, p []byte) []byte { return nil }, ErrSize},
		{"a byte short", func(_ *refusedVector, p []byte) []byte { return p[:len(p)-1] }, ErrSize},
		{"a byte long", func(_ *refusedVector, p []byte) []byte { return append(p, 0) }, ErrSize},
		{"no geometry", at(0, 0), ErrVersion},
		{"another version", at(0, byte(g)^0x30), ErrVersion},
		{"another geometry", at(0, byte(Small)^byte(Large)^byte(g)), ErrVersion},
		{"a key that the node has not", xor(1, 1), ErrUnknownKey},
		{"another network", func(v *refusedVector, p []byte) []byte { v.Genesis[0] ^= 1; return p }, ErrMAC},
		{"the key under another epoch with the same low byte", func(v *refusedVector, p []byte) []byte { v.First += 256; return p }, ErrMAC},
		{"another node", func(v *refusedVector, p []byte) []byte { v.Private[3] ^= 1; return p }, ErrMAC},
		{"key: first byte", xor(2, 1), ErrMAC},
		{"key: the bit that X25519 ignores", xor(routing-17, 0x80), ErrMAC},
		{"MAC", xor(routing-16, 1), ErrMAC},
		{"slot", xor(routing, 1), ErrMAC},
		{"unused space", xor(g.HeaderSize()-1, 0x80), ErrMAC},
		{"in its last epoch", func(v *refusedVector, p []byte) []byte { v.Now = expiry; return p }, nil},
		{"payload: first bit", xor(g.HeaderSize(), 0x80), ErrPayload},
		{"payload: last bit", xor(g.PacketSize()-1, 1), ErrPayload},
	}
	if g == Hybrid {
		return append(rows,
			refusedRow{"ciphertext: ML-KEM's last byte", xor(2+1087, 0x80), ErrMAC},
			refusedRow{"ciphertext: a point of low order", at(2+1088, make([]byte, 32)...), ErrMAC},
			refusedRow{"ciphertext of zeros", at(2, make([]byte, 1120)...), ErrMAC})
	}
	low := func(low, fill, high byte) []byte {
		b := bytes.Repeat([]byte{fill}, 32)
		b[0], b[31] = low, high
		return b
	}
	order8 := []byte("\xe0\xeb\x7a\x7c\x3b\x41\xb8\xae\x16\x56\xe3\xfa\xf1\x9f\xc4\x6a\xda\x09\x8d\xeb\x9c\x32\xb1\xfd\x86\x62\x05\x16\x5f\x49\xb8\x00")
	return append(rows,
		refusedRow{"key 0", at(2, low(0, 0, 0)...), ErrZeroSecret},
		refusedRow{"key 1", at(2, low(1, 0, 0)...), ErrZeroSecret},
		refusedRow{"key p-1", at(2, low(0xec, 0xff, 0x7f)...), ErrZeroSecret},
		refusedRow{"key p, not canonical", at(2, low(0xed, 0xff, 0x7f)...), ErrZeroSecret},
		refusedRow{"key p+1, not canonical", at(2, low(0xee, 0xff, 0x7f)...), ErrZeroSecret},
		refusedRow{"key p with the bit that X25519 ignores", at(2, low(0xed, 0xff, 0xff)...), ErrZeroSecret},
		refusedRow{"key of order 8", at(2, order8...), ErrZeroSecret})
}

// slotRows are authentic headers with a slot that no sender writes.
func slotRows() []refusedRow {
	deliver := [SlotSize]byte{0: byte(Deliver), 12: byte(expiry >> 8), 13: byte(expiry & 0xff)}
	client, forward := deliver, deliver
	client[0], client[16], client[47] = byte(Client), 1, 1
	forward[0], forward[1], forward[5], forward[16], forward[63] = byte(Forward), 7, 1, 1, 1
	var rows []refusedRow
	for _, row := range []struct {
		name string
		slot [SlotSize]byte
		at   int
		to   byte
		want error
	}{
		{"forward", forward, 63, 1, nil},
		{"client", client, 63, 0, nil},
		{"no flag", deliver, 0, 0, ErrRouting},
		{"forward and deliver", deliver, 0, 3, ErrRouting},
		{"deliver and client", client, 0, 6, ErrRouting},
		{"all three", client, 0, 7, ErrRouting},
		{"unknown flag", deliver, 0, 8, ErrRouting},
		{"known and unknown flag", forward, 0, 0x81, ErrRouting},
		{"reserved, first", forward, 14, 1, ErrRouting},
		{"reserved, second", deliver, 15, 1, ErrRouting},
		{"deliver with a selector", deliver, 1, 1, ErrRouting},
		{"deliver with an index", deliver, 5, 1, ErrRouting},
		{"deliver with a body", deliver, 16, 1, ErrRouting},
		{"deliver with the end of a body", deliver, 63, 1, ErrRouting},
		{"client with a selector", client, 1, 1, ErrRouting},
		{"client with an index", client, 2, 1, ErrRouting},
		{"client with bytes after the id", client, 48, 1, ErrRouting},
		{"client with a last byte", client, 63, 1, ErrRouting},
	} {
		rows = append(rows, refusedRow{"slot: " + row.name, func(v *refusedVector, _ []byte) []byte {
			b := row.slot
			b[row.at] = row.to
			return v.geometry().WrapSlot(v.key(), v.Genesis, seeded(row.name), b)
		}, row.want})
	}
	return rows
}

// payloadRows are sealed properly and wrong inside.
func payloadRows() []refusedRow {
	var rows []refusedRow
	for _, row := range []struct {
		name   string
		change func(payload []byte)
		want   error
	}{
		{"tag, first bit", func(p []byte) { p[0] = 0x80 }, ErrPayload},
		{"tag, last bit", func(p []byte) { p[TagSize-1] = 1 }, ErrPayload},
		{"length beyond the payload", func(p []byte) { binary.BigEndian.PutUint32(p[TagSize:], uint32(len(p)-35)) }, ErrPayload},
		{"length beyond all", func(p []byte) { binary.BigEndian.PutUint32(p[TagSize:], 1<<32-1) }, ErrPayload},
		{"length too short, so padding not zero", func(p []byte) { p[TagSize+3]-- }, ErrPayload},
		{"last byte of padding", func(p []byte) { p[len(p)-1] = 1 }, ErrPayload},
	} {
		rows = append(rows, refusedRow{"payload: " + row.name, func(v *refusedVector, p []byte) []byte {
			g := v.geometry()
			d := Derive(v.key(), v.Genesis, p[2:g.HeaderSize()-g.RoutingSize()-16])
			OpenWide(p[g.HeaderSize():], d.Wide)
			row.change(p[g.HeaderSize():])
			SealWide(p[g.HeaderSize():], d.Wide)
			return p
		}, row.want})
	}
	return rows
}

func (v *refusedVector) geometry() Geometry {
	g, err := ParseGeometry(v.Geometry)
	if err != nil {
		panic(err)
	}
	return g
}

func (v *refusedVector) key() *Key {
	if v.geometry() == Hybrid {
		return LoadHybridKey([32]byte(v.Private), v.First)
	}
	return LoadKey([32]byte(v.Private), v.First)
}

// TestRefusedVectors makes the file, and holds package and twin against it.
func TestRefusedVectors(t *testing.T) {
	made := refusedVectors{Command: vectorCommand}
	for _, g := range []Geometry{Small, Hybrid} {
		r := newRoute(t, g, seeded("refused "+g.String()), 1)
		rows := headerRows(g)
		if g == Small {
			rows = append(append(rows, payloadRows()...), slotRows()...)
		}
		for _, row := range rows {
			private := r.keys[0].Private()
			v := refusedVector{Name: row.name, Geometry: g.String(), Genesis: genesis, Private: private[:], First: r.keys[0].FirstEpoch(), Now: expiry - 1}
			p := row.change(&v, r.wrap(t, seeded(row.name), []byte("hello")))
			switch {
			case row.want != nil && row.want != ErrPayload: // nobody gets to the payload
				clear(p[min(len(p), g.HeaderSize()):])
			case g == Hybrid: // too long for a file
				continue
			}
			v.Packet, v.Length = bytes.TrimRight(p, "\x00"), len(p)
			if row.want != nil {
				v.Error = row.want.Error()
			}
			made.Cases = append(made.Cases, v)
		}
	}
	var all refusedVectors
	readVector(t, testenv.Golden(t, filepath.Join("testdata", "refused.json"), made), &all)
	for _, v := range all.Cases {
		packet := make([]byte, v.Length)
		copy(packet, v.Packet)
		if got := newTwin(byte(v.geometry()), v.Genesis[:]).judge(t, v, packet); got == nil && v.Error != "" || got != nil && got.Error() != v.Error {
			t.Errorf("%s, %s: the twin says %v, the vector %q", v.Geometry, v.Name, got, v.Error)
		}
		if got := v.judge(t, packet); got == nil && v.Error != "" || got != nil && got.Error() != v.Error {
			t.Errorf("%s, %s: %v, the vector says %q", v.Geometry, v.Name, got, v.Error)
		}
	}
}

// judge is what a node does with a packet.
func (v *refusedVector) judge(t *testing.T, packet []byte) error {
	keys, err := NewKeys(v.geometry(), v.Genesis, v.key())
	if err != nil {
		t.Fatal(err)
	}
	o, err := keys.OpenHeader(packet)
	if err == nil {
		err = o.Expired(v.Now)
	}
	if err == nil {
		_, err = o.Finish()
	}
	return err
}

// judge asks the questions of section 4 in their order.
func (w twin) judge(t *testing.T, v refusedVector, packet []byte) error {
	switch {
	case len(packet) != w.header()+w.payload:
		return ErrSize
	case packet[0] != w.geometry:
		return ErrVersion
	case packet[1] != byte(v.First):
		return ErrUnknownKey
	}
	if w.geometry != 0x13 {
		private, err := ecdh.X25519().NewPrivateKey(v.Private)
		if err != nil {
			t.Fatal(err)
		}
		public, err := ecdh.X25519().NewPublicKey(packet[2:34])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := private.ECDH(public); err != nil {
			return ErrZeroSecret
		}
	}
	slot, next, keys := w.peel(t, v.Private, uint64(v.First), packet)
	if keys == nil {
		return ErrMAC
	}
	zeros := func(from, to int) bool { return bytes.Count(slot[from:to], []byte{0}) == to-from }
	used := map[byte]int{1: len(slot), 2: 16, 4: 48}[slot[0]]
	if used == 0 || !zeros(14, 16) || slot[0] != 1 && (!zeros(1, 6) || !zeros(used, 64)) {
		return ErrRouting
	}
	if uint64(v.Now) > uint64(binary.BigEndian.Uint32(slot[10:])) {
		return ErrExpired
	}
	payload := next[w.header():]
	n := uint64(binary.BigEndian.Uint32(payload[32:]))
	if slot[0] == 2 && (!bytes.Equal(payload[:32], make([]byte, 32)) || n > uint64(len(payload)-36) ||
		len(bytes.TrimRight(payload[36+n:], "\x00")) > 0) {
		return ErrPayload
	}
	return nil
}

// TestRefusedVectorsMissNothing: each error that a node can meet has a vector.
func TestRefusedVectorsMissNothing(t *testing.T) {
	var rows []refusedRow
	for _, g := range []Geometry{Small, Hybrid} {
		rows = append(rows, headerRows(g)...)
	}
	rows = append(append(rows, slotRows()...), payloadRows()...)
	for _, want := range []error{ErrSize, ErrVersion, ErrUnknownKey, ErrZeroSecret, ErrMAC, ErrRouting, ErrExpired, ErrPayload} {
		found := false
		for _, row := range rows {
			found = found || errors.Is(row.want, want)
		}
		if !found {
			t.Errorf("no vector meets %v", want)
		}
	}
}
