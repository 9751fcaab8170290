package machine

import (
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/light"
)

// VerifySeal checks that a sealer of genesis sealed s. hash is the genesis hash.
func VerifySeal(core genesis.Core, hash chain.Hash, s chain.SealedHeader) error {
	if s.Header.Genesis != hash || !slices.Contains(core.Sealers, s.Header.Proposer) {
		return fmt.Errorf("%s may not seal", s.Header.Proposer.Short())
	}
	return light.VerifySeal(s)
}
