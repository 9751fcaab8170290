package registry

import (
	"tunic/chain"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/internal/table"
	"tunic/internal/wire"
	"tunic/registry/directory"
)

// Prefixes of the tables in the part nodes.
const (
	PrefixNodes    = 0x01
	PrefixHistory  = 0x02
	PrefixRemovals = 0x03
	PrefixVotes    = 0x04
	PrefixCounts   = 0x05

	PrefixValidators = state.PrefixValidators
)

// maxStored bounds a stored statement.
const maxStored = statement.MaxBody + 128

// eventKey is a node and the number of an event in its history.
type eventKey struct {
	node chain.NodeID
	n    uint32
}

func appendID(b []byte, id chain.NodeID) []byte { return append(b, id[:]...) }

func readID(r *wire.Reader) (id chain.NodeID) {
	r.Copy(id[:])
	return id
}

var nodeCodec = table.Codec[chain.NodeID, Node]{
	Prefix: PrefixNodes, AppendKey: appendID, ReadKey: readID, AppendValue: appendNode, ReadValue: readNode,
}

var removalCodec = table.Codec[chain.NodeID, chain.Height]{
	Prefix: PrefixRemovals, AppendKey: appendID, ReadKey: readID,
	AppendValue: func(b []byte, h chain.Height) []byte { return wire.AppendUint64(b, uint64(h)) },
	ReadValue:   func(r *wire.Reader) chain.Height { return chain.Height(r.Uint64()) },
}

// voteKey is who votes on whom. The votes on one node stand together,
// ascending by voter.
type voteKey struct{ subject, voter chain.NodeID }

var voteCodec = table.Codec[voteKey, statement.Statement]{
	Prefix:      PrefixVotes,
	AppendKey:   func(b []byte, k voteKey) []byte { return appendID(appendID(b, k.subject), k.voter) },
	ReadKey:     func(r *wire.Reader) voteKey { return voteKey{readID(r), readID(r)} },
	AppendValue: func(b []byte, st statement.Statement) []byte { return append(b, st.Encode()...) },
	ReadValue:   statement.Read,
}

var countCodec = table.Codec[chain.NodeID, Count]{
	Prefix: PrefixCounts, AppendKey: appendID, ReadKey: readID,
	AppendValue: func(b []byte, c Count) []byte {
		b = wire.AppendUint64(b, uint64(c.Epoch))
		b = wire.AppendUint64(b, uint64(c.Height))
		b = append(b, c.Voters, c.Needed, byte(c.From), byte(c.To))
		b = wire.AppendUint32(b, uint32(len(c.Votes)))
		for _, v := range c.Votes {
			b = appendID(b, v.Voter)
			b = wire.AppendUint32(b, uint32(v.Reasons))
			b = wire.AppendUint16(b, uint16(v.Score))
		}
		return b
	},
	ReadValue: func(r *wire.Reader) (c Count) {
		c.Epoch, c.Height = chain.Epoch(r.Uint64()), chain.Height(r.Uint64())
		c.Voters, c.Needed = r.Uint8(), r.Uint8()
		c.From, c.To = State(r.Uint8()), State(r.Uint8())
		for range r.Count(directory.MaxDrawn, 38) {
			c.Votes = append(c.Votes, Ballot{readID(r), statement.Reasons(r.Uint32()), chain.Permille(r.Uint16())})
		}
		return c
	},
}

var eventCodec = table.Codec[eventKey, Event]{
	Prefix:    PrefixHistory,
	AppendKey: func(b []byte, k eventKey) []byte { return wire.AppendUint32(appendID(b, k.node), k.n) },
	ReadKey:   func(r *wire.Reader) eventKey { return eventKey{readID(r), r.Uint32()} },
	AppendValue: func(b []byte, e Event) []byte {
		b = wire.AppendUint64(b, uint64(e.Height))
		b = wire.AppendUint64(b, uint64(e.Time))
		b = append(b, byte(e.From), byte(e.To))
		b = wire.AppendString(b, e.Reason)
		return append(b, e.Proof[:]...)
	},
	ReadValue: func(r *wire.Reader) (e Event) {
		e.Height, e.Time = chain.Height(r.Uint64()), chain.Time(r.Uint64())
		e.From, e.To = State(r.Uint8()), State(r.Uint8())
		e.Reason = r.String(MaxReason)
		r.Copy(e.Proof[:])
		return e
	},
}

