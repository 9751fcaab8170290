package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/registry/path"
)

// PollNow asks for all mailboxes at once and returns when everything that was
// there is taken, as far as members answer: of each mailbox it asks so many that
// one of them is of the majority that confirmed any message. It tells the network
// that somebody looks now.
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
	c.heardAll()
	return nil
}

// pollBox asks as many members as a reader has to, and as many of the former
// ones where there are any; others where one does not answer.
func (c *Client) pollBox(ctx context.Context, b box) error {
	sw := c.swarm(b.id)
	var failed error
	answered := 0
	asked := map[chain.NodeID]bool{}
	for _, set := range [][]chain.NodeID{sw.Members, sw.Former} {
		answers := 0 // of this set, which may share members with the other
		for _, m := range set {
			if asked[m] {
				answers++
			}
		}
		for _, m := range c.usable(set) {
			if answers >= directory.Reads(len(set)) {
				break
			}
			if asked[m] {
				continue
			}
			if err := c.pollAll(ctx, b, m); err != nil {
				failed = err
			} else {
				asked[m] = true
				answers++
				answered++
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	switch {
	case answered > 0:
		return nil
	case failed != nil:
		return failed
	}
	return fmt.Errorf("%w: nobody keeps this mailbox", ErrNoPath)
}

// pollAll takes what one member has, once more over another path where no answer
// comes.
func (c *Client) pollAll(ctx context.Context, b box, member chain.NodeID) error {
	for misses, n := 0, 0; n < maxPollNow; n++ {
		more, err := c.poll(ctx, b, member, true)
		if errors.Is(err, ErrTimeout) && misses < 1 {
			misses++
			continue
		}
		if err != nil || !more {
			if err == nil {
				c.heard(b, member)
			}
			return err
		}
	}
	return nil
}

// pollClock polls one mailbox at a time, at moments that depend on nothing.
func (c *Client) pollClock(ctx context.Context) {
	visits := map[mail.ID]int{}
	slots := make(chan struct{}, 16)
	full := make(chan fullBox, 4)
	extra := false // the last poll was for a mailbox with more behind
	for {
		if !c.pollDue(ctx) {
			return
		}
		v := c.view.Load()
		if v == nil {
			continue
		}
		boxes := c.boxes(v)
		if len(visits) > 2*len(boxes)+16 {
			clear(visits)
		}
		b := c.drawBox(boxes)
		var member chain.NodeID
		// Which mailbox is asked nobody but its member sees. Every other turn at
		// most, so that a member that always has more keeps nobody else away, and
		// never instead of the account's own, which is asked as often whatever comes.
		if own := b.contact == (mail.AccountID{}); !own && !extra {
			select {
			case f := <-full:
				b, member, extra = f.box, f.member, true
			default:
			}
		} else if !own {
			extra = false
		}
		if member == (chain.NodeID{}) {
			members := c.usable(v.swarm(b.id).All())
			if len(members) == 0 {
				continue
			}
			member = members[visits[b.id]%len(members)]
			visits[b.id]++
		}
		select {
		case slots <- struct{}{}:
			c.wg.Go(func() {
				defer func() { <-slots }()
				more, err := c.poll(ctx, b, member, false)
				if err != nil && ctx.Err() == nil {
					c.log.Debug("a poll failed", "code", codeOf(err))
				}
				if more {
					select {
					case full <- fullBox{b, member}:
					default:
					}
				} else if err == nil {
					c.heard(b, member)
				}
			})
		default: // the network answers slower than we ask
		}
	}
}

// ownPolls is one in how many polls is for the account's own mailbox, whose members
// know the account: how often they are asked must not say how many contacts it has.
const ownPolls = 4

// drawBox draws which mailbox is polled: the account's own one time in four, and
// of the others those in which mail is expected half of the time. Each is drawn
// by itself, so that the polls of one mailbox, which come at the times of a Poisson
// clock, say nothing of when another one of the same account is asked.
func (c *Client) drawBox(boxes []box) box {
	r := path.FromReader(c.rand)
	if len(boxes) == 1 || r.N(ownPolls) == 0 {
		return boxes[0]
	}
	fresh := r.N(2) == 0
	some := slices.DeleteFunc(slices.Clone(boxes[1:]), func(b box) bool { return b.fresh != fresh })
	if len(some) == 0 {
		some = boxes[1:]
	}
	return some[r.N(uint64(len(some)))]
}

// withdrawLocked deletes a part whose message is over before it was confirmed: its
// item would live on for as long as all others of its bucket.
func (c *Client) withdrawLocked(o *outRecord, it *outItem) []row {
	if it.Bucket == nil || it.Done {
		return nil
	}
	return c.revealLocked(&deleteRecord{Token: it.Token, Mailbox: key32(c.box(mail.AccountID(o.Contact), it).id),
		Until: bucketExpiry(&c.cfg.Core, *it.Bucket, o.Sent)})
}

// fullBox is a mailbox with more behind what was just taken from it.
type fullBox struct {
	box
	member chain.NodeID
}

// deleteItem reveals one deletion token: to the member that showed the item, which
// passes it on, or to others while that one does not answer.
func (c *Client) deleteItem(ctx context.Context, d *deleteRecord) {
	c.mu.Lock()
	tries := d.tries
	c.mu.Unlock()
	member := d.Member
	if v := c.view.Load(); tries > 0 || v.gone(member) {
		if others := c.ranked(mail.ID(d.Mailbox)); len(others) > 0 {
			member = others[tries%len(others)]
		}
	}
	reply, err := c.roundTrip(ctx, member, mail.Command{Delete: &mail.Delete{Token: d.Token}})
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Who showed it and has it no more has deleted it; another may not have it yet.
	done := err == nil && (reply.Code == mail.CodeDeleted || reply.Code == mail.CodeNone && member == d.Member)
	if d.tries++; done || d.tries >= 5 {
		delete(c.deletes, d.Token)
		c.persistLocked(d.gone())
		c.changedLocked()
		return
	}
	d.due = time.Now().Add(c.pauseLocked(d.tries, err))
}
