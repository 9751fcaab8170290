package partition

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/devnet"
	"tunic/node"
)

// NeedsIP is why a run is impossible where a program is missing that can be had.
const NeedsIP = "needs the program ip (iproute2)"

// Options say what is tried.
type Options struct {
	Dir     string // for everything on disk
	Program string // what validators run
	// Skewed is the same, but with the clock off by what SkewVar says in its
	// environment.
	Skewed string
	Steps  []string // of Steps, in this order (all)
	Tell   func(string)
}

// SkewVar is a duration by which the clock of Options.Skewed is off.
const SkewVar = "TUNIC_TEST_CLOCK_OFF"

// Result is what was found.
type Result struct {
	Steps      []string
	Height     chain.Height
	Blocks     int // read and compared
	Heads      int // shown meanwhile
	Sent       int // transactions, all of which were committed
	Again      int // that were handed in again, since a validator lost its mempool
	Messages   int
	Slowest    time.Duration // delivery of one
	Violations []string
}

const (
	validators = 4
	relays     = 6
	diskSize   = 192 << 20
	// patience bounds what takes a moment on a machine that has nothing else to do.
	patience = 5 * time.Minute
	// standstill is for how long nothing may be decided while the network is cut in two.
	standstill = 15 * time.Second
	// enough blocks show that a network goes on.
	enough = 8
)

// trial is one run.
type trial struct {
	Options
	world   *world
	net     *devnet.Network
	history *history
	load    *load
	mail    *mail
	result  Result
}

// step is one thing that happens to a network.
type step struct {
	name string
	run  func(*trial, context.Context) error
}

func steps() []step {
	return []step{
		{"one is killed", (*trial).killed},
		{"two are cut off from two", (*trial).cutInTwo},
		{"a rolling restart", (*trial).rolling},
		{"one begins with an empty folder", (*trial).emptied},
		{"one begins from a snapshot", (*trial).fromSnapshot},
		{"one has its clock a minute ahead", func(t *trial, ctx context.Context) error { return t.skewed(ctx, time.Minute) }},
		{"one has its clock a minute behind", func(t *trial, ctx context.Context) error { return t.skewed(ctx, -time.Minute) }},
		{"one has its disk full", (*trial).diskFull},
	}
}

// Steps are the names of all steps.
func Steps() (names []string) {
	for _, s := range steps() {
		names = append(names, s.name)
	}
	return names
}

// Run lets everything happen to one network, and checks its histories. It is to run
// inside namespaces (Inside).
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Tell == nil {
		o.Tell = func(string) {}
	}
	if len(o.Steps) == 0 {
		o.Steps = Steps()
	}
	t := &trial{Options: o}
	defer func() {
		if t.net != nil {
			t.net.Close()
		}
		if t.world != nil {
			t.world.close()
		}
	}()
	if err := t.begin(ctx); err != nil {
		return &t.result, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	go func() { defer close(done); t.beside(ctx) }()
	for _, s := range steps() {
		if !slices.Contains(o.Steps, s.name) {
			continue
		}
		begin := time.Now()
		if err := s.run(t, ctx); err != nil {
			return &t.result, fmt.Errorf("%s: %w", s.name, err)
		}
		if err := t.quiet(ctx); err != nil {
			return &t.result, fmt.Errorf("after %s: %w", s.name, err)
		}
		t.result.Steps = append(t.result.Steps, s.name)
		t.tell("%s: done in %v, height %d", s.name, time.Since(begin).Round(time.Second), t.history.top())
	}
	t.load.end()
	t.mail.end()
	err := t.settle(ctx)
	stop()
	<-done
	return &t.result, err
}

func (t *trial) tell(format string, args ...any) { t.Tell(fmt.Sprintf(format, args...)) }

// begin makes the world and the network in it.
func (t *trial) begin(ctx context.Context) (err error) {
	dir := filepath.Join(t.Dir, "network")
	small := filepath.Join(dir, "validators", fmt.Sprintf("validator%d", validators))
	if t.world, err = newWorld(validators, small, diskSize); err != nil {
		return err
	}
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		return err
	}
	t.net, err = devnet.Start(ctx, devnet.Spec{
		Relays: relays, Clients: 2, Seed: 1 + rand.Uint64N(1<<52), Params: &p, Dir: dir, Engine: genesis.EngineComet,
		Validators: validators, Validator: t.Program, Place: t.world.place,
	})
	if err != nil {
		return err
	}
	var urls []string
	for i := range validators {
		urls = append(urls, "http://"+t.world.api(i))
	}
	t.history = newHistory(urls)
	t.load, t.mail = newLoad(t.net), newMail(t.net)
	t.tell("four validators, %d relays and two messengers run; height %d", relays, t.net.Ledger.Head().Header.Height)
	return nil
}

