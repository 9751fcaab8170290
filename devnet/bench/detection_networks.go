package bench

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"tunic/chain"
	"tunic/devnet"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/registry/probe"
)

// detectionRelays is the size of the networks that are run, and that of those of
// which most are simulated.
const detectionRelays = 12

// MeasuredDrop is one network in which a relay drops a share of what it should
// send.
type MeasuredDrop struct {
	Drop      chain.Permille `json:"drop_permille"`
	Seed      uint64         `json:"seed"`
	Epochs    int            `json:"epochs"` // as those of DropFigures; 0: not within the horizon
	OthersOut int            `json:"others_out"`
	// OthersLowest is the worst performance of any other relay.
	OthersLowest chain.Permille `json:"others_lowest"`
}

// MeasuredLoss is one network in which links of an honest relay lose packets,
// over the horizon.
type MeasuredLoss struct {
	Loss   chain.Permille `json:"loss_permille"`
	Links  int            `json:"links"` // of one relay
	Seed   uint64         `json:"seed"`
	Epochs int            `json:"epochs"`
	Out    int            `json:"out"`    // relays that were decommissioned
	Lowest chain.Permille `json:"lowest"` // performance of any relay
}

// measuredLoss is the loss of the links that are measured.
const measuredLoss chain.Permille = 20

// networks are the jobs that run relays and a ledger: packets, probes,
// commitments and votes.
func (r *DetectionResult) networks(opts *DetectionOptions) (jobs []func(context.Context) error) {
	var mu sync.Mutex
	for seed := uint64(1); seed <= uint64(opts.Seeds); seed++ {
		for _, drop := range opts.Measured {
			jobs = append(jobs, func(ctx context.Context) error {
				m, err := measureDrop(ctx, drop, seed)
				if err != nil {
					return fmt.Errorf("network of seed %d, %d permille dropped: %w", seed, drop, err)
				}
				mu.Lock()
				defer mu.Unlock()
				r.Measured = append(r.Measured, m)
				slices.SortFunc(r.Measured, func(a, b MeasuredDrop) int {
					return cmp.Or(cmp.Compare(a.Drop, b.Drop), cmp.Compare(a.Seed, b.Seed))
				})
				return nil
			})
		}
		for _, links := range []int{1, detectionRelays - 1} {
			jobs = append(jobs, func(ctx context.Context) error {
				m, err := measureLoss(ctx, measuredLoss, links, seed)
				if err != nil {
					return fmt.Errorf("network of seed %d, %d lossy links: %w", seed, links, err)
				}
				mu.Lock()
				defer mu.Unlock()
				r.Lossy = append(r.Lossy, m)
				slices.SortFunc(r.Lossy, func(a, b MeasuredLoss) int {
					return cmp.Or(a.Links-b.Links, cmp.Compare(a.Seed, b.Seed))
				})
				return nil
			})
		}
	}
	return jobs
}

func measureDrop(ctx context.Context, drop chain.Permille, seed uint64) (MeasuredDrop, error) {
	m := MeasuredDrop{Drop: drop, Seed: seed, OthersLowest: 1000}
	net, err := devnet.Start(ctx, devnet.Spec{Relays: detectionRelays, Seed: seed})
	if err != nil {
		return m, err
	}
	defer net.Close()
	// The relay begins between two epochs: probes of the one before are over in
	// its first three quarters.
	begin := probe.First + DetectionHonest
	if err := net.Ledger.AdvanceTo(ctx, net.Genesis.EpochStart(begin)-1); err != nil {
		return m, err
	}
	bad := net.Relays[seed%detectionRelays]
	bad.Twin.Drop(chain.BasisPoints(drop) * 10)
	out := map[chain.NodeID]bool{}
	for range DetectionHorizon + 1 {
		if err := net.AdvanceEpochs(ctx, 1); err != nil {
			return m, err
		}
		for id, n := range relaysOf(net) {
			if n.State != registry.Active {
				out[id] = true
			}
			if id != bad.ID {
				m.OthersLowest = min(m.OthersLowest, n.Performance)
			}
		}
		if out[bad.ID] {
			m.Epochs = int(net.Ledger.Head().Header.DirEpoch - begin)
			break
		}
	}
	delete(out, bad.ID)
	m.OthersOut = len(out)
	return m, nil
}

func measureLoss(ctx context.Context, loss chain.Permille, links int, seed uint64) (MeasuredLoss, error) {
	m := MeasuredLoss{Loss: loss, Links: links, Seed: seed, Lowest: 1000}
	net, err := devnet.Start(ctx, devnet.Spec{Relays: detectionRelays, Seed: seed})
	if err != nil {
		return m, err
	}
	defer net.Close()
	honest := int(seed % detectionRelays)
	for k := 1; k <= links; k++ {
		net.Lose(honest, (honest+k)%detectionRelays, chain.BasisPoints(loss)*10)
	}
	out := map[chain.NodeID]bool{}
	for ; m.Epochs < DetectionHorizon; m.Epochs++ {
		if err := net.AdvanceEpochs(ctx, 1); err != nil {
			return m, err
		}
		for id, n := range relaysOf(net) {
			if n.State != registry.Active {
				out[id] = true
			}
			m.Lowest = min(m.Lowest, n.Performance)
		}
	}
	m.Out = len(out)
	return m, nil
}

// relaysOf are the relays of a network as its ledger knows them.
func relaysOf(net *devnet.Network) map[chain.NodeID]registry.Node {
	out := make(map[chain.NodeID]registry.Node, len(net.Relays))
	net.Ledger.View(func(m *machine.Machine) {
		for _, r := range net.Relays {
			out[r.ID], _ = m.Registry().Node(r.ID)
		}
	})
	return out
}
