package mail

import (
	"crypto/ed25519"
	"fmt"

	"tunic/chain"
	"tunic/internal/wire"
)

// ContactKeySize is the size of an HPKE public key of MLKEM768-X25519.
const ContactKeySize = 1216

// BundleVersion is the version byte of a bundle.
const BundleVersion = 1

// Bundle is what an account publishes for those who want to reach it: its
// identity keys, which hash to the account id, and a contact key to encrypt
// the first message to.
type Bundle struct {
	Ed, X   [32]byte // identity keys: Ed25519, X25519
	Serial  uint64   // a newer bundle has a higher one
	Until   chain.Time
	Work    uint8 // least bits for a contact request
	Contact [ContactKeySize]byte
	Sig     [64]byte // by Ed
}

// Account is the account that the bundle belongs to.
func (b Bundle) Account() AccountID { return NewAccountID(b.Ed, b.X) }

func (b Bundle) body() []byte {
	out := append([]byte{BundleVersion}, b.Ed[:]...)
	out = append(out, b.X[:]...)
	out = wire.AppendUint64(out, b.Serial)
	out = wire.AppendUint64(out, uint64(b.Until))
	out = append(out, b.Work)
	return append(out, b.Contact[:]...)
}

// Sign signs the bundle with the account's Ed25519 identity key.
func (b *Bundle) Sign(genesis chain.Hash, identity ed25519.PrivateKey) {
	b.Sig = [64]byte(ed25519.Sign(identity, signed(labelBundle, genesis, b.body())))
}

// Verify checks the signature and that the work asked for is bounded.
func (b Bundle) Verify(genesis chain.Hash) error {
	if b.Work > MaxWork {
		return fmt.Errorf("%w: bundle asks for %d bits of work", ErrMalformed, b.Work)
	}
	return verify(labelBundle, genesis, b.Ed, b.body(), b.Sig)
}

// Encode is the canonical encoding.
func (b Bundle) Encode() []byte { return append(b.body(), b.Sig[:]...) }

// DecodeBundle reads a bundle; Verify it before use.
func DecodeBundle(in []byte) (Bundle, error) {
	r := wire.NewReader(in)
	var b Bundle
	if v := r.Uint8(); r.Err() == nil && v != BundleVersion {
		return b, fmt.Errorf("%w: bundle version %d", ErrMalformed, v)
	}
	r.Copy(b.Ed[:])
	r.Copy(b.X[:])
	b.Serial = r.Uint64()
	b.Until = chain.Time(r.Uint64())
	b.Work = r.Uint8()
	r.Copy(b.Contact[:])
	r.Copy(b.Sig[:])
	if err := r.Done(); err != nil {
		return b, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return b, nil
}
