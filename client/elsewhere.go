package client

import (
	"context"
	"errors"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/onion/mail"
)

// lookAfter is how old what was seen of the account's own bundle may be before a new
// one replaces it.
const lookAfter = chain.Time(genesis.Minute)

// Elsewhere is when a later state of this account began, on another device or in
// another folder, as one does that is restored from the words: who writes to the
// account for the first time reaches that one, and this one publishes nothing more.
// 0: none is known of. A member shows it at the start, and within two hours while Run
// is at work.
func (c *Client) Elsewhere() chain.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.meta.Elsewhere
}

// elsewhereLocked holds a bundle of the account itself against this state, and notes
// whether a later one is at work.
func (c *Client) elsewhereLocked(b mail.Bundle) error {
	if c.meta.Since == 0 || b.Since <= max(c.meta.Since, c.meta.Elsewhere) {
		return nil
	}
	c.meta.Elsewhere = b.Since
	if err := c.saveLocked(c.meta.row()); err != nil {
		return err
	}
	c.log.Warn("this account is at work on another device, or in another folder, that has begun later")
	c.emitLocked(Event{Kind: EventElsewhere, Elsewhere: b.Since})
	c.changedLocked()
	return nil
}

// behind reports whether a new last resort may replace what is published of the
// account: not where a later state of it is at work, nor before it is known.
func (c *Client) behind(ctx context.Context) bool {
	c.mu.Lock()
	known, elsewhere := c.now() >= c.looked && c.now() < c.looked+lookAfter, c.meta.Elsewhere
	c.mu.Unlock()
	if known || elsewhere != 0 {
		return elsewhere == 0
	}
	b, err := c.lastResort(ctx, c.cfg.Account.id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.settledLocked(err) || c.elsewhereLocked(b) != nil || c.meta.Elsewhere != 0 {
		return false
	}
	c.meta.Serial = max(c.meta.Serial, b.Serial)
	return true
}

// settledLocked reports whether the answer to who asked for the account's own bundle
// is one to go on with: nobody answers for long only where most of the swarm is
// silent.
func (c *Client) settledLocked(err error) bool {
	if err != nil && !errors.Is(err, waitBundle) {
		c.unsettled++
		return c.unsettled >= 3
	}
	c.looked, c.unsettled = c.now(), 0
	return true
}

// outdated is for a member that has a newer bundle of the account than p's: of a later
// state, or of this one where an old copy of it came back. In the second case a newer
// one is drawn. The private half of p's stays: others may have its bundle.
func (c *Client) outdated(ctx context.Context, member chain.NodeID, p *prekeyRecord) {
	b, err := c.bundleAt(ctx, member, c.cfg.Account.id, false)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.elsewhereLocked(b) != nil || c.meta.Elsewhere != 0 || p.Once || b.Serial < p.Serial {
		return
	}
	if k, err := p.private(); err == nil && [mail.PrekeySize]byte(k.Public()) == b.Prekey {
		return // it has this very one
	}
	c.meta.Serial = max(c.meta.Serial, b.Serial)
	_, _ = c.newPrekeyLocked(false, chain.NodeID{}) // Run ends where it cannot be saved
}
