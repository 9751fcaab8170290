package devnet

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tunic/api/client"
	"tunic/chain"
	"tunic/internal/durable"
	"tunic/node"
	"tunic/relay"
)

// MaxValidators bounds the validators of a network on one machine.
const MaxValidators = 32

// validatorsDir is the folder below Spec.Dir that has those of the validators.
const validatorsDir = "validators"

// ValidatorProgram is what validators run.
const ValidatorProgram = "tunic-validator"

// ErrNoValidator means that the program of validators was not found.
var ErrNoValidator = errors.New("devnet: no " + ValidatorProgram)

// FindValidator looks for the program beside the running one, then on PATH.
func FindValidator() (string, error) {
	beside := "this program"
	if exe, err := os.Executable(); err == nil {
		beside = filepath.Dir(exe)
		at := filepath.Join(beside, ValidatorProgram)
		if info, err := os.Stat(at); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return at, nil
		}
	}
	at, err := exec.LookPath(ValidatorProgram)
	if err != nil {
		return "", fmt.Errorf("%w in %s or on PATH; build it with `go build -o %s ./cmd/%s`, or leave the engine to the sealer",
			ErrNoValidator, beside, filepath.Join(beside, ValidatorProgram), ValidatorProgram)
	}
	return filepath.Abs(at)
}

// Place is where a validator runs. What is empty is as without it.
type Place struct {
	HTTP, Listen string   // addresses of the API and of links between validators
	Run          []string // what runs the program, such as ip netns exec NAME
}

// Validator is one that decides blocks: a process with a ledger and its API.
type Validator struct {
	Index int
	ID    chain.NodeID
	URL   string // of its API
	*Process

	exe  string
	args []string
	run  []string // what runs exe
}

// validatorName is how people call validator i.
func validatorName(i int) string { return fmt.Sprintf("validator-%d", i+1) }

// stop asks the process to end and waits; what does not end in time is killed.
func (v *Validator) stop() {
	if v.Process == nil {
		return
	}
	_ = v.cmd.Process.Signal(syscall.SIGTERM)
	v.wait()
}

// start starts the process again, as it was started at first.
func (v *Validator) start(env ...string) (err error) {
	args := slices.Concat(v.run, []string{v.exe}, v.args)
	v.Process, err = spawn(validatorName(v.Index), v.Dir, env, args[0], args[1:]...)
	return err
}

// KillValidator ends validator i, counted from 0, as a crash does.
func (n *Network) KillValidator(i int) { n.Validators[i].Kill() }

// StopValidator asks validator i to end, and waits for it.
func (n *Network) StopValidator(i int) { n.Validators[i].stop() }

// StartValidator starts validator i again, which does not run, and returns when its
// API answers.
func (n *Network) StartValidator(ctx context.Context, i int) error {
	return n.StartValidatorWith(ctx, i, n.Spec.Validator)
}

// StartValidatorWith is StartValidator with another program, in an environment that
// has these besides its own.
func (n *Network) StartValidatorWith(ctx context.Context, i int, program string, env ...string) error {
	v := n.Validators[i]
	v.exe = program
	if err := v.start(env...); err != nil {
		return err
	}
	return v.await(ctx)
}

// ValidatorDown is closed when validator i has ended.
func (n *Network) ValidatorDown(i int) <-chan struct{} { return n.Validators[i].done }

// restartValidators stops all of them and starts them again, and returns when they
// have decided another block.
func (n *Network) restartValidators(ctx context.Context) error {
	for _, v := range n.Validators {
		v.stop()
	}
	at := n.Ledger.Head().Header.Height
	for _, v := range n.Validators {
		if err := v.start(); err != nil {
			return err
		}
	}
	for _, v := range n.Validators {
		if err := v.await(ctx); err != nil {
			return err
		}
	}
	return n.awaitHead(ctx, func(h chain.Header) bool { return h.Height > at+1 })
}

