package devnet_test

import (
	"context"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/devnet"
	"tunic/ledger/machine"
)

// After each of two reverts by one name every relay goes on in the new fork:
// it heartbeats there, stays listed, and is not taken for one that equivocates.
func TestRelaysGoOnAfterRevert(t *testing.T) {
	for name, live := range map[string]bool{"driven": false, "live": true} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			net, err := devnet.Start(ctx, devnet.Spec{Relays: 6, Seed: 5, Live: live})
			if err != nil {
				t.Fatal(err)
			}
			defer net.Close()
			if err := net.AdvanceEpochs(ctx, 2); err != nil {
				t.Fatal(err)
			}
			base, err := net.Ledger.Snapshot("base")
			if err != nil {
				t.Fatal(err)
			}
			for fork := uint32(1); fork <= 2; fork++ {
				if err := net.AdvanceEpochs(ctx, 3); err != nil {
					t.Fatal(err)
				}
				if err := net.Revert(ctx, "base"); err != nil {
					t.Fatal(err)
				}
				if h := net.Ledger.Head().Header; h.Fork != fork || h.Height < base.Height+1 || !live && h.Time != base.Time {
					t.Fatalf("%+v", h)
				}
				if err := net.AdvanceEpochs(ctx, 3); err != nil {
					t.Fatal(err)
				}
				if h := net.Ledger.Head().Header; h.DirCount != 6 || len(h.Removals) != 0 {
					t.Fatalf("fork %d: %d relays are listed, %d removed", fork, h.DirCount, len(h.Removals))
				}
				beats := map[chain.NodeID]bool{}
				for h := base.Height + 1; h <= net.Ledger.Head().Header.Height; h++ {
					b, err := net.Ledger.Block(h)
					if err != nil {
						t.Fatal(err)
					}
					for _, raw := range b.Txs {
						tx, err := chain.DecodeTx(raw)
						if err != nil || tx.Kind != chain.KindPublish {
							continue
						}
						if st, err := statement.Decode(tx.Payload); err == nil && st.Fork == fork && st.Label == statement.LabelHeartbeat {
							beats[st.Node] = true
						}
					}
				}
				if len(beats) != 6 {
					t.Fatalf("fork %d: %d relays heartbeat", fork, len(beats))
				}
				net.Ledger.View(func(m *machine.Machine) {
					for _, r := range m.Slashing().All() {
						t.Errorf("fork %d: %s slashed", fork, r.Node.Short())
					}
					if err := m.Check(); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}
