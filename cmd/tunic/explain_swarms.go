package main

import (
	"context"

	"tunic/chain"
	"tunic/registry"
	"tunic/registry/directory"
)

// placed places the nodes of a verified list anew by its epoch's beacon, and
// reports whether they are where the list has them. Where a node was not listed in
// the epoch before, the last list that it is in is looked for among the earlier
// ones; nil where the ledger keeps too few of them to say. was is the list of the
// header before.
func (x *explainer) placed(ctx context.Context, l, was *directory.List, before, first chain.Header) (*bool, error) {
	open := map[chain.NodeID]bool{}
	for i := range l.Entries {
		if e := &l.Entries[i]; e.PreviousSwarm == directory.NoSwarm {
			open[e.Node] = true
		}
	}
	homes := map[chain.NodeID]directory.SwarmID{}
	known := true
	for older := was; len(open) > 0 && before.DirEpoch > 0; {
		if older == nil {
			known = false
			break
		}
		for id := range open {
			if e, ok := older.Find(id); ok {
				homes[id] = e.Swarm
				delete(open, id)
			}
		}
		height, err := x.firstOf(ctx, before.DirEpoch)
		if err != nil {
			return nil, err
		}
		if height <= 1 || len(open) == 0 {
			break
		}
		if before, err = x.at(ctx, height-1); err != nil {
			return nil, err
		}
		if older, err = x.listOf(ctx, before); err != nil {
			return nil, err
		}
	}
	p := &x.net.Params
	placed := registry.Placed(l, func(id chain.NodeID) directory.SwarmID {
		if s, ok := homes[id]; ok {
			return s
		}
		return directory.NoSwarm
	}, int(p.SwarmTarget), int(p.SwarmLeast), first.Beacon)
	equal := true
	for i := range placed {
		equal = equal && placed[i] == l.Entries[i].Swarm
	}
	if !equal && !known {
		return nil, nil
	}
	return &equal, nil
}
