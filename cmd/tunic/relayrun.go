package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/node"
)

// relayFlags are the settings of a relay as its command line has them: a file, and
// what stands above it.
type relayFlags struct {
	file, dir, net, admin, ready string
	listen, advertise, family    []string
	drain                        time.Duration
	profiles                     bool
}

func (f *relayFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.file, "config", "", "configuration file; tunic relay config prints one. What is given as a flag stands above it")
	relayDir(c, &f.dir)
	networkFlag(c, &f.net)
	c.Flags().StringSliceVar(&f.listen, "listen", nil, "IP address and port to accept links on (repeat)")
	c.Flags().StringSliceVar(&f.advertise, "advertise", nil, "IP address and port that others are told, the preferred first (repeat; default: --listen)")
	c.Flags().StringSliceVar(&f.family, "family", nil, "node ids of the same owner's other relays")
	c.Flags().StringVar(&f.admin, "admin", "", "loopback address and port for /healthz, /readyz, /status and /metrics, such as 127.0.0.1:9401 (default none)")
	c.Flags().BoolVar(&f.profiles, "profiles", false, "serve /debug/pprof there too, which shows exact numbers")
	c.Flags().DurationVar(&f.drain, "drain", 3*time.Second, "how long packets that are held may still leave when it is told to stop")
}

// config is the file's with the flags above it, and defaults below.
func (f *relayFlags) config(a *app, c *cobra.Command) (node.RelayConfig, error) {
	cfg := node.DefaultRelay()
	if f.file != "" {
		if err := cfg.Load(f.file); err != nil {
			return cfg, settingsFailed(err)
		}
	}
	given := c.Flags().Changed
	set := func(flag string, into, v *string) {
		if given(flag) {
			*into = *v
		}
	}
	set("dir", &cfg.Dir, &f.dir)
	set("admin", &cfg.Admin, &f.admin)
	set("network", &cfg.NetworkFile, &f.net)
	set("log", &cfg.Log, &a.LogLevel)
	cfg.NetworkFile = cmp.Or(cfg.NetworkFile, f.net) // that of the environment
	if given("listen") {
		cfg.Listen = f.listen
	}
	if given("advertise") {
		cfg.Advertise = f.advertise
	}
	if given("drain") {
		cfg.Drain = f.drain
	}
	if given("profiles") {
		cfg.Profiles = f.profiles
	}
	if given("family") {
		cfg.Family = cfg.Family[:0]
		for _, s := range f.family {
			id, err := chain.ParseNodeID(s)
			if err != nil {
				return cfg, usage("--family: %v", err)
			}
			cfg.Family = append(cfg.Family, id)
		}
	}
	return cfg, nil
}

// settingsFailed is the problem of a configuration.
func settingsFailed(err error) error {
	if !errors.Is(err, node.ErrSettings) {
		return err
	}
	return fail(exitUsage, "bad_config", "unusable configuration", "%s", strings.TrimPrefix(err.Error(), node.ErrSettings.Error()+": "))
}

