package relay

import "time"

// A link that sends now and then has its packets peeled by the goroutine that
// reads it: nothing has to be woken, and no worker to come back from a flood.

// What is now and then: so many packets in a row, and one each sparseEvery for
// longer than that, some hundredths of a core. Who sent more is behind by at most
// sparseMost, and has to send less for as long.
const (
	sparseEvery = 2 * time.Millisecond
	sparseBurst = 8
	sparseMost  = 64
)

// pace says whether a link sends now and then (ITU-T I.371, virtual scheduling).
type pace struct{ due time.Time }

// sparse notes one more packet at now.
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

// atOnce is how many packets may be worked on by the readers of their links at a
// time: a token for each. It knows no lock that a worker could hold when the system
// takes the processor from it.
type atOnce chan struct{}

// newAtOnce leaves half of what so many workers do to those who wait.
func newAtOnce(workers int) atOnce { return make(atOnce, max(1, workers/2)) }

// begin reports whether the caller may work on a packet itself; it says with end
// that it is done.
func (a atOnce) begin() bool {
	select {
	case a <- struct{}{}:
		return true
	default:
		return false
	}
}

func (a atOnce) end() { <-a }

// close lets nobody begin any more, and waits for those who have.
func (a atOnce) close() {
	for range cap(a) {
		a <- struct{}{}
	}
}
