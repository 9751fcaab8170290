package onion_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/binary"
	"testing"

	"golang.org/x/crypto/poly1305" //nolint:staticcheck // the bare primitive is what the specification names

	. "tunic/onion"
)

// The twin is a second hand: the steps of docs/spec/onion.md as they are written
// there, with numbers instead of names, with nothing of the package and, where
// the package takes a primitive from another module, with another one. It is
// slow; every vector is held against it, so that neither page, code nor vectors
// can drift.
type twin struct {
	geometry           byte
	kem, slot, payload int // bytes of an ephemeral key or ciphertext, of a slot, of a payload
	genesis            []byte
}

func newTwin(geometry byte, genesis []byte) twin {
	return twin{geometry: geometry, genesis: genesis,
		kem:     map[byte]int{0x11: 32, 0x12: 32, 0x13: 1120}[geometry],
		slot:    map[byte]int{0x11: 64, 0x12: 64, 0x13: 1152}[geometry],
		payload: map[byte]int{0x11: 2048, 0x12: 32768, 0x13: 32768}[geometry]}
}

func (w twin) routing() int { return 5*w.slot + 64 }
func (w twin) header() int  { return 2 + w.kem + 16 + w.routing() }

// twinKeys are the 128 bytes of section 3: MAC, stream and wide-block key, tag.
type twinKeys []byte

func (w twin) derive(shared, key, ephemeral []byte, first uint64) (keys twinKeys) {
	label := "tunic/onion/1"
	if w.geometry == 0x13 {
		label = "tunic/onion/h"
		a, b := sha256.Sum256(key), sha256.Sum256(ephemeral)
		key, ephemeral = a[:], b[:]
	}
	for n := range 2 {
		in := append([]byte(label), byte(n+1))
		in = append(append(in, shared...), w.genesis...)
		in = binary.BigEndian.AppendUint64(in, first)
		in = append(append(in, key...), ephemeral...)
		sum := sha512.Sum512(in)
		keys = append(keys, sum[:]...)
	}
	return keys
}

func (k twinKeys) stream(n int) []byte {
	block, err := aes.NewCipher(k[32:64])
	if err != nil {
		panic(err)
	}
	out := make([]byte, n)
	cipher.NewCTR(block, make([]byte, 16)).XORKeyStream(out, out)
	return out
}

func (w twin) mac(k twinKeys, header []byte) []byte {
	var sum [16]byte
	poly1305.Sum(&sum, append(bytes.Clone(header[:2+w.kem]), header[2+w.kem+16:]...), (*[32]byte)(k))
	return sum[:]
}

func twinX25519(t *testing.T, private, public []byte) (own, shared []byte) {
	t.Helper()
	k, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	if public != nil {
		p, err := ecdh.X25519().NewPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		if shared, err = k.ECDH(p); err != nil { // a point of low order: what RFC 7748 computes
			shared = make([]byte, 32)
		}
	}
	return k.PublicKey().Bytes(), shared
}