func (a *app) relayRun() *cobra.Command {
	var f relayFlags
	c := &cobra.Command{
		Use: "run", Short: "Run a relay, until interrupted", Args: cobra.NoArgs,
		Long: `Run a relay, until interrupted.

Interrupted, it takes no new packets, lets those leave that it holds (--drain at
most), writes everything to disk and ends with exit code 0. A second signal ends it
at once. Where systemd started it with Type=notify it says when it is ready.`,
		Example: `  tunic relay run --dir relay1 --listen 203.0.113.7:9001
  tunic relay run --dir relay1 --listen 192.168.1.5:9001 --advertise 203.0.113.7:9001 --admin 127.0.0.1:9401
  tunic relay run --config relay.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runRelay(cmd, &f) },
	}
	f.add(c)
	readyFlag(c, &f.ready)
	return c
}

func (a *app) runRelay(cmd *cobra.Command, f *relayFlags) error {
	ctx := cmd.Context()
	cfg, err := f.config(a, cmd)
	if err != nil {
		return err
	}
	if f.file == "" { // in the words of the command line
		if err := cmp.Or(need("dir", cfg.Dir, "relay1"), needEach("listen", cfg.Listen, "203.0.113.7:9001")); err != nil {
			return err
		}
		if at := slices.Concat(cfg.Advertise, cfg.Listen)[0]; !reachable(at) {
			return usage("%q is no address and port that others can reach; pass --listen IP:PORT and, behind a NAT, --advertise IP:PORT", at)
		}
	}
	if err := cfg.Validate(); err != nil {
		return settingsFailed(err)
	}
	a.LogLevel = cfg.Log
	if cfg.Logger, err = a.logger(); err != nil {
		return err
	}
	r, err := a.remote(cfg.NetworkFile)
	if err != nil {
		return err
	}
	cfg.Network = r.net
	k, _, err := node.CreateRelayKeys(cfg.Dir)
	if err != nil {
		return relayFailed(cfg.Dir, err)
	}
	unregistered, err := a.lookAround(ctx, cfg, r, k)
	if err != nil {
		return err
	}
	var after error
	cfg.Ready = func(id chain.NodeID, admin string) {
		claim := r.net.Params.Claim()
		v := map[string]any{"ready": true, "node": id, "listen": cfg.Listen[0], "claim": claim}
		line := fmt.Sprintf("relay %s ready at %s (%s: %s)", id, strings.Join(cfg.Listen, " "), r.net.Profile, claim)
		if admin != "" {
			v["admin"] = admin
			line += "\nmetrics at " + admin + "/metrics, state at " + admin + "/readyz"
		}
		after = a.ready(f.ready, v, line)
		if unregistered {
			cfg.Logger.Warn("this node is not registered, so nobody uses it", "stake", "tunic relay register --dir "+cfg.Dir)
		}
	}
	defer context.AfterFunc(ctx, func() { node.Notify("STOPPING=1") })()
	shareProcessors() // its workers have threads of their own
	return cmp.Or(verified(relayFailed(cfg.Dir, node.RunRelay(ctx, cfg))), after)
}

// lookAround asks the ledger whether it knows the node. One that is down now may
// come back; one of another network will not.
func (a *app) lookAround(ctx context.Context, cfg node.RelayConfig, r *remote, k node.RelayKeys) (unregistered bool, err error) {
	var p *problem
	if _, err = r.header(ctx, "latest"); err == nil {
		_, err = r.node(ctx, k.ID.String(), nil)
	}
	switch {
	case err == nil || ctx.Err() != nil:
	case !errors.As(err, &p) || p.Exit == exitUnreachable:
		cfg.Logger.Warn("no ledger answers; the relay waits for it", "why", oneLine(err.Error()))
		node.Notify("STATUS=no ledger answers; waiting for it")
	case p.Exit == exitFalse:
		return false, err
	}
	return p != nil && p.Code == "node_not_found", nil
}

func reachable(s string) bool {
	at, err := netip.ParseAddrPort(s)
	return err == nil && at.Port() != 0 && !at.Addr().IsUnspecified()
}

// needEach is need for a flag with several values.
func needEach(flag string, values []string, example string) error {
	if len(values) == 0 {
		return need(flag, "", example)
	}
	return nil
}

func (a *app) relayConfig() *cobra.Command {
	var f relayFlags
	c := &cobra.Command{
		Use: "config", Short: "Print a relay's configuration: defaults, the file's, and what flags say", Args: cobra.NoArgs,
		Long: `Print a relay's configuration as a file for --config: YAML, each key below what it
means. Without --config it is one of defaults; folder and files in it count from
the file's own folder. A configuration that relay run would refuse is refused.`,
		Example: `  tunic relay config --dir /var/lib/tunic --listen 203.0.113.7:9001 > relay.yaml
  tunic relay config --config relay.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.config(a, cmd)
			if err != nil {
				return err
			}
			if f.file != "" {
				if err := cfg.Validate(); err != nil {
					return settingsFailed(err)
				}
			}
			if a.json() {
				return a.show(node.Settings(cfg), nil)
			}
			fmt.Fprint(a.Out, "# A relay's configuration: tunic relay run --config FILE\n\n")
			return node.WriteSettings(a.Out, cfg)
		},
	}
	f.add(c)
	return c
}
