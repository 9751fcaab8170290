package beacon

import (
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519/extra/ecvrf"

	"tunic/chain"
	"tunic/internal/wire"
)

// ProbeAlpha is what a node proves over to learn whether it probes in epoch e;
// before is the beacon of the epoch before. docs/spec/judgement.md.
func ProbeAlpha(genesis chain.Hash, e chain.Epoch, before chain.Hash) []byte {
	b := append([]byte("tunic vrf probe"), genesis[:]...)
	b = wire.AppendUint64(b, uint64(e))
	return append(b, before[:]...)
}

// Output is the output of a proof that is known to be good, such as one's own;
// ErrVRF for bytes that are none. It costs a fraction of Verify.
func Output(proof [ProofSize]byte) ([OutputSize]byte, error) {
	out, err := ecvrf.ProofToHash(proof[:])
	if err != nil {
		return [OutputSize]byte{}, ErrVRF
	}
	return [OutputSize]byte(out), nil
}
