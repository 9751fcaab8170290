package bench

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"time"

	"tunic/chain"
)

// Goals of Load.
const (
	LoadReaderGoal   = 64 << 10 // bytes of memory a reader of events, at most
	LoadIntervalGoal = 0.1      // by how much of it the block interval may change
	LoadSubmitGoal   = 5.0      // times the 99th percentile without load, at most
	LoadLagGoal      = 1000     // ms from a block to the last of its readers
)

// LoadOptions says what Load measures. Ledger and Press are needed.
type LoadOptions struct {
	Ledger []string // command that runs a ledger; its folder and address follow as --dir and --http
	Press  []string // command that runs RunPress

	Nodes       int           // listed; 0 means 2,000, the most is 10,000
	Readers     int           // of events; 0 means 1,000, the most is 1,000
	Connections int           // that ask for the directory; 0 means 32, the most is 256
	MaxPerS     int           // requests of all of these; 0 for as many as they can
	Rounds      int           // without load and as many with it; 0 means 3, the most is 20
	Submits     int           // transactions in a round; 0 means 500, the most is 10,000
	Every       time.Duration // between two of them; 0 means 20 ms
	Interval    time.Duration // of blocks; 0 means 500 ms, 200 ms to 10 s
	Dir         string        // where a temporary folder is made; empty: the system's
}

// LoadResult is what Load measured.
type LoadResult struct {
	Cores       int   `json:"cores"`
	Nodes       int   `json:"nodes"`
	Readers     int   `json:"readers"`
	Connections int   `json:"connections"`
	IntervalMS  int64 `json:"interval_ms"` // as the parameters say

	// Of the rounds without load the one with the lowest 99th percentile of
	// submitting, since whatever else runs on the machine can only raise it, and
	// of those with load the median by it.
	Unloaded LoadPhase   `json:"unloaded"`
	Loaded   LoadPhase   `json:"loaded"`
	Rounds   []LoadPhase `json:"rounds"` // all, those without load first

	MemoryBefore int64 `json:"memory_before"` // bytes that the server holds, its own alone (RssAnon)
	MemoryIdle   int64 `json:"memory_idle"`   // with all readers waiting
	MemoryLoaded int64 `json:"memory_loaded"` // after the load
	PerReader    int64 `json:"per_reader"`    // of the first two; 0 where the system does not say

	SubmitRatio   float64 `json:"submit_ratio"`   // of the 99th percentiles
	IntervalRatio float64 `json:"interval_ratio"` // of the mean intervals, that which is farthest from 1
	Lost          int     `json:"lost"`           // readers that were cut off

	Verdict
}

// LoadPhase is one half of the measurement.
type LoadPhase struct {
	Submits     int     `json:"submits"`
	Spans               // of submitting a transaction, from when it was due
	MaxUS       int64   `json:"max_us"`
	Blocks      int     `json:"blocks"`
	IntervalMS  float64 `json:"interval_ms"` // mean
	LongestMS   int64   `json:"longest_ms"`
	LagMS       int64   `json:"lag_ms"` // longest from a block's time until a reader had it, beside the shortest
	DirectoryPS float64 `json:"directories_per_s"`
	DirectoryB  int64   `json:"directory_bytes"` // of one answer
}

func (o *LoadOptions) complete() error {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.Nodes, 2000)
	def(&o.Readers, 1000)
	def(&o.Connections, 32)
	def(&o.Rounds, 3)
	def(&o.Submits, 500)
	if o.Every == 0 {
		o.Every = 20 * time.Millisecond
	}
	if o.Interval == 0 {
		o.Interval = 500 * time.Millisecond
	}
	if o.Nodes < 10 || o.Nodes > 10_000 || o.Readers < 1 || o.Readers > 1000 || o.Connections < 1 || o.Connections > 256 || o.MaxPerS < 0 || o.Rounds < 1 || o.Rounds > 20 ||
		o.Submits < 1 || o.Submits > 10_000 || o.Every < 0 || o.Every > time.Second || o.Interval < 200*time.Millisecond || o.Interval > 10*time.Second ||
		len(o.Ledger) == 0 || len(o.Press) == 0 {
		return fmt.Errorf("options %+v are out of range", *o)
	}
	return nil
}

// Load measures a ledger in a process of its own, with its database on disk and
// behind a real socket: how long submitting a transaction takes and how regularly
// blocks come, first with nothing else to do, then with many readers of events
// and with connections that ask for the directory as fast as they can. What makes
// the load is a third process, which gives way to the other two.
func Load(ctx context.Context, opts LoadOptions) (LoadResult, error) {
	r, err := measureLoad(ctx, opts)
	if err != nil {
		return r, fmt.Errorf("measure load: %w", err)
	}
	return r, nil
}

