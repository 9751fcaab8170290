package state

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
)

// InForce holds p against the state root of a verified header and returns the
// parameters in force after its block.
func (p Proof) InForce(root chain.Hash) (genesis.InForce, error) {
	value, ok, err := p.Verify(root, ParamsKey())
	switch {
	case err != nil:
		return genesis.InForce{}, err
	case p.Part != PartParams || !ok:
		return genesis.InForce{}, fmt.Errorf("%w: it shows no parameters in force", ErrProof)
	}
	f, err := genesis.DecodeInForce(value)
	if err != nil {
		return f, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return f, nil
}
