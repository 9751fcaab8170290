package link

import (
	"testing"
	"time"
)

func TestPaceOfALink(t *testing.T) {
	var p Pace
	now := time.Unix(1_000_000, 0)
	burst := 0
	for p.Sparse(now) {
		burst++
	}
	if burst != sparseBurst {
		t.Fatalf("%d at once", burst)
	}
	// Who keeps to the rate sends now and then for ever.
	p = Pace{}
	for i := range 10_000 {
		if !p.Sparse(now.Add(time.Duration(i) * sparseEvery)) {
			t.Fatalf("packet %d of a link that keeps to the rate", i)
		}
	}
	// A flood is one throughout, and remembered for a bounded time.
	p = Pace{}
	n := 0
	for i := range 100_000 {
		if p.Sparse(now.Add(time.Duration(i) * sparseEvery / 4)) {
			n++
		}
	}
	if n > 2*sparseBurst {
		t.Fatalf("%d packets of a flood", n)
	}
	end := now.Add(100_000 * sparseEvery / 4)
	if p.Sparse(end) || !p.Sparse(end.Add((sparseMost+1)*sparseEvery)) {
		t.Fatal("the end of a flood comes at once, or never")
	}
}
