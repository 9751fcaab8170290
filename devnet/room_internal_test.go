package devnet

import "testing"

func TestLinksEach(t *testing.T) {
	for _, c := range []struct {
		relays      int
		descriptors uint64
		want        int
	}{
		{200, 20_000, 81}, {200, 1 << 20, 4096}, {200, 1024, leastLinks}, {5, 1024, 86}, {1, 1 << 63, 4096}, {0, 0, leastLinks}, {1000, 1 << 20, 1032},
	} {
		if got := linksEach(c.relays, c.descriptors); got != c.want {
			t.Errorf("%d relays, %d descriptors: %d links, want %d", c.relays, c.descriptors, got, c.want)
		}
	}
	if descriptors() == 0 {
		t.Error("no descriptors")
	}
}
