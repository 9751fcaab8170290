package onion

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"encoding/binary"

	"golang.org/x/crypto/poly1305" //nolint:staticcheck // a one-time key per packet is the case that it is for
	"lukechampine.com/adiantum"

	"tunic/chain"
)

// Labels of the key derivation, of one length.
const (
	kdfLabel       = "tunic/onion/1"
	kdfLabelHybrid = "tunic/onion/h"
)

// kdfSize is the length of what is hashed: label, counter, shared secret,
// genesis hash, first epoch of the key, node's key, ephemeral key.
const kdfSize = len(kdfLabel) + 1 + 4*keySize + 8

// Tag names a packet at one hop, for the replay check: a node that sees a tag
// twice has seen the same packet twice.
type Tag [16]byte

// secrets is what sender and node share for one layer.
type secrets struct {
	mac    [32]byte
	stream [32]byte
	wide   [32]byte
	tag    Tag
}

// derive computes a layer's secrets from the shared secret and from everything
// the two sides must agree on. The keys are hashed as they stand on the wire:
// X25519 gives one secret for several encodings of a point. In the hybrid
// geometry, public and ephemeral are the hashes of public key and ciphertext.
func (s *secrets) derive(label string, shared *[32]byte, genesis *chain.Hash, first chain.Epoch, public, ephemeral []byte) {
	var in [kdfSize]byte
	b := append(in[:0], label...)
	b = append(b, 1)
	b = append(b, shared[:]...)
	b = append(b, genesis[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(first))
	b = append(b, public...)
	_ = append(b, ephemeral...)
	h := sha512.Sum512(in[:])
	copy(s.mac[:], h[:32])
	copy(s.stream[:], h[32:])
	in[len(kdfLabel)] = 2
	h = sha512.Sum512(in[:])
	copy(s.wide[:], h[:32])
	copy(s.tag[:], h[32:48])
	clear(in[:])
	clear(h[:])
}

// zeroIV is never written; as a local variable it would be an allocation.
var zeroIV [aes.BlockSize]byte

// newStream is AES-256 in counter mode from zero; the key is used once.
func newStream(key *[32]byte) cipher.Stream {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("onion: internal error: " + err.Error())
	}
	return cipher.NewCTR(block, zeroIV[:])
}

// setMAC and checkMAC cover all of a header but the MAC itself.
func (g Geometry) setMAC(header []byte, key *[32]byte) {
	m := poly1305.New(key)
	m.Write(header[:g.offMAC()])
	m.Write(header[g.offRouting():])
	m.Sum(header[g.offMAC():g.offMAC()])
}

// checkMAC compares in constant time.
func (g Geometry) checkMAC(header []byte, key *[32]byte) bool {
	m := poly1305.New(key)
	m.Write(header[:g.offMAC()])
	m.Write(header[g.offRouting():])
	return m.Verify(header[g.offMAC():g.offRouting()])
}

// seal and open are the two directions of a permutation over the whole payload:
// every bit of what goes in decides about every bit of what comes out. The key
// is 32 bytes, used for one payload.
func seal(payload, key []byte) {
	adiantum.New(key).Encrypt(payload, nil)
	freeVectors()
}

func open(payload, key []byte) {
	adiantum.New(key).Decrypt(payload, nil)
	freeVectors()
}

var zeros [64]byte

// freeVectors ends the use of the upper halves of the vector registers, which
// Adiantum and circl's ML-KEM leave in use (no VZEROUPPER). On Intel processors
// with SHA extensions the next SHA-256 on this thread, whoever's it is, would
// otherwise take a hundred times as long. The search for a byte ends with that
// instruction wherever the processor has it, and costs 3 ns.
func freeVectors() { bytes.IndexByte(zeros[:], 0) }
