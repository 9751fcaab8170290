package bench

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"

	"golang.org/x/crypto/poly1305" //nolint:staticcheck // what a header's MAC is
	"lukechampine.com/adiantum"

	"tunic/onion"
)

// peelPart is a bare primitive with the lengths that a peel gives it.
type peelPart struct {
	name string
	op   func(n int) error
}

// kdfInput is the length of what the key derivation hashes, twice a layer.
const kdfInput = 150

// partsOf are the parts of one peel beside its shared secret, as section 10 of
// docs/spec/onion.md names them.
func partsOf(g onion.Geometry) []peelPart {
	key := make([]byte, 32)
	header, routing := make([]byte, g.HeaderSize()-16), make([]byte, g.RoutingSize()+g.SlotSize())
	payload := make([]byte, g.PayloadSize())
	kem := header[2 : g.HeaderSize()-g.RoutingSize()-16]
	repeat := func(name string, op func()) peelPart {
		return peelPart{name, func(n int) error {
			for range n {
				op()
			}
			return nil
		}}
	}
	return []peelPart{
		repeat("kdf", func() {
			if g == onion.Hybrid {
				h := sha256.Sum256(kem)
				header[0] ^= h[0]
			}
			for range 2 {
				h := sha512.Sum512(header[:kdfInput])
				header[0] ^= h[0]
			}
		}),
		repeat("mac", func() {
			var sum [16]byte
			poly1305.Sum(&sum, header, (*[32]byte)(key))
			header[0] ^= sum[0]
		}),
		repeat("stream", func() {
			block, err := aes.NewCipher(key)
			if err != nil {
				panic(err) // the key has 32 bytes
			}
			cipher.NewCTR(block, key[:aes.BlockSize]).XORKeyStream(routing, routing)
		}),
		repeat("wide_block", func() { adiantum.New(key).Decrypt(payload, nil) }),
	}
}
