package node

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"tunic/api/feed"
	"tunic/chain/genesis"
	"tunic/client"
	"tunic/onion/link"
	"tunic/relay"
)

// ClientConfig configures a messenger client.
type ClientConfig struct {
	// Account is whose messenger this is.
	Account *client.Account
	// Dir holds the client's state.
	Dir string
	// Network is the trust root.
	Network genesis.Network
	// Feed is the view of the ledger (one of its own, as ClientFeed makes it).
	Feed *feed.Feed
	// Proxy carries the links to guards, and what Feed asks where that is nil
	// (none: connections are opened from here). Every answer then may take 10 s.
	Proxy *Proxy
	// From is the local address to connect from, without Proxy (the system's choice).
	From netip.Addr
	// Hops is the number of relays before the mailbox: 2 to 5 (3).
	Hops int
	// Poll is the mean time between polls (by profile).
	Poll time.Duration
	// Pace is the mean time between packets where there is cover (by profile).
	Pace time.Duration
	// Cover says whether packets leave on a clock of their own (as genesis says).
	Cover client.Cover
	// AcceptAll accepts contact requests without asking.
	AcceptAll bool
	// ReadReceipts lets contacts know when their texts were read.
	ReadReceipts bool
	Logger       *slog.Logger
}

// OpenClient makes a client that follows the ledger until ctx ends. The caller
// runs it.
func OpenClient(ctx context.Context, cfg ClientConfig) (*client.Client, error) {
	f := cfg.Feed
	if f == nil {
		var err error
		if f, err = ClientFeed(cfg.Network, cfg.Dir, cfg.Proxy, cfg.From, cfg.Logger); err != nil {
			return nil, err
		}
	}
	links, timeout := link.Config{BodySize: relay.BodySize(cfg.Network.Core)}, time.Duration(0)
	if cfg.From.IsValid() {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(cfg.From, 0))}
		links.Dial = d.DialContext
	}
	if cfg.Proxy != nil {
		links.Dial, links.HandshakeTimeout, timeout = cfg.Proxy.dialer(forGuard), proxyTimeout, proxyTimeout
	}
	t, err := link.NewTLS(links)
	if err != nil {
		return nil, err
	}
	c, err := client.New(client.Config{
		Account: cfg.Account, Dir: cfg.Dir, Core: cfg.Network.Core, Genesis: cfg.Network.Genesis,
		Ledger: clientLedger{f}, Sealed: SealedBy(cfg.Network, f), Transport: t, Timeout: timeout, Hops: cfg.Hops, Poll: cfg.Poll, Pace: cfg.Pace, Cover: cfg.Cover, AcceptAll: cfg.AcceptAll, ReadReceipts: cfg.ReadReceipts, Logger: cfg.Logger,
	})
	if err == nil {
		go follow(ctx, f)
	}
	return c, err
}

// ClientFeed is a client's view of the ledger, through a proxy unless that is nil,
// from an address unless that is not valid. It keeps its list in dir.
func ClientFeed(n genesis.Network, dir string, p *Proxy, from netip.Addr, log *slog.Logger) (*feed.Feed, error) {
	cfg := feed.Config{Network: n, Dir: dir, From: from, Logger: log}
	if p != nil {
		cfg.HTTP, cfg.Timeout = p.HTTP(), proxyWait
	}
	return feed.New(cfg)
}
