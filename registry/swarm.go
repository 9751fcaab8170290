package registry

import (
	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/registry/directory"
)

// swarmCount is the number of swarms: one holds all relays.
const swarmCount = 1

// placeAll gives every listed node its swarm of this epoch.
func placeAll(listed []candidate, seed chain.Hash) {
	current := make([]directory.SwarmID, len(listed))
	for i, c := range listed {
		current[i] = c.node.Swarm
	}
	for i, id := range place(current, swarmCount, seed) {
		listed[i].node.PreviousSwarm, listed[i].node.Swarm = current[i], id
	}
}

// place is the sticky placement: who is in one of the count swarms stays; new
// and displaced nodes go, in an order drawn from seed, each to the swarm that
// is smallest then (the lowest id among equals). current is by node id.
func place(current []directory.SwarmID, count int, seed chain.Hash) []directory.SwarmID {
	next := make([]directory.SwarmID, len(current))
	sizes := make([]int, count)
	var homeless []int
	for i, id := range current {
		if uint64(id) < uint64(count) {
			next[i] = id
			sizes[id]++
		} else {
			homeless = append(homeless, i)
		}
	}
	beacon.NewDraw(seed, "swarms").Shuffle(len(homeless), func(i, j int) { homeless[i], homeless[j] = homeless[j], homeless[i] })
	for _, i := range homeless {
		smallest := 0
		for s := range sizes {
			if sizes[s] < sizes[smallest] {
				smallest = s
			}
		}
		next[i] = directory.SwarmID(smallest)
		sizes[smallest]++
	}
	return next
}
