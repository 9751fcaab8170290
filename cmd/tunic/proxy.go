package main

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tunic/node"
	"tunic/registry/path"
)

// leastHops is with how many relays no one of them knows both ends.
const leastHops = 2

// way is how a messenger's packets leave.
type way struct {
	proxy string
	hops  int // 0: as many as usual
}

func (w *way) flags(c *cobra.Command) {
	c.Flags().StringVar(&w.proxy, "proxy", "", "`URL` of a SOCKS5 proxy that everything goes through, such as Tor's socks5://127.0.0.1:9050; none goes through none (default $TUNIC_PROXY)")
	c.Flags().IntVar(&w.hops, "hops", path.DefaultHops, "relays before a mailbox, 2 to 5")
}

// proxied is the proxy that a flag names, or where it is empty $TUNIC_PROXY; nil is
// none.
func proxied(flag string) (*node.Proxy, error) {
	from := "--proxy"
	if flag == "" {
		from, flag = "TUNIC_PROXY", os.Getenv("TUNIC_PROXY")
	}
	if flag == "" || flag == "none" {
		return nil, nil
	}
	p, err := node.ParseProxy(flag)
	if err != nil {
		return nil, usage("%s: %s", from, strings.TrimPrefix(err.Error(), node.ErrProxyURL.Error()+": "))
	}
	return p, nil
}

// check refuses numbers of hops that are of no use.
func (w *way) check() error {
	switch {
	case w.hops == 1:
		return usage("--hops 1: with one relay alone it would know both ends; 2 to 5")
	case w.hops < leastHops:
		return usage("--hops %d: 2 to 5", w.hops)
	case w.hops > path.MaxHops:
		return usage("--hops %d: a packet has room for %d and the mailbox member; 2 to 5", w.hops, path.MaxHops)
	}
	return nil
}

// open checks the flags and gives the proxy, at which somebody listens; nil is none.
func (w *way) open(ctx context.Context, log *slog.Logger) (*node.Proxy, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	p, err := proxied(w.proxy)
	if p == nil || err != nil {
		return nil, err
	}
	if err := p.Check(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, proxyProblem(err)
	}
	p.Warn(log)
	return p, nil
}

// proxyProblem says of ErrProxy what to do.
func proxyProblem(err error) error {
	_, why, _ := strings.Cut(err.Error(), node.ErrProxy.Error()+": ")
	why, _, _ = strings.Cut(why, "\n")
	return fail(exitUnreachable, "proxy", "the proxy does not work", "%s; start it, or name another with --proxy or TUNIC_PROXY. Nothing went around it", why)
}

// name is a proxy as it is shown; "" for none.
func proxyName(p *node.Proxy) string {
	if p == nil {
		return ""
	}
	return p.String()
}
