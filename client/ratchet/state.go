package ratchet

import (
	"crypto/ecdh"
	"fmt"

	"tunic/internal/wire"
)

// stateVersion is the version byte of a session's state.
const stateVersion = 2

// skippedSize is the size of one skipped key in a state.
const skippedSize = keySize + 4 + keySize + 8

// keys of the state, in its order.
func (s *Session) fields() []*[keySize]byte {
	return []*[keySize]byte{&s.ad, &s.dhr, &s.rk, &s.cks, &s.ckr, &s.hks, &s.hkr, &s.nhks, &s.nhkr}
}

// State is the canonical encoding, for Load. It holds secrets.
func (s *Session) State() []byte {
	b := append([]byte{stateVersion}, s.dhs.Bytes()...)
	for _, k := range s.fields() {
		b = append(b, k[:]...)
	}
	for _, n := range []uint32{s.ns, s.nr, s.pn, uint32(len(s.skipped))} {
		b = wire.AppendUint32(b, n)
	}
	for i := range s.skipped {
		k := &s.skipped[i]
		b = append(b, k.header[:]...)
		b = wire.AppendUint32(b, k.n)
		b = append(b, k.message[:]...)
		b = wire.AppendUint64(b, k.since)
	}
	return b
}

// Load restores a session from what State returned. Errors: ErrMalformed, ErrKey.
func Load(e Env, state []byte) (*Session, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	r := wire.NewReader(state)
	if v := r.Uint8(); r.Err() == nil && v != stateVersion {
		return nil, fmt.Errorf("%w: state version %d", ErrMalformed, v)
	}
	var private [keySize]byte
	defer clear(private[:])
	r.Copy(private[:])
	s := &Session{env: e}
	for _, k := range s.fields() {
		r.Copy(k[:])
	}
	s.ns, s.nr, s.pn = r.Uint32(), r.Uint32(), r.Uint32()
	s.skipped = make([]skipped, r.Count(MaxKept, skippedSize))
	for i := range s.skipped {
		k := &s.skipped[i]
		r.Copy(k.header[:])
		k.n = r.Uint32()
		r.Copy(k.message[:])
		k.since = r.Uint64()
	}
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: state: %w", ErrMalformed, err)
	}
	var err error
	if s.dhs, err = ecdh.X25519().NewPrivateKey(private[:]); err != nil {
		return nil, fmt.Errorf("%w: state", ErrKey)
	}
	return s, nil
}
