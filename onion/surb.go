package onion

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"tunic/chain"
)

// SURB is a single-use reply block: whoever holds it can send one message back
// to its maker without learning who or where that is. A second use is refused
// as a replay by the first node.
//
//	first node 4 | header | payload key 32
//
// Its length is its geometry's SURBSize.
type SURB []byte

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
		return nil, SURBKeys{}, ErrVersion
	}
	s := make(SURB, g.SURBSize())
	keys := SURBKeys{geometry: g, layers: len(path)}
	last := slot{Routing: Routing{Kind: Client, Token: token, SURB: id}}
	if err := g.fillHeader(s.header(), &keys.wide, nil, rand, &genesis, expiry, path, last); err != nil {
		return nil, SURBKeys{}, err
	}
	if _, err := io.ReadFull(rand, keys.payload[:]); err != nil {
		return nil, SURBKeys{}, fmt.Errorf("read randomness: %w", err)
	}
	binary.BigEndian.PutUint32(s, path[0].Index)
	copy(s[len(s)-keySize:], keys.payload[:])
	return s, keys, nil
}

// ParseSURB reads a reply block, which must be exactly as long as those of its
// geometry: ErrVersion, ErrSize. What else could be wrong with it only the nodes
// of its path can see. It keeps no part of b.
func ParseSURB(b []byte) (SURB, error) {
	if len(b) < SURBSize {
		return nil, ErrSize
	}
	switch g := Geometry(b[4]); {
	case g.PayloadSize() == 0:
		return nil, ErrVersion
	case len(b) != g.SURBSize():
		return nil, ErrSize
	}
	return bytes.Clone(b), nil
}

// Geometry is the one that the answer will have; that of a reply block of
// another length than its geometry's is none.
func (s SURB) Geometry() Geometry {
	if len(s) > 4 && len(s) == Geometry(s[4]).SURBSize() {
		return Geometry(s[4])
	}
	return 0
}

// First is the node that the answer is to be sent to, an index into the list of
// the epoch that the SURB was made in.
func (s SURB) First() uint32 { return binary.BigEndian.Uint32(s) }

func (s SURB) header() []byte { return s[4 : len(s)-keySize] }

// Reply returns a packet that carries message to the maker of the SURB, to be
// sent to the node first. A node answers by a SURB once and then forgets it.
func (s SURB) Reply(message []byte) (first uint32, packet []byte, err error) {
	g := s.Geometry()
	if g.PayloadSize() == 0 {
		return 0, nil, ErrVersion
	}
	packet = make([]byte, g.PacketSize())
	payload := packet[copy(packet, s.header()):]
	if err := fillPayload(payload, message); err != nil {
		return 0, nil, err
	}
	seal(payload, s[len(s)-keySize:])
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
