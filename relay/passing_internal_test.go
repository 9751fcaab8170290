package relay

import (
	"testing"
	"time"
)

func TestPassingIsLimited(t *testing.T) {
	var p passing
	now := time.Unix(1000, 0)
	for i := range passBurst {
		if !p.allow(now) {
			t.Fatalf("no %d of a burst is held back", i+1)
		}
	}
	if p.allow(now) || p.allow(now.Add(passEvery/2)) {
		t.Fatal("more than a burst at once")
	}
	now = now.Add(passEvery)
	if !p.allow(now) || p.allow(now) {
		t.Fatal("a second gives one")
	}
	now = now.Add(1000 * passEvery)
	for range passBurst {
		if !p.allow(now) {
			t.Fatal("a long pause gives back the burst")
		}
	}
	if p.allow(now) {
		t.Fatal("a long pause gives back more")
	}
}
