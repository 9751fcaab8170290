package onion

import (
	"fmt"

	"github.com/cloudflare/circl/kem/xwing"
)

// Geometry is the size class of a network's packets, one for the whole network,
// and at the same time a packet's first byte: the format's version in the high
// four bits, the class in the low four. The zero Geometry is none.
type Geometry uint8

const (
	// Small carries 2 KiB of payload.
	Small Geometry = 0x11
	// Large carries 32 KiB of payload.
	Large Geometry = 0x12
	// Hybrid carries 32 KiB of payload and holds its layers' keys against
	// quantum computers too: each layer has an X-Wing ciphertext where the
	// others have an X25519 key. No genesis can choose it yet.
	Hybrid Geometry = 0x13
)

// What all geometries have in common, in bytes where it is a size.
const (
	MaxHops   = 5           // relays that forward
	MaxLayers = MaxHops + 1 // and the node that ends the path

	TagSize    = 32 // the zeros in front of a payload, not the replay tag
	lengthSize = 4
	keySize    = 32
	macSize    = 16
)

// Sizes of the geometries whose layers have an X25519 key, Small and Large.
// What has to serve Hybrid too asks the Geometry.
const (
	SlotSize    = slotBody + keySize + macSize
	RoutingSize = MaxHops*SlotSize + lastSlot
	HeaderSize  = offKEM + keySize + macSize + RoutingSize

	// SURBSize is the length of a reply block: where to send it, the header
	// and the key of the payload.
	SURBSize = 4 + HeaderSize + keySize
)

// Offsets in a header: geometry, selector, then the layer's ephemeral key or
// ciphertext (kemSize), the MAC (offMAC) and the routing part (offRouting).
const (
	offSelector = 1
	offKEM      = 2
)

// ParseGeometry reads "small", "large" or "hybrid".
func ParseGeometry(s string) (Geometry, error) {
	for _, g := range []Geometry{Small, Large, Hybrid} {
		if s == g.String() {
			return g, nil
		}
	}
	return 0, fmt.Errorf("%w: %.20q is none of small, large and hybrid", ErrVersion, s)
}

func (g Geometry) String() string {
	switch g {
	case Small:
		return "small"
	case Large:
		return "large"
	case Hybrid:
		return "hybrid"
	}
	return "none"
}

// PayloadSize is the length of the payload, 0 for a Geometry that is none.
func (g Geometry) PayloadSize() int {
	switch g {
	case Small:
		return 2 << 10
	case Large, Hybrid:
		return 32 << 10
	}
	return 0
}

// kemSize is the length of what a header carries for its node to derive the
// layer's keys from.
func (g Geometry) kemSize() int {
	if g == Hybrid {
		return xwing.CiphertextSize
	}
	return keySize
}

func (g Geometry) offMAC() int     { return offKEM + g.kemSize() }
func (g Geometry) offRouting() int { return offKEM + g.kemSize() + macSize }

// SlotSize is the length of the slot of a node that forwards.
func (g Geometry) SlotSize() int { return slotBody + g.kemSize() + macSize }

// RoutingSize is the length of the encrypted routing part.
func (g Geometry) RoutingSize() int { return MaxHops*g.SlotSize() + lastSlot }

// HeaderSize is the length of a header.
func (g Geometry) HeaderSize() int { return g.offRouting() + g.RoutingSize() }

// SURBSize is the length of a reply block.
func (g Geometry) SURBSize() int { return 4 + g.HeaderSize() + keySize }

// PacketSize is the length of a packet: header and payload.
func (g Geometry) PacketSize() int { return g.HeaderSize() + g.PayloadSize() }

// MaxMessage is the length of the longest message that fits into one packet.
func (g Geometry) MaxMessage() int { return max(0, g.PayloadSize()-TagSize-lengthSize) }
