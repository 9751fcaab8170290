package comet

import (
	"context"
	"strings"
	"time"

	"github.com/cometbft/cometbft/p2p"
)

// redialEvery is how often validators that are away are dialled. CometBFT waits
// three times as long each time, up to a day: after an outage of an hour the
// validators would be together only hours later.
const redialEvery = 10 * time.Second

// redial dials the peers that are away until ctx ends, and says when the number of
// open links changes.
func (n *Node) redial(ctx context.Context, cfg Config) {
	tick := time.NewTicker(redialEvery)
	defer tick.Stop()
	open := -1
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sw := n.node.Switch()
		var away []string
		for _, p := range cfg.Peers {
			id, _, _ := strings.Cut(p, "@")
			if !sw.Peers().Has(p2p.ID(id)) {
				away = append(away, p)
			}
		}
		if now := sw.Peers().Size(); now != open {
			cfg.Logger.Info("links to other validators", "open", now, "away", len(away))
			open = now
		}
		if len(away) > 0 {
			_ = sw.DialPeersAsync(away) // addresses were read when it was made
		}
	}
}
