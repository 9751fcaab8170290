package devnet

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/httpx"
	"tunic/ledger/wallet"
	"tunic/node"
	"tunic/registry"
	"tunic/relay"
)

// Processes is a network of which every node is a process of its own.
type Processes struct {
	Seed     uint64
	Genesis  genesis.Genesis
	URL      string
	Admin    string // URL of the admin listener; empty where there is none
	Network  string // path of the network file
	Accounts []wallet.Key
	Relays   []*Process
	Ledger   *Process // the sealer; nil where there are validators
	// Validators decide the blocks on cometbft.
	Validators []*Validator

	log    *slog.Logger
	cancel context.CancelFunc
}

// Process is one node's process.
type Process struct {
	Name string
	ID   chain.NodeID // of a relay
	Dir  string
	cmd  *exec.Cmd
	done chan struct{}
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process at once, as a crash would (SIGKILL), and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// StartProcesses builds the network of spec with exe, the tunic program, in
// spec.Dir, and returns when every relay is in the directory. Clients are the
// caller's; Links and Live do not apply: links are TLS, the clock is real.
func StartProcesses(ctx context.Context, spec Spec, exe string) (*Processes, error) {
	if spec.Dir == "" || spec.HTTP == "" {
		return nil, fmt.Errorf("%w: a network of processes needs a folder and an address for the API", ErrSpec)
	}
	if spec.Relays == 0 {
		spec.Relays = 5
	}
	if err := spec.engine(); err != nil {
		return nil, err
	}
	n := &Network{Spec: spec, Seed: spec.Seed}
	if err := n.seed(); err != nil {
		return nil, err
	}
	n.makeGenesis()
	n.Genesis.Clock = genesis.ClockReal
	wait := 3*time.Second + time.Duration(spec.Relays)*100*time.Millisecond
	n.Genesis.Time = node.GenesisTime(time.Now(), n.Genesis.Params, min(wait, time.Duration(n.Genesis.Params.EpochLength)*time.Millisecond))
	n.File = n.Genesis.Network("http://" + spec.HTTP) // the genesis is complete
	run, cancel := context.WithCancel(ctx)
	p := &Processes{Seed: n.Seed, Genesis: n.Genesis, Accounts: n.Accounts, log: spec.Logger, cancel: cancel}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if err := p.start(run, n, exe); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Processes) start(ctx context.Context, n *Network, exe string) error {
	// Whoever else answers at the address would be taken for the ledger.
	ln, err := net.Listen("tcp", n.Spec.HTTP)
	if err != nil {
		return fmt.Errorf("devnet: listen for the API: %w", err)
	}
	ln.Close()
	p.URL = "http://" + n.Spec.HTTP
	if err := p.startLedger(ctx, n, exe); err != nil {
		return err
	}
	api, err := client.NewClientWithResponses(p.URL, client.WithHTTPClient(&http.Client{Timeout: 5 * time.Second}))
	if err != nil {
		return err
	}
	if err := p.await(ctx, func() bool {
		r, err := api.GetStatusWithResponse(ctx)
		return err == nil && r.JSON200 != nil && (p.Ledger != nil || r.JSON200.Height > 0)
	}); err != nil {
		return fmt.Errorf("devnet: the ledger does not answer: %w", err)
	}
	for i := range n.Spec.Relays {
		if err := p.startRelay(ctx, n, i, exe, api); err != nil {
			return err
		}
	}
	err = p.await(ctx, func() bool {
		r, err := api.GetStatusWithResponse(ctx)
		return err == nil && r.JSON200 != nil && r.JSON200.Listed == n.Spec.Relays
	})
	if err != nil {
		return fmt.Errorf("devnet: not all relays came into the directory: %w", err)
	}
	return nil
}

// startLedger starts the sealer, or the validators.
func (p *Processes) startLedger(ctx context.Context, n *Network, exe string) (err error) {
	dir := filepath.Join(n.Spec.Dir, "ledger")
	if n.onComet() {
		if p.Validators, err = n.startValidators(ctx, filepath.Join(n.Spec.Dir, validatorsDir)); err != nil {
			return err
		}
		n.nameValidators(p.Validators)
		p.Network, err = n.writeNetwork()
		return err
	}
	if err := node.InitLedger(dir, n.Genesis, n.sealer(), p.URL); err != nil {
		return err
	}
	p.Network = filepath.Join(dir, node.NetworkFile)
	args := []string{"ledger", "run", "--dir", dir, "--http", n.Spec.HTTP, "-o", "json"}
	if n.Spec.Admin != "" {
		args = append(args, "--admin", n.Spec.Admin)
		p.Admin = "http://" + n.Spec.Admin
	}
	p.Ledger, err = spawn("ledger", dir, nil, exe, args...)
	return err
}

func (p *Processes) startRelay(ctx context.Context, n *Network, i int, exe string, api *client.ClientWithResponses) error {
	k := n.relayKeys(i)
	name := relayName(i)
	dir := filepath.Join(n.Spec.Dir, name)
	endpoint, err := n.endpoint(i)
	if err != nil {
		return err
	}
	if err := writeKeys(dir, k); err != nil {
		return err
	}
	operator := n.account("operator", i)
	tx, err := registration(n.Genesis.Core, n.File.Genesis, k, operator, 0, n.Genesis.Params.StakingRequirement)
	if err != nil {
		return err
	}
	res, err := api.SubmitTransactionWithBodyWithResponse(ctx, "application/octet-stream", bytes.NewReader(tx))
	if err != nil {
		return fmt.Errorf("devnet: register %s: %w", name, err)
	}
	if res.StatusCode() != http.StatusAccepted {
		return fmt.Errorf("devnet: register %s: %s", name, strings.TrimSpace(string(res.Body)))
	}
	r, err := spawn(name, dir, nil, exe, "relay", "run", "--dir", dir, "--network", p.Network, "--listen", endpoint, "-o", "json")
	if err != nil {
		return err
	}
	r.ID = k.ID()
	p.Relays = append(p.Relays, r)
	return nil
}

// Restart starts a killed relay or the ledger again with the same arguments.
func (p *Processes) Restart(ctx context.Context, old *Process) (*Process, error) {
	fresh, err := spawn(old.Name, old.Dir, nil, old.cmd.Path, old.cmd.Args[1:]...)
	if err != nil {
		return nil, err
	}
	fresh.ID = old.ID
	if p.Ledger == old {
		p.Ledger = fresh
	}
	for i := range p.Relays {
		if p.Relays[i] == old {
			p.Relays[i] = fresh
		}
	}
	return fresh, nil
}

// spawn starts a process whose output goes to a log file in its folder. It
// dies with this one.
func spawn(name, dir string, env []string, exe string, args ...string) (*Process, error) {
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("devnet: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(exe, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if len(env) > 0 {
		cmd.Env = append(os.Environ(), env...)
	}
	setDeathSignal(cmd)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("devnet: start %s: %w", name, err)
	}
	x := &Process{Name: name, Dir: dir, cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(x.done)
	}()
	return x, nil
}