// twinXWing is the combiner of draft-connolly-cfrg-xwing-kem.
func twinXWing(m, x, ephemeral, public []byte) []byte {
	sum := sha3.Sum256(bytes.Join([][]byte{m, x, ephemeral, public, []byte(`\.//^\`)}, nil))
	return sum[:]
}

// expand is the node's side of an X-Wing key: the two private keys in a seed.
func expand(t *testing.T, seed []byte) (m *mlkem.DecapsulationKey768, x []byte) {
	t.Helper()
	h := sha3.NewSHAKE256()
	h.Write(seed)
	var both [96]byte
	h.Read(both[:])
	m, err := mlkem.NewDecapsulationKey768(both[:64])
	if err != nil {
		t.Fatal(err)
	}
	return m, both[64:]
}

// shared is a layer's secret as its node computes it, from its private key and
// what the header carries, and the node's public key.
func (w twin) shared(t *testing.T, private, ephemeral []byte) (shared, public []byte) {
	t.Helper()
	if w.geometry != 0x13 {
		public, shared = twinX25519(t, private, ephemeral)
		return shared, public
	}
	m, x := expand(t, private)
	fromM, err := m.Decapsulate(ephemeral[:1088])
	if err != nil {
		t.Fatal(err)
	}
	own, fromX := twinX25519(t, x, ephemeral[1088:])
	return twinXWing(fromM, fromX, ephemeral[1088:], own), append(m.EncapsulationKey().Bytes(), own...)
}

// draw is the sender's side of the same: the randomness of one layer.
func (w twin) draw(t *testing.T, random, public []byte) (shared, ephemeral []byte) {
	t.Helper()
	if w.geometry != 0x13 {
		ephemeral, shared = twinX25519(t, random, public)
		return shared, ephemeral
	}
	key, err := mlkem.NewEncapsulationKey768(public[:1184])
	if err != nil {
		t.Fatal(err)
	}
	fromM, ciphertext, err := mlkemtest.Encapsulate768(key, random[:32])
	if err != nil {
		t.Fatal(err)
	}
	own, fromX := twinX25519(t, random[32:], public[1184:])
	return twinXWing(fromM, fromX, own, public[1184:]), append(ciphertext, own...)
}

// peel is section 4: the slot in front, the next packet, the layer's keys.
func (w twin) peel(t *testing.T, private []byte, first uint64, packet []byte) (slot, next []byte, keys twinKeys) {
	t.Helper()
	ephemeral := packet[2 : 2+w.kem]
	shared, public := w.shared(t, private, ephemeral)
	keys = w.derive(shared, public, ephemeral, first)
	if !bytes.Equal(w.mac(keys, packet[:w.header()]), packet[2+w.kem:][:16]) {
		return nil, nil, nil
	}
	routing := append(bytes.Clone(packet[2+w.kem+16:w.header()]), make([]byte, w.slot)...)
	for i, v := range keys.stream(len(routing)) {
		routing[i] ^= v
	}
	next = append([]byte{packet[0], routing[1]}, routing[16:w.slot]...)
	next = append(next, routing[w.slot:]...)
	return routing[:w.slot], append(next, twinWide(keys[64:96], packet[w.header():], true)...), keys
}

// twinHop is a node of a path as its sender knows it.
type twinHop struct {
	public       []byte
	first        uint64
	index, delay uint32
}

// head is section 5 without the payload: a header, and the keys of its layers.
// random is used up from the front.
func (w twin) head(t *testing.T, random *[]byte, expiry uint32, path []twinHop, kind byte, body []byte) (header []byte, keys []twinKeys) {
	t.Helper()
	take := func(n int) []byte {
		out := (*random)[:n]
		*random = (*random)[n:]
		return out
	}
	var ephemerals [][]byte
	for _, h := range path {
		shared, e := w.draw(t, take(map[bool]int{false: 32, true: 64}[w.geometry == 0x13]), h.public)
		keys, ephemerals = append(keys, w.derive(shared, h.public, e, h.first)), append(ephemerals, e)
	}
	n := len(path)
	var filler []byte
	for i := range n - 1 {
		filler = append(filler, make([]byte, w.slot)...)
		pad := keys[i].stream(w.routing() + w.slot)
		for j, v := range pad[len(pad)-len(filler):] {
			filler[j] ^= v
		}
	}
	front := func(i int, kind, selector byte, index uint32) []byte {
		b := []byte{kind, selector}
		b = binary.BigEndian.AppendUint32(b, index)
		b = binary.BigEndian.AppendUint32(b, path[i].delay)
		b = binary.BigEndian.AppendUint32(b, expiry)
		return append(b, 0, 0)
	}
	routing := append(front(n-1, kind, 0, 0), append(body, make([]byte, 48-len(body))...)...)
	routing = append(routing, take((6-n)*w.slot)...)
	for i := n - 1; i >= 0; i-- {
		stream := keys[i].stream(len(routing))
		for j := range routing {
			routing[j] ^= stream[j]
		}
		if i == n-1 {
			routing = append(routing, filler...)
		}
		header = append([]byte{w.geometry, byte(path[i].first)}, ephemerals[i]...)
		header = append(append(header, make([]byte, 16)...), routing...)
		mac := w.mac(keys[i], header)
		copy(header[2+w.kem:], mac)
		if i > 0 {
			next := front(i-1, 1, byte(path[i].first), path[i].index)
			next = append(append(next, ephemerals[i]...), mac...)
			routing = append(next, routing[:len(routing)-w.slot]...)
		}
	}
	return header, keys
}

// plain is the payload before any layer.
func (w twin) plain(message []byte) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 32), uint32(len(message)))
	b = append(b, message...)
	return append(b, make([]byte, w.payload-len(b))...)
}

// wrap is section 5, answer and open are section 6.
func (w twin) wrap(t *testing.T, random []byte, expiry uint32, path []twinHop, message []byte) []byte {
	t.Helper()
	header, keys := w.head(t, &random, expiry, path, 2, nil)
	payload := w.plain(message)
	for i := len(keys) - 1; i >= 0; i-- {
		payload = twinWide(keys[i][64:96], payload, false)
	}
	return append(header, payload...)
}

func (w twin) surb(t *testing.T, random []byte, expiry uint32, path []twinHop, token, id []byte) (block []byte, keys []twinKeys) {
	t.Helper()
	header, keys := w.head(t, &random, expiry, path, 4, append(bytes.Clone(token), id...))
	block = append(binary.BigEndian.AppendUint32(nil, path[0].index), header...)
	return append(block, random...), keys
}

func (w twin) answer(block, message []byte) []byte {
	key := block[len(block)-32:]
	return append(bytes.Clone(block[4:len(block)-32]), twinWide(key, w.plain(message), false)...)
}

func (w twin) open(block []byte, keys []twinKeys, payload []byte) []byte {
	for i := len(keys) - 1; i >= 0; i-- {
		payload = twinWide(keys[i][64:96], payload, false)
	}
	return twinWide(block[len(block)-32:], payload, true)
}

// checkTwin makes the packet and takes its layers off by the second hand.
func (v *vector) checkTwin(t *testing.T) {
	t.Helper()
	g, _, _, _ := v.tables(t)
	w := newTwin(byte(g), v.Genesis[:])
	var path []twinHop
	for _, n := range v.Nodes {
		path = append(path, twinHop{n.Public, uint64(n.FirstEpoch), n.Index, n.Delay})
	}
	var packet, block []byte
	var keys []twinKeys
	if v.Token == nil {
		packet = w.wrap(t, v.Random, uint32(v.Expiry), path, v.Message)
	} else {
		block, keys = w.surb(t, v.Random, uint32(v.Expiry), path, v.Token, v.SURBID)
		if !bytes.Equal(block, v.SURB) {
			t.Fatal("twin: another reply block")
		}
		packet = w.answer(block, v.Message)
	}
	for i, n := range v.Nodes {
		l := v.Layers[i]
		sum, payload := sha256.Sum256(packet[:w.header()]), sha256.Sum256(packet[w.header():])
		if (l.Header != nil && !bytes.Equal(l.Header, packet[:w.header()])) || (l.Header == nil && !bytes.Equal(l.HeaderSHA256, sum[:])) ||
			!bytes.Equal(l.PayloadSHA256, payload[:]) {
			t.Fatalf("twin, layer %d: another packet", i)
		}
		slot, next, keys := w.peel(t, n.Private, uint64(n.FirstEpoch), packet)
		if keys == nil {
			t.Fatalf("twin, layer %d: another MAC", i)
		}
		if !bytes.Equal(keys[:32], l.MAC) || !bytes.Equal(keys[32:64], l.Stream) || !bytes.Equal(keys[64:96], l.Wide) || !bytes.Equal(keys[96:112], l.Tag) {
			t.Fatalf("twin, layer %d: other keys", i)
		}
		if kind := Kind(slot[0]); kind.String() != l.Kind || binary.BigEndian.Uint32(slot[2:]) != l.NextIndex {
			t.Fatalf("twin, layer %d: another slot, %x", i, slot[:16])
		}
		packet = next
	}
	plain := packet[w.header():]
	if v.Token != nil {
		if sum := sha256.Sum256(plain); !bytes.Equal(sum[:], v.Answer) {
			t.Fatal("twin: another answer reaches the client")
		}
		plain = w.open(block, keys, plain)
	}
	if !bytes.Equal(plain, w.plain(v.Message)) {
		t.Fatalf("twin: the payload ends as %.80x", plain)
	}
}
