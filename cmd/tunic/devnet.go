package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/cmd/internal/cli"
	"tunic/devnet"
	"tunic/devnet/scenario"
	"tunic/internal/durable"
	"tunic/ledger/wallet"
	"tunic/node"
)

// runningFile describes a running devnet in its folder; it is there while the
// network runs.
const runningFile = "devnet.json"

// stepsDir is where steps of a devnet keep dumps.
const stepsDir = "steps"

// running is what `devnet up` says when it is ready.
type running struct {
	Ready      bool          `json:"ready"`
	PID        int           `json:"pid"`
	URL        string        `json:"url"`
	Admin      string        `json:"admin,omitempty"` // where metrics and profiles are
	Network    string        `json:"network_file"`
	Genesis    chain.Hash    `json:"genesis_hash"`
	ChainID    uint64        `json:"chain_id"`
	Seed       uint64        `json:"seed"`
	Relays     []upRelay     `json:"relays"`
	Validators []upValidator `json:"validators,omitempty"` // where they decide the blocks
	Accounts   []upKey       `json:"accounts"`
	Claim      string        `json:"protection"`
	Driven     bool          `json:"driven"` // the clock stands still but for tunic dev
	Clients    []string      `json:"clients"`
}

type upRelay struct {
	Name string       `json:"name"`
	Node chain.NodeID `json:"node"`
	PID  int          `json:"pid,omitempty"`
}

type upValidator struct {
	Name string       `json:"name"`
	Node chain.NodeID `json:"node"`
	PID  int          `json:"pid"`
	URL  string       `json:"url"` // of its API
}

type upKey struct {
	Address    chain.Address `json:"address"`
	PrivateKey string        `json:"private_key"`
}

func (a *app) devnetCommand() *cobra.Command {
	return noun("devnet", "A private network on this machine", a.devnetUp(), a.devnetStatus(), a.devnetStep(), a.devnetDown())
}

func defaultDevnet() string { return filepath.Join(home(), "devnet") }

