package link

import "sync/atomic"

// Reason says why a frame or a link was given up.
type Reason uint8

const (
	// QueueFull: a bounded queue had no room for the frame.
	QueueFull Reason = iota
	// NoEndpoint: the resolver did not know the peer.
	NoEndpoint
	// DialFailed: the peer could not be reached, or is not tried again yet.
	DialFailed
	// BadFrame: a malformed frame arrived or was to be sent.
	BadFrame
	// RateLimited: an anonymous link sent faster than it may.
	RateLimited
	// Unadmitted: an anonymous link had not solved its puzzle.
	Unadmitted
	// Unsent: the link closed with the frame still in its queue.
	Unsent
	// BadHandshake: an incoming connection was junk, silent or a stranger to
	// the protocol. Counts connections, not frames.
	BadHandshake
	// OverLimit: a link was refused, or closed, because there were too many.
	// Counts links, not frames.
	OverLimit
	reasons
)

var reasonNames = [reasons]string{
	"queue-full", "no-endpoint", "dial-failed", "bad-frame", "rate-limited",
	"unadmitted", "unsent", "bad-handshake", "over-limit",
}

func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}

// Reasons lists every reason, in order.
func Reasons() []Reason {
	out := make([]Reason, reasons)
	for i := range out {
		out[i] = Reason(i)
	}
	return out
}

// Stats counts what the links of one node did. It holds totals only, nothing
// about a peer. The zero value is ready; one Stats may serve a transport and
// the pool above it.
type Stats struct {
	framesIn, framesOut atomic.Uint64
	opened, closed      atomic.Uint64
	dropped             [reasons]atomic.Uint64
}

// FramesIn is how many frames arrived, those dropped for a limit included.
func (s *Stats) FramesIn() uint64 { return s.framesIn.Load() }

// FramesOut is how many frames were queued on a link.
func (s *Stats) FramesOut() uint64 { return s.framesOut.Load() }

// Links is how many links a pool has opened or accepted, and how many of them
// are closed again.
func (s *Stats) Links() (opened, closed uint64) { return s.opened.Load(), s.closed.Load() }

// Dropped is how often r happened.
func (s *Stats) Dropped(r Reason) uint64 {
	if r >= reasons {
		return 0
	}
	return s.dropped[r].Load()
}

func (s *Stats) drop(r Reason, n int) { s.dropped[r].Add(uint64(n)) }
