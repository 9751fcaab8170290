package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
)

// PollNow asks for all mailboxes at once and returns when everything that was
// there is taken. It tells the network that somebody looks now.
func (c *Client) PollNow(ctx context.Context) error {
	if err := c.Ready(ctx); err != nil {
		return err
	}
	asked := map[mail.ID]bool{}
	for again := true; again; {
		again = false
		for _, b := range c.boxes(c.view.Load()) { // grows with the contact requests found
			if asked[b.id] {
				continue
			}
			asked[b.id], again = true, true
			if err := c.pollBox(ctx, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Client) pollBox(ctx context.Context, b box) error {
	var failed error
	answered := false
	members := c.ranked(b.id)
	for _, m := range members[:min(len(members), pollRanks)] {
		for misses, n := 0, 0; n < maxPollNow; n++ {
			more, err := c.poll(ctx, b, m)
			if errors.Is(err, ErrTimeout) && misses < 1 {
				misses++
				continue
			}
			if err != nil {
				failed = err
				break
			}
			answered = true
			if !more {
				break
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	switch {
	case answered:
		return nil
	case failed != nil:
		return failed
	}
	return fmt.Errorf("%w: nobody keeps this mailbox", ErrNoPath)
}

// pollClock polls one mailbox at a time, at moments that depend on nothing.
func (c *Client) pollClock(ctx context.Context) {
	visits := map[mail.ID]int{}
	var turn int
	slots := make(chan struct{}, 16)
	full := make(chan fullBox, 4)
	extra := false // the last poll was for a mailbox with more behind
	for {
		t := time.NewTimer(time.Duration(c.exponential() * float64(c.cfg.Poll)))
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		v := c.view.Load()
		if v == nil {
			continue
		}
		boxes := c.boxes(v)
		if len(visits) > 2*len(boxes)+16 {
			clear(visits)
		}
		var b box
		var member chain.NodeID
		// Which mailbox is asked nobody but its member sees. Every other turn at
		// most, so that a member that always has more keeps nobody else away.
		if !extra {
			select {
			case f := <-full:
				b, member, extra = f.box, f.member, true
			default:
			}
		} else {
			extra = false
		}
		if !extra {
			turn++
			b = boxes[turn%len(boxes)]
			members := c.ranked(b.id)
			if len(members) == 0 {
				continue
			}
			n := visits[b.id]
			visits[b.id]++
			member = members[min(rankOf(n), len(members)-1)]
		}
		select {
		case slots <- struct{}{}:
			c.wg.Go(func() {
				defer func() { <-slots }()
				more, err := c.poll(ctx, b, member)
				if err != nil && ctx.Err() == nil {
					c.log.Debug("a poll failed", "code", codeOf(err))
				}
				if more {
					select {
					case full <- fullBox{b, member}:
					default:
					}
				}
			})
		default: // the network answers slower than we ask
		}
	}
}

// fullBox is a mailbox with more behind what was just taken from it.
type fullBox struct {
	box
	member chain.NodeID
}

// rankOf is which member the nth poll of a mailbox asks: mostly the first.
func rankOf(n int) int {
	switch {
	case n%16 == 15:
		return 2
	case n%4 == 3:
		return 1
	}
	return 0
}

// deleteItem reveals one deletion token to the member that holds the item.
func (c *Client) deleteItem(ctx context.Context, d *deleteRecord) {
	reply, err := c.roundTrip(ctx, d.Member, mail.Command{Delete: &mail.Delete{Token: d.Token}})
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d.tries++; err == nil && !reply.Code.Refused() || d.tries >= 5 {
		delete(c.deletes, d.Token)
		c.persistLocked(d.gone())
		c.changedLocked()
		return
	}
	d.due = time.Now().Add(c.pause(d.tries))
}
