package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/cmd/internal/cli"
	"tunic/ledger"
	"tunic/ledger/comet"
	"tunic/node"
)

// configFile is the configuration in a validator's folder.
const configFile = "validator.yaml"

// defaultListen is where validators expect each other.
const defaultListen = "0.0.0.0:26656"

// config is a validator's configuration file: its keys are the yaml tags, and the help
// tags the manual.
type config struct {
	Listen  string   `yaml:"listen" help:"IP address and port for links with other validators"`
	Peers   []string `yaml:"peers" help:"the other validators, as ID@HOST:PORT; each should name all others"`
	Local   bool     `yaml:"local" help:"several validators may be on one machine, as in tests"`
	HTTP    string   `yaml:"http" help:"address and port of the ledger's API"`
	Rate    float64  `yaml:"rate" help:"requests a second from one address, and twice that at once; 0: no limit"`
	Proxies []string `yaml:"trusted_proxies" help:"addresses or CIDRs of proxies whose X-Forwarded-For rate believes"`
	Origins []string `yaml:"cors_origins" help:"web origins whose pages may read, such as https://example.org, or * for all"`
	Cert    string   `yaml:"tls_cert" help:"PEM file of a certificate and its chain, to serve the API over TLS; empty: plain HTTP"`
	Key     string   `yaml:"tls_key" help:"PEM file of the certificate's key"`
	Admin   string   `yaml:"admin" help:"loopback address and port for /metrics and /debug/pprof, such as 127.0.0.1:9400; empty: none"`
	Keep    int      `yaml:"keep_states" help:"for how many blocks back the API answers ?height= and goes on with lists"`
	Blocks  uint64   `yaml:"keep_blocks" help:"blocks that are kept at least, for those who ask for old ones; 0: all"`
	Every   uint64   `yaml:"snapshot_every" help:"blocks after which the state is written as a snapshot, from which new validators begin; 0: never"`
	Stay    uint64   `yaml:"snapshot_keep" help:"snapshots that stay"`
	From    bool     `yaml:"from_snapshot" help:"begin from a snapshot of the peers where there is no block yet, instead of from the first block"`
	Log     string   `yaml:"log" help:"level of the log on standard error: debug, info, warn or error"`

	Pace pace `yaml:"pace" group:"How long to wait, alike on all validators; 0s: as the network's parameters ask for."`
}

// pace is how long a validator waits.
type pace struct {
	Propose time.Duration `yaml:"propose" help:"for the proposal of another; 0s: 3s"`
	Vote    time.Duration `yaml:"vote" help:"for votes, once two thirds came that differ; 0s: 1s"`
	Commit  time.Duration `yaml:"commit" help:"after a block, before the next one; 0s: the block interval, less what votes take"`
	Gossip  time.Duration `yaml:"gossip" help:"between looks at what a peer lacks; 0s: 50ms"`
}

func defaults() config {
	return config{Listen: defaultListen, Peers: []string{}, HTTP: cli.DefaultHTTP, Proxies: []string{}, Origins: []string{}, Keep: ledger.DefaultKeepStates, Every: 10_000, Stay: 2, Log: "warn"}
}

// ShownBy is the command that prints a configuration.
func (*config) ShownBy() string { return "tunic-validator config" }

