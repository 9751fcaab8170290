package devnet

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tunic/api/client"
	"tunic/chain"
	"tunic/internal/durable"
)

// MaxValidators bounds the validators of a network on one machine.
const MaxValidators = 32

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

// startValidators writes the folders of all validators below dir, starts them, and
// returns when their APIs answer. The first serves its API at Spec.HTTP.
func (n *Network) startValidators(ctx context.Context, dir string) (all []*Validator, err error) {
	keys := n.validatorKeys()
	var listen, peers []string
	places := make([]Place, len(keys))
	for i := range keys {
		if n.Spec.Place != nil {
			places[i] = n.Spec.Place(i)
		}
		at := places[i].Listen
		if at == "" {
			if at, err = freeAddress(); err != nil {
				return nil, err
			}
		}
		id := chain.SHA256(n.linkKey(i).Public().(ed25519.PublicKey))
		listen = append(listen, at)
		peers = append(peers, hex.EncodeToString(id[:20])+"@"+at)
	}
	for i, k := range keys {
		api := places[i].HTTP
		if i == 0 && api == "" {
			api = n.Spec.HTTP
		}
		if api == "" {
			if api, err = freeAddress(); err != nil {
				return all, err
			}
		}
		v := &Validator{Index: i, ID: chain.NodeID(k.Public().(ed25519.PublicKey)), URL: "http://" + api, exe: n.Spec.Validator, run: places[i].Run}
		v.Process = &Process{Dir: filepath.Join(dir, validatorName(i))}
		others := slices.Concat(peers[:i], peers[i+1:])
		v.args = []string{"--dir", v.Dir, "--http", api, "--listen", listen[i], "--peers", strings.Join(others, ",")}
		if err := n.writeValidator(i, k, v.Dir); err != nil {
			return all, err
		}
		if err := v.start(); err != nil {
			return all, err
		}
		all = append(all, v)
	}
	for _, v := range all {
		if err := v.await(ctx); err != nil {
			return all, err
		}
	}
	return all, nil
}

// linkKey names validator i towards the others.
func (n *Network) linkKey(i int) ed25519.PrivateKey {
	seed := n.derive("validator link", i)
	return ed25519.NewKeyFromSeed(seed[:])
}

// writeValidator writes the folder of validator i.
func (n *Network) writeValidator(i int, key ed25519.PrivateKey, dir string) error {
	if err := durable.MkdirAll(filepath.Join(dir, "engine", "config")); err != nil {
		return fmt.Errorf("devnet: %w", err)
	}
	g, err := json.MarshalIndent(n.Genesis, "", "  ")
	if err != nil {
		return fmt.Errorf("devnet: %w", err)
	}
	link := fmt.Sprintf(`{"priv_key":{"type":"tendermint/PrivKeyEd25519","value":"%s"}}`, base64.StdEncoding.EncodeToString(n.linkKey(i)))
	for name, b := range map[string][]byte{
		"genesis.json": append(g, '\n'), "validator.key": []byte(hex.EncodeToString(key.Seed()) + "\n"),
		filepath.Join("engine", "config", "node_key.json"): []byte(link),
	} {
		if err := durable.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return fmt.Errorf("devnet: %w", err)
		}
	}
	return nil
}
