package slashing

import (
	"fmt"

	"tunic/chain"
	"tunic/chain/statement"
)

// CheckAll is the invariant of the offences: each record has a proof that
// validates and shows it, or signed votes; its amounts add up; what is pending
// is exactly what was not settled. Commits stand in a round, each with a number of
// its own; the opened ones show a record, and the one that its proof opens, if it
// is live, holds the reporter's part.
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
	if err := s.checkChallenges(); err != nil {
		return err
	}
	return s.checkCommits()
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
	if s.lapses.Len() != s.challenges.Len() || s.openPer.Len() != len(open) {
		return fmt.Errorf("check challenges: %d, %d due, of %d nodes, counted as %d", s.challenges.Len(), s.lapses.Len(), len(open), s.openPer.Len())
	}
	return nil
}

func (s *Slashing) checkCommits() error {
	type place struct {
		e chain.Epoch
		n uint32
	}
	seen := map[place]bool{}
	for k, c := range s.commits.All() {
		at := place{k.Epoch, c.Number}
		round, ok := s.rounds.Get(k.Epoch)
		if !ok || c.Number >= round.Made || seen[at] || c.Deposit == 0 {
			return fmt.Errorf("check commit %s of %s: number %d of %d, deposit %s", k.Hash, k.Account, c.Number, round.Made, c.Deposit)
		}
		seen[at] = true
		if !c.Opened() {
			if c.Held != 0 {
				return fmt.Errorf("check commit %s of %s: it holds %s and was not opened", k.Hash, k.Account, c.Held)
			}
			continue
		}
		r, ok := s.records.Get(c.Offence)
		if !ok || r.Kind != KeyDisclosure {
			return fmt.Errorf("check commit %s of %s: it showed %s, which was not punished", k.Hash, k.Account, c.Offence)
		}
		p, err := Decode(r.Proof)
		if err != nil {
			return fmt.Errorf("check offence %s: %w", r.ID, err)
		}
		var want chain.Amount
		if p.commitKey() == k {
			want = r.Reward
		}
		if c.Held != want || want > 0 && r.Reporter != k.Account {
			return fmt.Errorf("check commit %s of %s: it holds %s of %s, reporter %s", k.Hash, k.Account, c.Held, r.Reward, r.Reporter)
		}
	}
	for e, r := range s.rounds.All() {
		if r.Made == 0 {
			return fmt.Errorf("check commits of epoch %d: an empty round", e)
		}
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
	if r.Concluded != nil {
		return r.Concluded.check(r, s.genesis)
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
	}
	return r.amounts()
}

// amounts are the invariant of what a record took.
func (r Record) amounts() error {
	if !r.Slashed.sound() || r.Reward > r.OperatorLoss/2 {
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