// beside watches, pays and writes until ctx ends.
func (t *trial) beside(ctx context.Context) {
	ends := make(chan struct{})
	jobs := []func(context.Context){t.load.run, t.mail.run}
	for i := range validators {
		jobs = append(jobs, func(ctx context.Context) { t.history.watch(ctx, i) })
	}
	for _, f := range jobs {
		go func() { defer func() { ends <- struct{}{} }(); f(ctx) }()
	}
	for range jobs {
		<-ends
	}
}

// until waits until ok, for no longer than patience.
func (t *trial) until(ctx context.Context, what string, ok func() bool) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for !ok() {
		select {
		case <-ctx.Done():
			var at []string
			for i := range validators {
				at = append(at, fmt.Sprint(t.history.height(i)))
			}
			return fmt.Errorf("not in %v: %s; the validators are at %s", patience, what, strings.Join(at, ", "))
		case <-time.After(askEvery / 2):
		}
		if err := t.net.Err(); err != nil {
			return err
		}
	}
	return nil
}

// goOn waits for more blocks, which each of these validators has to show.
func (t *trial) goOn(ctx context.Context, who ...int) error {
	to := t.history.top() + enough
	return t.until(ctx, fmt.Sprintf("height %d of validators %v, counted from 0", to, who), func() bool {
		return !slices.ContainsFunc(who, func(i int) bool { return t.history.height(i) < to })
	})
}

var everybody = []int{0, 1, 2, 3}

func except(i int) []int {
	return slices.DeleteFunc(slices.Clone(everybody), func(k int) bool { return k == i })
}

// quiet returns when all go on, and a message has come through.
func (t *trial) quiet(ctx context.Context) error {
	if err := t.goOn(ctx, everybody...); err != nil {
		return err
	}
	return t.delivers(ctx)
}

// delivers waits for a message that is sent from now on.
func (t *trial) delivers(ctx context.Context) error {
	to := t.mail.delivered() + 2 // one may be under way already
	return t.until(ctx, "two more messages", func() bool { return t.mail.delivered() >= to })
}

// killed: blocks go on without one of four, and it comes back.
func (t *trial) killed(ctx context.Context) error {
	t.net.KillValidator(3)
	if err := t.goOn(ctx, except(3)...); err != nil {
		return err
	}
	if err := t.delivers(ctx); err != nil {
		return err
	}
	return t.net.StartValidator(ctx, 3)
}

// cutInTwo: two of four decide nothing, each half keeps the head that it had or comes
// to that of the other, and messages are delivered by the list that is known.
func (t *trial) cutInTwo(ctx context.Context) error {
	if err := t.world.cut(true); err != nil {
		return err
	}
	select { // what was under way arrives
	case <-time.After(standstill / 2):
	case <-ctx.Done():
		return ctx.Err()
	}
	at := t.history.top()
	if err := t.delivers(ctx); err != nil {
		return err
	}
	select {
	case <-time.After(standstill):
	case <-ctx.Done():
		return ctx.Err()
	}
	// A commit that both halves had seen the votes for may be shown once more.
	if now := t.history.top(); now > at+1 {
		t.result.Violations = append(t.result.Violations, fmt.Sprintf("cut in two, the network went on from height %d to %d", at, now))
	}
	if err := t.delivers(ctx); err != nil {
		return err
	}
	return t.world.cut(false)
}

// rolling: each stops and starts while the others go on.
func (t *trial) rolling(ctx context.Context) error {
	for i := range validators {
		t.net.StopValidator(i)
		if err := t.goOn(ctx, except(i)...); err != nil {
			return err
		}
		if err := t.net.StartValidator(ctx, i); err != nil {
			return err
		}
		if err := t.goOn(ctx, everybody...); err != nil {
			return err
		}
	}
	return nil
}

// emptied: a validator that has lost its blocks fetches them from the others. What it
// signed last it must not lose.
func (t *trial) emptied(ctx context.Context) error {
	const i = 1
	if err := t.empty(i); err != nil {
		return err
	}
	return t.net.StartValidator(ctx, i)
}

