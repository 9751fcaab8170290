package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/cmd/internal/cli"
	"tunic/internal/durable"
	"tunic/ledger"
	"tunic/ledger/comet"
	"tunic/node"
)

// engineDir is the folder of CometBFT's files in a validator's folder.
func engineDir(dir string) string { return filepath.Join(dir, "engine") }

func (p *program) startCommand() *cobra.Command {
	var f flags
	var signed uint64
	c := &cobra.Command{
		Use: "start", Short: "Run a validator, its ledger and the API, until interrupted", Args: cobra.NoArgs,
		Long: `Run a validator, its ledger and the API, until interrupted.

It goes on from what is on disk, fetches the blocks that it lacks from other validators,
and votes once it has them. Interrupted, it lets requests of the API finish, for at most
five seconds, stops voting, and ends with exit code 0.

One folder is one validator: never run two with one node.key, nor one from a copy.`,
		Example: `  tunic-validator start --dir validator1
  tunic-validator start --dir validator1 --http 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem --admin 127.0.0.1:9400`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.config(p, cmd)
			if err != nil {
				return err
			}
			unlock, err := lockHome(f.dir)
			if err != nil {
				return err
			}
			defer unlock()
			if cmd.Flags().Changed("signed-up-to") {
				if err := forbid(f.dir, chain.Height(signed)); err != nil {
					return err
				}
			}
			return p.start(cmd.Context(), f, cfg)
		},
	}
	f.add(c)
	c.Flags().Uint64Var(&signed, "signed-up-to", 0, "once, where what was signed last is lost: a height up to which nothing is signed")
	return c
}

// lockHome claims a validator's folder, which is there: two that vote with one key
// vote twice.
func lockHome(dir string) (func(), error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, noKeys(dir, err)
	}
	return durable.Lock(dir)
}

// forbid begins the record of what was signed anew.
func forbid(dir string, height chain.Height) error {
	if height == 0 {
		return cli.Usage("--signed-up-to 0 would sign again what was signed; take the network's height and ten more")
	}
	if _, err := comet.ReadSigned(engineDir(dir)); err == nil {
		return cli.Usage("--signed-up-to is for a folder that has lost what was signed last, and this one has not; leave the flag out")
	}
	return comet.ForbidUpTo(engineDir(dir), height)
}

// home is what a validator's folder says before anything runs.
type home struct {
	dir     string
	genesis genesis.Genesis
	keys    node.RelayKeys
	link    string // id of its links
}

