package directory

import (
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/wire"
)

// Fields is a set of an entry's fields: which of them a change carries.
type Fields uint16

// The fields, in the order in which entries and changes carry them.
const (
	FieldVRF Fields = 1 << iota
	FieldOperator
	FieldEndpoints
	FieldFamily
	FieldSwarm
	FieldPreviousSwarm
	FieldVersion
	FieldStake
	FieldOnionShift // the onion key is what the next one was: no bytes
	FieldOnion
	FieldOnionNext
	FieldPerformance
	fieldsEnd
)

// AllFields are the fields of a whole entry; its onion key stands in it.
const AllFields = fieldsEnd - 1 - FieldOnionShift

// entryFields are the fields of an entry's encoding, after node id and version.
var entryFields = [...]Fields{FieldVRF, FieldOperator, FieldEndpoints, FieldFamily, FieldSwarm, FieldPreviousSwarm,
	FieldVersion, FieldStake, FieldOnion, FieldOnionNext, FieldPerformance}

var fieldNames = []string{"vrf_key", "operator", "endpoints", "family", "swarm", "previous_swarm", "version", "stake", "onion", "onion", "onion_next", "performance"}

// Names gives the fields' names in the API.
func (f Fields) Names() []string {
	var names []string
	for i, n := range fieldNames {
		if f&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// list gives the single fields of f, ascending.
func (f Fields) list() []Fields {
	var all []Fields
	for bit := Fields(1); bit < fieldsEnd; bit <<= 1 {
		if f&bit != 0 {
			all = append(all, bit)
		}
	}
	return all
}

// changed is the canonical set of fields in which b differs from a.
func changed(a, b *Entry) (f Fields) {
	for _, c := range []struct {
		bit  Fields
		same bool
	}{
		{FieldVRF, a.VRF == b.VRF},
		{FieldOperator, a.Operator == b.Operator},
		{FieldEndpoints, slices.Equal(a.Endpoints, b.Endpoints)},
		{FieldFamily, slices.Equal(a.Family, b.Family)},
		{FieldSwarm, a.Swarm == b.Swarm},
		{FieldPreviousSwarm, a.PreviousSwarm == b.PreviousSwarm},
		{FieldVersion, a.Version == b.Version},
		{FieldStake, a.Stake == b.Stake},
		{FieldOnionShift, a.Onion == b.Onion || a.OnionNext != b.Onion},
		{FieldOnion, a.Onion == b.Onion || a.OnionNext == b.Onion},
		{FieldOnionNext, a.OnionNext == b.OnionNext},
		{FieldPerformance, a.Performance == b.Performance},
	} {
		if !c.same {
			f |= c.bit
		}
	}
	return f
}

// appendField appends one field; FieldOnionShift has no bytes.
func (e *Entry) appendField(b []byte, f Fields) []byte {
	switch f {
	case FieldVRF:
		b = append(b, e.VRF[:]...)
	case FieldOperator:
		b = append(b, e.Operator[:]...)
	case FieldEndpoints:
		b = wire.AppendUint32(b, uint32(len(e.Endpoints)))
		for _, s := range e.Endpoints {
			b = wire.AppendString(b, s)
		}
	case FieldFamily:
		b = wire.AppendUint32(b, uint32(len(e.Family)))
		for i := range e.Family {
			b = append(b, e.Family[i][:]...)
		}
	case FieldSwarm:
		b = wire.AppendUint64(b, uint64(e.Swarm))
	case FieldPreviousSwarm:
		b = wire.AppendUint64(b, uint64(e.PreviousSwarm))
	case FieldVersion:
		b = wire.AppendString(b, e.Version)
	case FieldStake:
		b = wire.AppendUint64(b, uint64(e.Stake))
	case FieldOnion:
		b = append(wire.AppendUint64(b, uint64(e.Onion.First)), e.Onion.Key[:]...)
	case FieldOnionNext:
		b = append(wire.AppendUint64(b, uint64(e.OnionNext.First)), e.OnionNext.Key[:]...)
	case FieldPerformance:
		b = wire.AppendUint16(b, uint16(e.Performance))
	}
	return b
}

// readField reads what appendField wrote.
func (e *Entry) readField(r *wire.Reader, f Fields) {
	switch f {
	case FieldVRF:
		r.Copy(e.VRF[:])
	case FieldOperator:
		r.Copy(e.Operator[:])
	case FieldEndpoints:
		for range r.Count(statement.MaxEndpoints, 4) {
			e.Endpoints = append(e.Endpoints, r.String(statement.MaxEndpoint))
		}
	case FieldFamily:
		for range r.Count(statement.MaxFamily, 32) {
			e.Family = append(e.Family, chain.NodeID(r.Fixed(32)))
		}
	case FieldSwarm:
		e.Swarm = SwarmID(r.Uint64())
	case FieldPreviousSwarm:
		e.PreviousSwarm = SwarmID(r.Uint64())
	case FieldVersion:
		e.Version = r.String(statement.MaxVersion)
	case FieldStake:
		e.Stake = chain.Amount(r.Uint64())
	case FieldOnion:
		e.Onion.First = chain.Epoch(r.Uint64())
		r.Copy(e.Onion.Key[:])
	case FieldOnionNext:
		e.OnionNext.First = chain.Epoch(r.Uint64())
		r.Copy(e.OnionNext.Key[:])
	case FieldPerformance:
		if e.Performance = chain.Permille(r.Uint16()); e.Performance > 1000 {
			r.Fail(fmt.Errorf("%w: performance %d", ErrMalformed, e.Performance))
		}
	}
}
