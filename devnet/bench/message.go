package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"tunic/chain/genesis"
	"tunic/client"
	"tunic/devnet"
	"tunic/internal/proc"
)

// The goals of Message, for one client in a process of its own.
const (
	ClientMemoryGoal    = 40 << 20 // bytes of its own
	ClientIdleCPUGoal   = 1.0      // percent of a core
	ClientActiveCPUGoal = 5.0
)

// MessageOptions configure Message. Zero values take the defaults in parentheses.
type MessageOptions struct {
	// Relays of the network (12).
	Relays int
	// Messages that are sent one after another (200; with mixing a tenth).
	Messages int
	// Watch is how long clients are watched, idle and then talking (30 s).
	Watch time.Duration
	// Network and Client are the commands that run RunCapacityNetwork and
	// RunMessageClient.
	Network, Client []string
	// Dir keeps everything; it is made and removed by the caller.
	Dir string
}

// MessageResult is what delivery takes, and the programs of two people.
type MessageResult struct {
	Cores    int              `json:"cores"`
	Networks []MessageFigures `json:"networks"`
	Goals    MessageGoals     `json:"goals"`
	Verdict
}

// MessageGoals are the constants above.
type MessageGoals struct {
	Memory    int64   `json:"memory"`
	IdleCPU   float64 `json:"idle_cpu_percent"`
	ActiveCPU float64 `json:"active_cpu_percent"`
}

// MessageFigures are of one network: ledger and relays in one process with TLS
// links on loopback and real stores, two clients in processes of their own. A
// message is delivered when its sender has the confirmation.
type MessageFigures struct {
	Profile     genesis.Profile `json:"profile"`
	Relays      int             `json:"relays"`
	MixingMS    int64           `json:"mixing_ms"` // mean delay at a hop
	Cover       bool            `json:"cover"`
	PollMS      int64           `json:"poll_ms"`  // mean between polls
	FirstMS     int64           `json:"first_ms"` // the first message, with contact request and its work
	Messages    int             `json:"messages"`
	P50MS       float64         `json:"p50_ms"`
	P99MS       float64         `json:"p99_ms"`
	WatchMS     int64           `json:"watch_ms"`
	IdleCPU     float64         `json:"idle_cpu_percent"` // of a core, the larger of the two clients; likewise what follows
	ActiveCPU   float64         `json:"active_cpu_percent"`
	ActiveEvery int64           `json:"active_every_ms"` // between two messages of one side
	RSSAnon     int64           `json:"rss_anon"`        // bytes
	RSS         int64           `json:"rss"`
}

// messageOrder is a line for a client's process.
type messageOrder struct {
	Network  []byte        `json:"network,omitempty"` // first line: a network file
	Dir      string        `json:"dir,omitempty"`
	Mnemonic string        `json:"mnemonic,omitempty"`
	Pace     time.Duration `json:"pace,omitempty"`  // mean between packets, where there is cover
	To       string        `json:"to,omitempty"`    // an account id
	Send     int           `json:"send,omitempty"`  // so many, one after another
	Every    time.Duration `json:"every,omitempty"` // one at each, without waiting for confirmation
	Drain    time.Duration `json:"drain,omitempty"` // how long may pass until all are confirmed
}

// messageAnswer is what it says to each.
type messageAnswer struct {
	Error  string          `json:"error,omitempty"`
	ID     string          `json:"id,omitempty"`
	PollMS int64           `json:"poll_ms,omitempty"`
	Took   []time.Duration `json:"took,omitempty"`
}

// talkEvery is how often each of two people writes while their clients are watched.
const talkEvery = 2 * time.Second

// Message measures confirmed delivery between two people, without mixing and with
// the private profile's mixing and cover, and what their programs take.
func Message(ctx context.Context, o MessageOptions) (MessageResult, error) {
	o.Relays, o.Messages = orDefault(o.Relays, 12), orDefault(o.Messages, 200)
	if o.Watch == 0 {
		o.Watch = 30 * time.Second
	}
	r := MessageResult{Cores: runtime.NumCPU(), Verdict: passed(), Goals: MessageGoals{ClientMemoryGoal, ClientIdleCPUGoal, ClientActiveCPUGoal}}
	if o.Relays < 4 || o.Relays > devnet.MaxRelays || o.Messages < 10 || o.Messages > 100_000 {
		return r, fmt.Errorf("measure messages: %d relays and %d messages are out of range", o.Relays, o.Messages)
	}
	for i, p := range []genesis.Profile{genesis.Dev, genesis.Private} {
		c := o
		c.Dir = fmt.Sprintf("%s/%d", o.Dir, i)
		if p != genesis.Dev {
			c.Messages = max(10, o.Messages/10)
		}
		f, err := measureMessages(ctx, c, p)
		if err != nil {
			return r, fmt.Errorf("measure messages, %s: %w", p, err)
		}
		r.Networks = append(r.Networks, f)
		r.judge(f)
	}
	return r, nil
}

