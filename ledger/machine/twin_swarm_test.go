package machine_test

import (
	"fmt"
	"slices"

	"tunic/registry/directory"
)

// swarmsAgree holds the swarms of a new list against what follows from the epoch
// before without any draw: which swarms are dissolved, how many are made and
// under which ids, who may have moved, and how large they are. Which of several
// nodes or swarms it is, the beacon says; registry's vectors hold that.
func (t *twin) swarmsAgree(list *directory.List) error {
	if list == nil || t.swarmed == t.epoch || list.Epoch != t.epoch {
		return nil
	}
	t.swarmed = t.epoch
	target, fewest := int(t.prm.SwarmTarget), int(t.prm.SwarmLeast)
	old, placed, after := map[directory.SwarmID]int{}, 0, map[directory.SwarmID]int{}
	for name := range t.listed {
		if home := t.nodes[name].home; home != directory.NoSwarm {
			old[home]++
		} else {
			placed++
		}
		e, _ := list.Find(nodeID(name))
		after[e.Swarm]++
	}
	// Dissolved: the smallest while the others cannot be filled, a quarter at most.
	keep, gone := old, 0
	for existing := len(old); gone < max(1, existing/4) && len(keep) > 1; gone++ {
		missing, smallest := 0, directory.NoSwarm
		for id, size := range keep {
			missing += max(0, fewest-size)
			if smallest == directory.NoSwarm || size < keep[smallest] || size == keep[smallest] && id < smallest {
				smallest = id
			}
		}
		if missing <= placed {
			break
		}
		placed += keep[smallest]
		next := map[directory.SwarmID]int{}
		for id, size := range keep {
			if id != smallest {
				next[id] = size
			}
		}
		keep = next
	}
	// Made: where all give a whole one together; at the start as many as there are.
	made := 0
	if most := max(1, len(old)/4, placed/target); gone == 0 && len(t.listed) > 0 {
		made = max(0, min(most, len(t.listed)/target-len(keep)))
		if len(old) == 0 {
			made = max(1, len(t.listed)/target)
		}
	}
	ids := map[directory.SwarmID]bool{}
	for id := range keep {
		ids[id] = true
	}
	for range made {
		ids[widestMiddle(ids)] = true
	}
	if len(ids) != len(after) {
		return fmt.Errorf("epoch %d: %d swarms, twin %d", t.epoch, len(after), len(ids))
	}
	for id, size := range after {
		_, kept := keep[id]
		switch {
		case !ids[id]:
			return fmt.Errorf("epoch %d: a swarm %d that the twin has not", t.epoch, id)
		case !kept && len(old) > 0 && size != target:
			return fmt.Errorf("epoch %d: new swarm %d of %d nodes", t.epoch, id, size)
		case kept && size < min(keep[id], target):
			return fmt.Errorf("epoch %d: swarm %d of %d gave away all but %d", t.epoch, id, keep[id], size)
		}
	}
	for name, n := range t.nodes {
		e, listed := list.Find(nodeID(name))
		if got, _ := t.w.m.Registry().Node(nodeID(name)); !listed {
			if got.Swarm != directory.NoSwarm || got.PreviousSwarm != n.home {
				return fmt.Errorf("epoch %d: %s is not listed, and in swarm %d, last %d; twin %d", t.epoch, name, got.Swarm, got.PreviousSwarm, n.home)
			}
			n.before = directory.NoSwarm
			continue
		}
		if _, kept := keep[n.home]; kept && e.Swarm != n.home && (made == 0 || keep[e.Swarm] > 0) {
			return fmt.Errorf("epoch %d: %s went from swarm %d, which goes on, to %d, which is not new", t.epoch, name, n.home, e.Swarm)
		}
		if e.PreviousSwarm != n.before {
			return fmt.Errorf("epoch %d: %s was in %d before, twin %d", t.epoch, name, e.PreviousSwarm, n.before)
		}
		n.home, n.before = e.Swarm, e.Swarm
	}
	return nil
}

// widestMiddle is the middle of the widest gap between ids, the lowest first.
func widestMiddle(ids map[directory.SwarmID]bool) directory.SwarmID {
	if len(ids) == 0 {
		return 0
	}
	var sorted []directory.SwarmID
	for id := range ids {
		sorted = append(sorted, id)
	}
	slices.Sort(sorted)
	widest, at := directory.SwarmID(0), directory.SwarmID(0)
	for i, id := range sorted {
		between := sorted[(i+1)%len(sorted)] - id - 1
		if between > widest {
			widest, at = between, id+between/2+1
		}
	}
	return at
}
