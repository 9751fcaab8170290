// Package beacon is the ledger's randomness: one value per epoch from the
// nodes' verifiable random outputs, and the draws made from it. It implements
// docs/spec/beacon.md.
//
// The beacon of epoch 0 is a hash of the genesis hash. The first block of an
// epoch closes the next one over the parent's beacon and the VRF outputs that
// the heartbeats of the epoch just ended carried, by node id. What a node can
// influence is one bit: to withhold its heartbeat.
package beacon

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519/extra/ecvrf"

	"tunic/chain"
	"tunic/internal/wire"
)

// OutputSize is the size of a VRF output (SHA-512).
const OutputSize = 64

// ProofSize is the size of a VRF proof (RFC 9381, ECVRF-EDWARDS25519-SHA512-ELL2).
const ProofSize = ecvrf.ProofSize

// ErrVRF means that a VRF proof does not verify.
var ErrVRF = errors.New("beacon: invalid VRF proof")

// Key is a node's VRF key: its own key, not the identity.
type Key struct {
	private ed25519.PrivateKey
}

// NewKey derives the key from a 32-byte seed.
func NewKey(seed [32]byte) Key { return Key{ed25519.NewKeyFromSeed(seed[:])} }

// Public is the registered key.
func (k Key) Public() (p [32]byte) {
	copy(p[:], k.private[32:])
	return p
}

// Prove is the proof over alpha.
func (k Key) Prove(alpha []byte) [ProofSize]byte {
	return [ProofSize]byte(ecvrf.Prove(k.private, alpha))
}

// Verify checks proof over alpha by the public key and returns the output.
func Verify(public [32]byte, alpha []byte, proof [ProofSize]byte) ([OutputSize]byte, error) {
	ok, out := ecvrf.Verify(public[:], proof[:], alpha)
	if !ok {
		return [OutputSize]byte{}, ErrVRF
	}
	return [OutputSize]byte(out), nil
}

// Output is the output of a proof that is known to be good, since Verify has
// accepted it or it is one's own; ErrVRF for bytes that are no proof. It costs a
// fraction of Verify.
func Output(proof [ProofSize]byte) ([OutputSize]byte, error) {
	out, err := ecvrf.ProofToHash(proof[:])
	if err != nil {
		return [OutputSize]byte{}, ErrVRF
	}
	return [OutputSize]byte(out), nil
}

// EpochAlpha is what a heartbeat of epoch e proves over.
func EpochAlpha(genesis chain.Hash, e chain.Epoch) []byte {
	b := append([]byte("tunic vrf epoch"), genesis[:]...)
	return wire.AppendUint64(b, uint64(e))
}

// RegistrationAlpha is what a registration proves over, to show possession.
func RegistrationAlpha(genesis chain.Hash, operator chain.Address) []byte {
	b := append([]byte("tunic vrf registration"), genesis[:]...)
	return append(b, operator[:]...)
}

// Zero is the beacon of epoch 0.
func Zero(genesis chain.Hash) chain.Hash {
	return chain.SHA256([]byte("tunic beacon 0"), genesis[:])
}

// Contribution is one node's output in the epoch just ended.
type Contribution struct {
	Node   chain.NodeID
	Output [OutputSize]byte
}

// Next is the beacon after parent; contributions are strictly ascending by node.
func Next(parent chain.Hash, contributions []Contribution) chain.Hash {
	b := append([]byte("tunic beacon"), parent[:]...)
	b = wire.AppendUint32(b, uint32(len(contributions)))
	for i := range contributions {
		if i > 0 && string(contributions[i-1].Node[:]) >= string(contributions[i].Node[:]) {
			panic(fmt.Sprintf("beacon: internal error: contribution %d out of order", i))
		}
		b = append(b, contributions[i].Node[:]...)
		b = append(b, contributions[i].Output[:]...)
	}
	return chain.SHA256(b)
}

// Draw is a stream of uniform integers from a seed and a purpose: block i of
// the stream is SHA-256(SHA-256(label, seed, purpose), i). Two purposes are
// independent.
type Draw struct {
	seed  chain.Hash
	block uint64
	buf   []byte
}

// NewDraw begins the stream for one purpose.
func NewDraw(seed chain.Hash, purpose string) *Draw {
	return &Draw{seed: chain.SHA256([]byte("tunic draw"), seed[:], []byte(purpose))}
}

// Uint64 is the next 64 bits.
func (d *Draw) Uint64() uint64 {
	if len(d.buf) < 8 {
		h := chain.SHA256(d.seed[:], wire.AppendUint64(nil, d.block))
		d.block++
		d.buf = h[:]
	}
	v := binary.BigEndian.Uint64(d.buf)
	d.buf = d.buf[8:]
	return v
}

// N is uniform below n, which must be above zero (rejection, no bias).
func (d *Draw) N(n uint64) uint64 {
	if n == 0 {
		panic("beacon: internal error: draw below zero")
	}
	least := -n % n // 2^64 mod n
	for {
		if v := d.Uint64(); v >= least {
			return v % n
		}
	}
}

// Shuffle permutes n items by swap (Fisher-Yates).
func (d *Draw) Shuffle(n int, swap func(i, j int)) {
	for i := n - 1; i > 0; i-- {
		swap(i, int(d.N(uint64(i+1))))
	}
}