func measureLoad(ctx context.Context, opts LoadOptions) (r LoadResult, err error) {
	if err := opts.complete(); err != nil {
		return r, err
	}
	r = LoadResult{Cores: runtime.NumCPU(), Nodes: opts.Nodes, Readers: opts.Readers, Connections: opts.Connections, IntervalMS: opts.Interval.Milliseconds()}
	dir, err := os.MkdirTemp(opts.Dir, "tunic-bench-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	w, err := newWorld(ctx, worldOptions{nodes: opts.Nodes, payers: opts.Submits, interval: chain.Duration(opts.Interval.Milliseconds()), dir: dir})
	if err == nil {
		err = w.ledger.Close() // it goes on in a process of its own
	}
	if err != nil {
		return r, err
	}
	server, addr, err := startLedger(ctx, opts.Ledger, dir)
	if err != nil {
		return r, err
	}
	defer server.stop()
	press, err := startPress(ctx, opts.Press)
	if err != nil {
		return r, err
	}
	defer press.stop()

	s := &submitter{addr: addr, world: w, every: opts.Every}
	defer s.client.CloseIdleConnections()
	if err := s.prepare(opts.Submits, 2*opts.Rounds); err != nil {
		return r, err
	}
	if err := s.warm(ctx); err != nil {
		return r, err
	}
	if err := r.rounds(ctx, s, opts.Rounds); err != nil {
		return r, err
	}
	r.MemoryBefore = server.memory()
	about := Press{Addr: addr, Readers: opts.Readers, Connections: opts.Connections, MaxPerS: opts.MaxPerS,
		Types: []string{"head,slash", "head,node,slash,epoch,transaction", "slash", ""}}
	if _, err := press.order(pressOrder{Do: pressOpen, Press: about}); err != nil {
		return r, err
	}
	if err := sleep(ctx, 8*opts.Interval); err != nil { // some blocks for all of them
		return r, err
	}
	r.MemoryIdle = server.memory()
	if _, err := press.order(pressOrder{Do: pressBegin}); err != nil {
		return r, err
	}
	if err := r.rounds(ctx, s, opts.Rounds); err != nil {
		return r, err
	}
	end, err := press.order(pressOrder{Do: pressEnd})
	if err != nil {
		return r, err
	}
	r.MemoryLoaded, r.Lost = server.memory(), end.Lost
	r.pick()
	if end.Answers > 0 {
		r.Loaded.DirectoryPS = float64(end.Answers) / time.Duration(end.NS).Seconds()
		r.Loaded.DirectoryB = end.Bytes / end.Answers
	}
	r.judge()
	return r, nil
}

// rounds measures so many, each with transactions of its own.
func (r *LoadResult) rounds(ctx context.Context, s *submitter, n int) error {
	for range n {
		p, err := s.phase(ctx, len(r.Rounds))
		if err != nil {
			return err
		}
		r.Rounds = append(r.Rounds, p)
	}
	return nil
}

// pick chooses the rounds that count.
func (r *LoadResult) pick() {
	half := len(r.Rounds) / 2
	by := func(a, b LoadPhase) int { return cmp.Compare(a.P99US, b.P99US) }
	r.Unloaded = slices.MinFunc(r.Rounds[:half], by)
	r.Loaded = slices.SortedFunc(slices.Values(r.Rounds[half:]), by)[half/2]
}

func (r *LoadResult) judge() {
	r.IntervalRatio = 1
	r.PerReader = max(0, r.MemoryIdle-r.MemoryBefore) / int64(r.Readers)
	r.SubmitRatio = float64(r.Loaded.P99US) / float64(max(1, r.Unloaded.P99US))
	for _, p := range r.Rounds[len(r.Rounds)/2:] {
		if x := p.IntervalMS / max(r.Unloaded.IntervalMS, 1); math.Abs(x-1) >= math.Abs(r.IntervalRatio-1) {
			r.IntervalRatio = x
		}
	}
	r.Verdict = passed()
	r.fail(r.PerReader > LoadReaderGoal, "%d bytes a reader, goal %d", r.PerReader, LoadReaderGoal)
	r.fail(r.IntervalRatio > 1+LoadIntervalGoal || r.IntervalRatio < 1-LoadIntervalGoal, "the block interval is %.2f of that without load", r.IntervalRatio)
	r.fail(r.SubmitRatio > LoadSubmitGoal, "the 99th percentile of submitting is %.1f times that without load, goal %.0f", r.SubmitRatio, LoadSubmitGoal)
	lag := int64(0)
	for _, p := range r.Rounds[len(r.Rounds)/2:] {
		lag = max(lag, p.LagMS)
	}
	r.fail(lag > LoadLagGoal, "a reader waited %d ms for a block, goal %d", lag, LoadLagGoal)
	r.fail(r.Lost > 0, "%d readers were cut off", r.Lost)
}
