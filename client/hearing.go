package client

import (
	"slices"
	"time"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/registry/directory"
)

// hearingMost is how long after Run began a message whose time is over waits at most
// for what its recipient may have said of it.
const hearingMost = 10 * time.Minute

// hearing is what was read since Run began. While a program does not run, its
// messages' time ends and their confirmations wait in mailboxes: a message is not
// given up before these were read, or for some time could not be.
type hearing struct {
	since time.Time
	over  bool                       // all was read, or the time for it has passed
	by    map[mail.ID][]chain.NodeID // the members that had nothing more, by mailbox
}

// heard notes that a member has shown all that it has of a mailbox.
func (c *Client) heard(b box, member chain.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &c.hearing
	if h.end(); h.over || b.contact == (mail.AccountID{}) || slices.Contains(h.by[b.id], member) {
		return
	}
	if h.by == nil {
		h.by = map[mail.ID][]chain.NodeID{}
	}
	h.by[b.id] = append(h.by[b.id], member)
}

// end ends it when its time has passed.
func (h *hearing) end() {
	if time.Since(h.since) >= hearingMost {
		*h = hearing{over: true}
	}
}

// heardAll notes that all mailboxes were read, as far as anybody answers.
func (c *Client) heardAll() {
	c.mu.Lock()
	c.hearing = hearing{over: true}
	c.mu.Unlock()
	c.expire()
}

// heardLocked reports whether what a contact may have said before Run began was
// read: each of its mailboxes at so many members that one of them has it, or for
// as long as that may take.
func (c *Client) heardLocked(id mail.AccountID) bool {
	h := &c.hearing
	if h.end(); h.over {
		return true
	}
	v := c.view.Load()
	if v == nil {
		return false
	}
	for _, b := range c.boxesLocked(v) {
		if b.contact != id {
			continue
		}
		sw := v.swarm(b.id)
		for _, set := range [][]chain.NodeID{sw.Members, sw.Former} {
			missing := slices.DeleteFunc(slices.Clone(set), func(m chain.NodeID) bool { return slices.Contains(h.by[b.id], m) })
			if len(set)-len(missing) < directory.Reads(len(set)) {
				return false
			}
		}
	}
	return true
}
