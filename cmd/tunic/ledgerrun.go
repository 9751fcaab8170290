package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"tunic/cmd/internal/cli"
	"tunic/ledger"
	"tunic/node"
)

// runFlags are the flags of `ledger run`.
type runFlags struct {
	cli.LedgerFlags
	dir, mode string
}

func (a *app) ledgerRun() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use: "run", Short: "Run the ledger and its API, until interrupted", Args: cobra.NoArgs,
		Long: `Run the ledger and its API, until interrupted.

Interrupted, it tells event streams that it ends and lets other requests finish,
for at most five seconds.

Nothing that the API serves has to be trusted, yet who listens on the way sees what
is asked: --tls-cert and --tls-key serve it over TLS. Behind a proxy, --rate counts
the proxy's address unless --trusted-proxy names it. --admin serves /metrics (for
Prometheus) and /debug/pprof to this machine alone.`,
		Example: `  tunic ledger run --dir mynet
  tunic ledger run --dir mynet --http 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem --rate 20
  tunic ledger run --dir mynet --rate 20 --trusted-proxy 127.0.0.1/32 --admin 127.0.0.1:9400`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runLedger(cmd, f) },
	}
	c.Flags().StringVar(&f.dir, "dir", "", "the ledger's folder, which tunic ledger init made")
	c.Flags().StringVar(&f.mode, "mode", "", "when to seal: auto, interval, mixed or manual (default mixed on dev networks, else interval)")
	f.Add(c)
	return c
}

func (a *app) runLedger(cmd *cobra.Command, f runFlags) error {
	cfg, err := f.config()
	if err != nil {
		return err
	}
	if cfg.Logger, err = a.logger(); err != nil {
		return err
	}
	g, err := node.ReadGenesis(f.dir)
	if err != nil {
		return err
	}
	cfg.Turns = shareProcessors()
	var after error // the ready file could not be written
	cfg.Ready = func(url, admin string) {
		v := map[string]any{"ready": true, "url": url, "genesis": g.Hash(), "claim": g.Params.Claim()}
		line := fmt.Sprintf("ledger ready at %s, network %s (%s: %s)", url, g.Hash(), g.Profile, g.Params.Claim())
		if admin != "" {
			v["admin"] = admin
			line += "\nmetrics at " + admin + "/metrics, profiles at " + admin + "/debug/pprof/"
		}
		after = a.ready(f.Ready, v, line)
	}
	return cmp.Or(cli.LedgerFailed(f.dir, node.RunLedger(cmd.Context(), cfg)), after)
}

// config is what the flags say; usage where they do not go together.
func (f runFlags) config() (node.LedgerConfig, error) {
	if err := need("dir", f.dir, "mynet"); err != nil {
		return node.LedgerConfig{}, err
	}
	cfg, err := f.Config(f.dir)
	if err != nil {
		return cfg, err
	}
	cfg.Mode = ledger.Mode(f.mode)
	if modes := []ledger.Mode{"", ledger.ModeAuto, ledger.ModeInterval, ledger.ModeMixed, ledger.ModeManual}; !slices.Contains(modes, cfg.Mode) {
		return cfg, usage("--mode %q is unknown; use auto, interval, mixed or manual", f.mode)
	}
	return cfg, nil
}
