package registry

import (
	"iter"

	"tunic/chain"
)

// Event is one change in a node's life. Together they are its reputation.
type Event struct {
	Node   chain.NodeID
	Height chain.Height
	Time   chain.Time
	From   State // 0 at registration
	To     State
	Reason string     // at most MaxReason bytes
	Proof  chain.Hash // offence id, zero where no proof is involved
}

// MaxReason bounds an event's reason.
const MaxReason = 64

// steps are the changes that a life may take. Into Tombstoned leads every state
// but itself; Registered is entered once, by Register.
var steps = map[State][]State{
	Registered:     {Active, Unlocking, Tombstoned},
	Active:         {Decommissioned, Deregistered, Unlocking, Tombstoned},
	Decommissioned: {Active, Deregistered, Unlocking, Tombstoned},
	Deregistered:   {Tombstoned},
	Unlocking:      {Left, Tombstoned},
	Left:           {Tombstoned},
}

// enter settles n's credit, sets its state and writes the event; the caller
// writes n.
func (r *Registry) enter(n *Node, to State, reason string, proof chain.Hash, ctx Context) {
	if len(reason) > MaxReason {
		reason = reason[:MaxReason]
	}
	e := Event{Node: n.ID, Height: ctx.Height, Time: ctx.Time, From: n.State, To: to, Reason: reason, Proof: proof}
	r.history.Set(eventKey{n.ID, n.Events}, e)
	r.taken = append(r.taken, e)
	n.Events++
	if !to.serving() {
		r.Retire(n.ID)
	}
	r.carry(n, to, ctx.Time)
	n.State, n.StateSince, n.Until = to, ctx.Time, 0
}

// move takes id one step, if its life has that step.
func (r *Registry) move(id chain.NodeID, to State, reason string, proof chain.Hash, ctx Context, change func(*Node)) error {
	n, ok := r.Node(id)
	if !ok {
		return chain.Refuse(CodeUnknownNode, "node %s is not registered", id.Short())
	}
	for _, s := range steps[n.State] {
		if s == to {
			r.enter(&n, to, reason, proof, ctx)
			if change != nil {
				change(&n)
			}
			r.put(n)
			return nil
		}
	}
	return chain.Refuse(CodeWrongState, "node %s is %s and cannot become %s", id.Short(), n.State, to)
}

// Tombstone puts a node out for good. If it is in the present list it is removed
// at once: Removals names it until the epoch ends. It does nothing to a node
// that is tombstoned already or not known.
func (r *Registry) Tombstone(id chain.NodeID, reason string, proof chain.Hash, ctx Context) {
	n, ok := r.Node(id)
	if !ok || n.State == Tombstoned {
		return
	}
	r.enter(&n, Tombstoned, reason, proof, ctx)
	// A header holds only so many removals; over that the list stands for the
	// rest of the epoch, as it does for every other change.
	if n.Listed && r.removals.Len() < chain.MaxRemovals {
		r.removals.Set(id, ctx.Height)
	}
	n.Listed = false
	r.put(n)
}

// Unlocking starts a node's way out: it has left at until. It stays in the
// present list to the end of the epoch.
func (r *Registry) Unlocking(id chain.NodeID, until chain.Time, ctx Context) error {
	return r.move(id, Unlocking, "unlock requested", chain.Hash{}, ctx, func(n *Node) { n.Until = until })
}

// Leave ends an unlocking node's life, as BeginEpoch does when its time has come.
func (r *Registry) Leave(id chain.NodeID, ctx Context) error {
	return r.move(id, Left, "unlocked", chain.Hash{}, ctx, nil)
}

// Decommission takes an active node out of the lists to come. From now on it
// uses up its credit.
func (r *Registry) Decommission(id chain.NodeID, reason string, proof chain.Hash, ctx Context) error {
	return r.move(id, Decommissioned, reason, proof, ctx, nil)
}

// Recommission makes a decommissioned node active again, which costs it twice
// the time that it was out.
func (r *Registry) Recommission(id chain.NodeID, reason string, ctx Context) error {
	return r.move(id, Active, reason, chain.Hash{}, ctx, nil)
}

// Deregister ends a node's life for absence; its stake is to be locked.
func (r *Registry) Deregister(id chain.NodeID, reason string, proof chain.Hash, ctx Context) error {
	return r.move(id, Deregistered, reason, proof, ctx, nil)
}

// History is everything that happened to id, oldest first.
func (r *Registry) History(id chain.NodeID) []Event {
	n, _ := r.nodes.Get(id)
	var out []Event
	for i := range n.Events {
		e, _ := r.history.Get(eventKey{id, i})
		e.Node = id
		out = append(out, e)
	}
	return out
}

// Events gives the histories of all nodes, by node and then oldest first.
func (r *Registry) Events() iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for k, e := range r.history.All() {
			e.Node = k.node
			if !yield(e) {
				return
			}
		}
	}
}

// TakeEvents returns the events since the last call, in the order in which they
// happened. They are not state: after a load there are none.
func (r *Registry) TakeEvents() []Event {
	out := r.taken
	r.taken = nil
	return out
}
