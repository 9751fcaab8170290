package onion

import (
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/cloudflare/circl/kem/xwing"

	"tunic/chain"
)

// HybridKeySize is the length of the public half of a hybrid key: an X-Wing
// public key, ML-KEM-768 and X25519 (draft-connolly-cfrg-xwing-kem).
const HybridKeySize = xwing.PublicKeySize

// HybridKey is the public half of a hybrid key.
type HybridKey [HybridKeySize]byte

// hybridKey is what a hybrid key has beyond its seed and its hash.
type hybridKey struct {
	private xwing.PrivateKey
	public  HybridKey
}

// NewHybridKey draws a key for the hybrid geometry that is valid from epoch
// first on.
func NewHybridKey(rand io.Reader, first chain.Epoch) (*Key, error) {
	return newKey(LoadHybridKey, rand, first)
}

// LoadHybridKey restores a hybrid key from what Private returned, its seed.
func LoadHybridKey(seed [32]byte, first chain.Epoch) *Key {
	private, public := xwing.DeriveKeyPair(seed[:])
	k := &Key{private: seed, hybrid: &hybridKey{private: *private}, first: first}
	public.Pack(k.hybrid.public[:])
	k.public = sha256.Sum256(k.hybrid.public[:])
	*private = xwing.PrivateKey{}
	return k
}

// Hybrid is the public half of a hybrid key, nil for another key.
func (k *Key) Hybrid() *HybridKey {
	if k.hybrid == nil {
		return nil
	}
	public := k.hybrid.public
	return &public
}

// openHybrid derives a layer's secrets as its node. X-Wing refuses nothing: a
// ciphertext that was changed gives another secret, and so does one that the
// sender made of a point of low order, for ML-KEM then stands alone.
func (s *secrets) openHybrid(key *Key, genesis *chain.Hash, ciphertext []byte) {
	var shared [32]byte
	key.hybrid.private.DecapsulateTo(shared[:], ciphertext)
	freeVectors()
	sum := sha256.Sum256(ciphertext)
	s.derive(kdfLabelHybrid, &shared, genesis, key.first, key.public[:], sum[:])
	clear(shared[:])
}

// drawHybrid is draw in the hybrid geometry.
func (l *layer) drawHybrid(rand io.Reader, genesis *chain.Hash, h *Hop) error {
	var seed [xwing.EncapsulationSeedSize]byte
	var shared [32]byte
	defer clear(seed[:])
	defer clear(shared[:])
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return fmt.Errorf("read randomness: %w", err)
	}
	if h.Hybrid == nil {
		return fmt.Errorf("%w: node %d has none", ErrPublicKey, h.Index)
	}
	var public xwing.PublicKey
	if err := public.Unpack(h.Hybrid[:]); err != nil {
		return fmt.Errorf("%w: of node %d: %w", ErrPublicKey, h.Index, err)
	}
	public.EncapsulateTo(l.kem, shared[:], seed[:])
	freeVectors()
	key, sum := sha256.Sum256(h.Hybrid[:]), sha256.Sum256(l.kem)
	l.derive(kdfLabelHybrid, &shared, genesis, h.KeyEpoch, key[:], sum[:])
	return nil
}