// read reads the file in dir, if there is one, over c. Files in it count from dir.
func (c *config) read(dir string) error {
	path := filepath.Join(dir, configFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := node.ReadSettings(path, c); err != nil {
		return badConfig(err)
	}
	for _, f := range []*string{&c.Cert, &c.Key} {
		if *f != "" && !filepath.IsAbs(*f) {
			*f = filepath.Join(dir, *f)
		}
	}
	return nil
}

func badConfig(err error) error {
	return cli.Fail(cli.BadUsage, "bad_config", "unusable configuration", "%s", strings.TrimPrefix(err.Error(), node.ErrSettings.Error()+": "))
}

// validate says what of the engine's settings cannot be. Those of the API are judged
// with its flags.
func (c *config) validate() error {
	host, port, err := net.SplitHostPort(c.Listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || host == "" {
		return cli.Usage("listen: %q is no address and port such as %s", c.Listen, defaultListen)
	}
	if err := peersOf(c.Peers); err != nil {
		return err
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log) {
		return cli.Usage("log: %q is unknown; use debug, info, warn or error", c.Log)
	}
	if c.Blocks > 1<<40 || c.Every > 1<<40 || c.Stay < 1 || c.Stay > 100 {
		return cli.Usage("keep_blocks, snapshot_every: 0 or a number of blocks; snapshot_keep: 1 to 100")
	}
	for name, d := range map[string]time.Duration{"propose": c.Pace.Propose, "vote": c.Pace.Vote, "commit": c.Pace.Commit, "gossip": c.Pace.Gossip} {
		if d != 0 && (d < time.Millisecond || d > 10*time.Minute) {
			return cli.Usage("pace.%s: %s is out of range, 1ms to 10m, or 0s", name, d)
		}
	}
	return nil
}

// peersOf refuses what are no peers.
func peersOf(peers []string) error {
	for _, p := range peers {
		id, at, ok := strings.Cut(p, "@")
		host, port, err := net.SplitHostPort(at)
		if n, perr := strconv.ParseUint(port, 10, 16); !ok || err != nil || perr != nil || n == 0 || host == "" || len(id) != 40 || strings.Trim(id, "0123456789abcdef") != "" {
			return cli.Usage("peer %q is not ID@HOST:PORT; `tunic-validator show` on that machine prints it", p)
		}
	}
	return nil
}

// pace over that of the network.
func (c *config) engine(of comet.Pace) comet.Pace {
	for _, x := range []struct {
		into *time.Duration
		set  time.Duration
	}{{&of.Propose, c.Pace.Propose}, {&of.Vote, c.Pace.Vote}, {&of.Commit, c.Pace.Commit}, {&of.Gossip, c.Pace.Gossip}} {
		if x.set != 0 {
			*x.into = x.set
		}
	}
	return of
}

// flags are a validator's settings as its command line has them: a folder with a file,
// and what stands above it.
type flags struct {
	cli.LedgerFlags
	dir, listen string
	peers       []string
	from        bool
}

func (f *flags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.dir, "dir", "", "the validator's folder, which tunic-validator init or testnet made")
	c.Flags().StringVar(&f.listen, "listen", defaultListen, "IP address and port for links with other validators")
	c.Flags().StringSliceVar(&f.peers, "peer", nil, "another validator, as ID@HOST:PORT (repeat)")
	c.Flags().BoolVar(&f.from, "from-snapshot", false, "begin from a snapshot of the peers where there is no block yet, instead of from the first block")
	f.LedgerFlags.Add(c)
}

// config is the file's with the flags above it; the flags then say of the API what is
// in force.
func (f *flags) config(p *program, c *cobra.Command) (config, error) {
	cfg := defaults()
	if err := cli.Need("dir", f.dir, "validator1"); err != nil {
		return cfg, err
	}
	if err := cfg.read(f.dir); err != nil {
		return cfg, err
	}
	given := c.Flags().Changed
	merge(given("listen"), &f.listen, &cfg.Listen)
	merge(given("peer"), &f.peers, &cfg.Peers)
	merge(given("from-snapshot"), &f.from, &cfg.From)
	merge(given("http"), &f.HTTP, &cfg.HTTP)
	merge(given("rate"), &f.Rate, &cfg.Rate)
	merge(given("trusted-proxy"), &f.Proxies, &cfg.Proxies)
	merge(given("cors-origin"), &f.Origins, &cfg.Origins)
	merge(given("tls-cert"), &f.Cert, &cfg.Cert)
	merge(given("tls-key"), &f.Key, &cfg.Key)
	merge(given("admin"), &f.Admin, &cfg.Admin)
	merge(given("keep-states"), &f.Keep, &cfg.Keep)
	merge(given("log"), &p.LogLevel, &cfg.Log)
	return cfg, cfg.validate()
}

// merge lets a flag stand above the file where it was given, and else shows what the
// file says.
func merge[T any](given bool, flag, file *T) {
	if given {
		*file = *flag
	} else {
		*flag = *file
	}
}

func (p *program) configCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use: "config", Short: "Print a validator's configuration: defaults, the file's, and what flags say", Args: cobra.NoArgs,
		Long:    fmt.Sprintf("Print a validator's configuration: YAML, each key below what it means. It is read from\n%s in the validator's folder.", configFile),
		Example: `  tunic-validator config --dir validator1 --admin 127.0.0.1:9400 > new.yaml && mv new.yaml validator1/validator.yaml`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.config(p, cmd)
			if err != nil {
				return err
			}
			if p.JSON() {
				return p.Show(node.Settings(cfg), nil)
			}
			fmt.Fprint(p.Out, "# A validator's configuration: tunic-validator start --dir DIR\n\n")
			return node.WriteSettings(p.Out, cfg)
		},
	}
	f.add(c)
	return c
}
