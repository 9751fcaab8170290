package machine

import (
	"crypto/ed25519"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
)

// VerifySeal checks that a sealer of genesis sealed s. hash is the genesis hash.
func VerifySeal(core genesis.Core, hash chain.Hash, s chain.SealedHeader) error {
	if !slices.Contains(core.Sealers, s.Header.Proposer) {
		return fmt.Errorf("%s may not seal", s.Header.Proposer.Short())
	}
	of := s.Header.Hash()
	return statement.Domain{Genesis: hash, Fork: s.Header.Fork}.VerifyRaw(s.Header.Proposer, statement.LabelSeal, of[:], s.Seal)
}

// Seal signs h, whose proposer is key's.
func Seal(hash chain.Hash, key ed25519.PrivateKey, h chain.Header) chain.SealedHeader {
	of := h.Hash()
	return chain.SealedHeader{Header: h, Seal: statement.Domain{Genesis: hash, Fork: h.Fork}.SignRaw(key, statement.LabelSeal, of[:])}
}
