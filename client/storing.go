package client

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
)

const (
	waitReceipt errWait = "invalid_receipt"
	waitFew     errWait = "few_receipts" // fewer members have signed than have to
)

// errRefused is why a message is over: no member would take it. Its text is the
// stable code.
type errRefused string

func (e errRefused) Error() string { return string(e) }

// refusal reports whether a code says that sending the same again is pointless.
func refusal(c mail.Code) bool {
	return c == mail.CodeFull || c == mail.CodeSignature || c == mail.CodeMalformed
}

// box is the mailbox of a part: always the one that it was to be stored in first,
// so that no two mailboxes hold the same bytes. Its recipient asks for it as long
// as the message lives.
func (c *Client) box(to mail.AccountID, it *outItem) pairBox {
	return c.pairBox(it.Seed, c.cfg.Account.id, to, *it.Bucket)
}

// confirmed reports whether nothing has to be done for a part: enough members by
// the list of v have signed for it, or its recipient has it.
func (c *Client) confirmed(v *view, to mail.AccountID, it *outItem) bool {
	return it.Done || len(it.Signed) > 0 && it.Bucket != nil && v.swarm(c.box(to, it).id).Confirmed(it.by)
}

// placeItem settles the mailbox of a part: that of the message's other parts.
func (c *Client) placeItem(v *view, o *outRecord, n int, it *outItem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if it.Bucket != nil {
		return
	}
	b := bucketOf(&c.cfg.Core, v.epoch())
	it.Bucket = &b
	if c.currentLocked(o, n, it) {
		for i := range o.Items {
			if first := o.Items[i].Bucket; first != nil {
				it.Bucket = first
				break
			}
		}
		o.Items[n].Bucket = it.Bucket // on disk with the first receipt
	}
}

// currentLocked reports whether it is still part n of a message that lives.
func (c *Client) currentLocked(o *outRecord, n int, it *outItem) bool {
	return c.out[o.key()] == o && n < len(o.Items) && o.Items[n].Token == it.Token
}

// storeItem brings one part to one member of its mailbox, which brings it to the
// others, and keeps the receipts. While fewer than a majority have signed, and
// each member that is asked brings new receipts, it goes on with the next. Where
// repeat is set, one member is asked, whoever has signed.
func (c *Client) storeItem(ctx context.Context, to mail.AccountID, o *outRecord, n int, it outItem, turn int, repeat bool) error {
	v := c.view.Load()
	c.placeItem(v, o, n, &it)
	box := c.box(to, &it)
	sw := v.swarm(box.id)
	if len(sw.Members) == 0 {
		return waitPath
	}
	store := &mail.Store{ReadHash: box.readHash, Write: box.writeKey(), Expiry: bucketExpiry(&c.cfg.Core, *it.Bucket, o.Sent), Deleter: mail.Deleter(it.Token), Content: it.Content}
	store.Sign(c.cfg.Genesis, box.write)
	passed := map[chain.NodeID]bool{} // in this round
	refused, silent := 0, 0
	var refusedAs mail.Code
	for range len(sw.All()) {
		member, ok := c.signer(sw, &it, passed, turn)
		if repeat {
			members := c.usable(sw.Members)
			member, ok = members[turn%min(len(members), stagger)], true
		}
		if !ok {
			break
		}
		c.mu.Lock()
		o.stores++
		c.mu.Unlock()
		var reply mail.Reply
		began := time.Now()
		replies, err := c.try(ctx, member, mail.Command{Store: store}, 1, true)
		c.observe(Step{Kind: StepStore, Contact: to, Message: o.ID, Part: n, Member: member, Code: codeOfFirst(replies, err), Count: len(it.Signed), Took: time.Since(began)})
		if err == nil {
			reply = replies[0]
		}
		switch {
		case errors.Is(err, ErrTimeout) && silent+1 < sendTries && !repeat:
			// Another member and another path at once: it does not matter which of
			// the two was at fault.
			c.stored(member, false, false)
			passed[member] = true
			silent++
			continue
		case err != nil:
			if errors.Is(err, ErrTimeout) {
				c.stored(member, false, false) // it may forward well, and not answer
			}
			return err
		case refusal(reply.Code):
			// One member's word does not end a message.
			if reply.Code != mail.CodeFull {
				c.blame(member) // what we send is well formed and signed
			}
			passed[member], refusedAs = true, reply.Code
			refused++
			switch most := min(len(sw.Members), stagger); {
			case repeat || refused >= most && len(it.Signed) > 0:
				return errWait(reply.Code.String())
			case refused >= most:
				return errRefused(reply.Code.String())
			}
			continue
		case reply.Code == mail.CodeDeleted: // its recipient was faster than we
			if subtle.ConstantTimeCompare(reply.Body, it.Token[:]) != 1 {
				return c.invalid(member) // only the token shows that the recipient has it
			}
			it.Done, it.Signed = true, nil
			return c.keepItem(o, n, &it)
		case reply.Code != mail.CodeStored:
			return errWait(reply.Code.String())
		}
		fresh, bad := c.receiptsIn(reply.Body, store, o.Sent, sw, &it)
		it.Signed = slices.Concat(it.Signed, fresh)
		if err := c.keepItem(o, n, &it); err != nil {
			return err
		}
		enough := sw.Confirmed(it.by)
		if bad == nil {
			c.stored(member, true, enough)
		} else if err := c.invalid(member); !enough {
			return err
		}
		switch {
		case enough || repeat:
			return nil
		case len(fresh) == 0:
			return waitFew
		}
	}
	switch {
	case refusedAs != 0:
		return errWait(refusedAs.String())
	case silent > 0:
		return waitAnswer
	}
	return waitFew
}

