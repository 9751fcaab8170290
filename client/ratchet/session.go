package ratchet

import (
	"crypto/ecdh"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// Session seals and opens the items of one pair. A Session is immutable: Seal and
// Open return the one to use next, whose State must be stored before a ciphertext
// leaves or a plaintext is acted on. The zero Session is none.
type Session struct {
	env Env
	ad  [32]byte // AD: network, both accounts, and what the session began from

	// The state variables of section 4.3. Keys that there are none of are zero.
	dhs        *ecdh.PrivateKey // DHRs
	dhr        [keySize]byte    // DHRr
	rk         [keySize]byte
	cks, ckr   [keySize]byte
	hks, hkr   [keySize]byte
	nhks, nhkr [keySize]byte
	ns, nr, pn uint32
	skipped    []skipped // MKSKIPPED, the oldest first
}

// skipped is the key of a message that was passed over.
type skipped struct {
	header  [keySize]byte // key of its header
	n       uint32
	message [keySize]byte
	since   uint64 // milliseconds
}

// newInitiator is RatchetInitAliceHE, section 4.4. Her first ratchet key comes
// from the request, so that both sides can send at once.
func newInitiator(e Env, k *sessionKeys, mine *ecdh.PrivateKey, theirs [keySize]byte) (*Session, error) {
	s := &Session{env: e, ad: k.ad, dhs: mine, dhr: theirs, rk: k.root, hks: k.headerA, nhkr: k.headerB}
	shared, err := dh(mine, theirs[:])
	if err != nil {
		return nil, err
	}
	kdfRoot(&s.rk, shared, &s.cks, &s.nhks)
	return s, nil
}

// newResponder is RatchetInitBobHE, section 4.4, and the step to the ratchet key
// that the request brought.
func newResponder(e Env, k *sessionKeys, prekey *ecdh.PrivateKey, theirs [keySize]byte) (*Session, error) {
	s := &Session{env: e, ad: k.ad, dhs: prekey, rk: k.root, nhks: k.headerB, nhkr: k.headerA}
	if err := s.turn(theirs); err != nil {
		return nil, err
	}
	return s, nil
}

// turn is DHRatchetHE, section 4.6.
func (s *Session) turn(theirs [keySize]byte) error {
	s.pn, s.ns, s.nr = s.ns, 0, 0
	s.hks, s.hkr, s.dhr = s.nhks, s.nhkr, theirs
	shared, err := dh(s.dhs, theirs[:])
	if err != nil {
		return err
	}
	kdfRoot(&s.rk, shared, &s.ckr, &s.nhkr)
	if s.dhs, err = s.env.draw(); err != nil {
		return err
	}
	if shared, err = dh(s.dhs, theirs[:]); err != nil {
		return err
	}
	kdfRoot(&s.rk, shared, &s.cks, &s.nhks)
	return nil
}

// clone is a copy to change: a failure leaves the session as it was (section 3.5).
func (s *Session) clone() *Session {
	c := *s
	c.skipped = slices.Clone(s.skipped)
	return &c
}

// Seal encrypts at most MaxPlaintext bytes into exactly one item: RatchetEncryptHE,
// section 4.5. Errors: ErrTooLong, and ErrSkip where the chain is used up.
func (s *Session) Seal(plaintext []byte) (item []byte, next *Session, err error) {
	if most := MaxPlaintext(s.env.Item); len(plaintext) > most {
		return nil, nil, fmt.Errorf("%w: %d bytes, %d fit", ErrTooLong, len(plaintext), most)
	}
	if s.ns >= maxSent {
		return nil, nil, fmt.Errorf("%w: %d sent without an answer", ErrSkip, s.ns)
	}
	next = s.clone()
	item = make([]byte, nonceSize, s.env.Item)
	if _, err := io.ReadFull(s.env.Rand, item); err != nil {
		return nil, nil, fmt.Errorf("ratchet: read randomness: %w", err)
	}
	key := kdfChain(&next.cks)
	next.ns++
	header := make([]byte, 0, headerSize)
	header = append(header, s.dhs.PublicKey().Bytes()...)
	header = binary.BigEndian.AppendUint32(header, s.pn)
	header = binary.BigEndian.AppendUint32(header, s.ns)
	item = seal(item, &s.hks, item, header, nil)

	inner := make([]byte, s.env.Item-sealedHeader-tagSize)
	binary.BigEndian.PutUint16(inner, uint16(len(plaintext)))
	copy(inner[lengthSize:], plaintext)
	item = seal(item, &key, item[:nonceSize], inner, s.bound(item))
	clear(inner)
	clear(key[:])
	return item, next, nil
}

// bound is CONCAT(AD, enc_header), section 4.5.
func (s *Session) bound(sealedHeader []byte) []byte {
	return slices.Concat(s.ad[:], sealedHeader)
}

// header is what an item's says.
type header struct {
	theirs [keySize]byte
	pn, n  uint32
}

// openHeader is HDECRYPT, section 4.2.
func openHeader(key *[keySize]byte, item []byte) (h header, ok bool) {
	if *key == ([keySize]byte{}) {
		return h, false
	}
	b, ok := open(key, item[:nonceSize], item[nonceSize:sealedHeader], nil)
	if !ok || len(b) != headerSize {
		return h, false
	}
	copy(h.theirs[:], b)
	h.pn, h.n = binary.BigEndian.Uint32(b[keySize:]), binary.BigEndian.Uint32(b[keySize+4:])
	return h, true
}

// Open decrypts an item: RatchetDecryptHE, section 4.6. now, in milliseconds, is
// when keys of messages that are passed over begin to age. After an error,
// ErrDecrypt, ErrSkip or ErrMalformed, the session is as it was and next is nil.
func (s *Session) Open(item []byte, now uint64) (plaintext []byte, next *Session, err error) {
	if len(item) != s.env.Item {
		return nil, nil, fmt.Errorf("%w: %d bytes", ErrDecrypt, len(item))
	}
	next = s.clone()
	next.forget(now)
	key, ok := next.takeSkipped(item)
	if !ok {
		if key, err = next.advance(item, now); err != nil {
			return nil, nil, err
		}
	}
	inner, ok := open(&key, item[:nonceSize], item[sealedHeader:], s.bound(item[:sealedHeader]))
	clear(key[:])
	if !ok {
		return nil, nil, ErrDecrypt
	}
	n, body := int(binary.BigEndian.Uint16(inner)), inner[lengthSize:]
	if n > len(body) || !zero(body[n:]) {
		return nil, nil, fmt.Errorf("%w: padding", ErrMalformed)
	}
	return body[:n:n], next, nil
}

// takeSkipped is TrySkippedMessageKeysHE, section 4.6.
func (s *Session) takeSkipped(item []byte) (key [keySize]byte, ok bool) {
	var tried [keySize]byte // neighbours have one header key
	var h header
	var opens bool
	for i := range s.skipped {
		k := &s.skipped[i]
		if i == 0 || subtle.ConstantTimeCompare(tried[:], k.header[:]) != 1 {
			tried = k.header
			h, opens = openHeader(&tried, item)
		}
		if opens && h.n == k.n {
			key = k.message
			s.skipped = slices.Delete(s.skipped, i, i+1)
			return key, true
		}
	}
	return key, false
}

// advance moves on to the message of an item and returns its key.
func (s *Session) advance(item []byte, now uint64) (key [keySize]byte, err error) {
	h, ok := openHeader(&s.hkr, item)
	if !ok {
		if h, ok = openHeader(&s.nhkr, item); !ok {
			return key, ErrDecrypt
		}
		if err := s.skip(h.pn, now); err != nil {
			return key, err
		}
		if err := s.turn(h.theirs); err != nil {
			return key, err
		}
	}
	if h.n < s.nr {
		return key, ErrDecrypt // opened before, or its key is forgotten
	}
	if err := s.skip(h.n, now); err != nil {
		return key, err
	}
	s.nr++
	return kdfChain(&s.ckr), nil
}

// skip is SkipMessageKeysHE, section 4.6: it keeps the keys of the messages before
// until.
func (s *Session) skip(until uint32, now uint64) error {
	if s.ckr == ([keySize]byte{}) {
		return nil
	}
	if until > s.nr && until-s.nr > MaxSkip || until > maxSent {
		return fmt.Errorf("%w: %d", ErrSkip, until-s.nr)
	}
	for ; s.nr < until; s.nr++ {
		s.skipped = append(s.skipped, skipped{s.hkr, s.nr, kdfChain(&s.ckr), now})
	}
	if n := len(s.skipped) - MaxKept; n > 0 {
		s.skipped = slices.Delete(s.skipped, 0, n)
	}
	return nil
}

// forget drops the keys of passed-over messages that cannot come any more.
func (s *Session) forget(now uint64) {
	s.skipped = slices.DeleteFunc(s.skipped, func(k skipped) bool { return now > k.since && now-k.since > s.env.Keep })
}

// Forget is the session without the keys of passed-over messages that are older
// than Env.Keep, and whether there were any.
func (s *Session) Forget(now uint64) (next *Session, any bool) {
	next = s.clone()
	next.forget(now)
	return next, len(next.skipped) < len(s.skipped)
}

// Skipped is how many keys of passed-over messages the session keeps.
func (s *Session) Skipped() int { return len(s.skipped) }
