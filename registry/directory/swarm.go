package directory

import (
	"bytes"
	"encoding/binary"
	"slices"

	"tunic/chain"
)

// Members ranks the nodes that keep a mailbox, best first: the members of its
// swarm by SHA-256(label, mailbox, node). A store goes to the first, a reader
// asks in the same order. Removed nodes are left out.
//
// A mailbox's swarm is the one whose id is the first at or above the mailbox's
// first 8 bytes, around the ring; where all nodes share one swarm, that is it.
func (l *List) Members(mailbox [32]byte, removed []chain.NodeID) []chain.NodeID {
	swarm, any := l.swarmAt(SwarmID(binary.BigEndian.Uint64(mailbox[:8])))
	if !any {
		return nil
	}
	type ranked struct {
		node  chain.NodeID
		score chain.Hash
	}
	var out []ranked
	for i := range l.Entries {
		if id := l.Entries[i].Node; l.Entries[i].Swarm == swarm && !slices.Contains(removed, id) {
			out = append(out, ranked{id, chain.SHA256([]byte("tunic member"), mailbox[:], id[:])})
		}
	}
	slices.SortFunc(out, func(a, b ranked) int { return bytes.Compare(a.score[:], b.score[:]) })
	nodes := make([]chain.NodeID, len(out))
	for i := range out {
		nodes[i] = out[i].node
	}
	return nodes
}

// swarmAt is the swarm of a point on the ring; false where there is none.
func (l *List) swarmAt(point SwarmID) (SwarmID, bool) {
	above, least := NoSwarm, NoSwarm
	for i := range l.Entries {
		if s := l.Entries[i].Swarm; s != NoSwarm {
			least = min(least, s)
			if s >= point {
				above = min(above, s)
			}
		}
	}
	if above != NoSwarm {
		return above, true
	}
	return least, least != NoSwarm
}
