package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"tunic/chain/genesis"
	"tunic/devnet"
	"tunic/internal/proc"
)

// The goals of Capacity.
const (
	CapacityMemoryGoal = 1 << 30          // bytes of its own that a process with all relays holds
	CapacityReadyGoal  = 10 * time.Second // from nothing until all are listed and at the head
	CapacityCPUGoal    = 10.0             // percent of a core, idle, with epochs of a real network
	RelayMemoryGoal    = 25 << 20         // bytes of its own that an idle relay's process holds
)

// CapacityOptions configure Capacity. Zero values take the defaults in
// parentheses.
type CapacityOptions struct {
	// Relays in one process (200).
	Relays int
	// Idle is how long nothing is done but what the relays do by themselves (1 min).
	Idle time.Duration
	// Network is the command that runs RunCapacityNetwork; its order follows on
	// standard input.
	Network []string
	// Exe is the tunic program, for the relay in a process of its own.
	Exe string
	// Dir keeps everything; it is made and removed by the caller.
	Dir string
}

// CapacityResult is what relays take that have nothing to do.
type CapacityResult struct {
	Cores    int                `json:"cores"`
	Networks []CapacityFigures  `json:"networks"`
	Relays   []IdleRelayFigures `json:"relays"`
	Goals    CapacityGoals      `json:"goals"`
	Verdict
}

// CapacityGoals are the constants above.
type CapacityGoals struct {
	Memory      int64   `json:"memory"`
	ReadyMS     int64   `json:"ready_ms"`
	CPU         float64 `json:"cpu_percent"`
	RelayMemory int64   `json:"relay_memory"`
}

// CapacityFigures are of one network within one process.
type CapacityFigures struct {
	capacityOrder
	ReadyMS    int64   `json:"ready_ms"`
	RSSAnon    int64   `json:"rss_anon"` // bytes, as what follows
	RSS        int64   `json:"rss"`
	IdleMS     int64   `json:"idle_ms"`
	IdleCPU    float64 `json:"idle_cpu_percent"` // of a core, in that time
	EpochCPUMS int64   `json:"epoch_cpu_ms"`     // processor time of an epoch passed in one go; 0 where idle time had several
	CPU        float64 `json:"cpu_percent"`      // of both, over an epoch
	Epoch      uint64  `json:"epoch"`            // at the end
	Goroutines int     `json:"goroutines"`
	OpenLinks  int     `json:"open_links"`
}

// IdleRelayFigures are of one relay in a process of its own, listed beside four
// others that are too.
type IdleRelayFigures struct {
	Profile genesis.Profile `json:"profile"`
	RSSAnon int64           `json:"rss_anon"` // bytes, of the largest
	RSS     int64           `json:"rss"`
	CPU     float64         `json:"cpu_percent"` // of a core, on average
	Ledger  int64           `json:"ledger_rss_anon"`
}

// capacityOrder says what network to run.
type capacityOrder struct {
	Relays  int             `json:"relays"`
	Profile genesis.Profile `json:"profile"`
	Links   devnet.Links    `json:"links"`
	Cover   bool            `json:"cover"` // relays send loops, as the profile says
	Dir     string          `json:"dir,omitempty"`
	HTTP    string          `json:"http,omitempty"` // where the API is served
	Step    bool            `json:"step,omitempty"` // pass an epoch in one go
}

// capacityState is what the network's process says when it is asked.
type capacityState struct {
	Error      string `json:"error,omitempty"`
	Epoch      uint64 `json:"epoch"`
	Listed     int    `json:"listed"`
	Goroutines int    `json:"goroutines"`
	Links      int    `json:"links"`
	File       []byte `json:"file,omitempty"` // the network file, where the API is served
}

// settled is for how many epochs a network runs before it is measured: by then
// everything that relays remember has been filled once.
const settled = 5

// Capacity measures networks within one process and single relays beside them.
func Capacity(ctx context.Context, o CapacityOptions) (CapacityResult, error) {
	if o.Relays == 0 {
		o.Relays = 200
	}
	if o.Idle == 0 {
		o.Idle = time.Minute
	}
	r := CapacityResult{Cores: runtime.NumCPU(), Verdict: passed(),
		Goals: CapacityGoals{CapacityMemoryGoal, CapacityReadyGoal.Milliseconds(), CapacityCPUGoal, RelayMemoryGoal}}
	for i, c := range []capacityOrder{
		{Profile: genesis.Dev, Links: devnet.LinksTLS}, {Profile: genesis.Dev, Links: devnet.LinksMemory},
		{Profile: genesis.Private, Links: devnet.LinksTLS}, {Profile: genesis.Private, Links: devnet.LinksTLS, Cover: true},
	} {
		c.Relays, c.Dir = o.Relays, fmt.Sprintf("%s/network-%d", o.Dir, i)
		f, err := measureDevnet(ctx, o, c)
		if err != nil {
			return r, fmt.Errorf("measure %d relays, %s, links %s: %w", c.Relays, c.Profile, c.Links, err)
		}
		r.Networks = append(r.Networks, f)
		r.judge(f)
	}
	for _, p := range []genesis.Profile{genesis.Dev, genesis.Private} {
		f, err := measureRelay(ctx, o, p)
		if err != nil {
			return r, fmt.Errorf("measure a relay's process, %s: %w", p, err)
		}
		r.Relays = append(r.Relays, f)
		r.fail(f.RSSAnon > RelayMemoryGoal, "an idle relay of a %s network holds %d bytes, goal %d", p, f.RSSAnon, int64(RelayMemoryGoal))
	}
	return r, nil
}

