package onion

import (
	"crypto/subtle"
	"fmt"
	"io"
	"math"

	"github.com/cloudflare/circl/dh/x25519"

	"tunic/chain"
)

// Hop is one node of a path as its sender knows it from the directory.
type Hop struct {
	Index    uint32      // place in the epoch's frozen list
	Key      [32]byte    // onion key; not used in the hybrid geometry
	Hybrid   *HybridKey  // onion key, in the hybrid geometry alone
	KeyEpoch chain.Epoch // first epoch of that key
	Delay    uint32      // how long the node is asked to hold the packet, milliseconds
}

// Wrap returns a packet that carries message along path, whose last node gets
// it; it is to be sent to the first. The path has 1 to MaxLayers nodes, the
// message at most MaxMessage bytes. It reads 32 bytes of randomness for each
// node and 64 for each slot that the path does not use; in the hybrid geometry 64
// and 1,152.
func (g Geometry) Wrap(rand io.Reader, genesis chain.Hash, expiry chain.Epoch, path []Hop, message []byte) ([]byte, error) {
	packet, _, err := g.WrapTagged(rand, genesis, expiry, path, message)
	return packet, err
}

// WrapTagged is Wrap for a sender that has to know by which tags the path's
// nodes will see the packet: tags[i] is that of node i.
func (g Geometry) WrapTagged(rand io.Reader, genesis chain.Hash, expiry chain.Epoch, path []Hop, message []byte) (packet []byte, tags []Tag, err error) {
	if g.PayloadSize() == 0 {
		return nil, nil, ErrVersion
	}
	packet = make([]byte, g.PacketSize())
	payload := packet[g.HeaderSize():]
	if err := fillPayload(payload, message); err != nil {
		return nil, nil, err
	}
	var keys wideKeys
	defer clear(keys[:])
	last := slot{Routing: Routing{Kind: Deliver}}
	tags = make([]Tag, len(path))
	if err := g.fillHeader(packet[:g.HeaderSize()], &keys, tags, rand, &genesis, expiry, path, last); err != nil {
		return nil, nil, err
	}
	for i := len(path) - 1; i >= 0; i-- {
		seal(payload, keys[i][:])
	}
	return packet, tags, nil
}

// Tags are the tags of the packet that Wrap makes with the same randomness,
// without making it: who knows a packet's randomness knows whom it met. Of rand
// it reads the bytes for each node alone. The path is not of the hybrid geometry.
func Tags(rand io.Reader, genesis chain.Hash, path []Hop) ([]Tag, error) {
	if len(path) < 1 || len(path) > MaxLayers {
		return nil, fmt.Errorf("%w: %d layers, %d at most", ErrPath, len(path), MaxLayers)
	}
	tags := make([]Tag, len(path))
	var kem [keySize]byte
	l := layer{kem: kem[:]}
	defer func() { l.secrets = secrets{} }()
	for i := range path {
		if err := l.draw(Small, rand, &genesis, &path[i]); err != nil {
			return nil, err
		}
		tags[i] = l.tag
	}
	return tags, nil
}

// wideKeys are the keys of the payload's layers, first hop first.
type wideKeys [MaxLayers][32]byte

// layer is what a sender keeps of one layer while it builds a header.
type layer struct {
	secrets
	kem []byte // ephemeral key or ciphertext
	pad []byte // the whole key stream
}

// fillHeader builds the header for the path's first node into header and leaves
// the keys for the payload in keys, and in tags, one for each node unless nil,
// by what the nodes will know it. The path ends with the slot last.
func (g Geometry) fillHeader(header []byte, keys *wideKeys, tags []Tag, rand io.Reader, genesis *chain.Hash,
	expiry chain.Epoch, path []Hop, last slot) error {
	n := len(path)
	if n < 1 || n > MaxLayers {
		return fmt.Errorf("%w: %d layers, %d at most", ErrPath, n, MaxLayers)
	}
	if expiry > math.MaxUint32 {
		return fmt.Errorf("%w: expiry epoch %d does not fit", ErrPath, expiry)
	}
	kemSize, size, routingSize := g.kemSize(), g.SlotSize(), g.RoutingSize()
	offMAC, offRouting := g.offMAC(), g.offRouting()
	// Small enough for the stack in the geometries where speed matters most.
	var fixed [MaxLayers * (keySize + RoutingSize + SlotSize)]byte
	space := fixed[:]
	if need := n * (kemSize + routingSize + size); need > len(space) {
		space = make([]byte, need)
	}
	var layers [MaxLayers]layer
	defer func() {
		for i := range layers {
			layers[i].secrets = secrets{}
			clear(layers[i].pad)
		}
	}()
	for i := range path {
		l := &layers[i]
		l.kem, space = space[:kemSize], space[kemSize:]
		l.pad, space = space[:routingSize+size], space[routingSize+size:]
		if err := l.draw(g, rand, genesis, &path[i]); err != nil {
			return err
		}
		newStream(&l.stream).XORKeyStream(l.pad, l.pad)
		keys[i] = l.wide
		if tags != nil {
			tags[i] = l.tag
		}
	}

	// The innermost routing part: the last slot, then randomness where a
	// longer path would have slots, then the filler, which only the hops'
	// streams have touched. Zeros instead of randomness would tell the last
	// node how long the path was.
	routing := header[offRouting:]
	used := routingSize - (n-1)*size
	if _, err := io.ReadFull(rand, routing[lastSlot:used]); err != nil {
		return fmt.Errorf("read randomness: %w", err)
	}
	filler := routing[used:]
	clear(filler)
	for i := range n - 1 {
		f := filler[:(i+1)*size]
		subtle.XORBytes(f, f, layers[i].pad[routingSize-i*size:])
	}

	sl := last
	sl.Expiry = expiry
	for i := n - 1; i >= 0; i-- {
		l := &layers[i]
		sl.Delay = path[i].Delay
		sl.encode((*[lastSlot]byte)(routing))
		end := routingSize
		if i == n-1 {
			end = used
		}
		subtle.XORBytes(routing[:end], routing[:end], l.pad[:end])
		header[0] = byte(g)
		header[offSelector] = Selector(path[i].KeyEpoch)
		copy(header[offKEM:offMAC], l.kem)
		g.setMAC(header, &l.mac)
		if i == 0 {
			break
		}
		sl = slot{
			Routing:  Routing{Kind: Forward, NextIndex: path[i].Index, Expiry: expiry},
			selector: Selector(path[i].KeyEpoch),
		}
		copy(routing[size:], routing[:routingSize-size])
		copy(routing[slotBody:size], header[offKEM:offRouting])
	}
	return nil
}

// draw makes a fresh ephemeral key or ciphertext for one hop into l.kem and
// derives what follows from it. It reads 32 bytes, or 64.
func (l *layer) draw(g Geometry, rand io.Reader, genesis *chain.Hash, h *Hop) error {
	if g == Hybrid {
		return l.drawHybrid(rand, genesis, h)
	}
	var private, shared x25519.Key
	defer clear(private[:])
	defer clear(shared[:])
	if _, err := io.ReadFull(rand, private[:]); err != nil {
		return fmt.Errorf("read randomness: %w", err)
	}
	x25519.KeyGen((*x25519.Key)(l.kem), &private)
	if !x25519.Shared(&shared, &private, (*x25519.Key)(&h.Key)) {
		return fmt.Errorf("%w: key of node %d", ErrZeroSecret, h.Index)
	}
	l.derive(kdfLabel, (*[32]byte)(&shared), genesis, h.KeyEpoch, h.Key[:], l.kem)
	return nil
}
