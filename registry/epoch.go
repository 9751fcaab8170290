package registry

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/statement"
	"tunic/registry/directory"
)

// Bonds is what the registry needs of the stakes.
type Bonds interface {
	// FullyStaked reports whether the node's bond is open and meets the requirement.
	FullyStaked(node chain.NodeID) bool
	// Total is what is bonded to the node now.
	Total(node chain.NodeID) chain.Amount
	// Active makes the node share in rewards or not; the same again does nothing.
	Active(node chain.NodeID, on bool)
}

// BeginEpoch is called in the first block of epoch e, before its transactions,
// once the beacon is closed (seed) and the votes are counted (Judge). It lets
// unlocked nodes leave, makes nodes active that can be listed for the first
// time, draws swarms and returns the list, which holds for the whole epoch.
// Epoch 0 lists nobody.
func (r *Registry) BeginEpoch(e chain.Epoch, now chain.Time, height chain.Height, seed chain.Hash, bonds Bonds) (*directory.List, error) {
	ctx := Context{Height: height, Time: now, Epoch: e}
	for id := range r.removals.All() {
		r.removals.Delete(id)
	}
	var listed []candidate
	for before := range r.All() {
		n := before
		if n.State == Unlocking && now >= n.Until {
			r.enter(&n, Left, "unlocked", chain.Hash{}, ctx)
		}
		d, reason := r.eligible(n, e, now, bonds)
		if n.State == Registered && reason == "" {
			r.enter(&n, Active, "listed", chain.Hash{}, ctx)
		}
		if n.Listed != (reason == "") {
			r.settle(&n, now)
			n.Listed = reason == ""
		}
		n.Credit = min(n.Credit, r.core.Params.CreditMost) // which the council may have lowered
		if n.Listed {
			listed = append(listed, candidate{n, d})
			continue // written below, with its swarm
		}
		n.away()
		bonds.Active(n.ID, false)
		if changed(before, n) {
			r.put(n)
		}
	}

	placeAll(listed, int(r.core.Params.SwarmTarget), int(r.core.Params.SwarmLeast), seed)
	entries := make([]directory.Entry, len(listed))
	for i, c := range listed {
		n := c.node
		bonds.Active(n.ID, true)
		if was, _ := r.Node(n.ID); changed(was, n) {
			r.put(n)
		}
		entries[i] = entry(n, c.desc, e, bonds.Total(n.ID))
	}
	l, err := directory.NewList(e, entries)
	if err != nil {
		return nil, fmt.Errorf("freeze list of epoch %d: %w", e, err)
	}
	return l, nil
}

// candidate is a node that can be listed, with what it says of itself.
type candidate struct {
	node Node
	desc statement.Descriptor
}

// changed reports whether what BeginEpoch may change has changed, so that a
// quiet node's row is not written every epoch.
func changed(a, b Node) bool {
	return a.State != b.State || a.Listed != b.Listed || a.Swarm != b.Swarm || a.PreviousSwarm != b.PreviousSwarm || a.Credit != b.Credit
}

// Eligible says whether a node could be listed in epoch e if that began at now,
// and if not, why, in plain words.
func (r *Registry) Eligible(id chain.NodeID, e chain.Epoch, now chain.Time, bonds Bonds) (ok bool, reason string) {
	n, known := r.Node(id)
	if !known {
		return false, "the node is not registered"
	}
	_, reason = r.eligible(n, e, now, bonds)
	return reason == "", reason
}

func (r *Registry) eligible(n Node, e chain.Epoch, now chain.Time, bonds Bonds) (d statement.Descriptor, reason string) {
	switch {
	case e == 0:
		return d, "epoch 0 lists nobody"
	case n.State != Registered && n.State != Active:
		return d, "the node is " + n.State.String()
	case !bonds.FullyStaked(n.ID):
		return d, "the node is not fully staked"
	case len(n.Descriptor) == 0:
		return d, "no descriptor was published"
	case n.DescriptorSequence.Epoch() > e:
		return d, "the descriptor is for a later epoch"
	case n.LastHeartbeat == 0:
		return d, "no heartbeat was published"
	case n.LastHeartbeat+chain.Time(r.core.Params.HeartbeatValid) <= now:
		return d, "the last heartbeat is too old"
	case !r.core.Params.Allows(n.Version):
		return d, "the software version is not allowed"
	}
	d, ok := n.Described()
	if !ok {
		panic("registry: internal error: a stored descriptor cannot be read")
	}
	for _, at := range []chain.Epoch{e, e + 1} {
		if _, ok := d.KeyFor(at); !ok {
			return d, fmt.Sprintf("the descriptor has no onion key for epoch %d", at)
		}
	}
	return d, ""
}

func entry(n Node, d statement.Descriptor, e chain.Epoch, stake chain.Amount) directory.Entry {
	now, _ := d.KeyFor(e)
	next, _ := d.KeyFor(e + 1)
	return directory.Entry{
		Node: n.ID, VRF: n.VRF, Operator: n.Operator,
		Endpoints: d.Endpoints, Family: d.Family,
		Swarm: n.Swarm, PreviousSwarm: n.PreviousSwarm,
		Version: n.Version, Stake: stake,
		Onion:       directory.Key{First: now.First, Key: now.Key},
		OnionNext:   directory.Key{First: next.First, Key: next.Key},
		Performance: n.Performance,
	}
}

// Unlisted is a node that is judged though no list names it.
type Unlisted struct {
	Node           chain.NodeID
	Decommissioned bool        // else active
	Since          chain.Epoch // in which it was decommissioned
	Performance    chain.Permille
}

// Unlisted gives the nodes that a quorum judges in the present epoch beside
// those of its list, ascending: active ones that were not eligible, and
// decommissioned ones.
func (r *Registry) Unlisted() []Unlisted {
	var out []Unlisted
	for n := range r.All() {
		if n.Listed || n.State != Active && n.State != Decommissioned {
			continue
		}
		u := Unlisted{Node: n.ID, Performance: n.Performance}
		if n.State == Decommissioned {
			u.Decommissioned, u.Since = true, r.core.EpochAt(n.StateSince)
		}
		out = append(out, u)
	}
	return out
}

// Contributions are the VRF outputs that heartbeats of epoch e carried,
// ascending by node: what closes the beacon at the end of e. Only active and
// decommissioned nodes take part that were registered before e, so that who
// joins cannot choose its key after seeing the others' outputs, and influence
// costs a full stake. Call it before BeginEpoch of the next epoch.
func (r *Registry) Contributions(e chain.Epoch) []beacon.Contribution {
	var out []beacon.Contribution
	for n := range r.All() {
		if (n.State != Active && n.State != Decommissioned) || n.RegisteredEpoch >= e {
			continue
		}
		for _, o := range n.Outputs {
			if o.Epoch == e {
				out = append(out, beacon.Contribution{Node: n.ID, Output: o.Value})
			}
		}
	}
	return out
}
