package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tunic/chain"
	"tunic/internal/httpx"
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
	Submits     int           // transactions with load and as many without; 0 means 500, the most is 10,000
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

	Unloaded LoadPhase `json:"unloaded"`
	Loaded   LoadPhase `json:"loaded"`

	MemoryBefore int64 `json:"memory_before"` // bytes that the server holds, its own alone (RssAnon)
	MemoryIdle   int64 `json:"memory_idle"`   // with all readers waiting
	MemoryLoaded int64 `json:"memory_loaded"` // after the load
	PerReader    int64 `json:"per_reader"`    // of the first two; 0 where the system does not say

	SubmitRatio   float64 `json:"submit_ratio"`   // of the 99th percentiles
	IntervalRatio float64 `json:"interval_ratio"` // of the mean intervals
	Lost          int     `json:"lost"`           // readers that were cut off

	Failed []string `json:"failed"` // goals that were missed
}

// LoadPhase is one half of the measurement.
type LoadPhase struct {
	Submits     int     `json:"submits"`
	P50US       int64   `json:"p50_us"` // of submitting a transaction, from when it was due
	P99US       int64   `json:"p99_us"`
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
	def(&o.Submits, 500)
	if o.Every == 0 {
		o.Every = 20 * time.Millisecond
	}
	if o.Interval == 0 {
		o.Interval = 500 * time.Millisecond
	}
	if o.Nodes < 10 || o.Nodes > 10_000 || o.Readers < 1 || o.Readers > 1000 || o.Connections < 1 || o.Connections > 256 || o.MaxPerS < 0 ||
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
	w, err := newLoadWorld(ctx, dir, opts.Nodes, opts.Submits, chain.Duration(opts.Interval.Milliseconds()))
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
	if err := s.prepare(opts.Submits); err != nil {
		return r, err
	}
	if err := s.warm(ctx); err != nil {
		return r, err
	}
	if r.Unloaded, err = s.phase(ctx, 0); err != nil {
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
	if r.Loaded, err = s.phase(ctx, 1); err != nil {
		return r, err
	}
	end, err := press.order(pressOrder{Do: pressEnd})
	if err != nil {
		return r, err
	}
	r.MemoryLoaded, r.Lost = server.memory(), end.Lost
	if end.Answers > 0 {
		r.Loaded.DirectoryPS = float64(end.Answers) / time.Duration(end.NS).Seconds()
		r.Loaded.DirectoryB = end.Bytes / end.Answers
	}
	r.judge()
	return r, nil
}

func (r *LoadResult) judge() {
	r.PerReader = max(0, r.MemoryIdle-r.MemoryBefore) / int64(r.Readers)
	r.SubmitRatio = float64(r.Loaded.P99US) / float64(max(1, r.Unloaded.P99US))
	r.IntervalRatio = r.Loaded.IntervalMS / max(r.Unloaded.IntervalMS, 1)
	r.Failed = []string{}
	fail := func(bad bool, format string, args ...any) {
		if bad {
			r.Failed = append(r.Failed, fmt.Sprintf(format, args...))
		}
	}
	fail(r.PerReader > LoadReaderGoal, "%d bytes a reader, goal %d", r.PerReader, LoadReaderGoal)
	fail(r.IntervalRatio > 1+LoadIntervalGoal || r.IntervalRatio < 1-LoadIntervalGoal, "the block interval is %.2f of that without load", r.IntervalRatio)
	fail(r.SubmitRatio > LoadSubmitGoal, "the 99th percentile of submitting is %.1f times that without load, goal %.0f", r.SubmitRatio, LoadSubmitGoal)
	fail(r.Loaded.LagMS > LoadLagGoal, "a reader waited %d ms for a block, goal %d", r.Loaded.LagMS, LoadLagGoal)
	fail(r.Lost > 0, "%d readers were cut off", r.Lost)
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// process is one that this one started.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
	err bytes.Buffer
}

// start runs a command; its standard output is lines of JSON.
func start(ctx context.Context, command []string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, command[0], command[1:]...)}
	p.cmd.Stderr, p.cmd.Cancel, p.cmd.WaitDelay = &p.err, func() error { return p.cmd.Process.Signal(os.Interrupt) }, 5*time.Second
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	return p, p.cmd.Start()
}

func (p *process) read(v any) error {
	if err := p.out.Decode(v); err != nil {
		return fmt.Errorf("%s ended: %w: %s", strings.Join(p.cmd.Args, " "), err, strings.TrimSpace(p.err.String()))
	}
	return nil
}

func (p *process) stop() {
	p.in.Close()
	_ = p.cmd.Process.Signal(os.Interrupt)
	_ = p.cmd.Wait()
}

// memory is what the process holds in memory of its own, in bytes; 0 where the
// system does not say.
func (p *process) memory() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if v, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			return kb << 10
		}
	}
	return 0
}

