package directory_test

import (
	"testing"

	"tunic/chain"
	"tunic/registry/directory"
)

func TestQuorum(t *testing.T) {
	var subject chain.NodeID
	for _, n := range []int{0, 1, 5, 12, 13, 2000} {
		places := directory.DrawQuorum(chain.Hash{1}, subject, n)
		seen := map[int]bool{}
		for _, p := range places {
			if p < 0 || p >= n || seen[p] {
				t.Fatalf("of %d: %v", n, places)
			}
			seen[p] = true
		}
		if len(places) != min(n, directory.MaxDrawn) {
			t.Errorf("of %d: %d places", n, len(places))
		}
	}
	// Every place is drawn about equally often.
	const n, draws = 40, 4000
	hits := make([]int, n)
	for i := range draws {
		for _, p := range directory.DrawQuorum(chain.SHA256([]byte{byte(i), byte(i >> 8)}), subject, n) {
			hits[p]++
		}
	}
	for p, h := range hits {
		if want := draws * directory.MaxDrawn / n; h < want*3/4 || h > want*5/4 {
			t.Errorf("place %d: drawn %d times, want about %d", p, h, want)
		}
	}
}

func TestSeats(t *testing.T) {
	var drawn []directory.Entry
	for i := range 12 {
		// Nodes 0 to 3 are of one operator.
		drawn = append(drawn, directory.Entry{Node: chain.NodeID{byte(i)}, Operator: chain.Address{byte(max(i, 3))}})
	}
	got := directory.Seats(drawn, 10)
	if len(got) != 9 || got[0] != (chain.NodeID{0}) || got[1] != (chain.NodeID{4}) {
		t.Error(got)
	}
	if got := directory.Seats(drawn[3:], 5); len(got) != 5 {
		t.Error(got)
	}
}

func TestVotesNeeded(t *testing.T) {
	for _, c := range [][2]int{{0, 0}, {3, 0}, {4, 3}, {5, 4}, {6, 4}, {7, 5}, {8, 6}, {9, 6}, {10, 7}, {11, 7}} {
		if got := directory.VotesNeeded(c[0], 10, 7); got != c[1] {
			t.Errorf("of %d: %d, want %d", c[0], got, c[1])
		}
	}
}
