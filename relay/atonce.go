package relay

// A link that sends now and then (link.Pace) has its packets peeled by the goroutine
// that reads it: nothing has to be woken, and no worker to come back from a flood.

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
