package chain

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/crypto"

	"tunic/internal/wire"
)

// Kind numbers the kinds of transactions; the number is part of the encoding.
type Kind uint8

// The kinds. Publish carries a node's statement, Dev what a dev network's sealer
// did by hand, and Misbehaviour what the engine has found of a validator, none with
// an account signature; all others are EIP-712 messages signed by an account.
// Numbers are never reused.
const (
	KindPublish       Kind = 1
	KindTransfer      Kind = 2
	KindRegister      Kind = 3
	KindContribute    Kind = 4
	KindRequestUnlock Kind = 5
	KindWithdraw      Kind = 6
	KindSubmitProof   Kind = 7
	KindDev           Kind = 8
	KindChangeParams  Kind = 9
	KindChallenge     Kind = 10

	KindCommitDisclosure Kind = 11
	KindValidate         Kind = 12
	KindResign           Kind = 13
	KindMisbehaviour     Kind = 14
)

// Signed reports whether transactions of this kind carry an account signature.
func (k Kind) Signed() bool { return k != KindPublish && !k.Engine() }

// Engine reports whether only an engine makes transactions of this kind: whoever
// else shows one is refused.
func (k Kind) Engine() bool { return k == KindDev || k == KindMisbehaviour }

// MaxTx bounds the encoding of one transaction in bytes.
const MaxTx = 1 << 15

// SignatureSize is R, S and a recovery byte of 0 or 1.
const SignatureSize = 65

var (
	// ErrMessage means that a JSON message does not fit its kind's table.
	ErrMessage = errors.New("chain: malformed message")
	// ErrTx means that a transaction's bytes are not canonical.
	ErrTx = errors.New("chain: malformed transaction")
	// ErrSignature means that an account signature is not canonical (low s,
	// recovery byte 0 or 1) or recovers no key.
	ErrSignature = errors.New("chain: invalid account signature")
)

// Tx is a transaction: a kind, its canonical payload and, where the kind is
// signed, the account's signature over the EIP-712 digest.
type Tx struct {
	Kind    Kind
	Payload []byte
	Sig     [SignatureSize]byte // zero where the kind is not signed
}

// Encode is the canonical encoding: kind, payload, signature (where the kind is signed).
func (t Tx) Encode() []byte {
	b := make([]byte, 0, 5+len(t.Payload)+SignatureSize)
	b = append(b, byte(t.Kind))
	b = wire.AppendBytes(b, t.Payload)
	if t.Kind.Signed() {
		b = append(b, t.Sig[:]...)
	}
	return b
}

// DecodeTx reads one transaction, which aliases b.
func DecodeTx(b []byte) (Tx, error) {
	if len(b) > MaxTx {
		return Tx{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTx, len(b), MaxTx)
	}
	r := wire.NewReader(b)
	t := Tx{Kind: Kind(r.Uint8()), Payload: r.Bytes(MaxTx)}
	if t.Kind.Signed() {
		r.Copy(t.Sig[:])
	}
	if err := r.Done(); err != nil {
		return Tx{}, fmt.Errorf("%w: %w", ErrTx, err)
	}
	return t, nil
}

// ID is the SHA-256 of the canonical encoding, signature included.
func (t Tx) ID() Hash { return SHA256(t.Encode()) }

// Domain separates account signatures by network. Build it with NewDomain.
type Domain struct {
	ChainID   uint64
	Genesis   Hash
	separator [32]byte
}

// domainType is EIP-712's encodeType of the domain in use.
const domainType = "EIP712Domain(string name,string version,uint256 chainId,bytes32 salt)"

// Name and version of the EIP-712 domain.
const (
	DomainName    = "Tunic"
	DomainVersion = "1"
)

// NewDomain caches the domain separator of one network.
func NewDomain(chainID uint64, genesis Hash) Domain {
	var id [32]byte
	binary.BigEndian.PutUint64(id[24:], chainID)
	sep := crypto.Keccak256(
		crypto.Keccak256([]byte(domainType)),
		crypto.Keccak256([]byte(DomainName)),
		crypto.Keccak256([]byte(DomainVersion)),
		id[:], genesis[:])
	return Domain{chainID, genesis, [32]byte(sep)}
}

// Digest is what an account signs for payload of kind s.
func (d Domain) Digest(s *Schema, payload []byte) (Hash, error) {
	h, err := s.hashStruct(payload)
	if err != nil {
		return Hash{}, err
	}
	return Hash(crypto.Keccak256([]byte{0x19, 0x01}, d.separator[:], h[:])), nil
}

// Sender recovers the account that signed t, whose kind is s. It costs one
// public-key recovery.
func (d Domain) Sender(s *Schema, t Tx) (Address, error) {
	digest, err := d.Digest(s, t.Payload)
	if err != nil {
		return Address{}, err
	}
	return Recover(digest, t.Sig)
}

// halfN is half the order of secp256k1, the largest canonical s.
var halfN = [32]byte{
	0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
}

// Recover returns the address whose key made sig over digest; only low-s
// signatures with a recovery byte of 0 or 1 are accepted.
func Recover(digest Hash, sig [SignatureSize]byte) (Address, error) {
	if sig[64] > 1 || string(sig[32:64]) > string(halfN[:]) {
		return Address{}, ErrSignature
	}
	pub, err := crypto.Ecrecover(digest[:], sig[:])
	if err != nil {
		return Address{}, ErrSignature
	}
	return Address(crypto.Keccak256(pub[1:])[12:]), nil
}
