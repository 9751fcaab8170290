// Package ratchet is the end-to-end layer of the messenger: the key agreement by
// which two accounts come to share a Session (PQXDH: X3DH with ML-KEM), and the
// double ratchet with header encryption that seals their items. It implements
// docs/spec/messenger.md, sections Prekeys, Contact request and Session, after
// the Signal specifications "The PQXDH Key Agreement Protocol", revision 3, and
// "The Double Ratchet Algorithm", revision 1; the code names their sections.
//
// Most callers hand out the public half of a Prekey, make a contact request with
// Begin or read one with Accept, and store the state that Seal and Open return
// before they act on anything else.
//
// What it promises: an item has one size and looks random whatever it carries;
// only the two accounts can make or read it; who learns a session's state reads
// nothing that was opened before, but for keys of messages that were passed over
// and have not expired; and nothing that is sent after both sides have sent
// something, if he only listened meanwhile. No message can be shown to others as
// signed by its sender.
//
// The package is pure but for ML-KEM, whose encapsulation the standard library
// draws itself.
package ratchet

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"
)

// Sizes in bytes.
const (
	keySize    = 32
	tagSize    = chacha20poly1305.Overhead
	nonceSize  = chacha20poly1305.NonceSizeX
	headerSize = keySize + 4 + 4 // ratchet key, PN, N
	lengthSize = 2

	sealedHeader = nonceSize + headerSize + tagSize
	// overhead is what an item holds beside its plaintext and zeros.
	overhead = sealedHeader + lengthSize + tagSize
	// maxItem is the largest item whose plaintext's length fits its field.
	maxItem = 1<<16 - 1 + overhead
)

const (
	// MaxSkip is the most messages of one chain that may be passed over at once
	// (MAX_SKIP, section 3.1 of the double ratchet).
	MaxSkip = 1000
	// MaxKept is the most keys of passed-over messages that a session keeps; the
	// oldest go first.
	MaxKept = 2 * MaxSkip
	// maxSent bounds one chain.
	maxSent = 1<<31 - 1
)

// MaxPlaintext is the most bytes that an item of a size carries.
func MaxPlaintext(item int) int { return item - overhead }

var (
	// ErrTooLong means that a plaintext or note does not fit.
	ErrTooLong = errors.New("ratchet: too long")
	// ErrKey means that a key or state is unusable.
	ErrKey = errors.New("ratchet: unusable key")
	// ErrDecrypt means that a ciphertext was changed, opened before, or made for
	// another account, network, session or direction.
	ErrDecrypt = errors.New("ratchet: not authentic")
	// ErrSkip means that too many messages in front of an authentic one are
	// missing, or that its chain is used up.
	ErrSkip = errors.New("ratchet: too many messages are missing")
	// ErrMalformed means that an authentic plaintext or a state is not canonical.
	ErrMalformed = errors.New("ratchet: malformed")
)

// Keys are the account's own. Its Ed25519 key is part of its name alone: nothing
// is signed here.
type Keys struct {
	Account [32]byte
	Ed      [32]byte         // Ed25519, public
	X       *ecdh.PrivateKey // X25519
}

// Peer is the other account as its bundle or contact request shows it.
type Peer struct {
	Account [32]byte
	Ed, X   [32]byte
}

// Env is what all sessions of a client have in common.
type Env struct {
	Genesis [32]byte
	Item    int       // bytes of one
	Keep    uint64    // milliseconds for which the key of a passed-over message is kept
	Rand    io.Reader // of nonces and ratchet keys
}

func (e *Env) check() error {
	if e.Item <= overhead || e.Item > maxItem || e.Rand == nil {
		return fmt.Errorf("%w: items of %d bytes, or no randomness", ErrKey, e.Item)
	}
	return nil
}

// draw is a new X25519 key pair.
func (e *Env) draw() (*ecdh.PrivateKey, error) {
	var b [keySize]byte
	defer clear(b[:])
	if _, err := io.ReadFull(e.Rand, b[:]); err != nil {
		return nil, fmt.Errorf("ratchet: read randomness: %w", err)
	}
	return ecdh.X25519().NewPrivateKey(b[:])
}

// dh is DH(mine, theirs) of both specifications; an all-zero result is refused.
func dh(mine *ecdh.PrivateKey, theirs []byte) ([]byte, error) {
	p, err := ecdh.X25519().NewPublicKey(theirs)
	if err != nil {
		return nil, fmt.Errorf("%w: X25519 key", ErrKey)
	}
	s, err := mine.ECDH(p)
	if err != nil {
		return nil, fmt.Errorf("%w: X25519 key of low order", ErrKey)
	}
	return s, nil
}
