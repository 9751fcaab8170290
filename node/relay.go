package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/durable"
	"tunic/ledger/light"
	"tunic/onion/link"
	"tunic/relay"
)

// RelayConfig configures the relay daemon.
type RelayConfig struct {
	// Dir holds the node's keys and state.
	Dir string
	// Network is the trust root; its URLs are asked in order.
	Network genesis.Network
	// Listen is the address and port to accept links on; Advertise what the
	// descriptor says (Listen).
	Listen, Advertise string
	// Family names other nodes of the same owner.
	Family []chain.NodeID
	// Signer wraps what signs the relay's statements (nothing).
	Signer func(relay.Signer) relay.Signer
	// Ready is called once the relay has acted on a first head.
	Ready  func(id chain.NodeID)
	Logger *slog.Logger
}

// RunRelay runs a relay until ctx ends or it must halt.
func RunRelay(ctx context.Context, cfg RelayConfig) error {
	if cfg.Advertise == "" {
		cfg.Advertise = cfg.Listen
	}
	if a, err := netip.ParseAddrPort(cfg.Advertise); err != nil || a.Port() == 0 || a.Addr().IsUnspecified() {
		return fmt.Errorf("relay: %q is not an address and port that others can reach; pass --listen and, behind a NAT, --advertise", cfg.Advertise)
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
	t, err := link.NewTLS(link.Config{Identity: keys.Identity, BodySize: relay.BodySize(cfg.Network.Core)})
	if err != nil {
		return err
	}
	signer := relay.NewSigner(keys.Identity)
	if cfg.Signer != nil {
		signer = cfg.Signer(signer)
	}
	first := true
	r, err := relay.New(relay.Config{
		Identity: keys.Identity, VRF: keys.VRF, Core: cfg.Network.Core, Genesis: cfg.Network.Genesis,
		Ledger: RelayLedger(f), Transport: t, Listen: []string{cfg.Listen}, Endpoints: []string{cfg.Advertise},
		Family: cfg.Family, Version: Version, Dir: cfg.Dir, Signer: signer, Logger: cfg.Logger,
		OnSynced: func(chain.Height) {
			if first && cfg.Ready != nil {
				cfg.Ready(keys.ID())
			}
			first = false
		},
	})
	if err != nil {
		return err
	}
	err = r.Run(ctx)
	if cause := context.Cause(ctx); errors.Is(cause, relay.ErrTwoHeads) {
		return cause
	}
	return err
}
