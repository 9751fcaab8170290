package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/registry/probe"
)

// What Detection asks of every relay that drops packets.
const (
	// DetectionHonest is how many epochs are judged before it begins.
	DetectionHonest = 10
	// DetectionWithin is the number of epochs in which a dropper of 30 % is to be
	// found.
	DetectionWithin = 20
	// DetectionHorizon is how many epochs it is watched for.
	DetectionHorizon = 40
)

// DetectionOptions says what Detection measures. The zero value is what
// docs/spec/judgement.md shows.
type DetectionOptions struct {
	Relays   []int               // sizes of the simulated networks; nil means 12 and 100
	Drops    []chain.Permille    // simulated; nil means 5 to 100 %
	Runs     int                 // simulations of 12 relays for each rate, of larger networks as many fewer; 0 means 1,000
	Losses   []chain.Permille    // of links, simulated; nil means 0 to 10 %
	Scores   int                 // of 12 relays for each loss, of larger networks as many fewer; 0 means 200,000
	Seeds    int                 // networks for each rate that is measured; 0 means 5
	Measured []chain.Permille    // rates measured on networks of 12 relays; nil means 15, 30, 50 and 100 %
	Tell     func(done, all int) // hears of progress, one call at a time; nil: nobody does
}

// DetectionResult is how soon relays that drop packets are decommissioned, and
// how often honest ones would be.
type DetectionResult struct {
	Profile        genesis.Profile `json:"profile"`
	ScoreLeast     chain.Permille  `json:"score_least_permille"`
	ProbesPerRelay uint16          `json:"probes_per_relay"`
	ScoreWindow    uint16          `json:"score_window"`
	ScoreForgiven  uint16          `json:"score_forgiven"`
	Honest         int             `json:"honest"`  // epochs judged before a relay begins to drop
	Within         int             `json:"within"`  // epochs that found_within counts
	Horizon        int             `json:"horizon"` // epochs after which nobody waits any longer

	Simulated      []DropFigures  `json:"simulated"`       // by size, then by rate
	FalsePositives []LossFigures  `json:"false_positives"` // by size, then by loss
	Measured       []MeasuredDrop `json:"measured"`        // on real networks, by rate, then by seed
	Lossy          []MeasuredLoss `json:"lossy"`
}

// DropFigures are many simulations of one relay that drops a share of what it
// should send. Epochs are counted from the first in which it drops to the one in
// whose first block it is decommissioned; 0: not within the horizon.
type DropFigures struct {
	Relays      int            `json:"relays"`
	Drop        chain.Permille `json:"drop_permille"`
	Runs        int            `json:"runs"`
	Found       int            `json:"found"`
	FoundWithin int            `json:"found_within"`
	OneOfTen    int            `json:"one_of_ten"` // epochs in which a tenth of the runs find it
	Median      int            `json:"median"`
	NineOfTen   int            `json:"nine_of_ten"`
}

// LossFigures are the scores of an honest relay whose links, all of them and both
// ways, lose a share of the packets.
type LossFigures struct {
	Relays int            `json:"relays"`
	Loss   chain.Permille `json:"loss_permille"`
	Scores int            `json:"scores"`
	Below  int            `json:"below"`
	Lowest chain.Permille `json:"lowest"`
	Rate   float64        `json:"rate"`
	Most   float64        `json:"most"` // of the rate: where there was none below, 3 / scores
}

// Detection measures the detection curve.
func Detection(ctx context.Context, opts DetectionOptions) (DetectionResult, error) {
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		return DetectionResult{}, err
	}
	if err := opts.complete(); err != nil {
		return DetectionResult{}, fmt.Errorf("measure detection: %w", err)
	}
	r := DetectionResult{Profile: genesis.Dev, ScoreLeast: p.ScoreLeast, ProbesPerRelay: p.ProbesPerRelay, ScoreWindow: p.ScoreWindow,
		ScoreForgiven: p.ScoreForgiven, Honest: DetectionHonest, Within: DetectionWithin, Horizon: DetectionHorizon}
	var jobs []func(context.Context) error
	// What takes longest comes first, so that no processor is left with it alone.
	jobs = append(jobs, r.networks(&opts)...)
	for _, n := range slices.Backward(slices.Sorted(slices.Values(opts.Relays))) {
		jobs = append(jobs, r.losses(&p, &opts, n)...)
		jobs = append(jobs, r.drops(&p, &opts, n)...)
	}
	if err := together(ctx, jobs, opts.Tell); err != nil {
		return r, fmt.Errorf("measure detection: %w", err)
	}
	return r, nil
}

func (o *DetectionOptions) complete() error {
	if o.Relays == nil {
		o.Relays = []int{12, 100}
	}
	if o.Drops == nil {
		o.Drops = []chain.Permille{50, 100, 150, 200, 300, 400, 500, 750, 1000}
	}
	if o.Losses == nil {
		o.Losses = []chain.Permille{0, 10, 20, 30, 40, 50, 60, 80, 100}
	}
	if o.Measured == nil {
		o.Measured = []chain.Permille{150, 300, 500, 1000}
	}
	for _, x := range []struct {
		n           *int
		usual, most int
	}{{&o.Runs, 1000, 1e6}, {&o.Scores, 200_000, 1e9}, {&o.Seeds, 5, 1000}} {
		if *x.n == 0 {
			*x.n = x.usual
		}
		if *x.n < 0 || *x.n > x.most {
			return fmt.Errorf("%d is out of range", *x.n)
		}
	}
	share := func(p chain.Permille) bool { return p > 1000 }
	if slices.ContainsFunc(o.Drops, share) || slices.ContainsFunc(o.Losses, share) || slices.ContainsFunc(o.Measured, share) {
		return errors.New("a share is above 1000 permille")
	}
	if slices.ContainsFunc(o.Relays, func(n int) bool { return n < probe.MinList || n > 1000 }) {
		return fmt.Errorf("networks have %d to 1000 relays", probe.MinList)
	}
	return nil
}

