package link

import "time"

// Little is sent on a link: so many frames in a row, and one each sparseEvery for
// longer than that. Who sent more is behind by at most sparseMost of them.
const (
	sparseEvery = 2 * time.Millisecond
	sparseBurst = 8
	sparseMost  = 64
)

// pace says whether little is sent (ITU-T I.371, virtual scheduling).
type pace struct{ due time.Time }

// sparse notes one more frame at now.
func (p *pace) sparse(now time.Time) bool {
	if p.due.Before(now) {
		p.due = now
	}
	ahead := p.due.Sub(now)
	if ahead < sparseMost*sparseEvery {
		p.due = p.due.Add(sparseEvery)
	}
	return ahead < sparseBurst*sparseEvery
}
