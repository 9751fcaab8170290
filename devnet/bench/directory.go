package bench

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// Goals of Directory's figures.
const (
	DirectoryHTTPGoal   = 0.9  // of a bare gin handler's requests per second, at least
	DirectoryVerifyGoal = 2.0  // times pure hashing, at most
	DirectoryDeltaGoal  = 0.03 // of the whole list where 1 % of descriptors changed, beside the epoch column
)

// DirectoryOptions says what Directory measures. The zero value takes about a
// minute.
type DirectoryOptions struct {
	Nodes       int           // listed; 0 means 2,000, the most is 10,000
	Rounds      int           // how often each server is loaded and each list verified; 0 means 15, the most is 1,000
	Load        time.Duration // of one server in one round; 0 means 200 ms, the most is 10 s
	Connections int           // kept open at once; 0 means 32, the most is 1,024
	Verify      []int         // sizes of the lists that are verified; nil means Nodes and 100,000, the most is 1,000,000
	Relays      int           // of the devnet whose epochs are compared; 0 means 30, the most is 200
	Epochs      int           // of these, pairs compared; 0 means 10, the most is 100

	// Generator is the command that runs [Generate], so that load is made by a
	// process of its own; nil: goroutines of this one make it.
	Generator []string
	// Tell hears how much is done.
	Tell func(done, all int)
}

// DirectoryResult is what Directory measured.
type DirectoryResult struct {
	Cores  int             `json:"cores"`
	Nodes  int             `json:"nodes"`
	HTTP   HTTPFigures     `json:"http"`
	Verify []VerifyFigures `json:"verify"`
	Delta  DeltaResult     `json:"delta"`
}

// Directory measures serving, verifying and updating the list of nodes: the API
// with all its middleware beside a bare gin handler and nginx with the same
// bytes; verification beside nothing but its hashes; deltas beside whole lists.
func Directory(ctx context.Context, opts DirectoryOptions) (DirectoryResult, error) {
	r, err := measureDirectory(ctx, opts)
	if err != nil {
		return r, fmt.Errorf("measure directory: %w", err)
	}
	return r, nil
}

func (o *DirectoryOptions) complete() error {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.Nodes, 2000)
	def(&o.Rounds, 15)
	def(&o.Connections, 32)
	def(&o.Relays, 30)
	def(&o.Epochs, 10)
	if o.Load == 0 {
		o.Load = 200 * time.Millisecond
	}
	if o.Verify == nil {
		o.Verify = []int{o.Nodes, 100_000}
	}
	bad := o.Nodes < 10 || o.Nodes > 10_000 || o.Rounds < 1 || o.Rounds > 1000 || o.Connections < 1 || o.Connections > 1024 ||
		o.Load < 0 || o.Load > 10*time.Second || o.Relays < 4 || o.Relays > 200 || o.Epochs < 1 || o.Epochs > 100
	for _, n := range o.Verify {
		bad = bad || n < 1 || n > 1_000_000
	}
	if bad {
		return fmt.Errorf("options %+v are out of range", *o)
	}
	if o.Tell == nil {
		o.Tell = func(int, int) {}
	}
	return nil
}

func measureDirectory(ctx context.Context, opts DirectoryOptions) (DirectoryResult, error) {
	r := DirectoryResult{Cores: runtime.GOMAXPROCS(0), Nodes: opts.Nodes}
	if err := opts.complete(); err != nil {
		return r, err
	}
	r.Nodes = opts.Nodes
	// Tenths of all, by what the parts take: making the network 1, loading 6,
	// verifying 2, deltas 1.
	tell := func(tenth, of, done, all int) { opts.Tell(1000*tenth+1000*of*done/max(1, all), 10_000) }
	tell(0, 1, 0, 1)
	w, err := newWorld(ctx, worldOptions{nodes: opts.Nodes})
	if err != nil {
		return r, err
	}
	defer w.ledger.Close()
	r.HTTP, err = w.measureHTTP(ctx, opts, func(done, all int) { tell(1, 6, done, all) })
	if err != nil {
		return r, err
	}
	for i, n := range opts.Verify {
		f, err := measureVerify(ctx, n, opts.Rounds, func(done, all int) { tell(7, 2, i*all+done, len(opts.Verify)*all) })
		if err != nil {
			return r, err
		}
		r.Verify = append(r.Verify, f)
	}
	r.Delta, err = w.measureDeltas(ctx, opts, func(done, all int) { tell(9, 1, done, all) })
	return r, err
}
