package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tunic/ledger"
	"tunic/node"
)

// runFlags are the flags of `ledger run`.
type runFlags struct {
	dir, http, mode, ready string
	rate                   float64
	proxies, origins       []string
	cert, key, admin       string
	keep                   int
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
	c.Flags().StringVar(&f.http, "http", defaultHTTP, "address and port of the API")
	c.Flags().StringVar(&f.mode, "mode", "", "when to seal: auto, interval, mixed or manual (default mixed on dev networks, else interval)")
	c.Flags().Float64Var(&f.rate, "rate", 0, "requests a second from one address, and twice that at once (default no limit)")
	c.Flags().IntVar(&f.keep, "keep-states", ledger.DefaultKeepStates, "for how many blocks back the API answers ?height= and goes on with lists")
	c.Flags().StringArrayVar(&f.proxies, "trusted-proxy", nil, "address or CIDR of a proxy whose X-Forwarded-For --rate believes (repeat)")
	c.Flags().StringArrayVar(&f.origins, "cors-origin", nil, "web origin whose pages may read, such as https://example.org, or * for all (repeat); none may submit")
	c.Flags().StringVar(&f.cert, "tls-cert", "", "PEM file of a certificate and its chain: serve the API over TLS; needs --tls-key")
	c.Flags().StringVar(&f.key, "tls-key", "", "PEM file of the certificate's key")
	c.Flags().StringVar(&f.admin, "admin", "", "loopback address and port for /metrics and /debug/pprof, such as 127.0.0.1:9400 (default none)")
	readyFlag(c, &f.ready)
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
		after = a.ready(f.ready, v, line)
	}
	return cmp.Or(ledgerFailed(f.dir, node.RunLedger(cmd.Context(), cfg)), after)
}

// shareProcessors lets twice as many goroutines run at once as there are
// processors, and returns how many those are: between a crowd that asks for
// directories and a single transaction, or packets to be peeled and one that
// arrives, the operating system decides, which interrupts, and not a queue of
// goroutines, which does not. Who sets GOMAXPROCS has the last word.
func shareProcessors() int {
	processors := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * processors)
	}
	return processors
}

// config is what the flags say; usage where they do not go together.
func (f runFlags) config() (node.LedgerConfig, error) {
	cfg := node.LedgerConfig{Dir: f.dir, HTTP: f.http, Mode: ledger.Mode(f.mode), Rate: f.rate, KeepStates: f.keep, Origins: f.origins, TLSCert: f.cert, TLSKey: f.key, Admin: f.admin}
	if err := need("dir", f.dir, "mynet"); err != nil {
		return cfg, err
	}
	if err := listenable(f.http); err != nil {
		return cfg, err
	}
	modes := []ledger.Mode{"", ledger.ModeAuto, ledger.ModeInterval, ledger.ModeMixed, ledger.ModeManual}
	switch {
	case !slices.Contains(modes, cfg.Mode):
		return cfg, usage("--mode %q is unknown; use auto, interval, mixed or manual", f.mode)
	case !(f.rate >= 0 && f.rate <= 1e6):
		return cfg, usage("--rate %g is out of range; 0 for no limit, 20 for 20 requests a second", f.rate)
	case f.keep < 1 || f.keep > ledger.MaxKeepStates:
		return cfg, usage("--keep-states %d is out of range; 1 to %d", f.keep, ledger.MaxKeepStates)
	case len(f.proxies) > 0 && f.rate == 0:
		return cfg, usage("--trusted-proxy is for --rate, which is not given")
	case (f.cert == "") != (f.key == ""):
		return cfg, usage("--tls-cert and --tls-key go together: give both, or neither for plain HTTP")
	}
	for _, text := range f.proxies {
		p, err := prefix(text)
		if err != nil {
			return cfg, usage("--trusted-proxy %q is no address or CIDR such as 127.0.0.1 or 10.0.0.0/8", text)
		}
		cfg.Proxies = append(cfg.Proxies, p)
	}
	for _, text := range f.origins {
		if text != "*" && !isOrigin(text) {
			return cfg, usage("--cors-origin %q is no origin such as https://example.org or http://localhost:3000 (scheme, name and port alone, in lower case, without :80 and :443, as browsers send it), nor *", text)
		}
	}
	return cfg, nil
}

// prefix reads a CIDR, or an address as that one alone.
func prefix(text string) (netip.Prefix, error) {
	if at, err := netip.ParseAddr(text); err == nil {
		at = at.Unmap()
		return at.Prefix(at.BitLen())
	}
	p, err := netip.ParsePrefix(text)
	if err == nil && p.Addr().Is4In6() {
		err = errors.New("an IPv4 address in IPv6")
	}
	return p.Masked(), err
}

// isOrigin says whether a browser could send text as Origin: in lower case, a
// name beyond ASCII as xn--, without the port that goes with the scheme.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || text != u.Scheme+"://"+u.Host || text != strings.ToLower(text) {
		return false
	}
	odd := func(r rune) bool { return r > '~' || r == '*' }
	return !strings.ContainsFunc(text, odd) && (u.Scheme == "http" && u.Port() != "80" || u.Scheme == "https" && u.Port() != "443")
}
