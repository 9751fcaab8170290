package onion

import (
	"encoding/binary"
	"fmt"
	"io"

	"tunic/chain"
)

// SURB is a single-use reply block: whoever holds it can send one message back
// to its maker without learning who or where that is. A second use is refused
// as a replay by the first node.
//
//	first node 4 | header HeaderSize | payload key 32
type SURB [SURBSize]byte

// SURBKeys opens the answer to one SURB. It never leaves its maker. The zero
// SURBKeys opens nothing.
type SURBKeys struct {
	geometry Geometry
	layers   int
	wide     wideKeys
	payload  [32]byte
}

// NewSURB returns a reply block for a path whose last node, the maker's guard,
// hands the payload to the client that it knows by token, under the given id,
// and the keys for the answer. It reads what Wrap reads and then 32 bytes more.
func (g Geometry) NewSURB(rand io.Reader, genesis chain.Hash, expiry chain.Epoch, path []Hop, token Token, id SURBID) (SURB, SURBKeys, error) {
	if g.PayloadSize() == 0 {
		return SURB{}, SURBKeys{}, ErrVersion
	}
	var s SURB
	keys := SURBKeys{geometry: g, layers: len(path)}
	last := slot{Routing: Routing{Kind: Client, Token: token, SURB: id}}
	if err := g.fillHeader(s.header(), &keys.wide, nil, rand, &genesis, expiry, path, last); err != nil {
		return SURB{}, SURBKeys{}, err
	}
	if _, err := io.ReadFull(rand, keys.payload[:]); err != nil {
		return SURB{}, SURBKeys{}, fmt.Errorf("read randomness: %w", err)
	}
	binary.BigEndian.PutUint32(s[:], path[0].Index)
	copy(s[4+HeaderSize:], keys.payload[:])
	return s, keys, nil
}

// ParseSURB reads a reply block from exactly SURBSize bytes. What else could be
// wrong with it only the nodes of its path can see.
func ParseSURB(b []byte) (SURB, error) {
	if len(b) != SURBSize {
		return SURB{}, ErrSize
	}
	s := SURB(b)
	if s.Geometry().PayloadSize() == 0 {
		return SURB{}, ErrVersion
	}
	return s, nil
}

// Geometry is the one that the answer will have.
func (s *SURB) Geometry() Geometry { return Geometry(s[4]) }

// First is the node that the answer is to be sent to, an index into the list of
// the epoch that the SURB was made in.
func (s *SURB) First() uint32 { return binary.BigEndian.Uint32(s[:]) }

func (s *SURB) header() []byte { return s[4 : 4+HeaderSize] }

// Reply returns a packet that carries message to the maker of the SURB, to be
// sent to the node first. A node answers by a SURB once and then forgets it.
func (s *SURB) Reply(message []byte) (first uint32, packet []byte, err error) {
	g := s.Geometry()
	if g.PayloadSize() == 0 {
		return 0, nil, ErrVersion
	}
	packet = make([]byte, g.PacketSize())
	copy(packet, s.header())
	payload := packet[HeaderSize:]
	if err := fillPayload(payload, message); err != nil {
		return 0, nil, err
	}
	seal(payload, s[4+HeaderSize:])
	return s.First(), packet, nil
}

// Open returns the message in an answer's payload, in place. ErrPayload: the
// answer was changed on its way, or answers another SURB.
//
// The nodes of the path each decrypted what never was encrypted; Open puts that
// back, last node first, and then opens what Reply sealed.
func (k *SURBKeys) Open(payload []byte) ([]byte, error) {
	if k.layers == 0 || len(payload) != k.geometry.PayloadSize() {
		return nil, ErrSize
	}
	for i := k.layers - 1; i >= 0; i-- {
		seal(payload, k.wide[i][:])
	}
	open(payload, k.payload[:])
	return message(payload)
}

// Destroy wipes the keys, once the answer is opened or no longer awaited.
func (k *SURBKeys) Destroy() { *k = SURBKeys{} }
