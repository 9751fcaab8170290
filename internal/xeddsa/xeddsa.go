// Package xeddsa signs and verifies with X25519 keys. It implements XEdDSA of
// Trevor Perrin's "The XEdDSA and VXEdDSA Signature Schemes" (Signal, revision 1),
// section 2.3 (conversion of curve points), section 2.5 (hash functions) and
// section 3 (signing and verifying), for Curve25519.
//
// A signature is R and s, 32 bytes each, as in Ed25519. Whoever makes one knows
// the private key of an X25519 public key, and shows nothing else of it.
//
// Verification is strict: R is canonical, s is below the order, neither R nor the
// public key is of low order. It differs from the specification in two points, so
// that nobody can publish a key which works for X25519 and for no signature: the
// public key is what X25519 reads (RFC 7748, section 5: without the top bit, modulo
// the prime), and the equation is that of RFC 8032, section 5.1.7, with the
// cofactor. X25519 clears the cofactor, so that a key with a point of low order
// added works, and the equation without it fails for most messages.
package xeddsa

import (
	"crypto/sha512"
	"errors"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/curve/scalar"
)

// Sizes in bytes.
const (
	KeySize       = 32
	RandomSize    = 64
	SignatureSize = 64
)

// ErrKey means that a private key is not that of the public key, or that the
// public key is none: of low order, or of no point.
var ErrKey = errors.New("xeddsa: the private key is not that of the public key")

// fieldPrime is 2^255 - 19, little-endian.
var fieldPrime = [KeySize]byte{0: 0xed, 1: 0xff, 2: 0xff, 3: 0xff, 4: 0xff, 5: 0xff, 6: 0xff, 7: 0xff, 8: 0xff, 9: 0xff,
	10: 0xff, 11: 0xff, 12: 0xff, 13: 0xff, 14: 0xff, 15: 0xff, 16: 0xff, 17: 0xff, 18: 0xff, 19: 0xff,
	20: 0xff, 21: 0xff, 22: 0xff, 23: 0xff, 24: 0xff, 25: 0xff, 26: 0xff, 27: 0xff, 28: 0xff, 29: 0xff, 30: 0xff, 31: 0x7f}

// reduced is the number that X25519 reads: the top bit is ignored, and what is not
// below 2^255 - 19 is taken modulo it.
func reduced(u [KeySize]byte) [KeySize]byte {
	u[KeySize-1] &= 0x7f
	for i := KeySize - 1; i > 0; i-- {
		if u[i] != fieldPrime[i] {
			return u // below: no byte of the prime but the first is less than it can be
		}
	}
	if u[0] >= fieldPrime[0] {
		return [KeySize]byte{u[0] - fieldPrime[0]}
	}
	return u
}

// point is the Edwards point of an X25519 public key with a sign of 0, and its
// encoding.
func point(u [KeySize]byte) (*curve.EdwardsPoint, [KeySize]byte, bool) {
	var enc curve.CompressedEdwardsY
	u = reduced(u)
	m, err := curve.NewMontgomeryPoint().SetBytes(u[:])
	if err != nil {
		return nil, enc, false
	}
	a, err := curve.NewEdwardsPoint().SetMontgomery(m, 0)
	if err != nil || a.IsSmallOrder() {
		return nil, enc, false
	}
	enc.SetEdwardsPoint(a)
	return a, enc, true
}

// Verify reports whether sig is a signature of message by the private key of u.
func Verify(u [KeySize]byte, message []byte, sig [SignatureSize]byte) bool {
	a, enc, ok := point(u)
	if !ok {
		return false
	}
	s, err := scalar.NewFromCanonicalBytes(sig[32:])
	if err != nil {
		return false
	}
	r, err := curve.NewCompressedEdwardsYFromBytes(sig[:32])
	if err != nil || !r.IsCanonicalVartime() {
		return false
	}
	bigR, err := curve.NewEdwardsPoint().SetCompressedY(r)
	if err != nil || bigR.IsSmallOrder() {
		return false
	}
	h := hash(sig[:32], enc[:], message)
	left := curve.NewEdwardsPoint().DoubleScalarMulBasepointVartime(h.Neg(h), a, s) // s B - h A
	return left.Sub(left, bigR).IsSmallOrder()
}

// Sign signs message with the private key of u, the bytes that X25519 takes.
// random must be fresh; should it fail, the nonce still is of the key and the
// message. The private key is used in constant time but for its sign.
func Sign(private, u [KeySize]byte, message []byte, random [RandomSize]byte) (sig [SignatureSize]byte, err error) {
	a, enc, ok := point(u)
	if !ok {
		return sig, ErrKey
	}
	private[0] &= 248
	private[31] = private[31]&127 | 64
	defer clear(private[:])
	k, err := scalar.NewFromBytesModOrder(private[:])
	if err != nil {
		return sig, ErrKey
	}
	defer k.Zero()
	own := curve.NewEdwardsPoint().MulBasepoint(curve.ED25519_BASEPOINT_TABLE, k)
	// Equal but for a point of low order, which no signature shows.
	switch same, other := curve.NewEdwardsPoint().Sub(own, a), curve.NewEdwardsPoint().Add(own, a); {
	case same.IsSmallOrder():
	case other.IsSmallOrder():
		k.Neg(k)
	default:
		return sig, ErrKey
	}
	var key [KeySize]byte
	defer clear(key[:])
	if err := k.ToBytes(key[:]); err != nil {
		return sig, ErrKey
	}
	// hash_1 of section 2.5: 2^256 - 1 - 1 in front.
	front := [KeySize]byte{0: 0xfe}
	for i := 1; i < KeySize; i++ {
		front[i] = 0xff
	}
	r := hash(front[:], key[:], message, random[:])
	defer r.Zero()
	var bigR curve.CompressedEdwardsY
	bigR.SetEdwardsPoint(curve.NewEdwardsPoint().MulBasepoint(curve.ED25519_BASEPOINT_TABLE, r))
	h := hash(bigR[:], enc[:], message)
	s := scalar.New().Mul(h, k)
	s.Add(s, r)
	copy(sig[:32], bigR[:])
	return sig, s.ToBytes(sig[32:])
}

// hash is SHA-512 of the parts, modulo the order.
func hash(parts ...[]byte) *scalar.Scalar {
	d := sha512.New()
	for _, p := range parts {
		d.Write(p)
	}
	var sum [sha512.Size]byte
	d.Sum(sum[:0])
	defer clear(sum[:])
	x, err := scalar.NewFromBytesModOrderWide(sum[:])
	if err != nil {
		panic("xeddsa: internal error: " + err.Error()) // of the size alone
	}
	return x
}