func (a *app) devnetUp() *cobra.Command {
	var spec devnet.Spec
	var processes, detach, fresh, driven bool
	var params []string
	var on engineFlags
	c := &cobra.Command{
		Use: "up", Short: "Start a ledger and relays and serve the API until interrupted", Args: cobra.NoArgs,
		Long: `Start a ledger and relays and serve the API until interrupted.

Its clock runs with the machine's, or stands still with --driven: then it moves by
tunic dev advance alone, blocks hold what is submitted at once, and every relay
answers a block before the next. Relays then talk in memory: messengers in other
processes do not reach them, those of --clients do. With either clock, tunic devnet
step makes relays fail, cheat and come back.

With --engine comet validators decide the blocks, each a process that runs
` + devnet.ValidatorProgram + `. Their network has the machine's clock and none of the controls
of a dev network: neither tunic dev nor tunic devnet step.`,
		Example: `  tunic devnet up --driven --detach
  tunic devnet step fault relay-3 silent
  tunic dev advance 2m
  tunic devnet step expect state relay-3 deregistered
  tunic devnet down`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if spec.Relays < 1 || spec.Relays > devnet.MaxRelays {
				return usage("--relays must be 1 to %d", devnet.MaxRelays)
			}
			switch {
			case driven && processes:
				return usage("--driven and --processes do not go together: no block waits for relays that are processes of their own; leave one of them out")
			case processes && spec.Clients > 0:
				return usage("--clients and --processes do not go together; a messenger beside relays that are processes is tunic client run")
			case spec.Clients < 0 || spec.Clients > devnet.MaxClients:
				return usage("--clients must be 0 to %d", devnet.MaxClients)
			}
			if err := listenable(spec.HTTP); err != nil {
				return err
			}
			engine, err := on.read(cmd)
			if err != nil {
				return err
			}
			if engine == genesis.EngineComet {
				if driven {
					return usage("--driven and --engine comet do not go together: nobody moves the clock of validators; leave one of them out")
				}
				spec.Engine, spec.Validators = engine, on.validators
				if spec.Validator, err = devnet.FindValidator(); err != nil {
					return fail(exitFailed, "no_validator", "the program of validators is missing", "%v", err)
				}
			}
			p, err := genesis.For(genesis.Dev)
			if err != nil {
				return err
			}
			if p, err = cli.WithParams("param", p, params); err != nil {
				return err
			}
			if err := p.Validate(); err != nil {
				return usage("%v", err)
			}
			spec.Params = &p
			if detach {
				return a.devnetDetach(cmd.Context(), spec.Dir)
			}
			log, err := a.logger()
			if err != nil {
				return err
			}
			spec.Logger, spec.Live, spec.Links = log, true, devnet.LinksTLS
			if driven { // in sockets nobody counts what is under way
				spec.Live, spec.AtOnce, spec.Links = false, true, devnet.LinksMemory
			}
			return a.up(cmd.Context(), spec, processes, fresh)
		},
	}
	on.add(c)
	f := c.Flags()
	f.IntVar(&spec.Relays, "relays", 12, "number of relays")
	f.Uint64Var(&spec.Seed, "seed", 0, "fixes keys and ids (default: drawn)")
	f.StringVar(&spec.HTTP, "http", "127.0.0.1:8400", "address of the API")
	f.StringVar(&spec.Admin, "admin", "", "loopback address and port for the ledger's /metrics and /debug/pprof, such as 127.0.0.1:9400 (default none)")
	f.StringVar(&spec.Dir, "datadir", defaultDevnet(), "folder for everything; its network.json is what clients need")
	f.StringArrayVar(&params, "param", nil, "NAME=VALUE: change one parameter of the dev profile, by its name in genesis.json (repeat)")
	f.IntVar(&spec.Clients, "clients", 0, "number of messengers for steps: alice, bob, carol, client-4 and so on")
	f.BoolVar(&driven, "driven", false, "let the clock stand still but for tunic dev advance")
	f.BoolVar(&processes, "processes", false, "run every node as a process of its own")
	f.BoolVar(&detach, "detach", false, "return when the network is ready; tunic devnet down ends it")
	f.BoolVar(&fresh, "fresh", false, "remove a devnet that is in the folder")
	return c
}

// up runs a devnet in this process until ctx ends. One that did not come up
// leaves the folder as it was.
func (a *app) up(ctx context.Context, spec devnet.Spec, processes, fresh bool) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	here := spec.Relays
	if processes {
		here = 0
	}
	go devnet.Collect(ctx, here)
	dir, err := filepath.Abs(spec.Dir)
	if err != nil {
		return err
	}
	spec.Dir = dir
	if err := durable.MkdirAll(spec.Dir); err != nil {
		return err
	}
	unlock, err := durable.Lock(spec.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := clearDevnet(spec.Dir, fresh); err != nil {
		return err
	}
	mark := filepath.Join(spec.Dir, runningFile)
	defer os.Remove(mark)
	said := running{Ready: true, PID: os.Getpid(), Network: filepath.Join(spec.Dir, "ledger", node.NetworkFile), Driven: spec.AtOnce, Clients: []string{}}
	var wait func() error
	if processes {
		exe, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		n, err := devnet.StartProcesses(ctx, spec, exe)
		if err != nil {
			return errors.Join(err, clearDevnet(spec.Dir, true))
		}
		defer n.Close()
		for _, r := range n.Relays {
			said.Relays = append(said.Relays, upRelay{r.Name, r.ID, r.PID()})
		}
		said.decide(n.Validators)
		said.fill(n.URL, n.Seed, n.Genesis.Hash(), n.Genesis.ChainID, n.Genesis.Params.Claim(), n.Accounts)
		said.Admin = n.Admin
		wait = func() error { return n.Wait(ctx) }
	} else {
		n, err := devnet.Start(ctx, spec)
		if err != nil {
			return errors.Join(err, clearDevnet(spec.Dir, true))
		}
		defer n.Close()
		steps, err := scenario.Attach(n, filepath.Join(spec.Dir, stepsDir))
		if err != nil {
			return err
		}
		n.SetSteps(steps.Serve)
		said.decide(n.Validators)
		for _, r := range n.Relays {
			said.Relays = append(said.Relays, upRelay{Name: r.Name(), Node: r.ID})
		}
		for _, c := range n.Clients {
			said.Clients = append(said.Clients, c.Name)
		}
		said.Admin = n.Admin
		said.fill(n.URL, n.Seed, n.Genesis.Hash(), n.Genesis.ChainID, n.Genesis.Params.Claim(), n.Accounts)
		wait = func() error { return n.Wait(ctx) }
	}
	b, err := json.Marshal(said)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(mark, append(b, '\n'), 0o600); err != nil {
		return err
	}
	if err := a.show(said, said.text); err != nil {
		return err
	}
	return wait()
}

