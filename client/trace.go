package client

import (
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/registry/path"
)

// Trace is how an outgoing message stands with those who keep it, by the list of
// Epoch.
type Trace struct {
	Status Status
	Epoch  chain.Epoch
	// Session says that there is a session with the contact.
	Session bool
	// Request is how the contact is told of that session, where it has not shown
	// that it knows of it.
	Request Request
	// Account are the members of the mailbox that contact requests go to.
	Account []chain.NodeID
	// Parts is one for each part, as soon as the message was sealed; nil before
	// that, and when it is over: what its members signed is forgotten then.
	Parts []TracePart
}

// Request is how far our contact request came.
type Request uint8

// The states of a contact request.
const (
	NoRequest    Request = 0 // none is needed
	RequestWaits Request = 1 // no member has taken it yet
	RequestTaken Request = 2 // a member has it
)

// TracePart is one part of a message.
type TracePart struct {
	// Keepers are who keeps its mailbox, the former members at the end; nobody
	// until it is first stored, which settles the mailbox.
	Keepers []Keeper
	// Need is how many of the members have to sign, and NeedFormer how many of
	// the former ones.
	Need, NeedFormer int
	// Confirmed says that enough have.
	Confirmed bool
	// Fetched says that the recipient has deleted it: so it has it.
	Fetched bool
}

// Keeper is a member of a mailbox.
type Keeper struct {
	Node   chain.NodeID
	Former bool       // it was one in the epoch before
	Signed bool       // its receipt is in hand
	Until  chain.Time // to which it has promised to keep the part
}

// Trace says how an outgoing message stands. It needs a directory: Run at work, or
// AwaitHead. Errors: ErrMessage where there is none of that id, ErrNoPath without
// a directory.
func (c *Client) Trace(id MessageID) (Trace, error) {
	v := c.view.Load()
	if v == nil {
		return Trace{}, fmt.Errorf("trace message: %w: no directory yet", ErrNoPath)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.textLocked(id)
	if o == nil {
		return Trace{}, fmt.Errorf("trace message: %w: none of this id was sent", ErrMessage)
	}
	to := mail.AccountID(o.Contact)
	t := Trace{Status: o.status(), Epoch: v.epoch(), Account: v.swarm(mail.AccountMailbox(to)).Members}
	if r := c.contacts[to]; r != nil {
		t.Session = r.newest() != nil
		if s := r.mine(); s != nil && r.State != uint8(Connected) {
			t.Request = RequestWaits
			if s.Took {
				t.Request = RequestTaken
			}
		}
	}
	for i := range o.Items {
		it := &o.Items[i]
		p := TracePart{Fetched: it.Done}
		if it.Bucket != nil {
			sw := v.swarm(c.box(to, it).id)
			p.Confirmed = it.Done || sw.Confirmed(it.by)
			p.Need = majority(sw.Members)
			p.NeedFormer = majority(sw.Former)
			p.Keepers = keepers(sw, it)
		}
		t.Parts = append(t.Parts, p)
	}
	return t, nil
}

// majority is how many of them are most.
func majority(l []chain.NodeID) int {
	if len(l) == 0 {
		return 0
	}
	return len(l)/2 + 1
}

func keepers(sw directory.Swarm, it *outItem) (out []Keeper) {
	add := func(id chain.NodeID, former bool) {
		k := Keeper{Node: id, Former: former}
		if i := slices.IndexFunc(it.Signed, func(s signed) bool { return s.Member == id }); i >= 0 {
			k.Signed, k.Until = true, it.Signed[i].until()
		}
		out = append(out, k)
	}
	for _, id := range sw.Members {
		add(id, false)
	}
	for _, id := range sw.Former {
		if !slices.Contains(sw.Members, id) {
			add(id, true)
		}
	}
	return out
}

// Way is a path as it would be drawn now.
type Way struct {
	Nodes       []chain.NodeID // the guard first, the member last
	Explanation path.Explanation
}

// Draw draws a path to a member as the next command would, behind the client's
// guard and past those who have strikes, and says how it came about. It changes
// nothing: the next command draws another one. Errors: ErrNoPath.
func (c *Client) Draw(member chain.NodeID) (Way, error) {
	v := c.view.Load()
	if v == nil {
		return Way{}, fmt.Errorf("draw path: %w: no directory yet", ErrNoPath)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.nowAt(v)
	guards := path.Guards{Sample: slices.Clone(c.meta.Guards.Sample)}
	o := path.Options{Hops: c.cfg.Hops, Target: member, Avoid: c.strikes.Avoid(now)}
	hops, err := guards.Choose(v.picker, c.strikes, o, now, path.FromReader(c.rand))
	if err != nil {
		return Way{}, fmt.Errorf("draw path: %w: %w", ErrNoPath, err)
	}
	o.Guard = v.list.Entries[hops[0]].Node
	w := Way{Explanation: v.picker.Explain(hops, o)}
	for _, i := range hops {
		w.Nodes = append(w.Nodes, v.list.Entries[i].Node)
	}
	return w, nil
}
