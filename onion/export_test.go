package onion

import (
	"github.com/cloudflare/circl/dh/x25519"

	"tunic/chain"
)

// Derived is what the vectors show of one layer.
type Derived struct {
	Shared, MAC, Stream, Wide [32]byte
	Tag                       Tag
}

// Derive gives a layer's secrets as its node computes them.
func Derive(k *Key, genesis chain.Hash, ephemeral []byte) Derived {
	var shared x25519.Key
	x25519.Shared(&shared, &k.private, (*x25519.Key)(ephemeral))
	var s secrets
	s.derive(&shared, &genesis, k.first, k.public[:], ephemeral)
	return Derived{shared, s.mac, s.stream, s.wide, s.tag}
}

// DecodeSlot reads a routing slot and returns how it would be written.
func DecodeSlot(b [SlotSize]byte) (again [SlotSize]byte, err error) {
	var s slot
	if err := s.decode(&b); err != nil {
		return again, err
	}
	s.encode(&again)
	return again, nil
}

// WrapSlot builds a packet like Wrap whose last slot is b as it stands, so that
// tests can send an authentic header with a malformed slot.
func (g Geometry) WrapSlot(node *Key, genesis chain.Hash, ephemeral [32]byte, b [SlotSize]byte) []byte {
	packet := make([]byte, g.PacketSize())
	header := packet[:HeaderSize]
	public := node.Public()
	private := x25519.Key(ephemeral)
	var eph, shared x25519.Key
	x25519.KeyGen(&eph, &private)
	x25519.Shared(&shared, &private, (*x25519.Key)(&public))
	var s secrets
	s.derive(&shared, &genesis, node.first, public[:], eph[:])
	header[0], header[1] = byte(g), Selector(node.first)
	copy(header[offEphemeral:], eph[:])
	copy(header[offRouting:], b[:])
	newStream(&s.stream).XORKeyStream(header[offRouting:], header[offRouting:])
	setMAC(header, &s.mac)
	return packet
}

// OpenWide and SealWide are the payload's cipher.
func OpenWide(payload []byte, key [32]byte) { open(payload, key[:]) }
func SealWide(payload []byte, key [32]byte) { seal(payload, key[:]) }
