package ratchet

import (
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/sha256"
	"fmt"

	"tunic/internal/wire"
)

// Sizes of prekeys and contact requests in bytes.
const (
	PrekeySeedSize = keySize + mlkem.SeedSize                // X25519, ML-KEM-768
	PrekeySize     = keySize + mlkem.EncapsulationKeySize768 // public: 1,216
	RequestSize    = 1472
	MaxNote        = requestInner - 1 - 3*keySize - 2*8 - 1 - keySize // 190

	requestOuter = keySize + mlkem.CiphertextSize768    // 1,120
	requestInner = RequestSize - requestOuter - tagSize // 336
)

const requestVersion = 2

// Prekey is the private half of a key that a session begins with. Its X25519 key
// is the signed prekey of PQXDH and its ML-KEM key the signed post-quantum one,
// both for one use where it was handed out once.
type Prekey struct {
	x   *ecdh.PrivateKey
	kem *mlkem.DecapsulationKey768
}

// NewPrekey is the prekey of PrekeySeedSize random bytes.
func NewPrekey(seed []byte) (*Prekey, error) {
	if len(seed) != PrekeySeedSize {
		return nil, fmt.Errorf("%w: prekey seed of %d bytes", ErrKey, len(seed))
	}
	x, err := ecdh.X25519().NewPrivateKey(seed[:keySize])
	if err != nil {
		return nil, fmt.Errorf("%w: prekey", ErrKey)
	}
	kem, err := mlkem.NewDecapsulationKey768(seed[keySize:])
	if err != nil {
		return nil, fmt.Errorf("%w: prekey", ErrKey)
	}
	return &Prekey{x, kem}, nil
}

// Public is what others begin with: X25519 32, ML-KEM-768 1,184.
func (p *Prekey) Public() []byte {
	return append(p.x.PublicKey().Bytes(), p.kem.EncapsulationKey().Bytes()...)
}

// Request is what a contact request says, beside the session that it begins.
type Request struct {
	Ed, X [32]byte // the sender's identity keys, of which it holds X
	Since uint64   // its state began, in milliseconds since the Unix epoch
	Sent  uint64   // likewise; says the sender
	Note  string   // at most MaxNote bytes
}

// agreement are the secrets of PQXDH, section 3.3, in the order in which they are
// known: what the recipient needs to read who asks comes without IK_A.
type agreement struct {
	transcript [32]byte
	f          [keySize]byte // 32 bytes of 0xff for X25519, section 2.2
	dh2, dh3   []byte        // DH(EK_A, IK_B), DH(EK_A, SPK_B)
	ss         []byte        // from ML-KEM
}

func (a *agreement) init(genesis, to *[32]byte, prekey, outer []byte) {
	for i := range a.f {
		a.f[i] = 0xff
	}
	b := wire.AppendString(nil, "tunic pqxdh 2")
	b = append(append(b, genesis[:]...), to[:]...)
	b = append(append(b, prekey...), outer...)
	a.transcript = sha256.Sum256(b)
}

func (a *agreement) wipe() {
	for _, b := range [][]byte{a.dh2, a.dh3, a.ss} {
		clear(b)
	}
}

// outer is the key of the request itself.
func (a *agreement) outer() (k [keySize]byte) {
	in := make([]byte, 0, 4*keySize)
	for _, b := range [][]byte{a.f[:], a.dh2, a.dh3, a.ss} {
		in = append(in, b...)
	}
	kdf(in, nil, "tunic pqxdh 2 request"+string(a.transcript[:]), &k)
	clear(in)
	return k
}

// keys of a new session.
type sessionKeys struct {
	root, headerA, headerB [keySize]byte // SK, shared_hka, shared_nhkb
	pair, confirm          [keySize]byte // the pair's mailboxes; that A holds IK_A
	ad                     [32]byte
}

// session mixes DH1 = DH(IK_A, SPK_B) in: SK = KDF(F | DH1 | DH2 | DH3 | SS).
func (a *agreement) session(dh1 []byte, from, to *Peer) (k sessionKeys) {
	in := make([]byte, 0, 5*keySize)
	for _, b := range [][]byte{a.f[:], dh1, a.dh2, a.dh3, a.ss} {
		in = append(in, b...)
	}
	// AD, section 3.3, names both identities and what was agreed from.
	ad := wire.AppendString(nil, "tunic session 2")
	ad = append(ad, a.transcript[:]...)
	for _, p := range []*Peer{from, to} {
		ad = append(append(ad, p.Ed[:]...), p.X[:]...)
	}
	k.ad = sha256.Sum256(ad)
	kdf(in, nil, "tunic pqxdh 2 session"+string(k.ad[:]), &k.root, &k.headerA, &k.headerB, &k.pair, &k.confirm)
	clear(in)
	clear(dh1)
	return k
}

// peer is the account itself, as others see it.
func (k *Keys) peer() Peer {
	return Peer{Account: k.Account, Ed: k.Ed, X: [32]byte(k.X.PublicKey().Bytes())}
}

func (k *Keys) check() error {
	if k.X == nil || k.X.Curve() != ecdh.X25519() {
		return fmt.Errorf("%w: own identity", ErrKey)
	}
	return nil
}

// confirm is what only who knows the session's keys can write under a request.
func confirm(key *[keySize]byte, body []byte) []byte {
	m := hmac.New(sha256.New, key[:])
	m.Write(body)
	return m.Sum(nil)
}

// Begun is a new session, and what comes with it.
type Begun struct {
	Session *Session
	Pair    [32]byte // secret from which the pair's mailboxes follow
}