func appendNode(b []byte, n Node) []byte {
	b = append(b, n.VRF[:]...)
	b = append(b, n.Operator[:]...)
	b = append(b, byte(n.State))
	b = wire.AppendUint64(b, uint64(n.StateSince))
	b = wire.AppendUint64(b, uint64(n.Until))
	b = wire.AppendBool(b, n.Listed)
	b = wire.AppendUint32(b, n.Events)
	b = wire.AppendUint64(b, uint64(n.RegisteredEpoch))
	b = wire.AppendUint64(b, uint64(n.RegisteredHeight))
	b = wire.AppendBytes(b, n.Descriptor)
	b = wire.AppendUint64(b, uint64(n.DescriptorSequence))
	b = wire.AppendUint64(b, uint64(n.DescriptorAt))
	b = wire.AppendUint64(b, uint64(n.LastHeartbeat))
	b = wire.AppendUint64(b, uint64(n.HeartbeatSequence))
	b = append(b, n.HeartbeatHash[:]...)
	b = wire.AppendString(b, n.Version)
	b = wire.AppendUint32(b, uint32(len(n.Outputs)))
	for _, o := range n.Outputs {
		b = wire.AppendUint64(b, uint64(o.Epoch))
		b = append(b, o.Value[:]...)
	}
	b = wire.AppendUint64(b, uint64(n.Swarm))
	b = wire.AppendUint64(b, uint64(n.PreviousSwarm))
	b = wire.AppendUint16(b, uint16(n.Performance))
	b = wire.AppendUint64(b, uint64(n.Credit))
	b = wire.AppendUint64(b, uint64(n.CreditAt))
	b = append(b, n.Lapses)
	b = wire.AppendUint16(b, n.Stay)
	b = wire.AppendUint64(b, uint64(n.CommitmentSequence))
	return append(b, n.CommitmentHash[:]...)
}

func readNode(r *wire.Reader) (n Node) {
	r.Copy(n.VRF[:])
	r.Copy(n.Operator[:])
	n.State = State(r.Uint8())
	n.StateSince, n.Until = chain.Time(r.Uint64()), chain.Time(r.Uint64())
	n.Listed = r.Bool()
	n.Events = r.Uint32()
	n.RegisteredEpoch, n.RegisteredHeight = chain.Epoch(r.Uint64()), chain.Height(r.Uint64())
	n.Descriptor = r.Bytes(maxStored)
	n.DescriptorSequence, n.DescriptorAt = statement.Sequence(r.Uint64()), chain.Time(r.Uint64())
	n.LastHeartbeat, n.HeartbeatSequence = chain.Time(r.Uint64()), statement.Sequence(r.Uint64())
	r.Copy(n.HeartbeatHash[:])
	n.Version = r.String(statement.MaxVersion)
	for range r.Count(2, 72) {
		o := Output{Epoch: chain.Epoch(r.Uint64())}
		r.Copy(o.Value[:])
		n.Outputs = append(n.Outputs, o)
	}
	n.Swarm, n.PreviousSwarm = directory.SwarmID(r.Uint64()), directory.SwarmID(r.Uint64())
	n.Performance = chain.Permille(r.Uint16())
	n.Credit, n.CreditAt = chain.Duration(r.Uint64()), chain.Time(r.Uint64())
	n.Lapses, n.Stay = r.Uint8(), r.Uint16()
	n.CommitmentSequence = statement.Sequence(r.Uint64())
	r.Copy(n.CommitmentHash[:])
	return n
}