func (r *MessageResult) judge(f MessageFigures) {
	r.fail(f.RSSAnon > ClientMemoryGoal, "%s: a client holds %d bytes, goal %d", f.Profile, f.RSSAnon, int64(ClientMemoryGoal))
	r.fail(f.IdleCPU > ClientIdleCPUGoal, "%s: an idle client takes %.2f %% of a core, goal %.0f", f.Profile, f.IdleCPU, ClientIdleCPUGoal)
	r.fail(f.ActiveCPU > ClientActiveCPUGoal, "%s: a client that talks takes %.2f %% of a core, goal %.0f", f.Profile, f.ActiveCPU, ClientActiveCPUGoal)
}

// messenger is a client's process.
type messenger struct {
	*process
	id string
}

func (m *messenger) ask(o messageOrder) (a messageAnswer, err error) {
	if err := json.NewEncoder(m.in).Encode(o); err != nil {
		return a, err
	}
	return a, m.answer(&a)
}

func (m *messenger) answer(a *messageAnswer) error {
	if err := m.read(a); err != nil {
		return err
	}
	if a.Error != "" {
		return errors.New(a.Error)
	}
	return nil
}

func measureMessages(ctx context.Context, o MessageOptions, profile genesis.Profile) (f MessageFigures, err error) {
	prm, err := genesis.For(profile)
	if err != nil {
		return f, err
	}
	f = MessageFigures{Profile: profile, Relays: o.Relays, MixingMS: int64(prm.MixingMean), Cover: prm.Cover, Messages: o.Messages, ActiveEvery: talkEvery.Milliseconds()}
	net, err := start(ctx, o.Network)
	if err != nil {
		return f, err
	}
	defer net.stop()
	order := capacityOrder{Relays: o.Relays, Profile: profile, Links: devnet.LinksTLS, Cover: prm.Cover, Dir: o.Dir + "/network", HTTP: "127.0.0.1:0"}
	var s capacityState
	if err := json.NewEncoder(net.in).Encode(order); err != nil {
		return f, err
	}
	if err := net.read(&s); err != nil {
		return f, err
	}
	if s.Error != "" {
		return f, errors.New(s.Error)
	}
	// Every devnet is one for development, in which clients hurry. What is measured
	// here is what they do elsewhere.
	pace := time.Duration(0)
	if prm.Cover {
		pace = client.DefaultPace
	}
	var people []*messenger
	for _, name := range []string{"alice", "bob"} {
		mnemonic, err := client.NewMnemonic(rand.Reader, 24)
		if err != nil {
			return f, err
		}
		p, err := start(ctx, o.Client)
		if err != nil {
			return f, err
		}
		defer p.stop()
		m := &messenger{process: p}
		a, err := m.ask(messageOrder{Network: s.File, Dir: o.Dir + "/" + name, Mnemonic: mnemonic, Pace: pace})
		if err != nil {
			return f, fmt.Errorf("start %s: %w", name, err)
		}
		m.id, f.PollMS = a.ID, a.PollMS
		people = append(people, m)
	}
	alice, bob := people[0], people[1]
	patience := max(time.Minute, time.Duration(o.Messages)*20*time.Second)
	a, err := alice.ask(messageOrder{To: bob.id, Send: 1, Drain: patience})
	if err != nil {
		return f, fmt.Errorf("first message: %w", err)
	}
	f.FirstMS = a.Took[0].Milliseconds()
	if a, err = alice.ask(messageOrder{To: bob.id, Send: o.Messages, Drain: patience}); err != nil {
		return f, err
	}
	slices.Sort(a.Took)
	took := spansOf(a.Took)
	f.P50MS, f.P99MS = float64(took.P50US)/1000, float64(took.P99US)/1000

	// Bundles that are brought one at a time are there before anybody is watched.
	if err := pause(ctx, o.Watch); err != nil {
		return f, err
	}
	watch := func(do func() error) (float64, error) {
		before, from := []time.Duration{proc.Time(alice.cmd.Process.Pid), proc.Time(bob.cmd.Process.Pid)}, time.Now()
		if err := do(); err != nil {
			return 0, err
		}
		passed, most := time.Since(from), 0.0
		for i, p := range people {
			most = max(most, ofCore(proc.Time(p.cmd.Process.Pid)-before[i], passed))
		}
		f.WatchMS = passed.Milliseconds()
		return most, nil
	}
	if f.IdleCPU, err = watch(func() error { return pause(ctx, o.Watch) }); err != nil {
		return f, err
	}
	f.ActiveCPU, err = watch(func() error {
		for i, p := range people {
			if err := json.NewEncoder(p.in).Encode(messageOrder{To: people[1-i].id, Send: max(1, int(o.Watch/talkEvery)), Every: talkEvery, Drain: patience}); err != nil {
				return err
			}
		}
		for _, p := range people {
			var a messageAnswer
			if err := p.answer(&a); err != nil {
				return err
			}
		}
		return nil
	})
	for _, p := range people {
		f.RSSAnon, f.RSS = max(f.RSSAnon, p.memory()), max(f.RSS, proc.Memory(p.cmd.Process.Pid, "VmRSS:"))
	}
	return f, err
}
