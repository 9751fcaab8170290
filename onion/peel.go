package onion

import (
	"github.com/cloudflare/circl/dh/x25519"

	"tunic/chain"
)

// Opened is a packet whose header was opened and whose payload was not touched
// yet. It holds the packet's bytes and a secret; Finish wipes the secret.
type Opened struct {
	Routing
	Tag      Tag         // for the replay check
	KeyEpoch chain.Epoch // first epoch of the key that the packet was made for: the tag expires with it

	packet []byte
	wide   [32]byte
}

// OpenHeader takes the node's layer off the header of packet, in place, and
// leaves the payload alone, so that the replay check comes before the work on
// the payload. It asks in this order:
//
//	ErrSize        is it as long as this network's packets?
//	ErrVersion     does it begin with this network's version and geometry?
//	ErrUnknownKey  does the node hold the key that it selects?
//	ErrZeroSecret  is the shared secret something other than zeros?
//	ErrMAC         is the header, filler included, what the sender made?
//	ErrRouting     is the routing slot well formed?
//
// The Opened owns packet from here on. A packet that was refused is to be
// dropped; its bytes may have changed.
func (t *Keys) OpenHeader(packet []byte) (Opened, error) {
	if len(packet) != t.geometry.PacketSize() {
		return Opened{}, ErrSize
	}
	if packet[0] != byte(t.geometry) {
		return Opened{}, ErrVersion
	}
	key := t.find(packet[offSelector])
	if key == nil {
		return Opened{}, ErrUnknownKey
	}
	g := t.geometry
	offMAC, offRouting := g.offMAC(), g.offRouting()
	header := packet[:g.HeaderSize()]
	ephemeral := header[offKEM:offMAC]
	var s secrets
	if key.hybrid != nil {
		s.openHybrid(key, &t.genesis, ephemeral)
	} else {
		var shared x25519.Key
		if !x25519.Shared(&shared, (*x25519.Key)(&key.private), (*x25519.Key)(ephemeral)) {
			return Opened{}, ErrZeroSecret
		}
		s.derive(kdfLabel, (*[32]byte)(&shared), &t.genesis, key.first, key.public[:], ephemeral)
		clear(shared[:])
	}
	if !g.checkMAC(header, &s.mac) {
		return Opened{}, ErrMAC
	}

	// The routing part moves up by one slot; what moves in at its end is the
	// stream itself, which is what the sender's filler foresaw.
	stream := newStream(&s.stream)
	routing := header[offRouting:]
	stream.XORKeyStream(routing, routing)
	var sl slot
	if err := sl.decode((*[lastSlot]byte)(routing)); err != nil {
		return Opened{}, err
	}
	size := g.SlotSize()
	header[offSelector] = sl.selector
	copy(header[offKEM:offRouting], routing[slotBody:size]) // next key or ciphertext, next MAC
	copy(routing, routing[size:])
	tail := routing[len(routing)-size:]
	clear(tail)
	stream.XORKeyStream(tail, tail)

	o := Opened{Routing: sl.Routing, Tag: s.tag, KeyEpoch: key.first, packet: packet, wide: s.wide}
	clear(s.mac[:])
	clear(s.stream[:])
	clear(s.wide[:])
	return o, nil
}

// Finish takes the node's layer off the payload, in place, and returns a part
// of the packet's bytes:
//
//	Forward  the whole packet, to be sent to the node NextIndex after Delay
//	Deliver  the message, or ErrPayload
//	Client   the payload, for the client to open with SURBKeys.Open
//
// It can be called once; after that it returns ErrFinished.
func (o *Opened) Finish() ([]byte, error) {
	if o.packet == nil {
		return nil, ErrFinished
	}
	packet := o.packet
	o.packet = nil
	payload := packet[Geometry(packet[0]).HeaderSize():len(packet):len(packet)]

	// The cipher keeps its key slice. Lending it the place of the next
	// ephemeral key leaves no copy of the key behind, and none on the heap.
	lent := packet[offKEM : offKEM+keySize]
	next := [keySize]byte(lent)
	copy(lent, o.wide[:])
	clear(o.wide[:])
	open(payload, lent)
	copy(lent, next[:])
	switch o.Kind {
	case Forward:
		return packet, nil
	case Client:
		return payload, nil
	}
	return message(payload)
}
