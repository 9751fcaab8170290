package slashing

import (
	"math/bits"

	"tunic/chain"
)

// Correlation: many offenders in one window are more likely one owner, and a
// greater danger, than as many alone. So each of them loses a further
// min(1, 3 S / D) of its stake once the window after its punishment is over.

// Correlation is what a record of a correlated kind waits for, and what came of it.
type Correlation struct {
	Due     chain.Time   // the first block from then on settles it; 0: the kind has no correlation
	Bonded  chain.Amount // D: behind all nodes when the block that punished began, and Before
	Before  chain.Amount // taken for these kinds in earlier blocks, less than a window before
	Settled *Settlement  // nil: pending
}

// Settlement is what a correlation took. All of it burned.
type Settlement struct {
	Slashed
	At    chain.Height
	Time  chain.Time
	Sum   chain.Amount // S: taken for these kinds less than a window before or after, this one included
	Stake chain.Amount // bonded to the node before this was taken
}

// Fraction is the share of the stake that is taken, in parts per million rounded
// down, for people; the amount is exact.
func (c Correlation) Fraction() uint32 {
	if c.Settled == nil {
		return 0
	}
	return uint32(further(1_000_000, c.Settled.Sum, c.Bonded))
}

// correlation opens the record of a block's offence. D does not depend on which
// offender was punished first: what earlier ones lost, and so is bonded no more,
// is added again.
func (s *Slashing) correlation(ctx Context) Correlation {
	window := s.window()
	before := s.taken(ctx.Time, window, func(r Record) bool { return r.At < ctx.Height })
	return Correlation{Due: ctx.Time + window, Bonded: sum(ctx.Bonded, before), Before: before}
}

// window is at least one: who is settled in the block that punishes would not
// meet those that are punished after it in the block.
func (s *Slashing) window() chain.Time {
	return max(chain.Time(s.core.Params.CorrelationWindow), 1)
}

// taken sums what records of correlated kinds took less than window before and
// after at, and that count.
func (s *Slashing) taken(at, window chain.Time, counts func(Record) bool) (total chain.Amount) {
	for m := range s.order.From(moment{at: at - min(at, window-1)}) {
		if m.at >= at+window {
			break
		}
		if r, _ := s.records.Get(m.id); counts(r) {
			total = sum(total, r.Total)
		}
	}
	return total
}

// sum saturates: a reward can be bonded again, so that stake and losses together
// may count a unit twice.
func sum(a, b chain.Amount) chain.Amount {
	if c, ok := a.Add(b); ok {
		return c
	}
	return ^chain.Amount(0)
}

// Settle takes what correlation costs from those whose window is over, each
// record once. Call it at the beginning of a block, before its first transaction;
// where nothing is due it costs nothing. It returns the settled records in the
// order of their due times.
func (s *Slashing) Settle(ctx Context, bonds Bonds) []Record {
	var due []Record
	for m := range s.pending.From(moment{}) {
		if m.at > ctx.Time {
			break
		}
		r, _ := s.records.Get(m.id)
		due = append(due, r)
	}
	for i := range due {
		r := &due[i]
		all := s.taken(r.Time, r.Correlation.Due-r.Time, func(Record) bool { return true })
		stake := bonds.Bonded(r.Node)
		r.Correlation.Settled = &Settlement{At: ctx.Height, Time: ctx.Time, Sum: all, Stake: stake,
			Slashed: bonds.Slash(r.Node, Taking{Amount: further(stake, all, r.Correlation.Bonded)})}
		s.records.Set(r.ID, *r)
		s.pending.Delete(moment{r.Correlation.Due, r.ID})
	}
	return due
}

// further is min(1, 3 sum / bonded) of stake, rounded down. bonded is above zero:
// the offender had something in it.
func further(stake, sum, bonded chain.Amount) chain.Amount {
	if hi, three := bits.Mul64(uint64(sum), 3); hi == 0 && three < uint64(bonded) {
		return stake.MulDiv(three, uint64(bonded))
	}
	return stake
}

// NextDue is when the next record is to be settled; false where none is pending.
func (s *Slashing) NextDue() (chain.Time, bool) {
	for m := range s.pending.From(moment{}) {
		return m.at, true
	}
	return 0, false
}
