package directory

import (
	"bytes"
	"encoding/binary"
	"slices"

	"tunic/chain"
)

// Swarm is who keeps a mailbox in the epoch of a list.
type Swarm struct {
	// Members keep the mailbox, ranked by SHA-256(label, mailbox, node): whoever
	// wants one of them alone begins with the first.
	Members []chain.NodeID
	// Former kept it in the epoch before and are still listed, ranked alike; nil
	// where they are the Members. For this one epoch a store needs a majority of
	// both, and a reader asks both.
	Former []chain.NodeID
}

// Swarm finds who keeps a mailbox; nobody where no node is in a swarm. Removed
// nodes are left out.
//
// A mailbox's swarm is the one whose id is the first at or above the mailbox's
// first 8 bytes, around the ring.
func (l *List) Swarm(mailbox [32]byte, removed []chain.NodeID) Swarm {
	point := SwarmID(binary.BigEndian.Uint64(mailbox[:8]))
	now := func(e *Entry) SwarmID { return e.Swarm }
	before := func(e *Entry) SwarmID { return e.PreviousSwarm }
	s := Swarm{Members: l.keepers(mailbox, point, removed, now), Former: l.keepers(mailbox, point, removed, before)}
	if slices.Equal(s.Members, s.Former) {
		s.Former = nil
	}
	return s
}

// keepers ranks the nodes of the swarm of a point on the ring.
func (l *List) keepers(mailbox [32]byte, point SwarmID, removed []chain.NodeID, of func(*Entry) SwarmID) []chain.NodeID {
	swarm := l.at(point, of)
	if swarm == NoSwarm {
		return nil
	}
	type ranked struct {
		node  chain.NodeID
		score chain.Hash
	}
	var out []ranked
	for i := range l.Entries {
		if id := l.Entries[i].Node; of(&l.Entries[i]) == swarm && !slices.Contains(removed, id) {
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

// at is the swarm of a point on the ring; NoSwarm where there is none.
func (l *List) at(point SwarmID, of func(*Entry) SwarmID) SwarmID {
	above, least := NoSwarm, NoSwarm
	for i := range l.Entries {
		if s := of(&l.Entries[i]); s != NoSwarm {
			least = min(least, s)
			if s >= point {
				above = min(above, s)
			}
		}
	}
	if above != NoSwarm {
		return above
	}
	return least
}

// All are Members and Former, each once, Members first.
func (s Swarm) All() []chain.NodeID {
	all := slices.Clone(s.Members)
	for _, id := range s.Former {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// Confirmed reports whether those for which has is true are a majority of the
// Members and, where there are Former, of these too: an item that they have is
// stored.
func (s Swarm) Confirmed(has func(chain.NodeID) bool) bool {
	return majority(s.Members, has) && (len(s.Former) == 0 || majority(s.Former, has))
}

func majority(nodes []chain.NodeID, has func(chain.NodeID) bool) bool {
	n := 0
	for _, id := range nodes {
		if has(id) {
			n++
		}
	}
	return n > len(nodes)/2
}

// Reads is how many of n members a reader has to ask to meet one that has a
// stored item: n less the majority that stored it, and one.
func Reads(n int) int { return n - (n/2 + 1) + 1 }
