package fault

import (
	"math/rand/v2"
	"sync"

	"tunic/chain"
)

// share says yes to an exact share of its questions: of each window of
// questions, the smallest in which the share is whole, a drawn set.
type share struct {
	yes, window int

	mu    sync.Mutex // guards what follows
	rnd   *rand.Rand
	order []int // of the present window, shuffled; the first yes places are chosen
	at    int
}

func newShare(of chain.BasisPoints, seed uint64) *share {
	d := gcd(int(of), 10_000)
	return &share{yes: int(of) / d, window: 10_000 / d, rnd: rand.New(rand.NewPCG(seed, uint64(of)))}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// next answers one question. A nil share always says no.
func (s *share) next() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == len(s.order) {
		s.order, s.at = s.rnd.Perm(s.window), 0
	}
	s.at++
	return s.order[s.at-1] < s.yes
}
