package onion

import (
	"encoding/binary"

	"tunic/chain"
)

// Kind says what becomes of a packet at a node; it is the slot's flags byte, of
// which exactly one bit is set.
type Kind uint8

const (
	// Forward: another node follows.
	Forward Kind = 1
	// Deliver: the payload is for this node.
	Deliver Kind = 2
	// Client: the payload is an answer, for a client connected to this node.
	Client Kind = 4
)

func (k Kind) String() string {
	switch k {
	case Forward:
		return "forward"
	case Deliver:
		return "deliver"
	case Client:
		return "client"
	}
	return "none"
}

// Token names a connection to the guard that a reply comes out of. The client
// and its guard agree on it.
type Token [16]byte

// SURBID names a reply block to the client that made it.
type SURBID [16]byte

// Routing is what a layer's header tells its node.
type Routing struct {
	Kind      Kind
	NextIndex uint32      // Forward: the next node's place in the frozen list of epoch Directory
	Delay     uint32      // how long to hold the packet, milliseconds
	Expiry    chain.Epoch // last epoch in which the packet may be handled
	Token     Token       // Client only
	SURB      SURBID      // Client only
}

// Expired returns ErrExpired if now is after the packet's last epoch.
func (r *Routing) Expired(now chain.Epoch) error {
	if now > r.Expiry {
		return ErrExpired
	}
	return nil
}

// ExpiryOf is the expiry epoch of every packet whose path was chosen from the
// directory of the given epoch. All senders use this one rule: an expiry of
// one's own would mark a packet.
func ExpiryOf(directory chain.Epoch) chain.Epoch { return directory + 1 }

// Directory is the epoch whose frozen list NextIndex counts in: ExpiryOf backwards.
func (r *Routing) Directory() chain.Epoch {
	if r.Expiry == 0 {
		return 0
	}
	return r.Expiry - 1
}

// slot is a routing slot in plain, but for the body of one that forwards, which
// is the next header's key or ciphertext and MAC as they stand there.
type slot struct {
	Routing
	selector byte // of the next node's key
}

// Offsets in a slot.
const (
	slotSelector = 1
	slotIndex    = 2
	slotDelay    = 6
	slotExpiry   = 10
	slotReserved = 14
	slotBody     = 16
	slotBodyEnd2 = slotBody + 32 // end of token and SURB id
	lastSlot     = 64            // length of a slot that ends the path
)

// encode writes the first 64 bytes of a slot, but for the body of one that
// forwards, which it leaves as it is.
func (s *slot) encode(b *[lastSlot]byte) {
	clear(b[:slotBody])
	b[0], b[slotSelector] = byte(s.Kind), s.selector
	binary.BigEndian.PutUint32(b[slotIndex:], s.NextIndex)
	binary.BigEndian.PutUint32(b[slotDelay:], s.Delay)
	binary.BigEndian.PutUint32(b[slotExpiry:], uint32(s.Expiry))
	if s.Kind == Forward {
		return
	}
	clear(b[slotBody:])
	if s.Kind == Client {
		copy(b[slotBody:], s.Token[:])
		copy(b[slotBody+len(s.Token):], s.SURB[:])
	}
}

// decode refuses every slot that encode would not have written.
func (s *slot) decode(b *[lastSlot]byte) error {
	*s = slot{selector: b[slotSelector]}
	s.Kind = Kind(b[0])
	s.NextIndex = binary.BigEndian.Uint32(b[slotIndex:])
	s.Delay = binary.BigEndian.Uint32(b[slotDelay:])
	s.Expiry = chain.Epoch(binary.BigEndian.Uint32(b[slotExpiry:]))
	if b[slotReserved] != 0 || b[slotReserved+1] != 0 {
		return ErrRouting
	}
	last := s.selector == 0 && s.NextIndex == 0
	switch s.Kind {
	case Forward:
		return nil
	case Deliver:
		if last && zero(b[slotBody:]) {
			return nil
		}
	case Client:
		copy(s.Token[:], b[slotBody:])
		copy(s.SURB[:], b[slotBody+len(s.Token):])
		if last && zero(b[slotBodyEnd2:]) {
			return nil
		}
	}
	return ErrRouting
}

// zero reports whether b is all zeros, in time that depends on its length alone.
func zero(b []byte) bool {
	var acc byte
	for _, v := range b {
		acc |= v
	}
	return acc == 0
}
