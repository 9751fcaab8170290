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

// canCarry reports whether a change may carry f: something, nothing that there
// is not, and of the two ways to say an onion key one.
func (f Fields) canCarry() bool {
	const both = FieldOnion | FieldOnionShift
	return f != 0 && f < fieldsEnd && f&both != both
}

// each gives the single fields of f, ascending.
func (f Fields) each(yield func(Fields) bool) {
	for bit := Fields(1); bit < fieldsEnd; bit <<= 1 {
		if f&bit != 0 && !yield(bit) {
			return
		}
	}
}

// changed is the canonical set of fields in which b differs from a.
func changed(a, b *Entry) (f Fields) {
	mark := func(bit Fields, differs bool) {
		if differs {
			f |= bit
		}
	}
	mark(FieldVRF, a.VRF != b.VRF)
	mark(FieldOperator, a.Operator != b.Operator)
	mark(FieldEndpoints, !slices.Equal(a.Endpoints, b.Endpoints))
	mark(FieldFamily, !slices.Equal(a.Family, b.Family))
	mark(FieldSwarm, a.Swarm != b.Swarm)
	mark(FieldPreviousSwarm, a.PreviousSwarm != b.PreviousSwarm)
	mark(FieldVersion, a.Version != b.Version)
	mark(FieldStake, a.Stake != b.Stake)
	if a.Onion != b.Onion {
		if a.OnionNext == b.Onion {
			f |= FieldOnionShift
		} else {
			f |= FieldOnion
		}
	}
	mark(FieldOnionNext, a.OnionNext != b.OnionNext)
	mark(FieldPerformance, a.Performance != b.Performance)
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
func (e *Entry) readField(r *wire.Reader, f Fields, k *keeper) {
	switch f {
	case FieldVRF:
		r.Copy(e.VRF[:])
	case FieldOperator:
		r.Copy(e.Operator[:])
	case FieldEndpoints:
		e.Endpoints = k.endpoints(r.Count(statement.MaxEndpoints, 4))
		for i := range e.Endpoints {
			e.Endpoints[i] = k.text(r.Bytes(statement.MaxEndpoint))
		}
	case FieldFamily:
		e.Family = k.family(r.Count(statement.MaxFamily, 32))
		for i := range e.Family {
			r.Copy(e.Family[i][:])
		}
	case FieldSwarm:
		e.Swarm = SwarmID(r.Uint64())
	case FieldPreviousSwarm:
		e.PreviousSwarm = SwarmID(r.Uint64())
	case FieldVersion:
		e.Version = k.again(r.Bytes(statement.MaxVersion))
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
