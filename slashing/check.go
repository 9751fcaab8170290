package slashing

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/statement"
)

// CheckAll is the invariant of the offences: each record has a proof that
// validates and shows it, or signed votes; its amounts add up; what is pending
// is exactly what was not settled.
func (s *Slashing) CheckAll() error {
	pending, correlated := 0, 0
	for id, r := range s.records.All() {
		if err := s.checkRecord(id, r); err != nil {
			return fmt.Errorf("check offence %s: %w", id, err)
		}
		c := r.Correlation
		if c.Due == 0 {
			continue
		}
		correlated++
		if _, ok := s.order.Get(moment{r.Time, id}); !ok {
			return fmt.Errorf("check offence %s: it is missing in the order of time", id)
		}
		if _, ok := s.pending.Get(moment{c.Due, id}); ok != (c.Settled == nil) {
			return fmt.Errorf("check offence %s: pending is %t", id, ok)
		}
		if c.Settled == nil {
			pending++
		}
	}
	if s.pending.Len() != pending || s.order.Len() != correlated {
		return fmt.Errorf("check offences: %d pending and %d in order, the records say %d and %d", s.pending.Len(), s.order.Len(), pending, correlated)
	}
	return s.checkChallenges()
}

// checkChallenges: each challenge is of a signed receipt and stands under its id,
// once among those that are due; of each node as many are open as are counted, and
// no more than may be. One that lapsed was due.
func (s *Slashing) checkChallenges() error {
	open := map[chain.NodeID]uint8{}
	for id, c := range s.challenges.All() {
		st, x, err := readReceipt(c.Receipt)
		switch {
		case err != nil:
			return fmt.Errorf("check challenge %s: %w", id, err)
		case c.ID != id || ChallengeID(s.genesis, st) != id || st.Verify(statement.Domain{Genesis: s.genesis, Fork: st.Fork}) != nil:
			return fmt.Errorf("check challenge %s: its receipt is another, or not signed", id)
		case x.Until < c.Time || c.Drawn != 0 && c.Chunk >= x.Class || (c.Drawn == 0) != (c.Due == 0):
			return fmt.Errorf("check challenge %s: chunk %d of %d, due %d", id, c.Chunk, x.Class, c.Due)
		case c.Lapsed != nil && (c.Drawn == 0 || c.Lapsed.Time < c.Due):
			return fmt.Errorf("check challenge %s: it lapsed at %d, due %d", id, c.Lapsed.Time, c.Due)
		}
		if _, ok := s.lapses.Get(c.moment()); !ok {
			return fmt.Errorf("check challenge %s: it is missing among what is due", id)
		}
		if c.Lapsed == nil {
			open[st.Node]++
		}
	}
	for node, n := range open {
		if n > MaxOpen || n != s.openOf(node) {
			return fmt.Errorf("check challenges: %d are open against node %s, counted as %d", n, node, s.openOf(node))
		}
	}
	if s.lapses.Len() != s.challenges.Len() || s.open.Len() != len(open) {
		return fmt.Errorf("check challenges: %d, %d due, of %d nodes, counted as %d", s.challenges.Len(), s.lapses.Len(), len(open), s.open.Len())
	}
	return nil
}

func (s *Slashing) checkRecord(id chain.Hash, r Record) error {
	if r.Judged != nil {
		if r.Kind != Unavailable || r.ID != id || r.Total != 0 || len(r.Proof) > 0 {
			return fmt.Errorf("a verdict with amounts or a proof")
		}
		return r.Judged.check(r, s.genesis)
	}
	p, err := Decode(r.Proof)
	if err == nil {
		err = p.Validate()
	}
	switch {
	case err != nil:
		return err
	case p.ID() != id || r.ID != id:
		return fmt.Errorf("its proof shows offence %s", p.ID())
	case !r.Slashed.sound() || r.Reward > r.OperatorLoss/2:
		return fmt.Errorf("amounts do not add up")
	}
	if x := r.Correlation.Settled; x != nil && (!x.Slashed.sound() || x.Reward != 0 || x.Total > x.Stake) {
		return fmt.Errorf("amounts of the settlement do not add up")
	}
	return nil
}

func (s Slashed) sound() bool {
	var losses chain.Amount
	for _, l := range s.Losses {
		losses += l.Amount
	}
	return losses == s.Total && s.Reward+s.Burned == s.Total
}
