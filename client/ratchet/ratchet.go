// Package ratchet is the end-to-end layer of the messenger: a Session between
// two accounts that share a secret, and the contact request by which they come
// to share it. It implements docs/spec/messenger.md, sections Session and
// Contact request.
//
// Most callers make a Session with New from a pair's secret, store the state
// that Seal and Open return, and restore it with Load; SealRequest and
// OpenRequest make and read a contact request.
//
// What it promises: an item has one size whatever it carries; only the two
// accounts can make or read it; it holds for one network, one pair, one secret
// and one direction. What it does not promise yet: forward secrecy against the
// recipient's keys. Each item has its own ephemeral sender key, so the sender's
// keys open nothing; but whoever gets the recipient's X25519 key and the pair's
// secret reads all items of the pair that were kept.
//
// The package is pure but for HPKE, whose ephemeral keys the standard library
// draws itself.
package ratchet

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"tunic/internal/wire"
)

// Sizes in bytes.
const (
	encSize    = 32 // HPKE: encapsulated X25519 key
	tagSize    = 16
	lengthSize = 2

	// overhead is what an item holds beside its plaintext and zeros.
	overhead = encSize + tagSize + lengthSize + ed25519.SignatureSize
	// maxItem is the largest item whose plaintext's length fits its field.
	maxItem = 1<<16 - 1 + overhead
)

// MaxPlaintext is the most bytes that an item of a size carries.
func MaxPlaintext(item int) int { return item - overhead }

var (
	// ErrTooLong means that a plaintext or note does not fit.
	ErrTooLong = errors.New("ratchet: too long")
	// ErrKey means that a key or state is unusable.
	ErrKey = errors.New("ratchet: unusable key")
	// ErrDecrypt means that a ciphertext was changed, or made for another
	// account, network, secret or direction.
	ErrDecrypt = errors.New("ratchet: not authentic")
	// ErrSignature means that a plaintext is not signed by its sender.
	ErrSignature = errors.New("ratchet: invalid signature")
	// ErrMalformed means that an authentic plaintext or a state is not canonical.
	ErrMalformed = errors.New("ratchet: malformed")
)

// Keys are the account's own.
type Keys struct {
	Account [32]byte
	Ed      ed25519.PrivateKey
	X       *ecdh.PrivateKey // X25519
}

// Peer is the other account as its bundle or contact request shows it.
type Peer struct {
	Account [32]byte
	Ed, X   [32]byte
}

// Session seals and opens the items of one pair. A Session is immutable: both
// methods return the one to use next, whose State must be stored before a
// ciphertext leaves or a plaintext is acted on.
type Session interface {
	// Seal encrypts at most MaxPlaintext bytes into exactly one item. Error:
	// ErrTooLong.
	Seal(plaintext []byte) (ciphertext []byte, next Session, err error)
	// Open decrypts. After an error, ErrDecrypt, ErrSignature or ErrMalformed,
	// the session is as it was and next is nil.
	Open(ciphertext []byte) (plaintext []byte, next Session, err error)
	// State is the canonical encoding, for Load. It holds a secret.
	State() []byte
}

// stateVersion is the version byte of this session's state.
const stateVersion = 1

// session is today's Session: HPKE to the peer's identity key, bound to the
// pair's secret, and a signature inside.
type session struct {
	keys           Keys
	item           int // bytes of one
	genesis        [32]byte
	secret         [32]byte
	peer           Peer
	theirs         hpke.PublicKey
	mine           hpke.PrivateKey
	sealed, opened uint64
}

// New begins the session of a pair with a fresh secret. item is the size of the
// network's items in bytes.
func New(k Keys, item int, genesis [32]byte, peer Peer, secret [32]byte) (Session, error) {
	return newSession(k, item, genesis, peer, secret)
}

func newSession(k Keys, item int, genesis [32]byte, peer Peer, secret [32]byte) (*session, error) {
	if item <= overhead || item > maxItem {
		return nil, fmt.Errorf("%w: items of %d bytes", ErrKey, item)
	}
	if k.X == nil || k.X.Curve() != ecdh.X25519() || len(k.Ed) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("%w: own identity", ErrKey)
	}
	theirs, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(peer.X[:])
	if err != nil {
		return nil, fmt.Errorf("%w: peer's X25519 key", ErrKey)
	}
	mine, err := hpke.NewDHKEMPrivateKey(k.X)
	if err != nil {
		return nil, fmt.Errorf("%w: own X25519 key", ErrKey)
	}
	return &session{keys: k, item: item, genesis: genesis, secret: secret, peer: peer, theirs: theirs, mine: mine}, nil
}

