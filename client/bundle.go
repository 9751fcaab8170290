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

// bundleAgain is the mean time after which the same bundle is brought again.
const bundleAgain = time.Hour

// publish keeps the account's bundle at the members of its mailbox until ctx
// ends: at the start, when the members change, about once an hour, and anew at half
// of its life. It ends with a later state of the account that is at work elsewhere.
func (c *Client) publish(ctx context.Context) {
	var holders []chain.NodeID // that took the newest bundle
	var renew chain.Time
	var again time.Time
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
		if !c.settleSince(ctx) {
			pause = max(min(2*pause, time.Minute), 250*time.Millisecond)
			continue
		}
		if c.Elsewhere() != 0 {
			c.published() // by that one
			return
		}
		now := c.now()
		if now >= renew || time.Now().After(again) { // a member says whether it is the newest
			holders, again = nil, time.Now().Add(bundleAgain/2+c.part(bundleAgain))
		}
		wanted := c.holders()
		holders = slices.DeleteFunc(holders, func(id chain.NodeID) bool { return !slices.Contains(wanted, id) })
		complete := len(wanted) > 0
		for _, id := range wanted {
			if slices.Contains(holders, id) {
				continue
			}
			until, ok := c.putBundle(ctx, id)
			if !ok {
				complete = false
				continue
			}
			renew = until - chain.Time(c.cfg.Core.Params.MailboxTTL)/2
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

// putBundle brings the last resort to a member and says when it ends.
func (c *Client) putBundle(ctx context.Context, member chain.NodeID) (until chain.Time, ok bool) {
	c.mu.Lock()
	p := c.lastResortLocked()
	c.mu.Unlock()
	if p == nil && !c.behind(ctx) {
		return 0, false
	}
	c.mu.Lock()
	var err error
	if p == nil {
		p, err = c.newPrekeyLocked(false, chain.NodeID{})
	}
	var encoded []byte
	if err == nil {
		encoded, err = c.bundleLocked(p)
	}
	c.mu.Unlock()
	if err != nil {
		return 0, false
	}
	began := time.Now()
	reply, err := c.roundTrip(ctx, member, mail.Command{PutBundle: &mail.PutBundle{Bundle: encoded}})
	c.observe(Step{Kind: StepPublish, Member: member, Code: codeFor(reply.Code, err), Took: time.Since(began)})
	if err != nil {
		return 0, false
	}
	if reply.Code != mail.CodeAccepted {
		c.log.Debug("a member did not take the bundle", "code", reply.Code.String())
		if reply.Code == mail.CodeOutdated {
			c.outdated(ctx, member, p)
		}
		return 0, false
	}
	c.stocked(member, nil, reply)
	return p.Until, true
}

// bundles fetches an account's last resort from as many members as a reader has
// to ask, and of the former ones where there are any; the newest counts. With
// once, one of them hands a bundle out, if it has any, or else a second one.
func (c *Client) bundles(ctx context.Context, id mail.AccountID, once bool) (last, first mail.Bundle, err error) {
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
		return last, first, waitPath
	}
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	type found struct {
		bundle mail.Bundle
		err    error
	}
	answers := make(chan found, len(ask)+1)
	get := func(m chain.NodeID, once bool) {
		c.wg.Go(func() {
			b, err := c.bundleAt(ctx, m, id, once)
			answers <- found{b, err}
		})
	}
	for i, m := range ask {
		get(m, once && i == 0)
	}
	wait := error(waitBundle)
	var late <-chan time.Time
	second := once && len(ask) > 1
	for left := len(ask); left > 0; {
		select {
		case f := <-answers:
			left--
			switch {
			case f.err == nil && f.bundle.Once:
				first = f.bundle
			case f.err == nil && f.bundle.Serial > last.Serial:
				last = f.bundle
			case f.err != nil && !errors.Is(f.err, waitBundle):
				wait = f.err
			}
		case <-late: // one that is silent is not waited for over all its paths
			left = 0
		}
		if last.Serial > 0 && late == nil {
			late = time.After(c.cfg.Timeout / 2)
		}
		if left == 0 && second && !first.Once && last.Serial > 0 {
			left, second, late = 1, false, time.After(c.cfg.Timeout/2)
			get(ask[1], true)
		}
	}
	if last.Serial > 0 || first.Once {
		return last, first, nil
	}
	return last, first, wait
}

// bundleAt fetches a bundle of an account from one member; waitBundle where it has
// none that counts.
func (c *Client) bundleAt(ctx context.Context, member chain.NodeID, id mail.AccountID, once bool) (b mail.Bundle, err error) {
	began := time.Now()
	reply, err := c.roundTrip(ctx, member, mail.Command{GetBundle: &mail.GetBundle{Account: id, Once: once}})
	c.observe(Step{Kind: StepBundle, Contact: id, Member: member, Code: codeFor(reply.Code, err), Took: time.Since(began)})
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