// openHome reads a validator's folder, and says what is wrong with it.
func openHome(dir string) (h home, err error) {
	h.dir = dir
	if h.keys, err = node.LoadRelayKeys(dir); errors.Is(err, fs.ErrNotExist) {
		return h, noKeys(dir, err)
	} else if err != nil {
		return h, cli.Fail(cli.Failed, "bad_keys", "the key in "+dir+" cannot be used", "%v; restore it from a copy", err)
	}
	if h.link, err = comet.LinkID(engineDir(dir)); err != nil {
		return h, err
	}
	if h.genesis, err = node.ReadGenesis(dir); err != nil {
		if _, other := errors.AsType[*fs.PathError](err); !other && errors.Is(err, genesis.ErrGenesis) {
			return h, cli.Fail(cli.Failed, "no_genesis", "no usable genesis in "+dir, "%v; `tunic-validator init --dir %s --genesis FILE` puts the network's there", err, dir)
		}
		return h, err
	}
	n, err := node.ReadNetwork(filepath.Join(dir, node.NetworkFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h, nil
	case err != nil:
		return h, err
	case n.Genesis != h.genesis.Hash():
		return h, cli.Fail(cli.Failed, "foreign_network", "the folder is of two networks", "%s is of %s, %s of %s; put those of one network there",
			node.GenesisFile, h.genesis.Hash(), node.NetworkFile, n.Genesis)
	}
	return h, nil
}

func (p *program) start(ctx context.Context, f flags, cfg config) error {
	p.LogLevel = cfg.Log
	h, err := openHome(f.dir)
	if err != nil {
		return err
	}
	lc, err := f.Config(f.dir)
	if err != nil {
		return err
	}
	if lc.Logger, err = p.Logger(); err != nil {
		return err
	}
	lc.Turns = cli.ShareProcessors()
	var e *engine
	lc.Engine = func(ctx context.Context, l *ledger.Ledger, log *slog.Logger) (node.Engine, error) {
		if e, err = h.engine(ctx, l, cfg, log); err != nil {
			return nil, err
		}
		return e, nil
	}
	var after error // the ready file could not be written
	lc.Ready = func(url, admin string) {
		v := map[string]any{"ready": true, "url": url, "genesis": h.genesis.Hash(), "claim": h.genesis.Params.Claim(), "node": h.keys.ID, "peer": e.Address(), "validator": e.validates()}
		line := fmt.Sprintf("validator %s ready at %s, links at %s, network %s (%s: %s)", h.keys.ID, url, e.Address(), h.genesis.Hash(), h.genesis.Profile, h.genesis.Params.Claim())
		if !e.validates() {
			line += "\nit follows without a vote: its node is no validator; `tunic tx validate " + h.keys.ID.String() + "`, by its operator, makes it one"
		}
		if admin != "" {
			v["admin"] = admin
			line += "\nmetrics at " + admin + "/metrics, profiles at " + admin + "/debug/pprof/"
		}
		after = p.Ready(f.Ready, v, line)
	}
	defer context.AfterFunc(ctx, func() { node.Notify("STOPPING=1") })()
	err = cli.LedgerFailed(f.dir, node.RunLedger(ctx, lc))
	if errors.Is(err, comet.ErrSigned) {
		return unsigned(f.dir, err)
	}
	return cmp.Or(err, after)
}

// engine is CometBFT as node runs it.
type engine struct {
	*comet.Node
	ledger *ledger.Ledger
	self   chain.NodeID
	end    context.CancelFunc
	done   chan struct{} // the watch has ended
}

// engine starts CometBFT over the ledger of a folder.
func (h home) engine(ctx context.Context, l *ledger.Ledger, cfg config, log *slog.Logger) (*engine, error) {
	if _, err := comet.ReadSigned(engineDir(h.dir)); err != nil {
		return nil, err
	}
	if err := begun(ctx, h.genesis, log); err != nil {
		return nil, err
	}
	c := comet.Config{Dir: engineDir(h.dir), Key: h.keys.Identity(), Listen: cfg.Listen, Peers: cfg.Peers, Local: cfg.Local,
		Pace: cfg.engine(comet.DefaultPace(h.genesis.Params)), SnapshotEvery: cfg.Every, SnapshotKeep: cfg.Stay, KeepBlocks: cfg.Blocks, Logger: log}
	if cfg.From && l.Head().Header.Height == 0 {
		var err error
		if c.Sync, err = h.snapshotSource(); err != nil {
			return nil, err
		}
	}
	n, err := comet.Start(ctx, l, c)
	if err != nil {
		return nil, err
	}
	watch, end := context.WithCancel(context.WithoutCancel(ctx))
	e := &engine{Node: n, ledger: l, self: h.keys.ID, end: end, done: make(chan struct{})}
	go e.watch(watch, log)
	return e, nil
}

// begun waits until a network begins.
func begun(ctx context.Context, g genesis.Genesis, log *slog.Logger) error {
	wait := time.Until(time.UnixMilli(int64(g.Time)))
	if wait <= 0 {
		return nil
	}
	log.Warn("this network has not begun; waiting. Is the clock of this machine right?", "begins", time.UnixMilli(int64(g.Time)).UTC().Format(time.RFC3339), "in", wait.Round(time.Second))
	node.Notify("STATUS=waiting until the network begins")
	return pause(ctx, wait)
}

// Stop ends the watch and CometBFT.
func (e *engine) Stop() error {
	e.end()
	<-e.done
	return e.Node.Stop()
}

// State is CometBFT's in node's words.
func (e *engine) State() (node.EngineState, bool) {
	s, ok := e.Node.State()
	return node.EngineState(s), ok
}

// validates reports whether the newest state names this node.
func (e *engine) validates() bool { return slices.Contains(e.ledger.Validators(), e.self) }