// Load restores a session from what State returned; item as for New.
func Load(k Keys, item int, state []byte) (Session, error) {
	r := wire.NewReader(state)
	if v := r.Uint8(); r.Err() == nil && v != stateVersion {
		return nil, fmt.Errorf("%w: state version %d", ErrMalformed, v)
	}
	var genesis, secret [32]byte
	var p Peer
	for _, b := range [][]byte{genesis[:], secret[:], p.Account[:], p.Ed[:], p.X[:]} {
		r.Copy(b)
	}
	sealed, opened := r.Uint64(), r.Uint64()
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: state: %w", ErrMalformed, err)
	}
	s, err := newSession(k, item, genesis, p, secret)
	if err != nil {
		return nil, err
	}
	s.sealed, s.opened = sealed, opened
	return s, nil
}

func (s *session) State() []byte {
	b := []byte{stateVersion}
	for _, x := range [][]byte{s.genesis[:], s.secret[:], s.peer.Account[:], s.peer.Ed[:], s.peer.X[:]} {
		b = append(b, x...)
	}
	b = wire.AppendUint64(b, s.sealed)
	return wire.AppendUint64(b, s.opened)
}

// info binds a ciphertext to network, secret and direction.
func (s *session) info(from, to *[32]byte) []byte {
	b := wire.AppendString(nil, "tunic session 1")
	for _, x := range [][]byte{s.genesis[:], s.secret[:], from[:], to[:]} {
		b = append(b, x...)
	}
	h := sha256.Sum256(b)
	return h[:]
}

func (s *session) signed(from, to *[32]byte, plaintext []byte) []byte {
	b := wire.AppendString(make([]byte, 0, 128+len(plaintext)), "tunic message 1")
	for _, x := range [][]byte{s.genesis[:], from[:], to[:]} {
		b = append(b, x...)
	}
	return wire.AppendBytes(b, plaintext)
}

func (s *session) Seal(plaintext []byte) ([]byte, Session, error) {
	if most := MaxPlaintext(s.item); len(plaintext) > most {
		return nil, nil, fmt.Errorf("%w: %d bytes, %d fit", ErrTooLong, len(plaintext), most)
	}
	from, to := &s.keys.Account, &s.peer.Account
	inner := make([]byte, s.item-encSize-tagSize)
	defer clear(inner)
	binary.BigEndian.PutUint16(inner, uint16(len(plaintext)))
	copy(inner[lengthSize:], plaintext)
	copy(inner[len(inner)-ed25519.SignatureSize:], ed25519.Sign(s.keys.Ed, s.signed(from, to, plaintext)))
	ct, err := hpke.Seal(s.theirs, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), s.info(from, to), inner)
	if err != nil {
		return nil, nil, fmt.Errorf("seal item: %w: %w", ErrKey, err)
	}
	next := *s
	next.sealed++
	return ct, &next, nil
}

func (s *session) Open(ciphertext []byte) ([]byte, Session, error) {
	if len(ciphertext) != s.item {
		return nil, nil, fmt.Errorf("%w: %d bytes", ErrDecrypt, len(ciphertext))
	}
	from, to := &s.peer.Account, &s.keys.Account
	inner, err := hpke.Open(s.mine, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), s.info(from, to), ciphertext)
	if err != nil || len(inner) != s.item-encSize-tagSize {
		return nil, nil, ErrDecrypt
	}
	n := int(binary.BigEndian.Uint16(inner))
	body, sig := inner[lengthSize:len(inner)-ed25519.SignatureSize], inner[len(inner)-ed25519.SignatureSize:]
	if n > len(body) || !zero(body[n:]) {
		return nil, nil, fmt.Errorf("%w: padding", ErrMalformed)
	}
	plaintext := body[:n:n]
	if !ed25519.Verify(s.peer.Ed[:], s.signed(from, to, plaintext), sig) {
		return nil, nil, ErrSignature
	}
	next := *s
	next.opened++
	return plaintext, &next, nil
}

func zero(b []byte) bool {
	var acc byte
	for _, v := range b {
		acc |= v
	}
	return acc == 0
}
