package replay

import (
	"math/rand/v2"
	"testing"

	"tunic/onion"
)

// What a tag takes in memory hardly depends on how many there are.
func TestBytesPerTag(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{1})
	table := newTable(0)
	for n := 1; n <= 400_000; n++ {
		var tag onion.Tag
		rng.Read(tag[:])
		table.add(&tag, yes)
		if n >= 50_000 && n%10_000 == 0 {
			if b := float64(table.bytes()) / float64(n); b < 22 || b > 28 {
				t.Errorf("%d tags: %.1f bytes each", n, b)
			}
		}
	}
	t.Logf("%.1f bytes each", float64(table.bytes())/400_000)
}
