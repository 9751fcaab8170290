package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/durable"
	"tunic/ledger/light"
	"tunic/onion/link"
	"tunic/relay"
)

// RelayAdminFile is a file in a relay's folder that is there while it runs with an
// admin listener, and holds its URL.
const RelayAdminFile = "admin.url"

// RunRelay runs a relay until ctx ends or it must halt. Bounds that are zero are
// those of DefaultRelay, but for Drain.
func RunRelay(ctx context.Context, cfg RelayConfig) error {
	if len(cfg.Listen) == 0 {
		return fmt.Errorf("%w: listen is missing", ErrSettings)
	}
	for _, s := range cfg.endpoints() {
		if a, err := netip.ParseAddrPort(s); err != nil || a.Port() == 0 || a.Addr().IsUnspecified() {
			return fmt.Errorf("relay: %q is not an address and port that others can reach; pass --listen and, behind a NAT, --advertise", s)
		}
	}
	if err := durable.MkdirAll(cfg.Dir); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	keys, _, err := relay.LoadOrCreateKeys(cfg.Dir, rand.Reader)
	if err != nil {
		return err
	}
	ctx, halt := context.WithCancelCause(ctx)
	defer halt(nil)
	f, err := feed.New(feed.Config{Network: cfg.Network, Dir: cfg.Dir, Logger: cfg.Logger, OnConflict: func(two *light.TwoHeads) {
		halt(fmt.Errorf("%w\n%s", relay.ErrTwoHeads, feed.FormatConflict(two)))
	}})
	if err != nil {
		return err
	}
	t, err := link.NewTLS(link.Config{Identity: keys.Identity, BodySize: relay.BodySize(cfg.Network.Core),
		Limits: link.Limits{QueueBytes: cfg.Links.QueueBytes, WriteTimeout: cfg.Links.WriteTimeout}})
	if err != nil {
		return err
	}
	signer := relay.NewSigner(keys.Identity)
	if cfg.Signer != nil {
		signer = cfg.Signer(signer)
	}
	admin, err := cfg.listenAdmin()
	if err != nil {
		return err
	}
	var synced sync.Once
	r, err := relay.New(relay.Config{
		Identity: keys.Identity, VRF: keys.VRF, Core: cfg.Network.Core, Genesis: cfg.Network.Genesis,
		Ledger: RelayLedger(f), Sealed: SealedBy(cfg.Network, f), Transport: t, Listen: cfg.Listen, Endpoints: cfg.endpoints(),
		Family: cfg.Family, Version: Version, Dir: cfg.Dir, Signer: signer, Logger: cfg.Logger,
		Links: cfg.Links.pool(), Workers: cfg.Workers, OwnThreads: runtime.GOMAXPROCS(0) > cfg.Workers, Queue: cfg.Queue, Delayed: cfg.Delayed, ReplayTags: cfg.ReplayTags,
		Clients: cfg.Clients, Mailers: cfg.Mail.Commands, Stores: cfg.Mail.Stores, MailItems: cfg.Mail.Items, MailBundles: cfg.Mail.Bundles,
		StoreBuffer: cfg.Mail.StoreBuffer, Drain: cfg.Drain,
		OnSynced: func(chain.Height) {
			synced.Do(func() {
				if cfg.Ready != nil {
					cfg.Ready(keys.ID(), adminURL(admin))
				}
			})
		},
	})
	if err != nil {
		if admin != nil {
			admin.Close()
		}
		return err
	}
	var wg sync.WaitGroup
	ctx, ended := context.WithCancel(ctx)
	defer wg.Wait()
	defer ended()
	if admin != nil {
		mark := filepath.Join(cfg.Dir, RelayAdminFile)
		if err := os.WriteFile(mark, []byte(adminURL(admin)+"\n"), 0o600); err != nil {
			admin.Close()
			return fmt.Errorf("relay: %w", err)
		}
		defer os.Remove(mark)
		v, err := newRelayView(r, &cfg)
		if err != nil {
			admin.Close()
			return err
		}
		wg.Go(func() { v.refresh(ctx) })
		wg.Go(func() { _ = Serve(ctx, admin, localOnly(v.routes())) })
	}
	wg.Go(func() { Watchdog(ctx, func() { r.Status() }) })
	err = r.Run(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, relay.ErrTwoHeads) {
		return cause
	}
	return err
}

// SealedBy is how a relay verifies headers of peers: by the feed where validators
// change, else by itself, which remembers what it verified.
func SealedBy(n genesis.Network, f *feed.Feed) func(chain.SealedHeader) error {
	if n.Engine == genesis.EngineComet {
		return f.Sealed
	}
	return nil
}

// listenAdmin opens the admin listener, nil where there is none.
func (c *RelayConfig) listenAdmin() (net.Listener, error) {
	if c.Admin == "" {
		return nil, nil
	}
	return ListenAdmin(c.Admin)
}

func adminURL(ln net.Listener) string {
	if ln == nil {
		return ""
	}
	return "http://" + ln.Addr().String()
}
