package onion

import (
	"io"

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
	var shared [32]byte
	var s secrets
	if k.hybrid != nil {
		k.hybrid.private.DecapsulateTo(shared[:], ephemeral)
		s.openHybrid(k, &genesis, ephemeral)
	} else {
		x25519.Shared((*x25519.Key)(&shared), (*x25519.Key)(&k.private), (*x25519.Key)(ephemeral))
		s.derive(kdfLabel, &shared, &genesis, k.first, k.public[:], ephemeral)
	}
	return Derived{shared, s.mac, s.stream, s.wide, s.tag}
}

// DecodeSlot reads a routing slot and returns how it would be written.
func DecodeSlot(b [SlotSize]byte) (again [SlotSize]byte, err error) {
	var s slot
	if err := s.decode(&b); err != nil {
		return again, err
	}
	if s.Kind == Forward {
		copy(again[slotBody:], b[slotBody:]) // is not the slot's to read
	}
	s.encode(&again)
	return again, nil
}

// WrapSlot builds a packet like Wrap whose last slot is b as it stands, so that
// tests can send an authentic header with a malformed slot.
func (g Geometry) WrapSlot(node *Key, genesis chain.Hash, seed io.Reader, b [SlotSize]byte) []byte {
	packet := make([]byte, g.PacketSize())
	header := packet[:g.HeaderSize()]
	l := layer{kem: header[offKEM:g.offMAC()]}
	if err := l.draw(g, seed, &genesis, &Hop{Key: node.Public(), Hybrid: node.Hybrid(), KeyEpoch: node.first}); err != nil {
		panic(err)
	}
	header[0], header[1] = byte(g), Selector(node.first)
	routing := header[g.offRouting():]
	copy(routing, b[:])
	newStream(&l.stream).XORKeyStream(routing, routing)
	g.setMAC(header, &l.mac)
	return packet
}

// OpenWide and SealWide are the payload's cipher.
func OpenWide(payload []byte, key [32]byte) { open(payload, key[:]) }
func SealWide(payload []byte, key [32]byte) { seal(payload, key[:]) }
