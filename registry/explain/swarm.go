package explain

import (
	"cmp"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/registry/directory"
)

// Codes of the reason why a node is in its swarm.
const (
	CodeSwarmKept      = "swarm_kept"      // it was in it in the epoch before
	CodeSwarmPlaced    = "swarm_placed"    // it was not listed then: it came back, or was drawn
	CodeSwarmNew       = "swarm_new"       // it was drawn for one that was made
	CodeSwarmDissolved = "swarm_dissolved" // that of the epoch before was dissolved
)

// Swarm is one of a list: the nodes that keep the same mailboxes.
type Swarm struct {
	ID      directory.SwarmID
	Members []chain.NodeID // ascending
	Share   chain.Permille // of all mailbox ids
	Made    bool           // in this epoch
}

// Swarms are those of a list, by id, and the ids of those of the epoch before
// that are no more.
func Swarms(l *directory.List) (swarms []Swarm, gone []directory.SwarmID) {
	before := map[directory.SwarmID]bool{}
	at := map[directory.SwarmID]int{}
	for i := range l.Entries {
		e := &l.Entries[i]
		if e.PreviousSwarm != directory.NoSwarm {
			before[e.PreviousSwarm] = true
		}
		if e.Swarm == directory.NoSwarm {
			continue
		}
		k, ok := at[e.Swarm]
		if !ok {
			k = len(swarms)
			at[e.Swarm] = k
			swarms = append(swarms, Swarm{ID: e.Swarm})
		}
		swarms[k].Members = append(swarms[k].Members, e.Node)
	}
	slices.SortFunc(swarms, func(a, b Swarm) int { return cmp.Compare(a.ID, b.ID) })
	for i := range swarms {
		s := &swarms[i]
		s.Made = !before[s.ID]
		delete(before, s.ID)
		// From the id below it on the ring to its own; a lone one has all.
		points := uint64(s.ID - swarms[(i+len(swarms)-1)%len(swarms)].ID)
		s.Share = chain.Permille((points >> 32) * 1000 >> 32)
		if len(swarms) == 1 {
			s.Share = 1000
		}
	}
	for id := range before {
		gone = append(gone, id)
	}
	slices.Sort(gone)
	return swarms, gone
}

// WhySwarm says why a node is in its swarm; false where l does not name it. It
// takes all from l, which the caller has verified.
func WhySwarm(l *directory.List, id chain.NodeID, p genesis.Params) (Line, bool) {
	e, ok := l.Find(id)
	if !ok || e.Swarm == directory.NoSwarm {
		return Line{}, false
	}
	swarms, _ := Swarms(l)
	at := slices.IndexFunc(swarms, func(s Swarm) bool { return s.ID == e.Swarm })
	in := fmt.Sprintf("it is in swarm %d with %d others", e.Swarm, len(swarms[at].Members)-1)
	if len(swarms[at].Members) == 1 {
		in = fmt.Sprintf("it is alone in swarm %d", e.Swarm)
	}
	before := ""
	if l.Epoch > 0 {
		before = fmt.Sprint(" in epoch ", l.Epoch-1)
	}
	switch {
	case e.PreviousSwarm == e.Swarm:
		return Line{CodeSwarmKept, in + ", as it was" + before + ": who is in a swarm stays"}, true
	case e.PreviousSwarm == directory.NoSwarm:
		return Line{CodeSwarmPlaced, in + "; it was not listed" + before + ": if it was in this swarm when it was last listed it came back to it, otherwise the beacon drew it"}, true
	case swarms[at].Made:
		return Line{CodeSwarmNew, fmt.Sprintf("%s: this swarm was made in epoch %d, and the beacon drew it out of swarm %d, which had more than the target of %d", in, l.Epoch, e.PreviousSwarm, p.SwarmTarget)}, true
	default:
		return Line{CodeSwarmDissolved, fmt.Sprintf("%s: swarm %d, where it was%s, had fewer than %d left and was dissolved, and the beacon drew this one", in, e.PreviousSwarm, before, p.SwarmLeast)}, true
	}
}
