package httpx_test

import (
	"fmt"
	"net/netip"
	"testing"

	"tunic/internal/httpx"
)

func TestSlots(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	same, loop := netip.MustParseAddr("2001:db8::ffff"), netip.MustParseAddr("127.0.0.9")
	s := httpx.NewSlots(6, 2)
	take := func(addr netip.Addr, want httpx.SlotsTaken) {
		t.Helper()
		if got := s.Take(addr); got != want {
			t.Fatalf("%s: %d, want %d", addr, got, want)
		}
	}
	take(a, httpx.SlotFree)
	take(a, httpx.SlotFree)
	take(a, httpx.SlotsShareFull)
	take(b, httpx.SlotFree)
	take(same, httpx.SlotFree)
	take(b, httpx.SlotsShareFull) // the same /64
	take(loop, httpx.SlotFree)
	take(loop, httpx.SlotFree)
	take(loop, httpx.SlotsFull)
	take(a, httpx.SlotsFull)
	s.Release(a)
	take(a, httpx.SlotFree)
	s.Release(loop)
	take(loop, httpx.SlotFree)
	// What was given back is forgotten, whoever had it.
	s = httpx.NewSlots(1, 1)
	for i := range 100 {
		x := netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", i))
		take(x, httpx.SlotFree)
		take(x, httpx.SlotsFull)
		s.Release(x)
	}
	s = httpx.NewSlots(0, 0)
	for range 100 {
		take(a, httpx.SlotFree)
	}
}
