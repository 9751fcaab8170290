package client

import (
	"context"
	"errors"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/registry/path"
)

// Lookup fetches an account's bundle.
func (c *Client) Lookup(ctx context.Context, id mail.AccountID) (mail.Bundle, error) {
	return c.lookup(ctx, id)
}

// BreakStore makes every write of the state fail from now on, as a full or dead
// disk does.
func (c *Client) BreakStore() { _ = c.store.db.Close() }

// ErrDied is what a client ends with that DieAt ended.
var ErrDied = errors.New("client: killed in a test")

// DieAt ends the client at its n-th write, counted from 1, before it or when it is
// on disk, as if the process were killed: nothing is written any more, and nothing
// leaves that was to be written first. It returns what counts the
// writes. Call it before Run.
func (c *Client) DieAt(n int, written bool, died func()) (writes func() int) {
	var at, dead = 0, false // commits are under c.mu
	c.store.dying = func(now bool) error {
		if dead {
			return ErrDied
		}
		if !now {
			at++
		}
		if at == n && now == written {
			dead = true
			died()
			return ErrDied
		}
		return nil
	}
	return func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return at
	}
}

// Renewed reports whether a session was ever found to be out of step.
func (c *Client) Renewed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.contacts {
		if r.Renew || r.Renewed != 0 {
			return true
		}
	}
	return false
}

// Avoid puts so many strikes against nodes that they are avoided.
func (c *Client) Avoid(nodes ...chain.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range nodes {
		for range path.StrikesOut {
			c.strikes.Add(id, c.now())
		}
	}
}

// Expire looks for what is over, as a client that runs does now and then.
func (c *Client) Expire() { c.expire() }

// HeardFor makes a client believe that Run began so long ago.
func (c *Client) HeardFor(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hearing.since = time.Now().Add(-d)
}

// AvoidedUntil is until when a node is avoided; 0 where it is not.
func (c *Client) AvoidedUntil(id chain.NodeID) chain.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.strikes[id].Until
}

// Missed notes a command without answer through guard and hop to member.
func (c *Client) Missed(guard, member, hop chain.NodeID) {
	v := c.view.Load()
	at, _ := v.list.Index(hop)
	c.judge(v, nil, []int{at}, guard, member, time.Now())
}

// Trust forgets what speaks against a guard.
func (c *Client) Trust(guard chain.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.silent, guard)
}