// Begin makes a contact request to peer with a prekey of it, whose signature the
// caller has checked, and the session that the request begins: items can be sealed
// at once. Of q, the keys are filled in. Errors: ErrKey, ErrTooLong.
func Begin(e Env, k Keys, peer Peer, prekey []byte, q Request) (content []byte, b Begun, err error) {
	if err := e.check(); err != nil {
		return nil, b, err
	}
	if err := k.check(); err != nil {
		return nil, b, err
	}
	return begin(e, k.peer(), k.X, peer, prekey, q)
}

// begin makes the request of an account that has the key x; it is accepted where
// that is the account's own.
func begin(e Env, self Peer, x *ecdh.PrivateKey, peer Peer, prekey []byte, q Request) (content []byte, b Begun, err error) {
	if len(q.Note) > MaxNote {
		return nil, b, fmt.Errorf("%w: note of %d bytes, %d fit", ErrTooLong, len(q.Note), MaxNote)
	}
	if len(prekey) != PrekeySize {
		return nil, b, fmt.Errorf("%w: prekey of %d bytes", ErrKey, len(prekey))
	}
	kem, err := mlkem.NewEncapsulationKey768(prekey[keySize:])
	if err != nil {
		return nil, b, fmt.Errorf("%w: prekey", ErrKey)
	}
	once, err := e.draw() // EK_A
	if err != nil {
		return nil, b, err
	}
	mine, err := e.draw() // DHRs
	if err != nil {
		return nil, b, err
	}
	ss, ct := kem.Encapsulate()
	outer := append(once.PublicKey().Bytes(), ct...)
	a := agreement{ss: ss}
	defer a.wipe()
	a.init(&e.Genesis, &peer.Account, prekey, outer)
	if a.dh2, err = dh(once, peer.X[:]); err != nil {
		return nil, b, err
	}
	if a.dh3, err = dh(once, prekey[:keySize]); err != nil {
		return nil, b, err
	}
	dh1, err := dh(x, prekey[:keySize])
	if err != nil {
		return nil, b, err
	}
	keys := a.session(dh1, &self, &peer)

	inner := make([]byte, 0, requestInner)
	inner = append(inner, requestVersion)
	inner = append(append(inner, self.Ed[:]...), self.X[:]...)
	inner = append(inner, mine.PublicKey().Bytes()...)
	inner = wire.AppendUint64(inner, q.Since)
	inner = wire.AppendUint64(inner, q.Sent)
	inner = append(append(inner, byte(len(q.Note))), q.Note...)
	inner = append(inner, make([]byte, MaxNote-len(q.Note))...)
	inner = append(inner, confirm(&keys.confirm, inner)...)
	defer clear(inner)
	key := a.outer()
	content = seal(outer, &key, onceNonce[:], inner, a.transcript[:])
	clear(key[:])

	s, err := newInitiator(e, &keys, mine, [32]byte(prekey[:keySize]))
	return content, Begun{s, keys.pair}, err
}

// Accept reads a contact request that was made with a prekey, and begins the
// session. That the sender's keys are canonical is the caller's to check. Errors: ErrDecrypt, also where the request was made
// with another prekey, and ErrMalformed.
func Accept(e Env, k Keys, p *Prekey, content []byte) (q Request, b Begun, err error) {
	if err := e.check(); err != nil {
		return q, b, err
	}
	if err := k.check(); err != nil {
		return q, b, err
	}
	if len(content) != RequestSize {
		return q, b, fmt.Errorf("%w: %d bytes", ErrDecrypt, len(content))
	}
	outer := content[:requestOuter:requestOuter]
	a := agreement{}
	defer a.wipe()
	a.init(&e.Genesis, &k.Account, p.Public(), outer)
	if a.dh2, err = dh(k.X, outer[:keySize]); err != nil {
		return q, b, ErrDecrypt
	}
	if a.dh3, err = dh(p.x, outer[:keySize]); err != nil {
		return q, b, ErrDecrypt
	}
	if a.ss, err = p.kem.Decapsulate(outer[keySize:]); err != nil {
		return q, b, ErrDecrypt
	}
	key := a.outer()
	inner, ok := open(&key, onceNonce[:], content[requestOuter:], a.transcript[:])
	clear(key[:])
	if !ok || len(inner) != requestInner {
		return q, b, ErrDecrypt
	}
	defer clear(inner)
	r := wire.NewReader(inner)
	version := r.Uint8()
	var theirs [32]byte
	for _, x := range [][]byte{q.Ed[:], q.X[:], theirs[:]} {
		r.Copy(x)
	}
	q.Since, q.Sent = r.Uint64(), r.Uint64()
	n := int(r.Uint8())
	note := r.Fixed(MaxNote)
	mark := r.Fixed(keySize)
	if err := r.Done(); err != nil || version != requestVersion || n > MaxNote || !zero(note[n:]) {
		return Request{}, b, fmt.Errorf("%w: contact request", ErrMalformed)
	}
	from, self := Peer{Ed: q.Ed, X: q.X}, k.peer()
	dh1, err := dh(p.x, q.X[:])
	if err != nil {
		return Request{}, b, ErrDecrypt
	}
	keys := a.session(dh1, &from, &self)
	if !hmac.Equal(mark, confirm(&keys.confirm, inner[:len(inner)-len(mark)])) {
		return Request{}, b, ErrDecrypt
	}
	q.Note = string(note[:n])
	s, err := newResponder(e, &keys, p.x, theirs)
	if err != nil {
		return Request{}, b, err
	}
	return q, Begun{s, keys.pair}, nil
}

func zero(b []byte) bool {
	var acc byte
	for _, v := range b {
		acc |= v
	}
	return acc == 0
}

// onceNonce is that of a request, whose key serves once.
var onceNonce [nonceSize]byte
