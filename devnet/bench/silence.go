package bench

import (
	"context"
	"fmt"
	"time"

	"tunic/chain"
	"tunic/devnet"
	"tunic/ledger/machine"
	"tunic/registry"
)

// SilenceGoal is how long Silence may take.
const SilenceGoal = 5 * time.Second

// SilenceFigures are of one relay that falls silent in a fresh dev network, until
// it is deregistered and its stake locked.
type SilenceFigures struct {
	Relays      int     `json:"relays"`
	StartMS     int64   `json:"start_ms"` // until every relay is listed
	AdvanceMS   int64   `json:"advance_ms"`
	WallMS      int64   `json:"wall_ms"` // of both
	GoalMS      int64   `json:"goal_ms"`
	Ratio       float64 `json:"ratio"` // wall clock over goal
	Epochs      int     `json:"epochs"`
	SimulatedMS int64   `json:"simulated_ms"` // from its last word to deregistration
	OutMS       int64   `json:"out_ms"`       // of these, until it was decommissioned; 0 where it went straight out
}

// Silence starts a network of relays, stops one of them, and advances until the
// others have judged it out.
func Silence(ctx context.Context, relays int) (SilenceFigures, error) {
	f := SilenceFigures{Relays: relays, GoalMS: SilenceGoal.Milliseconds()}
	if err := f.measure(ctx); err != nil {
		return f, fmt.Errorf("measure silence: %w", err)
	}
	return f, nil
}

func (f *SilenceFigures) measure(ctx context.Context) error {
	begin := time.Now()
	net, err := devnet.Start(ctx, devnet.Spec{Relays: f.Relays, Seed: 1})
	if err != nil {
		return err
	}
	defer net.Close()
	start := time.Since(begin)
	silent := net.Relays[f.Relays-1]
	if err := net.StopRelay(ctx, silent.Index); err != nil {
		return err
	}
	first := net.Ledger.Head().Header
	// Its heartbeat ages, its credit is used up, and votes are counted epochs
	// later: with twice that and some epochs more it is not coming.
	prm := net.Genesis.Params
	end := first.Time + 2*chain.Time(prm.HeartbeatValid+prm.CreditMost) + 16*chain.Time(prm.EpochLength)
	var n registry.Node
	var locked chain.Time
	for n.State != registry.Deregistered {
		if net.Ledger.Head().Header.Time >= end {
			return fmt.Errorf("%s is %s still, %d ms after its last word", silent.Name(), n.State, end-first.Time)
		}
		if err := net.AdvanceEpochs(ctx, 1); err != nil {
			return err
		}
		net.Ledger.View(func(m *machine.Machine) {
			n, _ = m.Registry().Node(silent.ID)
			bond, _ := m.Staking().Bond(silent.ID)
			locked = bond.LockedUntil
		})
		if n.State == registry.Decommissioned && f.OutMS == 0 {
			f.OutMS = int64(net.Ledger.Head().Header.Time - first.Time)
		}
	}
	wall, last := time.Since(begin), net.Ledger.Head().Header
	if locked <= last.Time {
		return fmt.Errorf("%s is deregistered, and its stake is not locked", silent.Name())
	}
	f.StartMS, f.AdvanceMS, f.WallMS = start.Milliseconds(), (wall - start).Milliseconds(), wall.Milliseconds()
	f.Ratio = float64(wall) / float64(SilenceGoal)
	f.Epochs, f.SimulatedMS = int(last.DirEpoch-first.DirEpoch), int64(last.Time-first.Time)
	return nil
}
