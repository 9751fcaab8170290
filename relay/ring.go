package relay

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/registry/directory"
)

// ring is the swarms of one list, as directory.List.Swarm finds them, made for
// many questions. It never changes.
type ring struct {
	ids     []directory.SwarmID // ascending
	members [][]chain.NodeID    // by node id; removed ones are left out
}

func newRing(l *directory.List, removed []chain.NodeID, of func(*directory.Entry) directory.SwarmID) *ring {
	r := &ring{}
	for i := range l.Entries {
		if s := of(&l.Entries[i]); s != directory.NoSwarm {
			r.ids = append(r.ids, s)
		}
	}
	slices.Sort(r.ids)
	r.ids = slices.Compact(r.ids)
	r.members = make([][]chain.NodeID, len(r.ids))
	for i := range l.Entries {
		e := &l.Entries[i]
		if at, ok := slices.BinarySearch(r.ids, of(e)); ok && !slices.Contains(removed, e.Node) {
			r.members[at] = append(r.members[at], e.Node)
		}
	}
	return r
}

// at is the number of the swarm that keeps the mailboxes whose ids begin with
// point; -1 where there is none.
func (r *ring) at(point uint64) int {
	i, _ := slices.BinarySearch(r.ids, directory.SwarmID(point))
	switch {
	case len(r.ids) == 0:
		return -1
	case i == len(r.ids):
		return 0
	}
	return i
}

// of is the number of the swarm that a node is in; -1 for none.
func (r *ring) of(id chain.NodeID) int {
	return slices.IndexFunc(r.members, func(m []chain.NodeID) bool { return slices.Contains(m, id) })
}

// span is a part of the ring without a wrap: the rows of mailboxes from lower to
// below upper; an empty upper is no bound.
type span struct{ lower, upper []byte }

// spans are the parts of the ring whose mailboxes a swarm keeps: those above
// the id before, up to its own; two where they go around.
func (r *ring) spans(i int) []span {
	if len(r.ids) == 1 {
		return []span{{}}
	}
	upper := above(r.ids[i])
	if i > 0 {
		return []span{{above(r.ids[i-1]), upper}}
	}
	last := above(r.ids[len(r.ids)-1])
	if last == nil {
		return []span{{nil, upper}}
	}
	return []span{{nil, upper}, {last, nil}}
}

// above is the first mailbox after those of a swarm; nil where there is none.
func above(id directory.SwarmID) []byte {
	if id == math.MaxUint64 {
		return nil
	}
	return binary.BigEndian.AppendUint64(nil, uint64(id)+1)
}

// rings are who keeps a mailbox in the epoch of a list, and who did in the one
// before.
type rings struct {
	list        *directory.List
	removed     int
	self        chain.NodeID
	now, before *ring
	swarm       int // this node's among now; -1 for none
}

func newRings(self chain.NodeID, l *directory.List, removed []chain.NodeID) *rings {
	r := &rings{
		list: l, removed: len(removed), self: self,
		now:    newRing(l, removed, func(e *directory.Entry) directory.SwarmID { return e.Swarm }),
		before: newRing(l, removed, func(e *directory.Entry) directory.SwarmID { return e.PreviousSwarm }),
	}
	r.swarm = r.now.of(self)
	return r
}

// of is who keeps a mailbox.
func (r *rings) of(mailbox [32]byte) (s directory.Swarm) {
	point := binary.BigEndian.Uint64(mailbox[:8])
	if i := r.now.at(point); i >= 0 {
		s.Members = r.now.members[i]
	}
	if i := r.before.at(point); i >= 0 && !slices.Equal(r.before.members[i], s.Members) {
		s.Former = r.before.members[i]
	}
	return s
}

// place is one mailbox for all of a swarm: the one at its id.
func (r *rings) place(id mail.ID) mail.ID {
	i := r.now.at(binary.BigEndian.Uint64(id[:8]))
	if i < 0 {
		return id
	}
	var at mail.ID
	binary.BigEndian.PutUint64(at[:], uint64(r.now.ids[i]))
	return at
}

// overlapping are the numbers of the swarms that keep any of the mailboxes of
// spans.
func (r *ring) overlapping(spans []span) (out []int) {
	for i := range r.ids {
		if slices.ContainsFunc(r.spans(i), func(a span) bool { return slices.ContainsFunc(spans, a.overlaps) }) {
			out = append(out, i)
		}
	}
	return out
}

func (a span) overlaps(b span) bool {
	return (a.upper == nil || bytes.Compare(b.lower, a.upper) < 0) && (b.upper == nil || bytes.Compare(a.lower, b.upper) < 0)
}

// has reports whether the rows of a mailbox lie in the span.
func (a span) has(id mail.ID) bool {
	return bytes.Compare(id[:], a.lower) >= 0 && (a.upper == nil || bytes.Compare(id[:], a.upper) < 0)
}

// and is what two spans have in common, which is not nothing.
func (a span) and(b span) span {
	if bytes.Compare(b.lower, a.lower) > 0 {
		a.lower = b.lower
	}
	if a.upper == nil || b.upper != nil && bytes.Compare(b.upper, a.upper) < 0 {
		a.upper = b.upper
	}
	return a
}
