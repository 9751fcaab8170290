package probe

import (
	"encoding/binary"
	"testing"

	"tunic/chain"
	"tunic/chain/beacon"
	"tunic/chain/genesis"
	"tunic/registry/directory"
)

// A node that carries nothing and stays out of every second list, so that no
// window has six epochs of it, is judged by the epochs before. Who was always
// listed is judged by the window alone, and who is new by nothing.
func TestGapsInTheLists(t *testing.T) {
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	p.ScoreWindow, p.ScoreForgiven = 8, 2
	const n, epochs = 12, 16
	entries := make([]directory.Entry, n)
	for i := range entries {
		binary.BigEndian.PutUint32(entries[i].Node[:], uint32(i))
		binary.BigEndian.PutUint32(entries[i].Operator[:], uint32(i))
	}
	for name, row := range map[string]struct {
		listed func(e int) bool
		drops  func(e int) bool
		known  bool
		score  func(chain.Permille) bool
		counts int // epochs
	}{
		"every second":  {func(e int) bool { return e%2 == 0 }, func(int) bool { return true }, true, func(s chain.Permille) bool { return s < p.ScoreLeast }, 8},
		"five of eight": {func(e int) bool { return e%8 < 5 }, func(int) bool { return true }, true, func(s chain.Permille) bool { return s < p.ScoreLeast }, 8},
		"always":        {func(int) bool { return true }, func(e int) bool { return e < 8 }, true, func(s chain.Permille) bool { return s == 1000 }, 8},
		"new":           {func(e int) bool { return e > 11 }, func(int) bool { return true }, false, func(s chain.Permille) bool { return s == 1000 }, 4},
	} {
		var all []*Tally
		d := beacon.NewDraw(chain.Hash{7}, "gaps "+name)
		for e := range epochs {
			list := directory.List{Epoch: First + chain.Epoch(e), Entries: entries}
			if !row.listed(e) {
				list.Entries = entries[1:]
				all = append(all, newTally(&list, nil, make([]bool, n-1)))
				continue
			}
			s := Simulation{Relays: n}
			if row.drops(e) {
				s.Drop = 1000
			}
			trials, revealed := s.epoch(&p, d)
			all = append(all, newTally(&list, trials, revealed))
		}
		w := epochs - int(p.ScoreWindow)
		s := Judge(entries[0].Node, all[:w], all[w:], &p, chain.Hash{9}, 0)
		if s.Known != row.known || !row.score(s.Score) || len(s.Epochs) != row.counts {
			t.Errorf("%s: known %t, score %d, %d epochs", name, s.Known, s.Score, len(s.Epochs))
		}
		if alone := Judge(entries[0].Node, nil, all[w:], &p, chain.Hash{9}, 0); row.counts == 8 && name != "always" && alone.Known {
			t.Errorf("%s: the window alone judges it", name)
		}
	}
}
