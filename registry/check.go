package registry

import (
	"bytes"
	"fmt"

	"tunic/chain"
	"tunic/chain/statement"
)

// Check verifies what must hold of every node and vote in a block of epoch e;
// bonded says whether a bond stands behind a node.
func (r *Registry) Check(e chain.Epoch, bonded func(chain.NodeID) bool) error {
	for n := range r.All() {
		switch {
		case n.Listed && n.State != Active && n.State != Unlocking && n.State != Decommissioned:
			return fmt.Errorf("check node %s: %s and listed", n.ID, n.State)
		case n.Listed && n.State == Active && !bonded(n.ID):
			return fmt.Errorf("check node %s: listed without a bond", n.ID)
		case n.Events == 0:
			return fmt.Errorf("check node %s: no history", n.ID)
		case n.State == Registered && n.Credit != 0:
			return fmt.Errorf("check node %s: never listed, and a credit of %d ms", n.ID, n.Credit)
		case n.Performance > 1000:
			return fmt.Errorf("check node %s: performance %d", n.ID, n.Performance)
		}
		if last, ok := r.history.Get(eventKey{n.ID, n.Events - 1}); !ok || last.To != n.State {
			return fmt.Errorf("check node %s: its history does not end in %s", n.ID, n.State)
		}
		if len(n.Descriptor) > 0 {
			st, err := statement.Decode(n.Descriptor)
			if err != nil || st.Node != n.ID || st.Sequence != n.DescriptorSequence || !bytes.Equal(st.Encode(), n.Descriptor) {
				return fmt.Errorf("check node %s: stored descriptor is not its own", n.ID)
			}
		}
	}
	for id := range r.removals.All() {
		if n, ok := r.nodes.Get(id); !ok || n.Listed {
			return fmt.Errorf("check removal of %s: listed or unknown", id)
		}
	}
	for k, st := range r.votes.All() {
		v, err := statement.DecodeVote(st.Body)
		if err != nil || st.Label != statement.LabelVote || v.Subject != k.subject || st.Node != k.voter || v.Epoch != e || st.Sequence != statement.NewSequence(e, 0) {
			return fmt.Errorf("check vote of %s on %s: it is not one of epoch %d", k.voter, k.subject, e)
		}
	}
	for id := range r.validators.All() {
		if n, ok := r.nodes.Get(id); !ok || !n.State.serving() && r.validators.Len() > 1 {
			return fmt.Errorf("check validator %s: %s", id, n.State)
		}
	}
	for id, c := range r.counts.All() {
		if c.Epoch >= e || !r.Known(id) {
			return fmt.Errorf("check count of %s: of epoch %d in epoch %d, or of an unknown node", id, c.Epoch, e)
		}
	}
	return nil
}
