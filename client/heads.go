package client

import (
	"context"
	"slices"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/registry/path"
)

// headsAsked is how many relays are asked for their newest header in an epoch.
const headsAsked = 2

// askHeads asks, once in each epoch and at random moments, relays of other
// operators than the guard's for the newest header that they know, through the
// onion: a guard and a ledger that lie together cannot know whom to answer for.
func (c *Client) askHeads(ctx context.Context) {
	asked := chain.Epoch(0) // the epoch in which all were asked
	for {
		v := c.view.Load()
		if v == nil || v.epoch() == asked {
			if !pass(ctx, min(c.cfg.Compare/8+time.Millisecond, 10*time.Second)) {
				return
			}
			continue
		}
		asked = v.epoch()
		var others []chain.NodeID
		for range headsAsked {
			if !pass(ctx, c.part(c.cfg.Compare/headsAsked)) {
				return
			}
			if v = c.view.Load(); v.epoch() != asked {
				break // that epoch's questions come in its own time
			}
			if id, ok := c.stranger(v, others); ok {
				others = append(others, id)
				c.askHead(ctx, id)
			}
		}
	}
}

// pass lets d pass; false where ctx ended first.
func pass(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// part draws a part of d, all alike.
func (c *Client) part(d time.Duration) time.Duration {
	return time.Duration(path.FromReader(c.rand).N(uint64(max(d, 1))))
}

// stranger draws a relay whose operator neither the guard nor one of the others
// shares.
func (c *Client) stranger(v *view, others []chain.NodeID) (chain.NodeID, bool) {
	known := map[chain.Address]bool{}
	if guard, ok := c.Guard(); ok {
		others = append([]chain.NodeID{guard}, others...)
	}
	for _, id := range others {
		if e, ok := v.list.Find(id); ok {
			known[e.Operator] = true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.nowAt(v)
	var all []chain.NodeID
	for i := range v.list.Entries {
		e := &v.list.Entries[i]
		if !known[e.Operator] && !slices.Contains(v.head.Header.Removals, e.Node) && !c.strikes.Avoided(e.Node, now) {
			all = append(all, e.Node)
		}
	}
	if len(all) == 0 {
		return chain.NodeID{}, false
	}
	return all[path.FromReader(c.rand).N(uint64(len(all)))], true
}

// askHead compares a relay's newest header with those that the client knows.
func (c *Client) askHead(ctx context.Context, id chain.NodeID) {
	reply, err := c.roundTrip(ctx, id, mail.Command{Head: &mail.Head{}})
	if err != nil {
		return
	}
	if reply.Code != mail.CodeHead {
		return // it has none, or one that is too long for an answer
	}
	s, err := chain.DecodeSealedHeader(reply.Body)
	if err != nil {
		c.blame(id)
		return
	}
	if c.Witness(s) != nil {
		return
	}
	if v := c.view.Load(); c.sealed(&s) && s.Header.Fork == v.head.Header.Fork && s.Header.DirEpoch > v.epoch()+1 {
		c.log.Warn("a relay knows a newer epoch than the ledger that this client asks", "epoch", uint64(s.Header.DirEpoch))
	}
}
