package client

import (
	"context"
	"slices"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
)

// bundleCopies is how many members hold an account's bundle.
const bundleCopies = 2

// publish keeps the account's bundle at the members of its mailbox until ctx
// ends: at the start, when the members change, and at half of its life.
func (c *Client) publish(ctx context.Context) {
	var holders []chain.NodeID // that took the newest bundle
	var renew chain.Time
	for pause := time.Duration(0); ; {
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-c.relisted:
			t.Stop()
		case <-t.C:
		}
		if c.view.Load() == nil {
			pause = time.Second
			continue
		}
		now := c.now()
		if now >= renew {
			holders = nil
		}
		wanted := c.holders()
		holders = slices.DeleteFunc(holders, func(id chain.NodeID) bool { return !slices.Contains(wanted, id) })
		complete := len(wanted) > 0
		for _, id := range wanted {
			if slices.Contains(holders, id) {
				continue
			}
			if !c.putBundle(ctx, id, now) {
				complete = false
				continue
			}
			if len(holders) == 0 {
				renew = now + chain.Time(c.cfg.Core.Params.MailboxTTL)/2
			}
			holders = append(holders, id)
			c.published()
		}
		switch {
		case complete:
			pause = max(time.Second, min(time.Duration(renew-min(now, renew))*time.Millisecond, time.Minute))
		default:
			pause = max(min(2*pause, time.Minute), 250*time.Millisecond)
		}
	}
}

// holders are the members that should hold the bundle.
func (c *Client) holders() []chain.NodeID {
	m := c.ranked(mail.AccountMailbox(c.cfg.Account.id))
	return m[:min(len(m), bundleCopies)]
}

// putBundle makes a bundle with the next serial and brings it to a member.
func (c *Client) putBundle(ctx context.Context, member chain.NodeID, now chain.Time) bool {
	a := c.cfg.Account
	c.mu.Lock()
	c.meta.Serial = max(c.meta.Serial+1, uint64(now))
	b := mail.Bundle{Ed: a.edPublic(), X: a.xPublic(), Serial: c.meta.Serial, Until: now + chain.Time(c.cfg.Core.Params.MailboxTTL), Work: mail.DefaultWork}
	err := c.saveLocked(c.meta.row())
	c.mu.Unlock()
	if err != nil {
		return false
	}
	copy(b.Contact[:], a.contact.PublicKey().Bytes())
	b.Sign(c.cfg.Genesis, a.ed)
	encoded := b.Encode()
	reply, err := c.roundTrip(ctx, member, mail.Command{PutBundle: &mail.PutBundle{Bundle: encoded}})
	if err != nil {
		return false
	}
	if reply.Code != mail.CodeAccepted {
		c.log.Debug("a member did not take the bundle", "code", reply.Code.String())
		if reply.Code == mail.CodeOutdated {
			c.mu.Lock() // another device of this account is ahead
			c.meta.Serial = max(c.meta.Serial, uint64(c.now())+uint64(time.Hour/time.Millisecond))
			c.mu.Unlock()
		}
		return false
	}
	return true
}
