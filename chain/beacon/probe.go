package beacon

import (
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
