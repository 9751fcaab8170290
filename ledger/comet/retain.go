package comet

import (
	"sort"

	"tunic/chain"
	"tunic/ledger/machine"
)

// pruneEvery is after how many blocks old ones are given up.
const pruneEvery = 100

// pruneMost is how many blocks are given up at once.
const pruneMost = 1024

// retain is the lowest height that CometBFT keeps, 0 for all. Where blocks are
// given up, it gives up those of the ledger too.
//
// Evidence may be about any height of the evidence age, and light clients start from
// headers up to two thirds of the unlock delay old: what is younger stays, however
// few blocks are to be kept.
func (a *App) retain() (chain.Height, error) {
	head := a.ledger.Head().Header
	if a.keep == 0 || head.Height <= a.keep || uint64(head.Height)%pruneEvery != 0 {
		return 0, nil
	}
	var age chain.Time
	a.ledger.View(func(m *machine.Machine) {
		p := m.Core().Params
		age = max(machine.Reach(p), chain.Time(p.UnlockDelay/3*2))
	})
	first := a.ledger.First()
	var err error
	old := sort.Search(int(head.Height-min(first, head.Height)), func(i int) bool {
		h, e := a.ledger.Header(first + chain.Height(i))
		if e != nil {
			err = e
		}
		return h.Header.Time+age >= head.Time
	})
	if err != nil {
		return 0, err
	}
	// Not all at once: the next block waits for it.
	return a.ledger.Prune(min(head.Height-a.keep+1, first+chain.Height(old), first+pruneMost))
}
