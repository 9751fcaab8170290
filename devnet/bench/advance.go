package bench

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/devnet"
)

// AdvanceOptions says what Advance measures. The zero value takes about twenty
// seconds.
type AdvanceOptions struct {
	Relays   []int             // sizes of the networks; nil means 12 and 100
	Profiles []genesis.Profile // whose parameters; nil means dev and mainnet
	Least    time.Duration     // how long each network is advanced, in whole epochs; 0 means 3 s, the most is an hour
}

// AdvanceResult is what Advance measured.
type AdvanceResult struct {
	Cores   int              `json:"cores"`
	Ops     Ops              `json:"ops"`
	Figures []AdvanceFigures `json:"figures"`
	Silence *SilenceFigures  `json:"silence,omitempty"`
}

// AdvanceFigures are of one network: all relays, their ledger and its API in one
// process, nothing on disk, the clock driven.
type AdvanceFigures struct {
	Profile    genesis.Profile `json:"profile"`
	Relays     int             `json:"relays"`
	StartMS    int64           `json:"start_ms"` // until every relay is listed
	Epochs     int             `json:"epochs"`
	Blocks     int             `json:"blocks"`
	Statements int             `json:"statements"` // in these blocks
	WallMS     int64           `json:"wall_ms"`
	EpochUS    int64           `json:"epoch_us"`
	DaysPerS   float64         `json:"days_per_s"` // simulated, per second of wall clock
	// LimitMS is what the operations that nobody can leave out take on all
	// cores: each statement signed and verified once, each VRF proof made and
	// verified once, each probe wrapped and peeled once.
	LimitMS float64 `json:"limit_ms"`
	Ratio   float64 `json:"ratio"` // limit over wall clock
	// Of the wall clock: making and storing blocks, and waiting until all relays
	// have answered one.
	SealingMS int64 `json:"sealing_ms"`
	BarrierMS int64 `json:"barrier_ms"`
	// CPU says where the processor time of the run went, by samples of the
	// profiler.
	CPUMS int64   `json:"cpu_ms"`
	CPU   []Share `json:"cpu"`
}

// maxLeast bounds the time of one figure.
const maxLeast = time.Hour

// Advance measures how fast a driven clock carries whole networks through
// their epochs, with all that relays do at each step, against the signatures
// and proofs that this is made of; and where the time goes.
func Advance(ctx context.Context, opts AdvanceOptions) (AdvanceResult, error) {
	if opts.Relays == nil {
		opts.Relays = []int{12, 100}
	}
	if opts.Profiles == nil {
		opts.Profiles = []genesis.Profile{genesis.Dev, genesis.Mainnet}
	}
	if opts.Least == 0 {
		opts.Least = 3 * time.Second
	}
	if opts.Least < 0 || opts.Least > maxLeast {
		return AdvanceResult{}, fmt.Errorf("measure advance: %s for each network is out of range", opts.Least)
	}
	r := AdvanceResult{Cores: runtime.GOMAXPROCS(0)}
	for _, profile := range opts.Profiles {
		for _, relays := range opts.Relays {
			// Measured anew beside each network: other programs may come and go.
			ops, err := measureOps()
			if err != nil {
				return r, fmt.Errorf("measure advance: %w", err)
			}
			r.Ops = ops
			f, err := advance(ctx, profile, relays, opts.Least, ops)
			if err != nil {
				return r, fmt.Errorf("measure advance of %d relays with the parameters of %s: %w", relays, profile, err)
			}
			r.Figures = append(r.Figures, f)
		}
	}
	return r, nil
}

func advance(ctx context.Context, profile genesis.Profile, relays int, least time.Duration, ops Ops) (AdvanceFigures, error) {
	f := AdvanceFigures{Profile: profile, Relays: relays}
	prm, err := genesis.For(profile)
	if err != nil {
		return f, err
	}
	begin := time.Now()
	net, err := devnet.Start(ctx, devnet.Spec{Relays: relays, Seed: 1, Params: &prm})
	if err != nil {
		return f, err
	}
	defer net.Close()
	f.StartMS = time.Since(begin).Milliseconds()
	if err := net.AdvanceEpochs(ctx, 2); err != nil { // from then on each epoch is like the next
		return f, err
	}

	var profiled bytes.Buffer
	first, waited := net.Ledger.Head().Header, net.BarrierTime()
	if err := pprof.StartCPUProfile(&profiled); err != nil {
		return f, err
	}
	begin = time.Now()
	for err == nil && time.Since(begin) < least {
		err = net.AdvanceEpochs(ctx, 1)
	}
	wall := time.Since(begin)
	pprof.StopCPUProfile()
	if err != nil {
		return f, err
	}
	waited = net.BarrierTime() - waited
	last := net.Ledger.Head().Header

	work, err := countWork(net.Ledger, first.Height+1, last.Height)
	if err != nil {
		return f, err
	}
	if f.CPU, f.CPUMS, err = shares(profiled.Bytes()); err != nil {
		return f, err
	}
	f.Epochs, f.Blocks, f.Statements = int(last.DirEpoch-first.DirEpoch), int(last.Height-first.Height), work.statements
	f.WallMS, f.EpochUS = wall.Milliseconds(), wall.Microseconds()/int64(max(1, f.Epochs))
	f.BarrierMS, f.SealingMS = waited.Milliseconds(), (wall - waited).Milliseconds()
	f.DaysPerS = days(last.Time-first.Time) / wall.Seconds()
	limit := work.least(ops) / time.Duration(runtime.GOMAXPROCS(0))
	f.LimitMS, f.Ratio = float64(limit)/1e6, float64(limit)/float64(max(1, wall))
	return f, nil
}

func days(t chain.Time) float64 { return float64(t) / float64(genesis.Day) }
