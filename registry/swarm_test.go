package registry

import (
	"testing"

	"pgregory.net/rapid"

	"tunic/chain"
	"tunic/registry/directory"
)

// Who is in a swarm stays; the rest evens the sizes out as far as it can.
func TestPlaceIsSticky(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(1, 5).Draw(t, "count")
		current := make([]directory.SwarmID, rapid.IntRange(0, 40).Draw(t, "nodes"))
		before := make([]int, count)
		for i := range current {
			current[i] = directory.SwarmID(rapid.IntRange(0, 7).Draw(t, "swarm"))
			if current[i] == 7 {
				current[i] = directory.NoSwarm
			}
			if uint64(current[i]) < uint64(count) {
				before[current[i]]++
			}
		}
		seed := chain.SHA256([]byte{rapid.Byte().Draw(t, "seed")})
		next := place(current, count, seed)
		after := make([]int, count)
		for i := range next {
			if uint64(current[i]) < uint64(count) && next[i] != current[i] {
				t.Fatal("displaced without need")
			}
			after[next[i]]++
		}
		// A swarm that took somebody is at most one larger than the smallest.
		for s := range after {
			for o := range after {
				if after[s] > before[s] && after[s] > after[o]+1 {
					t.Fatalf("sizes %v, were %v", after, before)
				}
			}
		}
	})
}
