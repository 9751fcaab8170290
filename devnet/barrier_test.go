package devnet_test

import (
	"testing"
	"time"

	"tunic/devnet"
)

// Before the clock moves on, whatever relays sent has arrived: of honest relays
// every probe comes back in the block in which it left, whoever was scheduled
// first. Clients poll meanwhile and do not keep the network from resting.
func TestPacketsRestBeforeTheNextBlock(t *testing.T) {
	ctx := within(t, time.Minute)
	net, err := devnet.Start(ctx, devnet.Spec{Relays: 8, Clients: 1, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer net.Close()
	var sent uint64
	for range 4 {
		if err := net.AdvanceEpochs(ctx, 1); err != nil {
			t.Fatal(err)
		}
		sent = 0
		for _, r := range net.Relays {
			p := r.Daemon.Status().Probing
			if p.Sent != p.Back {
				t.Errorf("%s: %d of %d probes came back", r.Name(), p.Back, p.Sent)
			}
			sent += p.Sent
		}
	}
	if sent == 0 {
		t.Error("nobody probed")
	}
}
