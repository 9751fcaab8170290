package devnet

import (
	"errors"
	"strings"
	"testing"

	"tunic/relay"
)

// A relay that has nothing to do accounts for every packet, or the network says
// which one does not, and says so once more when it is closed.
func TestUnaccountedPacketsAreToldOf(t *testing.T) {
	r := &Relay{Index: 2}
	all := relay.Counters{In: 15, Forwarded: 5, Delivered: 4, ToClient: 3, Probes: 1, Dropped: map[string]uint64{"link": 2}}
	if err := r.settled(all); err != nil {
		t.Errorf("balanced: %v", err)
	}
	var last error
	for what, change := range map[string]func(*relay.Counters){
		"one that came is nowhere":  func(c *relay.Counters) { c.In++ },
		"one is counted twice":      func(c *relay.Counters) { c.Forwarded++ },
		"one waits and nobody does": func(c *relay.Counters) { c.In++; c.Waiting++ },
	} {
		c := all
		change(&c)
		if last = r.settled(c); !errors.Is(last, ErrCounters) || !strings.Contains(last.Error(), "relay-3") {
			t.Errorf("%s: %v", what, last)
		}
	}
	n := &Network{cancel: func() {}, down: make(chan struct{})}
	if err := n.Close(); err != nil {
		t.Errorf("closed: %v", err)
	}
	n.fail(last)
	if err := n.Close(); !errors.Is(err, ErrCounters) {
		t.Errorf("closed with packets that are not accounted for: %v", err)
	}
}
