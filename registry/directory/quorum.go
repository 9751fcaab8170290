package directory

import (
	"slices"

	"tunic/chain"
	"tunic/chain/beacon"
)

// MaxDrawn is how many places of a list are drawn for one quorum. Those whose
// operator has a seat already get none, so that a quorum may be smaller than
// the draw; a bound keeps its proof small.
const MaxDrawn = 12

// DrawQuorum gives the places of the list of count entries that are drawn for
// the quorum that judges subject, in the order of the draw. seed is the beacon
// of the list's epoch. docs/spec/judgement.md, section Votes.
func DrawQuorum(seed chain.Hash, subject chain.NodeID, count int) []int {
	want := min(count, MaxDrawn)
	d := beacon.NewDraw(seed, "quorum "+subject.String())
	out := make([]int, 0, want)
	taken := make(map[uint64]bool, want)
	for len(out) < want {
		if at := d.N(uint64(count)); !taken[at] {
			taken[at] = true
			out = append(out, int(at))
		}
	}
	return out
}

// Seats gives, of the entries at the drawn places and in their order, the nodes
// that have a seat: of one operator the first, size at most. One of them may be
// the subject itself, which has no vote.
func Seats(drawn []Entry, size int) []chain.NodeID {
	var out []chain.NodeID
	operators := make(map[chain.Address]bool, len(drawn))
	for i := range drawn {
		if e := &drawn[i]; len(out) < size && !operators[e.Operator] {
			operators[e.Operator] = true
			out = append(out, e.Node)
		}
	}
	return out
}

// Quorum gives the seats that judge subject in the list's epoch.
func (l *List) Quorum(seed chain.Hash, subject chain.NodeID, size int) []chain.NodeID {
	return Seats(l.drawn(seed, subject), size)
}

func (l *List) drawn(seed chain.Hash, subject chain.NodeID) []Entry {
	places := DrawQuorum(seed, subject, len(l.Entries))
	drawn := make([]Entry, len(places))
	for i, at := range places {
		drawn[i] = l.Entries[at]
	}
	return drawn
}

// Voters gives, of the entries at the drawn places, the seats that have a vote on
// subject: all but its own.
func Voters(drawn []Entry, subject chain.NodeID, size int) []chain.NodeID {
	return slices.DeleteFunc(Seats(drawn, size), func(id chain.NodeID) bool { return id == subject })
}

// Voters gives the seats that have a vote on subject in the list's epoch.
func (l *List) Voters(seed chain.Hash, subject chain.NodeID, size int) []chain.NodeID {
	return Voters(l.drawn(seed, subject), subject, size)
}

// MinVoters is the fewest seats with a vote that can judge anybody.
const MinVoters = 4

// VotesNeeded is how many of the voters, seats without the subject's own, have
// to agree: least where all of size may vote, else two thirds of those who may,
// rounded up. Zero: too few to judge.
func VotesNeeded(voters, size, least int) int {
	switch {
	case voters < MinVoters:
		return 0
	case voters >= size:
		return least
	}
	return (2*voters + 2) / 3
}