// fewer is how many of count there are in a network of n, each of which costs as
// many times more.
func fewer(count, n int) int { return max(1, count*detectionRelays/n) }

// drops are the jobs of the curve of networks of n relays.
func (r *DetectionResult) drops(p *genesis.Params, opts *DetectionOptions, n int) (jobs []func(context.Context) error) {
	var mu sync.Mutex
	for _, drop := range opts.Drops {
		runs := fewer(opts.Runs, n)
		var at []int // of each run that is over
		jobs = append(jobs, chunks(runs, fewer(100, n), func(ctx context.Context, first, end int) error {
			for i := first; i < end && ctx.Err() == nil; i++ {
				s := probe.Simulation{Relays: n, Honest: DetectionHonest, Epochs: DetectionHonest + DetectionHorizon - probe.Delay, Drop: drop, Seed: uint64(i)}
				found := s.Found(p)
				mu.Lock()
				if at = append(at, found); len(at) == runs {
					r.Simulated = append(r.Simulated, dropFigures(n, drop, at))
					slices.SortFunc(r.Simulated, func(a, b DropFigures) int {
						return cmp.Or(a.Relays-b.Relays, cmp.Compare(a.Drop, b.Drop))
					})
				}
				mu.Unlock()
			}
			return ctx.Err()
		})...)
	}
	return jobs
}

// dropFigures sums runs up; 0 in at means that it was not found.
func dropFigures(n int, drop chain.Permille, at []int) DropFigures {
	f := DropFigures{Relays: n, Drop: drop, Runs: len(at)}
	at = slices.DeleteFunc(at, func(e int) bool { return e == 0 })
	slices.Sort(at)
	f.Found = len(at)
	f.FoundWithin, _ = slices.BinarySearch(at, DetectionWithin+1)
	in := func(tenths int) int {
		if i := (f.Runs*tenths+9)/10 - 1; i < len(at) {
			return at[i]
		}
		return 0
	}
	f.OneOfTen, f.Median, f.NineOfTen = in(1), in(5), in(9)
	return f
}

// losses are the jobs of the false positives of networks of n relays.
func (r *DetectionResult) losses(p *genesis.Params, opts *DetectionOptions, n int) (jobs []func(context.Context) error) {
	var mu sync.Mutex
	// A run gives scores from its first full window on.
	const each = DetectionHorizon
	epochs := int(p.ScoreWindow) + each - 1
	for _, loss := range opts.Losses {
		runs := (fewer(opts.Scores, n) + each - 1) / each
		f, done := LossFigures{Relays: n, Loss: loss, Lowest: 1000}, 0
		jobs = append(jobs, chunks(runs, fewer(100, n), func(ctx context.Context, first, end int) error {
			for i := first; i < end && ctx.Err() == nil; i++ {
				scores := probe.Simulation{Relays: n, Epochs: epochs, LinkLoss: loss, Seed: uint64(i)}.Scores(p)
				mu.Lock()
				for _, s := range scores[epochs-each:] {
					f.Lowest = min(f.Lowest, s.Score)
					if f.Scores++; s.Score < p.ScoreLeast {
						f.Below++
					}
				}
				if done++; done == runs {
					f.Rate = float64(f.Below) / float64(f.Scores)
					if f.Most = f.Rate; f.Below == 0 {
						f.Most = 3 / float64(f.Scores) // with 95 %
					}
					r.FalsePositives = append(r.FalsePositives, f)
					slices.SortFunc(r.FalsePositives, func(a, b LossFigures) int {
						return cmp.Or(a.Relays-b.Relays, cmp.Compare(a.Loss, b.Loss))
					})
				}
				mu.Unlock()
			}
			return ctx.Err()
		})...)
	}
	return jobs
}

// chunks divides what is numbered from 0 to all into jobs of some each.
func chunks(all, each int, do func(ctx context.Context, first, end int) error) (jobs []func(context.Context) error) {
	for first := 0; first < all; first += each {
		jobs = append(jobs, func(ctx context.Context) error { return do(ctx, first, min(all, first+each)) })
	}
	return jobs
}

// together does jobs, one on each processor at a time, until one fails.
func together(ctx context.Context, jobs []func(context.Context) error, tell func(done, all int)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	todo := make(chan func(context.Context) error)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for job := range todo {
				if err := job(ctx); err != nil {
					stop(err)
					continue
				}
				mu.Lock()
				if done++; tell != nil {
					tell(done, len(jobs))
				}
				mu.Unlock()
			}
		})
	}
	for _, job := range jobs {
		select {
		case todo <- job:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(todo)
	wg.Wait()
	return context.Cause(ctx)
}
