package devnet

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Memory is scarcer than time where many nodes share a process, but for so much it
// is there: up to heapBase and heapEach for every relay the heap may double before
// it is collected; beyond that it grows by a quarter. What a process holds is about
// a third more.
const (
	heapBase    = 32 << 20
	heapEach    = 7 << 19
	leastGrowth = 25 // percent
	mostGrowth  = 100
	collectLook = time.Second
)

// Collect sets how this process, which is a network of that many relays and nothing
// else, collects garbage, and follows what lives in it until ctx ends; then all is
// as it was.
func Collect(ctx context.Context, relays int) {
	set := mostGrowth
	before := debug.SetGCPercent(set)
	defer func() { debug.SetGCPercent(before) }()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(collectLook)
	defer tick.Stop()
	for {
		metrics.Read(live)
		if want := growth(relays, live[0].Value.Uint64()); want < set || want > set+set/10 {
			set = want
			debug.SetGCPercent(set)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// growth is for debug.SetGCPercent, where that many bytes of the heap live.
func growth(relays int, live uint64) int {
	room := heapBase + heapEach*uint64(max(0, relays))
	switch {
	case live*2 <= room:
		return mostGrowth
	case live >= room:
		return leastGrowth
	}
	return max(leastGrowth, int((room-live)*100/live))
}
