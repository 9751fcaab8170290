package staking

import (
	"tunic/chain"
	"tunic/internal/table"
	"tunic/internal/wire"
)

// Prefixes of the tables in their parts.
const (
	PrefixBonds  = 0x01 // part stakes
	PrefixTotals = 0x20 // part params
)

// Bounds of a stored bond.
const (
	maxContributions = 64 // as genesis bounds max_contributors
	maxCheckpoints   = 1024
)

// totals are the sums that every block needs.
type totals struct {
	bonded      chain.Amount
	burned      chain.Amount
	pool        chain.Amount // rewards not given out yet
	outstanding chain.Amount // rewards given out and not withdrawn
	accumulator chain.Amount // what a node that was active in every block has earned
	active      uint64       // nodes that share in rewards
}

var totalsCodec = table.Codec[struct{}, totals]{
	Prefix:    PrefixTotals,
	AppendKey: func(b []byte, _ struct{}) []byte { return b },
	ReadKey:   func(*wire.Reader) struct{} { return struct{}{} },
	AppendValue: func(b []byte, t totals) []byte {
		for _, v := range []chain.Amount{t.bonded, t.burned, t.pool, t.outstanding, t.accumulator} {
			b = wire.AppendUint64(b, uint64(v))
		}
		return wire.AppendUint64(b, t.active)
	},
	ReadValue: func(r *wire.Reader) (t totals) {
		for _, v := range []*chain.Amount{&t.bonded, &t.burned, &t.pool, &t.outstanding, &t.accumulator} {
			*v = chain.Amount(r.Uint64())
		}
		t.active = r.Uint64()
		return t
	},
}

var bondCodec = table.Codec[chain.NodeID, Bond]{
	Prefix:    PrefixBonds,
	AppendKey: func(b []byte, id chain.NodeID) []byte { return append(b, id[:]...) },
	ReadKey: func(r *wire.Reader) (id chain.NodeID) {
		r.Copy(id[:])
		return id
	},
	AppendValue: appendBond,
	ReadValue:   readBond,
}

func appendBond(b []byte, v Bond) []byte {
	b = append(b, v.Operator[:]...)
	b = wire.AppendUint16(b, uint16(v.Fee))
	b = wire.AppendBool(b, v.Active)
	b = wire.AppendBool(b, v.Funded)
	b = wire.AppendUint64(b, uint64(v.UnlockRequested))
	b = wire.AppendUint64(b, uint64(v.UnlockAt))
	b = wire.AppendUint64(b, uint64(v.LockedUntil))
	b = wire.AppendUint64(b, uint64(v.HoldUntil))
	b = wire.AppendUint64(b, uint64(v.settled))
	b = wire.AppendUint32(b, uint32(len(v.Contributions)))
	for i, c := range v.Contributions {
		b = append(b, c.Account[:]...)
		b = wire.AppendUint64(b, uint64(c.Amount))
		b = wire.AppendUint64(b, uint64(v.Rewards[i]))
	}
	b = wire.AppendUint32(b, uint32(len(v.Checkpoints)))
	for _, c := range v.Checkpoints {
		b = wire.AppendUint64(b, uint64(c.Epoch))
		b = wire.AppendUint64(b, uint64(c.Total))
	}
	return b
}

func readBond(r *wire.Reader) (v Bond) {
	r.Copy(v.Operator[:])
	v.Fee = chain.BasisPoints(r.Uint16())
	v.Active = r.Bool()
	v.Funded = r.Bool()
	v.UnlockRequested = chain.Time(r.Uint64())
	v.UnlockAt = chain.Time(r.Uint64())
	v.LockedUntil = chain.Time(r.Uint64())
	v.HoldUntil = chain.Time(r.Uint64())
	v.settled = chain.Amount(r.Uint64())
	for range r.Count(maxContributions, 36) {
		var c Contribution
		r.Copy(c.Account[:])
		c.Amount = chain.Amount(r.Uint64())
		v.Contributions = append(v.Contributions, c)
		v.Rewards = append(v.Rewards, chain.Amount(r.Uint64()))
	}
	for range r.Count(maxCheckpoints, 16) {
		v.Checkpoints = append(v.Checkpoints, Checkpoint{chain.Epoch(r.Uint64()), chain.Amount(r.Uint64())})
	}
	return v
}

func (s *Staking) get() totals {
	t, _ := s.totals.Get(struct{}{})
	return t
}

func (s *Staking) set(t totals) { s.totals.Set(struct{}{}, t) }

// bonded adds and takes from the total bonded.
func (s *Staking) bonded(add, take chain.Amount) {
	t := s.get()
	t.bonded = t.bonded + add - take
	s.set(t)
}

// Bonded is all stake behind all nodes, unlocking and locked stake included.
func (s *Staking) Bonded() chain.Amount { return s.get().bonded }

// Burned is all that was burned: fees and slashes.
func (s *Staking) Burned() chain.Amount { return s.get().burned }

// Pool is what is left to be given out as rewards.
func (s *Staking) Pool() chain.Amount { return s.get().pool }

// Outstanding is rewards given out and not withdrawn yet.
func (s *Staking) Outstanding() chain.Amount { return s.get().outstanding }

// Earning is the number of nodes that share in rewards.
func (s *Staking) Earning() uint64 { return s.get().active }

// AddBurned counts a burned fee, which the caller has debited.
func (s *Staking) AddBurned(x chain.Amount) {
	if x > 0 {
		t := s.get()
		t.burned += x
		s.set(t)
	}
}

// TakePool takes x, which the caller credits, out of the rewards to come; false
// where they are less. Dev networks fund accounts with it.
func (s *Staking) TakePool(x chain.Amount) bool {
	t := s.get()
	if x > t.pool {
		return false
	}
	t.pool -= x
	s.set(t)
	return true
}