// invalid counts a wrong answer to a store.
func (c *Client) invalid(member chain.NodeID) error {
	c.log.Warn("a member's receipt is not valid; asking another")
	c.blame(member)
	return waitReceipt
}

// keepItem puts what is new of a part on disk.
func (c *Client) keepItem(o *outRecord, n int, it *outItem) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.currentLocked(o, n, it) {
		return nil // final or sealed anew meanwhile
	}
	at := &o.Items[n]
	if at.Done || !it.Done && len(at.Signed) == len(it.Signed) {
		return nil
	}
	// A new list may have taken some of them away meanwhile.
	v := c.view.Load()
	at.Done = it.Done
	at.Signed = slices.DeleteFunc(slices.Clone(it.Signed), func(s signed) bool { return v.gone(s.Member) })
	if State(o.State) == Queued {
		return c.setLocked(o, Sent, "")
	}
	return c.saveLocked(o.row())
}

// reviewLocked holds the receipts of a message against a new list, and sees to it
// that what is not confirmed by it is stored again later: at a moment of its own,
// not before members had time to pass it on among each other. It reports whether
// the record changed.
func (c *Client) reviewLocked(v *view, o *outRecord) (changed bool) {
	short, none := false, false
	type place struct {
		seed   key32
		bucket uint64
	}
	swarms := map[place]func(has func(chain.NodeID) bool) bool{}
	for i := range o.Items {
		it := &o.Items[i]
		if it.Done || len(it.Signed) == 0 {
			continue
		}
		left := slices.DeleteFunc(slices.Clone(it.Signed), func(s signed) bool { return v.gone(s.Member) })
		if len(left) < len(it.Signed) {
			it.Signed, changed = left, true
		}
		if it.Bucket == nil { // of an earlier version: stored somewhere else
			short = true
			continue
		}
		at := place{it.Seed, *it.Bucket}
		if swarms[at] == nil {
			swarms[at] = v.swarm(c.box(mail.AccountID(o.Contact), it).id).Confirmed
		}
		none = none || len(left) == 0
		short = short || !swarms[at](it.by)
	}
	if !short || State(o.State) != Stored {
		return changed
	}
	if none { // nobody who is listed promises to have it
		o.State, o.Reason = uint8(Sent), ""
		c.statusEvent(o)
		changed = true
	}
	o.tries = 0
	pause := c.cfg.Resend/2 + c.part(c.cfg.Resend)
	if at := time.Now().Add(pause); o.due.After(at) {
		o.due = at
	}
	return changed
}
