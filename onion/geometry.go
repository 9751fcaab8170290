package onion

import "fmt"

// Geometry is the size class of a network's packets, one for the whole network,
// and at the same time a packet's first byte: the format's version in the high
// four bits, the class in the low four. The zero Geometry is none.
type Geometry uint8

const (
	// Small carries 2 KiB of payload.
	Small Geometry = 0x11
	// Large carries 32 KiB of payload.
	Large Geometry = 0x12
)

// What both geometries have in common, in bytes where it is a size.
const (
	MaxHops   = 5           // relays that forward
	MaxLayers = MaxHops + 1 // and the node that ends the path

	SlotSize    = 64
	RoutingSize = MaxLayers * SlotSize
	HeaderSize  = offRouting + RoutingSize
	TagSize     = 32 // the zeros in front of a payload, not the replay tag
	lengthSize  = 4

	// SURBSize is the length of a reply block: where to send it, the header
	// and the key of the payload.
	SURBSize = 4 + HeaderSize + keySize
)

// Offsets in a header.
const (
	offSelector  = 1
	offEphemeral = 2
	offMAC       = offEphemeral + keySize
	offRouting   = offMAC + macSize

	keySize = 32
	macSize = 16
)

// ParseGeometry reads "small" or "large".
func ParseGeometry(s string) (Geometry, error) {
	switch s {
	case "small":
		return Small, nil
	case "large":
		return Large, nil
	}
	return 0, fmt.Errorf("%w: %.20q is neither small nor large", ErrVersion, s)
}

func (g Geometry) String() string {
	switch g {
	case Small:
		return "small"
	case Large:
		return "large"
	}
	return "none"
}

// PayloadSize is the length of the payload, 0 for a Geometry that is none.
func (g Geometry) PayloadSize() int {
	switch g {
	case Small:
		return 2 << 10
	case Large:
		return 32 << 10
	}
	return 0
}

// PacketSize is the length of a packet: header and payload.
func (g Geometry) PacketSize() int { return HeaderSize + g.PayloadSize() }

// MaxMessage is the length of the longest message that fits into one packet.
func (g Geometry) MaxMessage() int { return max(0, g.PayloadSize()-TagSize-lengthSize) }
