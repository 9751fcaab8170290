package onion_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	. "tunic/onion"
)

func commas(n int) string {
	if n >= 1000 {
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	}
	return strconv.Itoa(n)
}

// TestSpec holds the numbers of docs/spec/onion.md: the table of sizes, and the
// offsets below the boxes.
func TestSpec(t *testing.T) {
	b, err := os.ReadFile("../docs/spec/onion.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	all := []Geometry{Small, Large, Hybrid}
	row := func(name string, size func(Geometry) int) {
		t.Helper()
		cells := []string{"| " + name}
		for _, g := range all {
			cells = append(cells, commas(size(g)))
		}
		if want := strings.Join(cells, " | ") + " |"; !strings.Contains(page, want) {
			t.Errorf("the page has not:\n%s", want)
		}
	}
	kem := func(g Geometry) int { return g.SlotSize() - 32 }
	row("key or ciphertext of a layer", kem)
	row("slot that forwards", Geometry.SlotSize)
	row("slot that ends the path", func(Geometry) int { return 64 })
	row("encrypted routing", Geometry.RoutingSize)
	row("header", Geometry.HeaderSize)
	row("payload", Geometry.PayloadSize)
	row("packet", Geometry.PacketSize)
	row("message, at most", Geometry.MaxMessage)
	row("reply block", Geometry.SURBSize)

	// Each field's offset stands below its bar; the last is the whole.
	box := func(title, offsets string, sizes ...int) {
		t.Helper()
		at := 0
		want := []string{"0"}
		for _, n := range sizes {
			at += n
			want = append(want, commas(at))
		}
		for line := range strings.Lines(page) {
			if strings.Join(strings.Fields(strings.TrimPrefix(line, offsets)), " ") == strings.Join(want, " ") {
				return
			}
		}
		t.Errorf("%s: no line with the offsets %q", title, want)
	}
	for _, g := range []Geometry{Small, Hybrid} {
		box("header", "", 1, 1, kem(g), 16, g.RoutingSize())
		box("reply block", "block", 4, g.HeaderSize(), 32)
	}
	box("slot", "", 1, 1, 4, 4, 4, 2, 48)
	box("hybrid slot", "", 1, 1, 4, 4, 4, 2, 1120, 16)
	box("last slot", "slot", 16, 48)
	if g := []byte{byte(Small), byte(Large), byte(Hybrid)}; !strings.Contains(page, fmt.Sprintf("0x%x small, 0x%x large, 0x%x hybrid", g[0], g[1], g[2])) {
		t.Errorf("the page has not the geometry bytes %x", g)
	}
}
