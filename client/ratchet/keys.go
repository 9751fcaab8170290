package ratchet

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"

	"golang.org/x/crypto/chacha20poly1305"
)

// kdf fills the keys, 32 bytes each, with HKDF-SHA256.
func kdf(secret, salt []byte, info string, keys ...*[keySize]byte) {
	b, err := hkdf.Key(sha256.New, secret, salt, info, keySize*len(keys))
	if err != nil {
		panic("ratchet: internal error: " + err.Error())
	}
	for i, k := range keys {
		copy(k[:], b[keySize*i:])
	}
	clear(b)
}

// kdfRoot is KDF_RK_HE(rk, dh_out), section 4.2 of the double ratchet: the next
// root key, a chain key and a next header key.
func kdfRoot(root *[keySize]byte, shared []byte, chain, header *[keySize]byte) {
	kdf(shared, root[:], "tunic ratchet 2 root", root, chain, header)
	clear(shared)
}

// kdfChain is KDF_CK(ck), sections 3.1 and 5.2: it moves the chain key on and
// returns a message key.
func kdfChain(chain *[keySize]byte) (message [keySize]byte) {
	next := prf(chain, 2)
	message = prf(chain, 1)
	*chain = next
	return message
}

func prf(key *[keySize]byte, b byte) (out [keySize]byte) {
	m := hmac.New(sha256.New, key[:])
	m.Write([]byte{b})
	m.Sum(out[:0])
	return out
}

// seal appends the ciphertext of plaintext to dst. ENCRYPT and HENCRYPT are the
// same: XChaCha20-Poly1305, whose random nonce is the item's, so that nothing is
// given away where an old state comes back and a key is used twice.
func seal(dst []byte, key *[keySize]byte, nonce, plaintext, ad []byte) []byte {
	a, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic("ratchet: internal error: " + err.Error())
	}
	return a.Seal(dst, nonce, plaintext, ad)
}

// open is the other direction.
func open(key *[keySize]byte, nonce, ciphertext, ad []byte) ([]byte, bool) {
	a, err := chacha20poly1305.NewX(key[:])
	if err != nil {
		panic("ratchet: internal error: " + err.Error())
	}
	p, err := a.Open(nil, nonce, ciphertext, ad)
	return p, err == nil
}
