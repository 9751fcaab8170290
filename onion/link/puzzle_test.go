package link

import (
	"context"
	"testing"

	"tunic/chain"
)

// The smallest answers for a guard of bytes 1 and a nonce of bytes 2.
func TestPuzzleVectors(t *testing.T) {
	var guard chain.NodeID
	var nonce [nonceSize]byte
	for i := range guard {
		guard[i] = 1
	}
	for i := range nonce {
		nonce[i] = 2
	}
	for _, c := range []struct {
		bits int
		x    uint64
	}{{0, 0}, {4, 21}, {8, 168}, {12, 4821}, {16, 28120}} {
		x, ok := solve(context.Background(), guard, nonce, c.bits)
		if !ok || x != c.x {
			t.Errorf("%d bits: %d, want %d", c.bits, x, c.x)
		}
		other := guard
		other[0]++
		if c.bits >= 8 && solves(other, nonce, x, c.bits) {
			t.Errorf("%d bits: the answer serves another guard", c.bits)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, ok := solve(ctx, guard, nonce, 64); ok {
		t.Error("solved after the end")
	}
}

func BenchmarkPuzzle(b *testing.B) {
	var guard chain.NodeID
	var nonce [nonceSize]byte
	x := uint64(0)
	for b.Loop() {
		solves(guard, nonce, x, 64)
		x++
	}
}