// covered is a word for what relays send though they are idle.
func (c capacityOrder) covered() string {
	if c.Cover {
		return ", cover"
	}
	return ""
}

// judge holds a network against the goals.
func (r *CapacityResult) judge(f CapacityFigures) {
	name := fmt.Sprintf("%d relays, %s, links %s%s", f.Relays, f.Profile, f.Links, f.covered())
	// Who sends cover is not idle, and has links with everyone.
	r.fail(!f.Cover && f.RSSAnon > CapacityMemoryGoal, "%s: %d bytes, goal %d", name, f.RSSAnon, int64(CapacityMemoryGoal))
	r.fail(f.ReadyMS > CapacityReadyGoal.Milliseconds(), "%s: ready in %d ms, goal %d", name, f.ReadyMS, CapacityReadyGoal.Milliseconds())
	// The epochs of dev networks are of 10 s: each has all the probes, votes and
	// new links of an hour elsewhere.
	r.fail(f.Profile != genesis.Dev && !f.Cover && f.CPU > CapacityCPUGoal, "%s: %.1f %% of a core, goal %.0f", name, f.CPU, CapacityCPUGoal)
}

func measureDevnet(ctx context.Context, o CapacityOptions, c capacityOrder) (f CapacityFigures, err error) {
	f.capacityOrder = c
	f.Dir = ""
	begin := time.Now()
	p, err := start(ctx, o.Network)
	if err != nil {
		return f, err
	}
	defer p.stop()
	ask := func(c capacityOrder) (s capacityState, err error) {
		if err := json.NewEncoder(p.in).Encode(c); err != nil {
			return s, err
		}
		if err = p.read(&s); err == nil && s.Error != "" {
			err = errors.New(s.Error)
		}
		return s, err
	}
	s, err := ask(c)
	if err != nil {
		return f, err
	}
	f.ReadyMS = time.Since(begin).Milliseconds()
	if s.Listed != c.Relays {
		return f, fmt.Errorf("%d of %d relays are listed", s.Listed, c.Relays)
	}
	prm, err := genesis.For(c.Profile)
	if err != nil {
		return f, err
	}
	epoch := time.Duration(prm.EpochLength) * time.Millisecond
	pid := p.cmd.Process.Pid
	for range settled {
		if epoch <= o.Idle {
			if err := pause(ctx, epoch); err != nil {
				return f, err
			}
			continue
		}
		before := proc.Time(pid)
		if _, err = ask(capacityOrder{Step: true}); err != nil {
			return f, err
		}
		f.EpochCPUMS = (proc.Time(pid) - before).Milliseconds() // the last counts
	}
	if f.EpochCPUMS > 0 { // what the steps left to do is done
		if err := pause(ctx, o.Idle/4); err != nil {
			return f, err
		}
	}
	before, from := proc.Time(pid), time.Now()
	if err := pause(ctx, o.Idle); err != nil {
		return f, err
	}
	used, passed := proc.Time(pid)-before, time.Since(from)
	f.IdleMS, f.IdleCPU = passed.Milliseconds(), ofCore(used, passed)
	f.CPU = f.IdleCPU + ofCore(time.Duration(f.EpochCPUMS)*time.Millisecond, epoch)
	f.RSSAnon, f.RSS = p.memory(), proc.Memory(pid, "VmRSS:")
	if s, err = ask(capacityOrder{}); err != nil {
		return f, err
	}
	f.Epoch, f.Goroutines, f.OpenLinks = s.Epoch, s.Goroutines, s.Links
	return f, nil
}

// ofCore is processor time as a share of one core, in percent.
func ofCore(used, of time.Duration) float64 { return 100 * float64(used) / float64(of) }

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// start starts the network of an order.
func (c capacityOrder) start(ctx context.Context) (*devnet.Network, error) {
	prm, err := genesis.For(c.Profile)
	if err != nil {
		return nil, err
	}
	prm.Cover = prm.Cover && c.Cover
	return devnet.Start(ctx, devnet.Spec{Relays: c.Relays, Profile: c.Profile, Params: &prm, Links: c.Links, Dir: c.Dir, HTTP: c.HTTP, Seed: 1, Live: true})
}

// RunCapacityNetwork runs a network as the first line on in says and answers
// each line with its state, until in ends.
func RunCapacityNetwork(ctx context.Context, in io.Reader, out io.Writer) error {
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	var c capacityOrder
	if err := orders.Decode(&c); err != nil {
		return fmt.Errorf("read an order: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go devnet.Collect(ctx, c.Relays)
	n, err := c.start(ctx)
	if err != nil {
		return answers.Encode(capacityState{Error: err.Error()})
	}
	defer n.Close()
	for {
		s := capacityState{Goroutines: runtime.NumGoroutine(), Epoch: uint64(n.Ledger.Head().Header.DirEpoch)}
		if c.HTTP != "" {
			s.File = n.File.Encode()
		}
		for _, r := range n.Relays {
			x := r.Daemon.Status()
			s.Links += x.Links
			if x.Listed && x.Synced {
				s.Listed++
			}
		}
		if err := n.Err(); err != nil {
			s.Error = err.Error()
		}
		if err := answers.Encode(s); err != nil {
			return err
		}
		if err := orders.Decode(&c); err != nil {
			return nil // whoever asked has ended
		}
		if c.Step {
			if err := n.AdvanceEpochs(ctx, 1); err != nil {
				return answers.Encode(capacityState{Error: err.Error()})
			}
		}
	}
}
