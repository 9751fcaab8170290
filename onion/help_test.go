package onion_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"io"
	"testing"

	"tunic/chain"
	. "tunic/onion"
)

// seeded is an endless stream that a seed decides: AES-256 in counter mode.
func seeded(seed string) io.Reader {
	key := sha256.Sum256([]byte(seed))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err)
	}
	return cipher.StreamReader{S: cipher.NewCTR(block, make([]byte, aes.BlockSize)), R: zeros{}}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

var genesis = chain.SHA256([]byte("genesis of the onion tests"))

const expiry chain.Epoch = 1001

// route is a path with the private side of every node on it.
type route struct {
	hops []Hop
	keys []*Key
	geo  Geometry
}

// newRoute makes n nodes, each with its own index, delay and key epoch.
func newRoute(t testing.TB, g Geometry, rand io.Reader, n int) *route {
	t.Helper()
	r := &route{geo: g}
	for i := range n {
		draw := NewKey
		if g == Hybrid {
			draw = NewHybridKey
		}
		k, err := draw(rand, chain.Epoch(980+i))
		if err != nil {
			t.Fatal(err)
		}
		r.keys = append(r.keys, k)
		r.hops = append(r.hops, Hop{Index: uint32(100 + 7*i), Key: k.Public(), KeyEpoch: k.FirstEpoch(), Delay: uint32(10 * (i + 1)), Hybrid: k.Hybrid()})
	}
	return r
}

// table is what node i holds: its key and one other.
func (r *route) table(t testing.TB, i int) *Keys {
	t.Helper()
	load := LoadKey
	if r.geo == Hybrid {
		load = LoadHybridKey
	}
	other := load([32]byte{1: byte(i), 2: 1}, 900)
	keys, err := NewKeys(r.geo, genesis, other, r.keys[i])
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// tables are those of all nodes.
func (r *route) tables(t testing.TB) (all []*Keys) {
	for i := range r.keys {
		all = append(all, r.table(t, i))
	}
	return all
}

// wrap wraps msg for the whole route.
func (r *route) wrap(t testing.TB, rand io.Reader, msg []byte) []byte {
	t.Helper()
	packet, err := r.geo.Wrap(rand, genesis, expiry, r.hops, msg)
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// peel takes the layers from..to-1 off a copy of packet.
func peel(t testing.TB, tables []*Keys, packet []byte, from, to int) []byte {
	t.Helper()
	packet = append([]byte(nil), packet...)
	for i := from; i < to; i++ {
		o, err := tables[i].OpenHeader(packet)
		if err != nil {
			t.Fatalf("layer %d: %v", i, err)
		}
		if packet, err = o.Finish(); err != nil {
			t.Fatalf("layer %d: %v", i, err)
		}
	}
	return packet
}
