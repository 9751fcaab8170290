package client

import (
	"slices"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/registry/path"
)

// swarm is who keeps a mailbox, nobody while there is no directory.
func (c *Client) swarm(mailbox mail.ID) directory.Swarm {
	if v := c.view.Load(); v != nil {
		return v.swarm(mailbox)
	}
	return directory.Swarm{}
}

// ranked are the members of a mailbox, those that are avoided last.
func (c *Client) ranked(mailbox mail.ID) []chain.NodeID {
	return c.usable(c.swarm(mailbox).Members)
}

// usable are nodes in their order, those that are avoided last.
func (c *Client) usable(nodes []chain.NodeID) []chain.NodeID {
	good, avoided := c.sort(nodes)
	return append(good, avoided...)
}

// sort divides nodes into those that nothing speaks against and the others.
func (c *Client) sort(nodes []chain.NodeID) (good, avoided []chain.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	avoid := c.avoidLocked(c.now())
	for _, id := range nodes {
		if avoid(id) {
			avoided = append(avoided, id)
		} else {
			good = append(good, id)
		}
	}
	return good, avoided
}

// conduct is how a member did its work lately.
type conduct struct {
	wrong uint8 // answers that were wrong, since one that was right
	few   uint8 // stores that it brought too few receipts for, or none, in a row
}

// blame counts a strike against a member that answers wrongly, and avoids it
// when it does so again and again, whatever it forwards in between.
func (c *Client) blame(member chain.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.strikes.Add(member, now)
	k := c.conducts[member]
	if k.wrong++; k.wrong >= path.StrikesOut {
		for range path.StrikesOut {
			c.strikes.Add(member, now)
		}
		k.wrong = 0
	}
	c.conducts[member] = k
}

// stored remembers how a member did with a store: whether it answered rightly, and
// whether what it brought was enough alone.
func (c *Client) stored(member chain.NodeID, answered, enough bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.conducts[member]
	if answered {
		k.wrong = 0
	}
	if enough {
		k.few = 0
	} else {
		k.few = min(k.few+1, path.StrikesOut)
	}
	c.conducts[member] = k
}

// signer is who is asked to store an item next: a member that has not signed for
// it or, where enough of them have, a former one: the one of that turn. One that is
// avoided, or brought too few receipts again and again, has its turn when no other
// is left. False where everyone has signed or is passed over.
func (c *Client) signer(sw directory.Swarm, it *outItem, passed map[chain.NodeID]bool, turn int) (chain.NodeID, bool) {
	sets := [][]chain.NodeID{sw.Members, sw.Former}
	if sw.Former != nil && (directory.Swarm{Members: sw.Members}).Confirmed(it.by) {
		slices.Reverse(sets)
	}
	for _, set := range sets {
		good, rest := c.sort(slices.DeleteFunc(slices.Clone(set), func(id chain.NodeID) bool { return it.by(id) || passed[id] }))
		c.mu.Lock()
		few := func(id chain.NodeID) bool { return c.conducts[id].few >= path.StrikesOut }
		rest = append(slices.DeleteFunc(slices.Clone(good), func(id chain.NodeID) bool { return !few(id) }), rest...)
		good = slices.DeleteFunc(good, few)
		c.mu.Unlock()
		switch {
		case len(good) > 0:
			return good[turn%len(good)], true
		case len(rest) > 0:
			return rest[turn%len(rest)], true
		}
	}
	return chain.NodeID{}, false
}

// stagger is among how many of a mailbox's best members repetitions go round, and
// how many have to refuse an item until its message is over.
const stagger = 3
