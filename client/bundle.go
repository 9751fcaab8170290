package client

import (
	"context"
	"errors"
	"slices"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/registry/directory"
)

// bundleCopies is how many members are brought an account's bundle, each of which
// passes it on to the others: one alone could keep it to itself.
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

// holders are the members that are brought the bundle.
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

// lookup fetches an account's bundle from its swarm: from as many members as a
// reader has to ask, and of the former ones where there are any. The newest
// counts.
func (c *Client) lookup(ctx context.Context, id mail.AccountID) (mail.Bundle, error) {
	sw := c.swarm(mail.AccountMailbox(id))
	var ask []chain.NodeID
	for _, set := range [][]chain.NodeID{sw.Members, sw.Former} {
		for _, m := range c.usable(set)[:directory.Reads(len(set))] {
			if !slices.Contains(ask, m) {
				ask = append(ask, m)
			}
		}
	}
	if len(ask) == 0 {
		return mail.Bundle{}, waitPath
	}
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	type found struct {
		bundle mail.Bundle
		err    error
	}
	answers := make(chan found, len(ask))
	for _, m := range ask {
		c.wg.Go(func() {
			b, err := c.bundleAt(ctx, m, id)
			answers <- found{b, err}
		})
	}
	var best mail.Bundle
	wait := error(waitBundle)
	var late <-chan time.Time
	for range ask {
		select {
		case f := <-answers:
			switch {
			case f.err == nil && f.bundle.Serial > best.Serial:
				best = f.bundle
			case f.err != nil && !errors.Is(f.err, waitBundle):
				wait = f.err
			}
		case <-late: // one that is silent is not waited for over all its paths
			return best, nil
		}
		if best.Serial > 0 && late == nil {
			late = time.After(c.cfg.Timeout / 2)
		}
	}
	if best.Serial > 0 {
		return best, nil
	}
	return best, wait
}

// bundleAt fetches an account's bundle from one member; waitBundle where it has
// none that counts.
func (c *Client) bundleAt(ctx context.Context, member chain.NodeID, id mail.AccountID) (b mail.Bundle, err error) {
	reply, err := c.roundTrip(ctx, member, mail.Command{GetBundle: &mail.GetBundle{Account: id}})
	if errors.Is(err, ErrTimeout) {
		return b, waitAnswer
	}
	if err != nil {
		return b, err
	}
	if reply.Code != mail.CodeFound {
		return b, waitBundle
	}
	if b, err = mail.DecodeBundle(reply.Body); err == nil {
		err = b.Verify(c.cfg.Genesis)
	}
	switch {
	case err != nil || b.Account() != id:
		c.log.Warn("a member answered with a bundle that is not the account's")
		c.blame(member)
		return mail.Bundle{}, waitBundle
	case b.Until <= c.now():
		return mail.Bundle{}, waitBundle
	}
	return b, nil
}