func (r *running) fill(url string, seed uint64, hash chain.Hash, chainID uint64, claim string, keys []wallet.Key) {
	r.URL, r.Seed, r.Genesis, r.ChainID, r.Claim = url, seed, hash, chainID, claim
	for _, k := range keys {
		r.Accounts = append(r.Accounts, upKey{k.Address(), "0x" + k.Hex()})
	}
}

// decide says who decides the blocks.
func (r *running) decide(all []*devnet.Validator) {
	for _, v := range all {
		r.Validators = append(r.Validators, upValidator{v.Name, v.ID, v.PID(), v.URL})
	}
}

func (r *running) text(w io.Writer) {
	fmt.Fprintf(w, "Accounts (10000 TUN each; these keys are public, for tests alone)\n\n")
	for i, k := range r.Accounts {
		fmt.Fprintf(w, "  (%d) %s  %s\n", i, k.Address, k.PrivateKey)
	}
	fmt.Fprintf(w, "\nThe last %d are the council: %d of them can change parameters (tunic params)\n", devnet.CouncilSize, devnet.CouncilMin)
	fmt.Fprintf(w, "\nRelays\n\n")
	for _, x := range r.Relays {
		fmt.Fprintf(w, "  %-9s %s\n", x.Name, x.Node)
	}
	if len(r.Validators) > 0 {
		fmt.Fprintf(w, "\nValidators\n\n")
	}
	for _, x := range r.Validators {
		fmt.Fprintf(w, "  %-12s %s  %s\n", x.Name, x.Node, x.URL)
	}
	fmt.Fprintf(w, "\nSeed          %d\nChain id      %d\nGenesis       %s\nProtection    %s\nNetwork file  %s\nListening on  %s\n", r.Seed, r.ChainID, r.Genesis, r.Claim, r.Network, r.URL)
	if r.Admin != "" {
		fmt.Fprintf(w, "Metrics       %s/metrics\n", r.Admin)
	}
	if len(r.Clients) > 0 {
		fmt.Fprintf(w, "Messengers    %s\n", strings.Join(r.Clients, ", "))
	}
	if r.Driven {
		fmt.Fprint(w, "Clock         stands still; tunic dev advance 2m moves it\n")
	}
	fmt.Fprintf(w, "\nReady. In another terminal: export TUNIC_NETWORK=%s\n", r.Network)
}

