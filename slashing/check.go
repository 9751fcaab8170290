package slashing

import (
	"fmt"

	"tunic/chain"
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
