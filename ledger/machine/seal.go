package machine

import (
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/ledger/light"
)

// VerifySeal checks what can be known of a seal without the state: that a sealer
// of genesis sealed s or, on CometBFT, that a commit names it; by whom is a
// question of the state (VerifyNext). hash is the genesis hash.
func VerifySeal(core genesis.Core, hash chain.Hash, s chain.SealedHeader) error {
	comet := core.Engine == genesis.EngineComet
	switch {
	case s.Header.Genesis != hash:
		return fmt.Errorf("height %d is of another network", s.Header.Height)
	case s.Header.Committed != comet:
		return fmt.Errorf("height %d is not sealed as this network's headers are", s.Header.Height)
	case comet:
		_, err := cometbft.Of(s)
		return err
	case !slices.Contains(core.Sealers, s.Header.Proposer):
		return fmt.Errorf("%s may not seal", s.Header.Proposer.Short())
	}
	return light.VerifySeal(s)
}

// VerifyNext checks the seal of the header that follows the head: on CometBFT
// that more than two thirds of the validators stand behind it. The validators
// after this machine's height are those that decide the block two above it, and
// that is the one which names the state after the next.
func (m *Machine) VerifyNext(s chain.SealedHeader) error {
	if m.core.Engine != genesis.EngineComet {
		return VerifySeal(m.core, m.genesis, s)
	}
	if s.Header.Genesis != m.genesis || s.Header.Height != m.head.Height+1 {
		return fmt.Errorf("%w: height %d after %d", ErrInput, s.Header.Height, m.head.Height)
	}
	set, err := cometbft.SetOf(m.registry.Validators())
	if err != nil {
		return err
	}
	return set.VerifySealed(s)
}
