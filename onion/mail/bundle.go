package mail

import (
	"crypto/ed25519"
	"fmt"

	"tunic/chain"
	"tunic/internal/wire"
)

// PrekeySize is the size of a public prekey: X25519 32, ML-KEM-768 1,184.
const PrekeySize = 32 + 1184

// BundleVersion is the version byte of a bundle.
const BundleVersion = 2

// Bundle is what an account publishes for those who want to reach it: its
// identity keys, which hash to the account id, and a prekey to begin a session
// with.
type Bundle struct {
	// Once says that the member hands the bundle out one time. Else it is the
	// account's last resort, which everybody gets who finds none of those.
	Once   bool
	Ed, X  [32]byte   // identity keys: Ed25519, X25519
	Since  chain.Time // the account's state began: it has no prekeys of before
	Serial uint64     // a newer bundle has a higher one
	Until  chain.Time
	Work   uint8 // least bits for a contact request
	Prekey [PrekeySize]byte
	Sig    [64]byte // by Ed
}

// Account is the account that the bundle belongs to.
func (b Bundle) Account() AccountID { return NewAccountID(b.Ed, b.X) }

func (b Bundle) body() []byte {
	out := wire.AppendBool([]byte{BundleVersion}, b.Once)
	out = append(out, b.Ed[:]...)
	out = append(out, b.X[:]...)
	out = wire.AppendUint64(out, uint64(b.Since))
	out = wire.AppendUint64(out, b.Serial)
	out = wire.AppendUint64(out, uint64(b.Until))
	out = append(out, b.Work)
	return append(out, b.Prekey[:]...)
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
	b.Once = r.Bool()
	r.Copy(b.Ed[:])
	r.Copy(b.X[:])
	b.Since = chain.Time(r.Uint64())
	b.Serial = r.Uint64()
	b.Until = chain.Time(r.Uint64())
	b.Work = r.Uint8()
	r.Copy(b.Prekey[:])
	r.Copy(b.Sig[:])
	if err := r.Done(); err != nil {
		return b, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return b, nil
}
