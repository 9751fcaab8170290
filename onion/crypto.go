package onion

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha512"
	"encoding/binary"

	"github.com/cloudflare/circl/dh/x25519"
	"golang.org/x/crypto/poly1305" //nolint:staticcheck // a one-time key per packet is the case that it is for
	"lukechampine.com/adiantum"

	"tunic/chain"
)

const kdfLabel = "tunic/onion/1"

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

// derive computes a layer's secrets from the X25519 secret and from everything
// the two sides must agree on. The keys are hashed as they stand on the wire:
// X25519 gives one secret for several encodings of a point.
func (s *secrets) derive(shared *x25519.Key, genesis *chain.Hash, first chain.Epoch, public, ephemeral []byte) {
	var in [kdfSize]byte
	b := append(in[:0], kdfLabel...)
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

// macInput is all of a header but the MAC itself.
func macInput(buf *[HeaderSize - macSize]byte, header []byte) []byte {
	copy(buf[:offMAC], header[:offMAC])
	copy(buf[offMAC:], header[offRouting:HeaderSize])
	return buf[:]
}

func setMAC(header []byte, key *[32]byte) {
	var buf [HeaderSize - macSize]byte
	var sum [macSize]byte
	poly1305.Sum(&sum, macInput(&buf, header), key)
	copy(header[offMAC:offRouting], sum[:])
}

func checkMAC(header []byte, key *[32]byte) bool {
	var buf [HeaderSize - macSize]byte
	return poly1305.Verify((*[macSize]byte)(header[offMAC:offRouting]), macInput(&buf, header), key)
}

// seal and open are the two directions of a permutation over the whole payload:
// every bit of what goes in decides about every bit of what comes out. The key
// is 32 bytes, used for one payload.
func seal(payload, key []byte) { adiantum.New(key).Encrypt(payload, nil) }

func open(payload, key []byte) { adiantum.New(key).Decrypt(payload, nil) }
