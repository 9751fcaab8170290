package state

import (
	"fmt"

	"tunic/chain"
	"tunic/internal/wire"
)

// PrefixValidators is the first byte of a validator's row in the part nodes.
const PrefixValidators = 0x06

// ValidatorKey is the row key of a validator in the part nodes, for state proofs.
func ValidatorKey(n chain.NodeID) []byte { return append([]byte{PrefixValidators}, n[:]...) }

// Validator is what the state says of a node that decides blocks.
type Validator struct {
	Since chain.Height // of the block that made it one; 0: genesis
}

// AppendValidator encodes the value of a validator's row: since 8.
func AppendValidator(b []byte, v Validator) []byte { return wire.AppendUint64(b, uint64(v.Since)) }

// ReadValidator reads what AppendValidator gives.
func ReadValidator(r *wire.Reader) Validator { return Validator{chain.Height(r.Uint64())} }

// Validator holds p against the state root of a verified header and returns the
// row of node; ErrProof also where it is shown to be no validator.
func (p Proof) Validator(root chain.Hash, node chain.NodeID) (Validator, error) {
	value, ok, err := p.Verify(root, ValidatorKey(node))
	switch {
	case err != nil:
		return Validator{}, err
	case p.Part != PartNodes || !ok:
		return Validator{}, fmt.Errorf("%w: it does not show node %s among the validators", ErrProof, node)
	}
	r := wire.NewReader(value)
	v := ReadValidator(r)
	if err := r.Done(); err != nil {
		return v, fmt.Errorf("%w: row of validator %s: %w", ErrProof, node, err)
	}
	return v, nil
}
