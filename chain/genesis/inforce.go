package genesis

import (
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/internal/wire"
)

// InForce is the parameters that a network goes by at one height, with their
// history: the value of the singleton "params in force" in the state.
//
//	number 4 | since 8 | versions since 8 | parameters
type InForce struct {
	Number        uint32      // of the change that brought them; 0: those of genesis
	Since         chain.Epoch // the first epoch in which they were in force
	VersionsSince chain.Epoch // the first epoch in which this list of versions was in force
	Params        Params
}

// After is what is in force once c comes into force in the first block of epoch
// e.
func (f InForce) After(c Change, e chain.Epoch) InForce {
	next := InForce{Number: c.Number, Since: e, VersionsSince: f.VersionsSince, Params: c.Params}
	if !slices.Equal(c.Params.Versions, f.Params.Versions) {
		next.VersionsSince = e
	}
	return next
}

// Encode is the canonical encoding.
func (f InForce) Encode() []byte {
	b := wire.AppendUint32(nil, f.Number)
	b = wire.AppendUint64(b, uint64(f.Since))
	b = wire.AppendUint64(b, uint64(f.VersionsSince))
	return append(b, f.Params.Encode()...)
}

// DecodeInForce reads a canonical encoding and nothing else.
func DecodeInForce(b []byte) (InForce, error) {
	r := wire.NewReader(b)
	f := InForce{Number: r.Uint32(), Since: chain.Epoch(r.Uint64()), VersionsSince: chain.Epoch(r.Uint64())}
	f.Params = ReadParams(r)
	if err := r.Done(); err != nil {
		return f, fmt.Errorf("%w: parameters in force: %w", ErrGenesis, err)
	}
	return f, nil
}
