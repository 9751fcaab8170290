package cli

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tunic/ledger"
	"tunic/node"
)

// DefaultHTTP is where a ledger's API listens.
const DefaultHTTP = "127.0.0.1:8400"

// LedgerFlags say how a ledger serves its API.
type LedgerFlags struct {
	HTTP, Ready      string
	Rate             float64
	Proxies, Origins []string
	Cert, Key, Admin string
	Keep             int
}

// Add adds the flags to a command.
func (f *LedgerFlags) Add(c *cobra.Command) {
	c.Flags().StringVar(&f.HTTP, "http", DefaultHTTP, "address and port of the API")
	c.Flags().Float64Var(&f.Rate, "rate", 0, "requests a second from one address, and twice that at once (default no limit)")
	c.Flags().IntVar(&f.Keep, "keep-states", ledger.DefaultKeepStates, "for how many blocks back the API answers ?height= and goes on with lists")
	c.Flags().StringArrayVar(&f.Proxies, "trusted-proxy", nil, "address or CIDR of a proxy whose X-Forwarded-For --rate believes (repeat)")
	c.Flags().StringArrayVar(&f.Origins, "cors-origin", nil, "web origin whose pages may read, such as https://example.org, or * for all (repeat); none may submit")
	c.Flags().StringVar(&f.Cert, "tls-cert", "", "PEM file of a certificate and its chain: serve the API over TLS; needs --tls-key")
	c.Flags().StringVar(&f.Key, "tls-key", "", "PEM file of the certificate's key")
	c.Flags().StringVar(&f.Admin, "admin", "", "loopback address and port for /metrics and /debug/pprof, such as 127.0.0.1:9400 (default none)")
	ReadyFlag(c, &f.Ready)
}

// Config is what the flags say of the ledger in dir; a problem of usage where they do
// not go together.
func (f LedgerFlags) Config(dir string) (node.LedgerConfig, error) {
	cfg := node.LedgerConfig{Dir: dir, HTTP: f.HTTP, Rate: f.Rate, KeepStates: f.Keep, Origins: f.Origins, TLSCert: f.Cert, TLSKey: f.Key, Admin: f.Admin}
	if err := Listenable(f.HTTP); err != nil {
		return cfg, err
	}
	switch {
	case !(f.Rate >= 0 && f.Rate <= 1e6):
		return cfg, Usage("--rate %g is out of range; 0 for no limit, 20 for 20 requests a second", f.Rate)
	case f.Keep < 1 || f.Keep > ledger.MaxKeepStates:
		return cfg, Usage("--keep-states %d is out of range; 1 to %d", f.Keep, ledger.MaxKeepStates)
	case len(f.Proxies) > 0 && f.Rate == 0:
		return cfg, Usage("--trusted-proxy is for --rate, which is not given")
	case (f.Cert == "") != (f.Key == ""):
		return cfg, Usage("--tls-cert and --tls-key go together: give both, or neither for plain HTTP")
	}
	for _, text := range f.Proxies {
		p, err := prefix(text)
		if err != nil {
			return cfg, Usage("--trusted-proxy %q is no address or CIDR such as 127.0.0.1 or 10.0.0.0/8", text)
		}
		cfg.Proxies = append(cfg.Proxies, p)
	}
	for _, text := range f.Origins {
		if text != "*" && !isOrigin(text) {
			return cfg, Usage("--cors-origin %q is no origin such as https://example.org or http://localhost:3000 (scheme, name and port alone, in lower case, without :80 and :443, as browsers send it), nor *", text)
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

// Listenable refuses what is no address and port for an API.
func Listenable(http string) error {
	_, port, err := net.SplitHostPort(http)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return Usage("--http %q is no address and port such as %s", http, DefaultHTTP)
	}
	return nil
}

// ReadyFlag is of what daemons write once they are up.
func ReadyFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "ready-file", "", "file to write once it is ready, with what -o json prints then")
}

// ShareProcessors lets twice as many goroutines run at once as there are
// processors, and returns how many those are: between a crowd that asks for
// directories and a single transaction, or packets to be peeled and one that
// arrives, the operating system decides, which interrupts, and not a queue of
// goroutines, which does not. Who sets GOMAXPROCS has the last word.
func ShareProcessors() int {
	processors := runtime.GOMAXPROCS(0)
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * processors)
	}
	return processors
}
