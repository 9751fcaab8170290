package httpx

import (
	"net/netip"
	"sync"
)

// Slots bound how many of something, such as event streams, run at once: in all,
// and for each client, that is each IPv4 address and each IPv6 /64. Loopback has
// no share but the whole: a network on one machine has all its nodes there. It
// is safe for concurrent use.
type Slots struct {
	all, each int

	mu    sync.Mutex
	taken int
	by    map[netip.Addr]int // no entry at zero
}

// NewSlots lets all run at once, and no more than each for one client; 0 for no
// bound of that kind.
func NewSlots(all, each int) *Slots { return &Slots{all: all, each: each, by: map[netip.Addr]int{}} }

// SlotsTaken is what Take found.
type SlotsTaken uint8

// The outcomes of Take.
const (
	SlotFree       SlotsTaken = iota // it was taken; to be given back
	SlotsFull                        // all are taken
	SlotsShareFull                   // those of this client are
)

// Take takes a slot for addr, which Release gives back.
func (s *Slots) Take(addr netip.Addr) SlotsTaken {
	addr = clientKey(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.all > 0 && s.taken >= s.all:
		return SlotsFull
	case s.each > 0 && !addr.IsLoopback() && s.by[addr] >= s.each:
		return SlotsShareFull
	}
	s.taken++
	s.by[addr]++
	return SlotFree
}

// Release gives back a slot that Take gave addr.
func (s *Slots) Release(addr netip.Addr) {
	addr = clientKey(addr)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.by[addr]--; s.by[addr] <= 0 {
		delete(s.by, addr)
	}
}
