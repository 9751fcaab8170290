package link

import "time"

// Little passes on a link: so many frames in a row, and one each sparseEvery for
// longer than that, some hundredths of a core. Who sent more is behind by at most
// sparseMost of them, and has to send less for as long.
const (
	sparseEvery = 2 * time.Millisecond
	sparseBurst = 8
	sparseMost  = 64
)

// Pace says whether little passes (ITU-T I.371, virtual scheduling). The zero Pace
// has seen nothing.
type Pace struct{ due time.Time }

// Sparse notes one more frame at now.
func (p *Pace) Sparse(now time.Time) bool {
	if p.due.Before(now) {
		p.due = now
	}
	ahead := p.due.Sub(now)
	if ahead < sparseMost*sparseEvery {
		p.due = p.due.Add(sparseEvery)
	}
	return ahead < sparseBurst*sparseEvery
}