// empty stops a validator and takes all that it has but what it signed last.
func (t *trial) empty(i int) error {
	t.net.StopValidator(i)
	dir := t.net.Validators[i].Dir
	data := filepath.Join(dir, "engine", "data")
	signed, err := os.ReadFile(filepath.Join(data, "last_signed.json"))
	return errors.Join(err, os.RemoveAll(filepath.Join(dir, "db")), os.RemoveAll(data), os.MkdirAll(data, 0o700),
		os.WriteFile(filepath.Join(data, "last_signed.json"), signed, 0o600))
}

// fromSnapshot: another one that has lost all begins with the state that its peers
// have kept, and has no block below it.
func (t *trial) fromSnapshot(ctx context.Context) error {
	const i = 0
	if err := t.until(ctx, "blocks enough for snapshots", func() bool { return t.history.top() > 60 }); err != nil {
		return err
	}
	if err := t.empty(i); err != nil {
		return err
	}
	dir := t.net.Validators[i].Dir
	settings := filepath.Join(dir, "validator.yaml")
	own, err := os.ReadFile(settings)
	if err != nil {
		return err
	}
	others := slices.Delete(slices.Clone(t.history.urls), i, i+1)
	err = errors.Join(os.WriteFile(settings, append([]byte("from_snapshot: true\n"), own...), 0o644),
		os.WriteFile(filepath.Join(dir, node.NetworkFile), t.net.Genesis.Network(others...).Encode(), 0o644))
	if err != nil {
		return err
	}
	if err := t.net.StartValidator(ctx, i); err != nil {
		return err
	}
	if err := t.goOn(ctx, everybody...); err != nil {
		return err
	}
	if _, err := t.history.get(ctx, i, "/v1/blocks/1"); !errors.Is(err, errNotThere) {
		return fmt.Errorf("it has the first block: %v", err)
	}
	return nil
}

// skewed: a clock that is off by a minute changes nothing: the time of a block is the
// median of all. No header is ahead of the others' clocks.
func (t *trial) skewed(ctx context.Context, by time.Duration) error {
	const i = 2
	t.net.StopValidator(i)
	if err := t.net.StartValidatorWith(ctx, i, t.Skewed, SkewVar+"="+by.String()); err != nil {
		return err
	}
	for range 3 {
		if err := t.goOn(ctx, everybody...); err != nil {
			return err
		}
		head := t.net.Ledger.Head().Header
		if off := time.UnixMilli(int64(head.Time)).Sub(time.Now()); off > time.Minute/4 {
			t.result.Violations = append(t.result.Violations, fmt.Sprintf("with one clock off by %v, block %d is ahead by %v", by, head.Height, off))
		}
	}
	if err := t.delivers(ctx); err != nil {
		return err
	}
	t.net.StopValidator(i)
	return t.net.StartValidatorWith(ctx, i, t.Program)
}

// diskFull: who cannot write decides nothing more and ends or waits; the others go on,
// and it comes back once there is room.
func (t *trial) diskFull(ctx context.Context) error {
	const i = validators - 1
	if err := t.world.fill(); err != nil {
		return err
	}
	if err := t.goOn(ctx, except(i)...); err != nil {
		return err
	}
	ended := func() bool {
		select {
		case <-t.net.ValidatorDown(i):
			return true
		default:
			return false
		}
	}
	if err := t.until(ctx, "the validator with the full disk to end", ended); err != nil {
		return err
	}
	if err := t.delivers(ctx); err != nil {
		return err
	}
	if err := t.world.free(); err != nil {
		return err
	}
	return t.net.StartValidator(ctx, i)
}

// settle waits until all are at one height and everything that was sent is committed,
// and checks the histories.
func (t *trial) settle(ctx context.Context) error {
	if err := t.until(ctx, "all transactions to be committed", func() bool { return t.load.waiting() == 0 }); err != nil {
		return err
	}
	if err := t.until(ctx, "all messages to be delivered", func() bool { return t.mail.waiting() == 0 }); err != nil {
		return err
	}
	if err := t.goOn(ctx, everybody...); err != nil {
		return err
	}
	r := &t.result
	r.Height = t.history.height(0)
	for i := range validators {
		r.Height = min(r.Height, t.history.height(i))
	}
	var bad []string
	r.Blocks, bad = t.history.check(ctx, r.Height)
	r.Violations = append(r.Violations, bad...)
	r.Violations = append(r.Violations, t.load.check()...)
	r.Violations = append(r.Violations, t.mail.check()...)
	r.Heads, r.Sent, r.Again = len(t.history.heads), t.load.sent, t.load.again
	r.Messages, r.Slowest = t.mail.delivered(), t.mail.slowest
	return nil
}