// clearDevnet makes room for a new network in dir: what an earlier one left is
// removed only when asked for, and nothing else ever.
func clearDevnet(dir string, fresh bool) error {
	if _, err := os.Stat(filepath.Join(dir, "ledger")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if !fresh {
		return fail(exitFailed, "exists", "an earlier devnet is in the folder", "%s; pass --fresh to replace it, or another --datadir", dir)
	}
	left := []string{filepath.Join(dir, "ledger"), filepath.Join(dir, "offence.proof"), filepath.Join(dir, stepsDir), filepath.Join(dir, "backups"), filepath.Join(dir, "validators")}
	for _, pattern := range []string{"relay-[0-9]*", "client-[0-9]*"} {
		more, _ := filepath.Glob(filepath.Join(dir, pattern))
		left = append(left, more...)
	}
	for _, x := range left {
		if err := os.RemoveAll(x); err != nil {
			return fmt.Errorf("remove an earlier devnet: %w", err)
		}
	}
	return nil
}

// devnetDetach starts the same command without --detach in the background and
// returns when that one is ready.
func (a *app) devnetDetach(ctx context.Context, dir string) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if err := durable.MkdirAll(dir); err != nil {
		return err
	}
	args := []string{}
	for _, x := range a.Args {
		if x != "--detach" && x != "--detach=true" {
			args = append(args, x)
		}
	}
	if r, err := readRunning(dir); err == nil && r.alive(dir) {
		return fail(exitFailed, "locked", "a devnet runs there already", "process %d, with its API at %s; end it with `tunic devnet down`, or pass another --datadir", r.PID, r.URL)
	}
	logPath := filepath.Join(dir, "devnet.log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(exe, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start in the background: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		if r, err := readRunning(dir); err == nil && r.PID == cmd.Process.Pid {
			return a.show(r, r.text)
		}
		select {
		case err := <-ended:
			if cmd.ProcessState == nil {
				return fmt.Errorf("start in the background: %w", err)
			}
			b, _ := durable.ReadFile(logPath, 1<<20)
			return notStarted(lastLine(b), cmd.ProcessState.ExitCode())
		case <-ctx.Done():
			_ = cmd.Process.Signal(syscall.SIGTERM)
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// notStarted is the problem of which a process in the background said last.
func notStarted(last string, exit int) error {
	p := fail(max(exit, exitFailed), "not_started", "the devnet did not start", "%s", strings.TrimPrefix(last, "tunic: "))
	_ = json.Unmarshal([]byte(last), p) // with -o json the line is a problem itself
	return p
}

func readRunning(dir string) (*running, error) {
	b, err := durable.ReadFile(filepath.Join(dir, runningFile), 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fail(exitFailed, "not_running", "no devnet runs there", "%s; start one with `tunic devnet up`", dir)
	}
	if err != nil {
		return nil, err
	}
	var r running
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("read %s: %w", runningFile, err)
	}
	return &r, nil
}

// alive reports whether the devnet that wrote r still holds its folder.
func (r *running) alive(dir string) bool {
	unlock, err := durable.Lock(dir)
	if err == nil {
		unlock()
		return false
	}
	return errors.Is(err, durable.ErrLocked) && syscall.Kill(r.PID, 0) == nil
}

func (a *app) devnetStatus() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "status", Short: "What runs", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			r, err := readRunning(dir)
			if err != nil {
				return err
			}
			if !r.alive(dir) {
				return fail(exitFailed, "not_running", "no devnet runs there", "the one in %s ended without clearing up; `tunic devnet up --fresh` starts a new one", dir)
			}
			return a.show(r, r.text)
		},
	}
	c.Flags().StringVar(&dir, "datadir", defaultDevnet(), "folder of the devnet")
	return c
}

func (a *app) devnetDown() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "down", Short: "End the devnet of a folder", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := readRunning(dir)
			if err != nil {
				return err
			}
			if !r.alive(dir) {
				_ = os.Remove(filepath.Join(dir, runningFile))
				return fail(exitFailed, "not_running", "no devnet runs there", "the one in %s had ended already", dir)
			}
			if err := syscall.Kill(r.PID, syscall.SIGTERM); err != nil {
				return fmt.Errorf("end process %d: %w", r.PID, err)
			}
			for end := time.Now().Add(20 * time.Second); r.alive(dir); {
				if time.Now().After(end) {
					return fail(exitUnreachable, "timeout", "not in time", "process %d has not ended", r.PID)
				}
				time.Sleep(20 * time.Millisecond)
			}
			return a.show(map[string]any{"stopped": r.PID}, func(w io.Writer) { fmt.Fprintln(w, "stopped") })
		},
	}
	c.Flags().StringVar(&dir, "datadir", defaultDevnet(), "folder of the devnet")
	return c
}
