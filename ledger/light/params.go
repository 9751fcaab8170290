package light

import (
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/state"
)

// InForceKey is the key of the parameters in force, in PartParams.
func InForceKey() []byte { return state.ParamsKey() }

// InForce holds p against s, which it verifies, and returns the parameters in
// force after s's block.
func (v *Verifier) InForce(p StateProof, s chain.SealedHeader) (genesis.InForce, error) {
	if err := v.Header(s); err != nil {
		return genesis.InForce{}, err
	}
	return p.InForce(s.Header.State)
}