func startLedger(ctx context.Context, command []string, dir string) (*process, string, error) {
	p, err := start(ctx, append(slices.Clone(command), "--dir", dir, "--http", "127.0.0.1:0"))
	if err != nil {
		return nil, "", err
	}
	var ready struct{ URL string }
	err = p.read(&ready)
	var u *url.URL
	if err == nil {
		u, err = url.Parse(ready.URL)
	}
	if err != nil {
		p.stop()
		return nil, "", err
	}
	return p, u.Host, nil
}

func startPress(ctx context.Context, command []string) (*process, error) {
	if nice, err := exec.LookPath("nice"); err == nil {
		command = append([]string{nice, "-n", "19"}, command...)
	}
	return start(ctx, command)
}

func (p *process) order(o pressOrder) (r pressReport, err error) {
	if err := json.NewEncoder(p.in).Encode(o); err != nil {
		return r, err
	}
	if err := p.read(&r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, fmt.Errorf("%s; each reader takes one file descriptor here and one at the server, see `ulimit -n`", r.Error)
	}
	return r, nil
}

// submitter sends transfers at their times and reads blocks beside.
type submitter struct {
	addr   string
	world  *loadWorld
	every  time.Duration
	client http.Client
	txs    [2][][]byte // by phase
}

func (s *submitter) prepare(n int) error {
	s.client.Transport = &http.Transport{MaxIdleConnsPerHost: 64, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}
	for phase := range s.txs {
		s.txs[phase] = make([][]byte, n)
		errs := make([]error, n)
		parallel(n, func(i int) { s.txs[phase][i], errs[i] = s.world.transfer(i, uint64(phase)) })
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}

// warm opens the connections that submitting takes and asks once for the
// directory, which is then made.
func (s *submitter) warm(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() { errs[i] = s.do(ctx, http.MethodGet, "/v1/status", nil, http.StatusOK) })
	}
	wg.Wait()
	return errors.Join(append(errs, s.do(ctx, http.MethodGet, "/v1/directory", nil, http.StatusOK))...)
}

func (s *submitter) do(ctx context.Context, method, path string, body []byte, want int) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != want {
		err = fmt.Errorf("%s %s: %s: %s", method, path, res.Status, b)
	}
	return err
}

// phase submits its transactions, each at its time whether those before are
// answered or not, and notes when blocks come.
func (s *submitter) phase(ctx context.Context, n int) (p LoadPhase, err error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	blocks, err := s.watch(watching)
	if err != nil {
		return p, err
	}
	txs := s.txs[n]
	took, errs := make([]time.Duration, len(txs)), make([]error, len(txs))
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range txs {
		due := begin.Add(time.Duration(i) * s.every)
		if err := sleep(ctx, time.Until(due)); err != nil {
			return p, err
		}
		wg.Go(func() {
			errs[i] = s.do(ctx, http.MethodPost, "/v1/transactions", txs[i], http.StatusAccepted)
			took[i] = time.Since(due)
		})
	}
	wg.Wait()
	stop()
	p.count(<-blocks)
	slices.Sort(took)
	us := func(permille int) int64 { return took[(len(took)-1)*permille/1000].Microseconds() }
	p.Submits, p.P50US, p.P99US, p.MaxUS = len(took), us(500), us(990), us(1000)
	if p.Blocks < 3 {
		errs = append(errs, fmt.Errorf("only %d blocks in %v: submit more transactions", p.Blocks, time.Since(begin)))
	}
	return p, errors.Join(errs...)
}

// arrival is when a block is from, and when it was read.
type arrival struct{ made, read int64 } // ms, by two clocks

// watch reads heads until ctx ends, and then gives their times.
func (s *submitter) watch(ctx context.Context) (<-chan []arrival, error) {
	c, r, err := ask(ctx, s.addr, "/v1/events?types=head", "")
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { c.Close() })
	out := make(chan []arrival, 1)
	go func() {
		var all []arrival
		events := httpx.NewEventReader(httputil.NewChunkedReader(r), 1<<16)
		for {
			e, err := events.Next()
			if err != nil {
				out <- all
				return
			}
			var head struct {
				TimeMS int64 `json:"time_ms"`
			}
			if json.Unmarshal(e.Data, &head) == nil {
				all = append(all, arrival{head.TimeMS, time.Now().UnixMilli()})
			}
		}
	}()
	return out, nil
}

// count sums up the blocks that came. The clocks differ by a constant: the
// shortest way counts as none.
func (p *LoadPhase) count(all []arrival) {
	if p.Blocks = len(all); p.Blocks < 2 {
		return
	}
	first, last := all[0], all[len(all)-1]
	p.IntervalMS = float64(last.made-first.made) / float64(len(all)-1)
	least, most := int64(1<<62), int64(-1<<62)
	for i, a := range all {
		if i > 0 {
			p.LongestMS = max(p.LongestMS, a.made-all[i-1].made)
		}
		least, most = min(least, a.read-a.made), max(most, a.read-a.made)
	}
	p.LagMS = most - least
}
