package ratchet

import (
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"fmt"

	"tunic/internal/wire"
)

// Sizes of a contact request in bytes.
const (
	RequestSize    = 1472 // sealed
	ContactKeySize = 1216 // public key of MLKEM768-X25519
	MaxNote        = 166

	requestEnc   = 1120
	requestInner = RequestSize - requestEnc - tagSize // 336
)

const requestVersion = 1

// Request is how an account asks another for contact: it names itself and
// brings the secret of the pair.
type Request struct {
	Ed, X  [32]byte // the sender's identity keys
	Secret [32]byte // of the pair
	Sent   uint64   // milliseconds since the Unix epoch, says the sender
	Note   string   // at most MaxNote bytes
}

// ContactKey derives an account's contact key pair from 32 secret bytes.
func ContactKey(seed [32]byte) (hpke.PrivateKey, error) {
	k, err := hpke.MLKEM768X25519().DeriveKeyPair(seed[:])
	if err != nil {
		return nil, fmt.Errorf("derive contact key: %w", err)
	}
	return k, nil
}

func requestInfo(genesis, to *[32]byte) []byte {
	b := wire.AppendString(nil, "tunic contact 1")
	b = append(b, genesis[:]...)
	b = append(b, to[:]...)
	h := sha256.Sum256(b)
	return h[:]
}

func requestSigned(genesis, to *[32]byte, body []byte) []byte {
	b := wire.AppendString(nil, "tunic contact request 1")
	b = append(b, genesis[:]...)
	b = append(b, to[:]...)
	return append(b, body...)
}

// SealRequest signs r with the sender's identity, whose public keys it puts in,
// and encrypts it to the contact key of the account to.
func SealRequest(k Keys, genesis, to [32]byte, contact []byte, r Request) ([]byte, error) {
	if len(r.Note) > MaxNote {
		return nil, fmt.Errorf("%w: note of %d bytes, %d fit", ErrTooLong, len(r.Note), MaxNote)
	}
	pub, err := hpke.MLKEM768X25519().NewPublicKey(contact)
	if err != nil {
		return nil, fmt.Errorf("%w: contact key", ErrKey)
	}
	inner := make([]byte, 0, requestInner)
	inner = append(inner, requestVersion)
	inner = append(inner, k.Ed.Public().(ed25519.PublicKey)...)
	inner = append(inner, k.X.PublicKey().Bytes()...)
	inner = append(inner, r.Secret[:]...)
	inner = wire.AppendUint64(inner, r.Sent)
	inner = append(inner, byte(len(r.Note)))
	inner = append(inner, r.Note...)
	inner = append(inner, make([]byte, MaxNote-len(r.Note))...)
	inner = append(inner, ed25519.Sign(k.Ed, requestSigned(&genesis, &to, inner))...)
	defer clear(inner)
	ct, err := hpke.Seal(pub, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), requestInfo(&genesis, &to), inner)
	if err != nil {
		return nil, fmt.Errorf("seal contact request: %w: %w", ErrKey, err)
	}
	return ct, nil
}

// OpenRequest decrypts a contact request to the account to and checks its
// sender's signature. That the sender's keys are canonical is the caller's to
// check. Errors: ErrDecrypt, ErrMalformed, ErrSignature.
func OpenRequest(contact hpke.PrivateKey, genesis, to [32]byte, content []byte) (Request, error) {
	var q Request
	if len(content) != RequestSize {
		return q, fmt.Errorf("%w: %d bytes", ErrDecrypt, len(content))
	}
	inner, err := hpke.Open(contact, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), requestInfo(&genesis, &to), content)
	if err != nil || len(inner) != requestInner {
		return q, ErrDecrypt
	}
	defer clear(inner)
	r := wire.NewReader(inner)
	version := r.Uint8()
	r.Copy(q.Ed[:])
	r.Copy(q.X[:])
	r.Copy(q.Secret[:])
	q.Sent = r.Uint64()
	n := int(r.Uint8())
	note := r.Fixed(MaxNote)
	sig := r.Fixed(ed25519.SignatureSize)
	if err := r.Done(); err != nil || version != requestVersion || n > MaxNote || !zero(note[n:]) {
		return Request{}, fmt.Errorf("%w: contact request", ErrMalformed)
	}
	if !ed25519.Verify(q.Ed[:], requestSigned(&genesis, &to, inner[:len(inner)-len(sig)]), sig) {
		return Request{}, ErrSignature
	}
	q.Note = string(note[:n])
	return q, nil
}
