package relay

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceOfALink(t *testing.T) {
	var p pace
	now := time.Unix(1_000_000, 0)
	burst := 0
	for p.sparse(now) {
		burst++
	}
	if burst != sparseBurst {
		t.Fatalf("%d at once", burst)
	}
	// Who keeps to the rate sends now and then for ever.
	p = pace{}
	for i := range 10_000 {
		if !p.sparse(now.Add(time.Duration(i) * sparseEvery)) {
			t.Fatalf("packet %d of a link that keeps to the rate", i)
		}
	}
	// A flood is one throughout, and remembered for a bounded time.
	p = pace{}
	n := 0
	for i := range 100_000 {
		if p.sparse(now.Add(time.Duration(i) * sparseEvery / 4)) {
			n++
		}
	}
	if n > 2*sparseBurst {
		t.Fatalf("%d packets of a flood", n)
	}
	end := now.Add(100_000 * sparseEvery / 4)
	if p.sparse(end) || !p.sparse(end.Add((sparseMost+1)*sparseEvery)) {
		t.Fatal("the end of a flood comes at once, or never")
	}
}

func TestReadersWorkAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAtOnce(5)
		if !a.begin() || !a.begin() || a.begin() {
			t.Fatal("not half as many as there are workers")
		}
		a.end()
		if !a.begin() {
			t.Fatal("nobody may begin after another's end")
		}
		closed := false
		go func() { a.close(); closed = true }()
		synctest.Wait()
		a.end()
		synctest.Wait()
		if closed {
			t.Fatal("closed while a reader works")
		}
		a.end()
		synctest.Wait()
		if !closed || a.begin() {
			t.Fatal("not closed")
		}
	})
}
