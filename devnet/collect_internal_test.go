package devnet

import "testing"

// Small heaps may double; large ones grow by a quarter.
func TestGrowth(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		relays int
		live   uint64
		want   int
	}{
		{200, 0, 100}, {200, 366 * mib, 100}, {200, 488 * mib, 50}, {200, 700 * mib, 25}, {200, 1 << 40, 25},
		{5, 20 * mib, 100}, {0, 20 * mib, 60}, {-1, 20 * mib, 60},
	} {
		if got := growth(c.relays, c.live); got != c.want {
			t.Errorf("%d relays, %d MiB live: %d, want %d", c.relays, c.live/mib, got, c.want)
		}
	}
}
