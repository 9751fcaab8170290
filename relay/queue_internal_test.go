package relay

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
)

// named makes packets that say whose they are.
func named(name byte, i int) *[]byte { b := []byte{name, byte(i)}; return &b }

// serve takes n packets and returns whose they were, in order; junk says which
// are.
func serve(q *fairQueue, n int, junk func([]byte) bool) (names []byte) {
	var from *lane
	bad := false
	for range n {
		l, p, _ := q.take(from, bad)
		from, bad = l, junk != nil && junk(*p)
		names = append(names, (*p)[0])
	}
	return names
}

func share(names []byte, of byte) int {
	n := 0
	for _, x := range names {
		if x == of {
			n++
		}
	}
	return n
}

func TestLanesTakeTurns(t *testing.T) {
	q := newFairQueue(1024)
	a, b := newLane(), newLane()
	for i := range 40 {
		q.put(a, named('a', i), ofRelays, false)
	}
	for i := range 8 {
		q.put(b, named('b', i), ofRelays, false)
	}
	if got := string(serve(q, 24, nil)); got != "aaaabbbbaaaabbbbaaaaaaaa" {
		t.Fatal(got)
	}
	// Whoever had nothing waiting comes first, but not again and again.
	var got []byte
	for range 12 {
		q.put(b, named('b', 0), ofRelays, false)
		got = append(got, serve(q, 1, nil)...)
		if b.n == 0 {
			got = append(got, serve(q, 1, nil)...)
		}
	}
	if got[0] != 'b' || share(got, 'b') > len(got)/2+1 {
		t.Fatalf("%s", got)
	}
}

func TestLanePacketsKeepTheirOrder(t *testing.T) {
	q := newFairQueue(1 << 20)
	rng := rand.New(rand.NewPCG(5, 6))
	lanes := []*lane{newLane(), newLane(), newLane()}
	put, got := make([]byte, 3), make([]byte, 3)
	waiting := 0
	for range 20_000 {
		if waiting == 0 || rng.IntN(2) == 0 {
			k := rng.IntN(3)
			if q.put(lanes[k], named(byte(k), int(put[k])), k%classes, false) == queued {
				put[k]++
				waiting++
			}
			continue
		}
		_, p, _ := q.take(nil, false)
		waiting--
		if k := (*p)[0]; (*p)[1] != got[k] {
			t.Fatalf("lane %d: packet %d, want %d", k, (*p)[1], got[k])
		} else {
			got[k]++
		}
	}
}

// A crowd of clients does not keep relays' packets waiting, nor a relay theirs.
func TestClassesTakeTurns(t *testing.T) {
	q := newFairQueue(1024)
	crowd := make([]*lane, 100)
	for i := range crowd {
		crowd[i] = newLane()
		for range 4 {
			q.put(crowd[i], named('c', i), ofOthers, false)
		}
	}
	r := newLane()
	for i := range 20 {
		q.put(r, named('r', i), ofRelays, false)
	}
	if got := serve(q, 40, nil); share(got, 'r') != 20 {
		t.Fatalf("%s", got)
	}
}

// A link that sends junk has a smaller share, until it sends other packets.
func TestJunkHasASmallerShare(t *testing.T) {
	q := newFairQueue(1 << 12)
	good, bad := newLane(), newLane()
	fill := func() {
		for good.n < 32 {
			q.put(good, named('g', 0), ofRelays, false)
		}
		for bad.n < 32 {
			q.put(bad, named('b', 0), ofRelays, false)
		}
	}
	shares := func(junk func([]byte) bool) int {
		n := 0
		for range 40 {
			fill()
			n += share(serve(q, 20, junk), 'b')
		}
		return n
	}
	if n := shares(nil); n < 360 || n > 440 {
		t.Fatalf("%d of 800 without junk", n)
	}
	junk := func(p []byte) bool { return p[0] == 'b' }
	shares(junk)
	if n := shares(junk); n < 120 || n > 200 {
		t.Fatalf("%d of 800 are a link's with junk, a fifth is its share", n)
	}
	shares(nil)
	if n := shares(nil); n < 360 || n > 440 {
		t.Fatalf("%d of 800 after the junk", n)
	}
}

func TestQueueIsBounded(t *testing.T) {
	const limit = 256
	q := newFairQueue(limit)
	flood := newLane()
	for q.put(flood, named('f', 0), ofRelays, false) == queued {
	}
	if flood.n != laneMost {
		t.Fatalf("%d packets of one link", flood.n)
	}
	total := flood.n
	for i := range 200 {
		l := newLane()
		for q.put(l, named('x', i), i%classes, false) == queued {
		}
		if l.n < laneLeast || l.n > laneMost {
			t.Fatalf("link %d: %d packets", i, l.n)
		}
		total += l.n
	}
	if total > limit+laneLeast*201 {
		t.Fatalf("%d packets wait", total)
	}
	if others := q.classes[ofOthers].n; others > limit/2+laneLeast*100 {
		t.Fatalf("%d packets of others wait", others)
	}
	left := 0
	q.close(func(*[]byte) { left++ })
	if left != total {
		t.Fatalf("%d of %d were left", left, total)
	}
	if q.put(flood, named('f', 0), ofRelays, true) != stopped {
		t.Fatal("a closed queue takes packets")
	}
	if _, _, ok := q.take(nil, false); ok {
		t.Fatal("a closed queue gives packets")
	}
}

// A link that may wait loses nothing, and goes on when half of its packets are
// through; closing wakes it, and workers.
func TestLinksWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newFairQueue(1024)
		l := newLane()
		sent, end := 0, verdict(99)
		go func() {
			for end = queued; end == queued; {
				if end = q.put(l, named('a', sent), ofRelays, true); end == queued {
					sent++
				}
			}
		}()
		synctest.Wait()
		if sent != laneMost {
			t.Fatalf("%d were taken", sent)
		}
		serve(q, laneMost/2-1, nil)
		synctest.Wait()
		if sent != laneMost {
			t.Fatal("goes on for a single packet")
		}
		serve(q, 1, nil)
		synctest.Wait()
		if sent != laneMost+laneMost/2 {
			t.Fatalf("%d were taken", sent)
		}
		var got []byte
		other := newLane()
		go func() {
			for {
				_, p, ok := q.take(nil, false)
				if !ok {
					return
				}
				got = append(got, (*p)[0])
				if len(got) == 500 {
					q.close(func(*[]byte) {})
				}
			}
		}()
		synctest.Wait()
		if end != stopped || len(got) != 500 || slices.Contains(got, 'b') || other.n != 0 {
			t.Fatal(end, len(got))
		}
	})
}

func BenchmarkFairQueue(b *testing.B) {
	q := newFairQueue(1024)
	lanes := make([]*lane, 16)
	for i := range lanes {
		lanes[i] = newLane()
	}
	packet := named('a', 0)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		q.put(lanes[i%16], packet, ofRelays, false)
		i++
		q.take(nil, false)
	}
}
