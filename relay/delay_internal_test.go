package relay

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tunic/onion"
)

// Packets leave at their time, each once, whatever the order they came in, and
// one that comes later but is due before all others wakes the queue.
func TestDelaysAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newDelayQueue(1 << 14)
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		type gone struct{ want, at time.Duration }
		var left []gone
		dropped := 0
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			q.run(ctx, func(h held) { left = append(left, gone{h.at.Sub(start), time.Since(start)}) }, func(held) { dropped++ })
		}()
		rng := rand.New(rand.NewPCG(7, 8))
		const n = 5000
		for range n {
			q.put(held{at: time.Now().Add(time.Duration(rng.Int64N(int64(time.Second)))), packet: new([]byte)})
			if rng.IntN(10) == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		q.put(held{at: time.Now().Add(time.Hour), packet: new([]byte)})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(left) != n {
			t.Fatalf("%d of %d left", len(left), n)
		}
		for _, g := range left {
			if g.at != g.want {
				t.Fatalf("due after %v, left after %v", g.want, g.at)
			}
		}
		cancel()
		<-ended
		if dropped != 1 {
			t.Fatalf("%d dropped at the end", dropped)
		}
		if ok, stopped := q.put(held{}); ok || !stopped {
			t.Fatal("takes packets after its end")
		}
	})
}

// A new directory makes those due that wait for it, and no others.
func TestHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newDelayQueue(100)
		var early, other atomic.Int64
		go q.run(t.Context(), func(h held) {
			if h.early != nil {
				early.Add(1)
			} else {
				other.Add(1)
			}
		}, func(held) {})
		for i := range 60 {
			h := held{at: time.Now().Add(time.Duration(1+i) * time.Minute), packet: new([]byte)}
			if i%3 == 1 {
				h.early = new(onion.Routing)
			}
			q.put(h)
		}
		q.hurry()
		synctest.Wait()
		if early.Load() != 20 || other.Load() != 0 {
			t.Fatalf("%d early ones left, %d others", early.Load(), other.Load())
		}
		time.Sleep(30*time.Minute + time.Second)
		synctest.Wait()
		if other.Load() != 20 {
			t.Fatalf("%d others left in half an hour", other.Load())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if early.Load()+other.Load() != 60 {
			t.Fatal("some stayed")
		}
	})
}

func TestDelayQueueIsBounded(t *testing.T) {
	q := newDelayQueue(3)
	for i := range 5 {
		if ok, stopped := q.put(held{at: time.Now().Add(time.Hour)}); ok != (i < 3) || stopped {
			t.Fatalf("packet %d: %v", i, ok)
		}
	}
	// Slots are used again.
	for range 100 {
		q.mu.Lock()
		q.pop()
		q.mu.Unlock()
		if ok, _ := q.put(held{at: time.Now().Add(time.Hour)}); !ok {
			t.Fatal("no room")
		}
	}
	if len(q.slots) != 3 || len(q.heap) != 3 {
		t.Fatalf("%d slots for %d packets", len(q.slots), len(q.heap))
	}
}

// BenchmarkDelayQueue is one packet in and one out, with so many held.
func BenchmarkDelayQueue(b *testing.B) {
	for _, n := range []int{16, 1 << 10, 1 << 14} {
		b.Run(map[int]string{16: "16", 1 << 10: "1k", 1 << 14: "16k"}[n], func(b *testing.B) {
			q := newDelayQueue(n + 1)
			rng := rand.New(rand.NewPCG(9, 10))
			now := time.Now()
			put := func() {
				q.put(held{at: now.Add(time.Duration(rng.ExpFloat64() * float64(100*time.Millisecond)))})
			}
			for range n {
				put()
			}
			b.ReportAllocs()
			for b.Loop() {
				put()
				q.mu.Lock()
				h := q.pop()
				q.mu.Unlock()
				now = h.at
			}
		})
	}
}

// BenchmarkDelayQueueContended is packets held by several workers at once while
// the queue lets them go.
func BenchmarkDelayQueueContended(b *testing.B) {
	q := newDelayQueue(1 << 14)
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { q.run(ctx, func(held) {}, func(held) {}) })
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		rng := rand.New(rand.NewPCG(11, 12))
		for pb.Next() {
			q.put(held{at: time.Now().Add(time.Duration(rng.ExpFloat64() * float64(time.Millisecond)))})
		}
	})
	cancel()
	wg.Wait()
}
