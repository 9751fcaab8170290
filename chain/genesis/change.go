package genesis

import (
	"bytes"
	"fmt"
	"reflect"

	"tunic/chain"
	"tunic/internal/wire"
)

// MaxParams bounds an encoding of parameters in bytes: the fixed fields and 64
// versions take less.
const MaxParams = 4096

// Change is what the council agrees on: parameters, and from when on.
type Change struct {
	Number uint32      // one above that of the parameters in force
	Epoch  chain.Epoch // in whose first block they come into force
	Params Params
}

// Encode is the canonical encoding: number 4 | epoch 8 | parameters.
func (c Change) Encode() []byte {
	b := wire.AppendUint32(nil, c.Number)
	b = wire.AppendUint64(b, uint64(c.Epoch))
	return append(b, c.Params.Encode()...)
}

// Hash names the content of a change.
func (c Change) Hash() chain.Hash { return chain.SHA256([]byte("tunic params"), c.Encode()) }

// ReadChange reads a canonical encoding.
func ReadChange(r *wire.Reader) Change {
	return Change{Number: r.Uint32(), Epoch: chain.Epoch(r.Uint64()), Params: ReadParams(r)}
}

// DecodeParams reads a canonical encoding of parameters and nothing else. They
// may contradict each other: see Validate.
func DecodeParams(b []byte) (Params, error) {
	if len(b) > MaxParams {
		return Params{}, fmt.Errorf("%w: parameters of %d bytes, at most %d", ErrGenesis, len(b), MaxParams)
	}
	r := wire.NewReader(b)
	p := ReadParams(r)
	if err := r.Done(); err != nil {
		return Params{}, fmt.Errorf("%w: parameters: %w", ErrGenesis, err)
	}
	return p, nil
}

// changeable are the JSON keys of what the council may change. All else is what
// clients, packets, offline verifiers and bonds go by: docs/spec/parameters.md
// has the reasons.
var changeable = map[string]bool{
	"min_fee": true, "block_reward": true,
	"credit_start_ms": true, "credit_per_day_ms": true, "credit_most_ms": true, "credit_least_ms": true,
	"quorum_size": true, "quorum_votes": true,
	"slash_double_descriptor_bps": true, "slash_double_seal_bps": true, "slash_double_vote_bps": true,
	"slash_lost_message_bps": true, "slash_key_disclosure_bps": true, "slash_unauthorised_bps": true,
	"reporter_share_bps": true, "versions": true, "version_grace_ms": true,
	"probes_per_relay": true, "probe_depth": true,
	"score_window": true, "score_forgiven": true, "score_least_permille": true,
	"params_delay_epochs": true,
}

// Changeable reports whether the council may change the parameter of this JSON
// key.
func Changeable(key string) bool { return changeable[key] }

// Keys are the JSON keys of all parameters, in the order of the encoding.
func Keys() []string {
	t := reflect.TypeFor[Params]()
	out := make([]string, t.NumField())
	for i := range out {
		out[i] = t.Field(i).Tag.Get("json")
	}
	return out
}

// Diff is the JSON keys of the parameters in which p and q differ, in the order
// of the encoding.
func (p Params) Diff(q Params) []string {
	var out []string
	keys, a, b := Keys(), p.fields(), q.fields()
	for i, key := range keys {
		if !bytes.Equal(a[i].put(nil), b[i].put(nil)) {
			out = append(out, key)
		}
	}
	return out
}
