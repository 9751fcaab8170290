package soak

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"tunic/devnet/scenario"
)

// Result is what many networks came to.
type Result struct {
	Networks       int       `json:"networks"`
	FirstSeed      uint64    `json:"first_seed"`
	Epochs         uint64    `json:"epochs"` // of all networks
	Blocks         uint64    `json:"blocks"`
	Steps          int       `json:"steps"`
	Delivered      int       `json:"delivered"`      // messages
	Challenges     int       `json:"challenges"`     // of storage receipts, all of them answered
	SwarmChanges   int       `json:"swarm_changes"`  // epochs with more or fewer swarms than before
	Decommissioned int       `json:"decommissioned"` // for absence or what came of it: no stake is lost by that
	Failures       []Failure `json:"failures"`
}

// Failure is a network in which an honest relay was punished, or that broke.
type Failure struct {
	Seed   uint64   `json:"seed"`
	Why    string   `json:"why"`
	Script []string `json:"script"` // the shortest beginning that fails
}

// Run runs the networks of count seeds from first on, so many at a time, and
// calls tell after each, if it is not nil. An error ends it.
func Run(ctx context.Context, first uint64, count, parallel int, tell func(done int, r *Result)) (Result, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	out := Result{FirstSeed: first, Failures: []Failure{}}
	seeds := make(chan uint64)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range parallel {
		wg.Go(func() {
			for seed := range seeds {
				r, err := one(ctx, seed)
				if err != nil {
					stop(fmt.Errorf("network of seed %d: %w", seed, err))
					continue
				}
				mu.Lock()
				out.add(seed, &r)
				if tell != nil {
					tell(out.Networks, &out)
				}
				mu.Unlock()
			}
		})
	}
	for i := range count {
		select {
		case seeds <- first + uint64(i):
			continue
		case <-ctx.Done():
		}
		break
	}
	close(seeds)
	wg.Wait()
	return out, context.Cause(ctx)
}

func one(ctx context.Context, seed uint64) (scenario.Report, error) {
	s, err := scenario.Parse(fmt.Sprintf("seed-%d", seed), Script(seed))
	if err != nil {
		return scenario.Report{}, err
	}
	return s.Run(ctx, nil)
}

func (o *Result) add(seed uint64, r *scenario.Report) {
	o.Networks++
	o.Epochs += r.Epoch
	o.Blocks += r.Height
	o.Steps += r.Steps
	o.Delivered += r.Delivered
	o.SwarmChanges += r.SwarmChanges
	for _, s := range r.Slashes {
		if s.Kind == "unavailable" {
			o.Decommissioned++
		}
	}
	if f := r.Failure; f != nil {
		o.Failures = append(o.Failures, Failure{Seed: seed, Why: f.String(), Script: f.Prefix})
		return
	}
	o.Challenges += strings.Count(Script(seed), "\nchallenge ")
}