// await polls until ok, a process has ended, or ctx ends; 60 s at most.
func (p *Processes) await(ctx context.Context, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for !ok() {
		for _, x := range p.all() {
			select {
			case <-x.done:
				return x.ended()
			default:
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// all are the processes of the network.
func (p *Processes) all() (all []*Process) {
	if p.Ledger != nil {
		all = append(all, p.Ledger)
	}
	for _, v := range p.Validators {
		all = append(all, v.Process)
	}
	return append(all, p.Relays...)
}

// ended says how the process, which is done, ended.
func (x *Process) ended() error {
	return fmt.Errorf("%s (process %d) ended: %s", x.Name, x.PID(), x.why())
}

// why is the problem that the process ended with, else what the system says of it.
func (x *Process) why() string {
	log := filepath.Join(x.Dir, "log")
	why := fmt.Sprintf("%s; its log is %s", x.cmd.ProcessState, log)
	f, err := os.Open(log)
	if err != nil {
		return why
	}
	defer f.Close()
	last := ""
	for s := bufio.NewScanner(io.LimitReader(f, 1<<20)); s.Scan(); {
		if strings.TrimSpace(s.Text()) != "" {
			last = s.Text()
		}
	}
	var p httpx.Problem // the nodes run with -o json
	if json.Unmarshal([]byte(last), &p) == nil && p.Title != "" {
		return strings.TrimSuffix(p.Title+": "+p.Detail, ": ")
	}
	return why
}

// Close asks every process to end, relays first, and waits; what does not end
// within five seconds is killed.
func (p *Processes) Close() error {
	defer p.cancel()
	all := append([]*Process{}, p.Relays...)
	for _, x := range all {
		_ = x.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, x := range all {
		x.wait()
	}
	if p.Ledger != nil {
		_ = p.Ledger.cmd.Process.Signal(syscall.SIGTERM)
		p.Ledger.wait()
	}
	for _, v := range p.Validators {
		v.stop()
	}
	return nil
}

func (x *Process) wait() {
	select {
	case <-x.done:
	case <-time.After(5 * time.Second):
		x.Kill()
	}
}

// Wait returns when ctx ends (nil) or the ledger has ended by itself. A relay or
// validator that ends is missed and warned of; the network goes on without it, for
// as long as more than two thirds of the validators run.
func (p *Processes) Wait(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx) // Close, which follows, ends the relays
	defer stop()
	for _, x := range p.all() {
		if x == p.Ledger {
			continue
		}
		go func() {
			select {
			case <-x.done:
				if ctx.Err() == nil {
					p.log.Warn("a node ended; the network goes on without it", "node", x.Name, "why", x.why(), "again", strings.Join(x.cmd.Args, " "))
				}
			case <-ctx.Done():
			}
		}()
	}
	if p.Ledger == nil {
		<-ctx.Done()
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case <-p.Ledger.done:
		return fmt.Errorf("devnet: %w", p.Ledger.ended())
	}
}

// registration is the signed register transaction of a relay, fully staked by
// its operator.
func registration(core genesis.Core, hash chain.Hash, k relay.Keys, operator wallet.Key, nonce uint64, stake chain.Amount) ([]byte, error) {
	reg := registry.Register{
		Head: chain.Head{Nonce: nonce, Fee: core.Params.MinFee, ValidUntil: 1000},
		Node: k.ID(), FeeBps: 1000, Amount: stake,
	}
	sig, proof := k.Registration(hash, operator.Address())
	reg.VRFKey, reg.NodeSignature, reg.VRFProof = k.VRFPublic(), sig[:], proof[:]
	tx, err := operator.Sign(chain.NewDomain(core.ChainID, hash), registry.RegisterType.Schema(), registry.RegisterType.Unsigned(reg))
	if err != nil {
		return nil, err
	}
	return tx.Encode(), nil
}

// Wait returns when the process has ended.
func (p *Process) Wait() { <-p.done }
