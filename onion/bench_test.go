package onion_test

import (
	"testing"

	"github.com/cloudflare/circl/dh/x25519"
	"github.com/cloudflare/circl/kem/xwing"

	. "tunic/onion"
)

func BenchmarkX25519(b *testing.B) {
	var shared, private, public x25519.Key
	private[0] = 9
	x25519.KeyGen(&public, &private)
	for b.Loop() {
		x25519.Shared(&shared, &private, &public)
	}
}

func BenchmarkXWing(b *testing.B) {
	private, public, err := xwing.GenerateKeyPair(seeded("bench"))
	if err != nil {
		b.Fatal(err)
	}
	var shared [32]byte
	var ciphertext [1120]byte
	public.EncapsulateTo(ciphertext[:], shared[:], make([]byte, 64))
	for b.Loop() {
		private.DecapsulateTo(shared[:], ciphertext[:])
	}
}

func BenchmarkPeel(b *testing.B) {
	for _, g := range []Geometry{Small, Large, Hybrid} {
		b.Run(g.String(), func(b *testing.B) {
			rand := seeded("bench")
			r := newRoute(b, g, rand, 4)
			packet := r.wrap(b, rand, make([]byte, 1000))
			keys := r.table(b, 0)
			work := make([]byte, len(packet))
			b.ReportAllocs()
			b.SetBytes(int64(len(packet)))
			for b.Loop() {
				copy(work, packet)
				o, err := keys.OpenHeader(work)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := o.Finish(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrap(b *testing.B) {
	for _, g := range []Geometry{Small, Large, Hybrid} {
		b.Run(g.String(), func(b *testing.B) {
			rand := seeded("bench")
			r := newRoute(b, g, rand, 4)
			msg := make([]byte, 1000)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Wrap(rand, genesis, expiry, r.hops, msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