// await returns when the API answers.
func (v *Validator) await(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, cometLimit)
	defer stop()
	api, err := client.NewClientWithResponses(v.URL, client.WithHTTPClient(&http.Client{Timeout: 5 * time.Second}))
	if err != nil {
		return err
	}
	for {
		r, err := api.GetHealthWithResponse(ctx)
		if err == nil && r.StatusCode() == http.StatusOK {
			return nil
		}
		select {
		case <-v.done:
			return fmt.Errorf("devnet: %w", v.ended())
		case <-ctx.Done():
			return fmt.Errorf("devnet: the API of %s does not answer: %w", v.Name, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// freeAddress is an address of this machine on which nobody listens.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("devnet: find a free port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// startValidators makes the folders of all validators below dir, starts them, and
// returns when their APIs answer. The first serves its API at Spec.HTTP.
func (n *Network) startValidators(ctx context.Context, dir string) ([]*Validator, error) {
	all, err := n.makeValidators(ctx, dir)
	if err != nil {
		return nil, err
	}
	for _, v := range all {
		if err := v.start(); err != nil {
			return all, err
		}
	}
	for _, v := range all {
		if err := v.await(ctx); err != nil {
			return all, err
		}
	}
	return all, nil
}

// makeValidators makes the folders, with the keys and the genesis of this network.
func (n *Network) makeValidators(ctx context.Context, dir string) (all []*Validator, err error) {
	var listen []string
	for i, k := range n.validatorKeys() {
		var place Place
		if n.Spec.Place != nil {
			place = n.Spec.Place(i)
		}
		if i == 0 && place.HTTP == "" {
			place.HTTP = n.Spec.HTTP
		}
		for _, at := range []*string{&place.HTTP, &place.Listen} {
			if *at == "" {
				if *at, err = freeAddress(); err != nil {
					return nil, err
				}
			}
		}
		v := &Validator{Index: i, ID: chain.NodeID(k.Public().(ed25519.PublicKey)), URL: "http://" + place.HTTP, exe: n.Spec.Validator, run: place.Run}
		v.Process = &Process{Name: validatorName(i), Dir: filepath.Join(dir, fmt.Sprintf("validator%d", i+1))}
		v.args = []string{"start", "--dir", v.Dir, "-o", "json"}
		if err := writeKeys(v.Dir, relay.Keys{Identity: k, VRF: n.derive("validator vrf", i)}); err != nil {
			return nil, err
		}
		all, listen = append(all, v), append(listen, place.Listen)
	}
	peers, err := n.initValidators(ctx, dir)
	if err != nil {
		return nil, err
	}
	for i := range peers {
		id, _, _ := strings.Cut(peers[i], "@")
		peers[i] = id + "@" + listen[i]
	}
	for i, v := range all {
		others := slices.Concat(peers[:i], peers[i+1:])
		text := fmt.Sprintf("listen: %q\npeers: [%s]\nlocal: true\nhttp: %q\nlog: info\nsnapshot_every: 20\nsnapshot_keep: 6\npace:\n  propose: 1s\n  vote: 300ms\n",
			listen[i], strings.Join(others, ", "), strings.TrimPrefix(v.URL, "http://"))
		if err := durable.WriteFile(filepath.Join(v.Dir, "validator.yaml"), []byte(text), 0o644); err != nil {
			return nil, fmt.Errorf("devnet: %w", err)
		}
	}
	return all, nil
}

// initValidators lets the program make what else is in the folders, and returns the
// names of the validators towards each other, ID@HOST:PORT.
func (n *Network) initValidators(ctx context.Context, dir string) ([]string, error) {
	g, err := json.MarshalIndent(n.Genesis, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("devnet: %w", err)
	}
	if err := durable.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("devnet: %w", err)
	}
	file := filepath.Join(dir, node.GenesisFile)
	if err := durable.WriteFile(file, append(g, '\n'), 0o644); err != nil {
		return nil, fmt.Errorf("devnet: %w", err)
	}
	cmd := exec.CommandContext(ctx, n.Spec.Validator, "testnet", "--dir", dir, "--genesis", file, "--validators", strconv.Itoa(n.Spec.Validators), "-o", "json")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return nil, fmt.Errorf("devnet: %s testnet: %w", n.Spec.Validator, err)
	}
	var made struct {
		Validators []struct {
			Peer string `json:"peer"`
		} `json:"validators"`
	}
	if json.Unmarshal(out, &made) != nil || len(made.Validators) != n.Spec.Validators {
		return nil, fmt.Errorf("devnet: %s testnet made %d validators, not %d; is it of this version?", n.Spec.Validator, len(made.Validators), n.Spec.Validators)
	}
	var peers []string
	for _, v := range made.Validators {
		peers = append(peers, v.Peer)
	}
	return peers, nil
}
