package relay

import (
	"encoding/binary"
	"slices"
	"sync"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/relay/mailbox"
)

// copied is a frame of a member that waits for a worker.
type copied struct {
	from chain.NodeID
	buf  *[]byte
	data []byte // in buf
}

// onSwarm takes a frame of a member on its link's goroutine and must not wait.
func (r *Relay) onSwarm(l *link.Link, data []byte) {
	from, known := l.Peer()
	if known {
		_, known = r.view.Load().find(from)
	}
	kind := mail.SwarmKind(0)
	if len(data) > 1 {
		kind = mail.SwarmKind(data[1])
	}
	if !known {
		r.count.refuse(CopyStranger)
		if kind == mail.SwarmAsk && len(data) >= 10 {
			// It may see the new list a moment before this node; it asks again.
			_ = l.Send(link.Frame{Type: link.Swarm, Data: mail.SwarmMessage{Kind: mail.SwarmSums, ID: binary.BigEndian.Uint64(data[2:])}.Encode()})
		}
		return
	}
	// The channels have room for all that may be under way.
	switch kind {
	case mail.SwarmAcks:
		r.onAcks(from, data)
	case mail.SwarmCopies, mail.SwarmPush:
		if !r.members.begin(from) {
			r.count.refuse(CopyFlood)
			return
		}
		r.copies <- r.copied(from, data)
	case mail.SwarmAsk, mail.SwarmList, mail.SwarmWant:
		if !r.asking.begin(from) {
			r.count.refuse(CopyFlood)
			return
		}
		r.asking.queue <- r.copied(from, data)
	default:
		if len(data) < 10 || !r.talk.answered(from, binary.BigEndian.Uint64(data[2:]), data) {
			r.count.refuse(CopyMalformed)
		}
	}
}

func (r *Relay) copied(from chain.NodeID, data []byte) *copied {
	buf := r.buffers.Get().(*[]byte)
	n := copy(*buf, data)
	return &copied{from, buf, (*buf)[:n]}
}

// carry works on a frame of a member.
func (r *Relay) carry(c *copied) {
	end := func() {
		r.buffers.Put(c.buf)
		r.members.end(c.from)
	}
	m, err := r.format.DecodeSwarm(c.data)
	if err != nil || len(m.Copies) == 0 {
		r.count.refuse(CopyMalformed)
		end()
		return
	}
	if !r.members.mayFill(c.from, r.mail.Items(), r.cfg.MailItems) {
		r.count.refuse(CopyFlood)
		end()
		return
	}
	via := mailbox.ByCopy
	if m.Kind == mail.SwarmPush {
		via = mailbox.BySync
	}
	left := newCountdown(len(m.Copies), end)
	now, epoch := r.now(), r.view.Load().epoch
	var atSight bool
	for _, x := range m.Copies {
		r.count.copiesIn.Add(1)
		atSight = !r.keep(now, epoch, x, via, func(o mailbox.Outcome) {
			r.taken(c.from, x, o)
			left.done()
		}) || atSight
	}
	if atSight {
		r.flushAcks()
	}
}

// keep does what a copy asks for, as mailbox.Do does.
func (r *Relay) keep(now chain.Time, epoch chain.Epoch, c mail.Copy, via mailbox.Via, done func(mailbox.Outcome)) bool {
	kept := func(o mailbox.Outcome) {
		if o.Reply.Code == mail.CodeStored || o.Reply.Code == mail.CodeAccepted {
			r.noteStray(c)
		}
		done(o)
	}
	if c.Tombstone != nil {
		return r.mail.Bury(now, *c.Tombstone, kept)
	}
	return r.mail.Do(now, epoch, c.Command, via, kept)
}

// noteStray has what another swarm keeps handed over to it.
func (r *Relay) noteStray(c mail.Copy) {
	rs := r.view.Load().rings
	var id mail.ID
	what := func() (h chain.Hash) { return h } // of an item or a request
	switch x := c.Command; {
	case c.Tombstone != nil:
		id = c.Tombstone.Mailbox
	case x.Store != nil:
		id, what = x.Store.Mailbox(), func() chain.Hash { return x.Store.ItemOf(x.Store.Root()) }
	case x.Request != nil:
		id, what = mail.AccountMailbox(x.Request.Account), func() chain.Hash { return chain.SHA256(x.Request.Content) }
	case x.PutBundle != nil:
		b, err := mail.DecodeBundle(x.PutBundle.Bundle)
		if err != nil {
			return
		}
		id = mail.AccountMailbox(b.Account())
	default:
		return
	}
	if rs.now.at(binary.BigEndian.Uint64(id[:8])) != rs.swarm {
		h := what()
		r.errands.stray([mail.MaxBound]byte(slices.Concat(id[:], h[:])))
	}
}

// taken answers a copy.
func (r *Relay) taken(from chain.NodeID, c mail.Copy, o mailbox.Outcome) {
	code := o.Reply.Code
	if code.Refused() {
		r.count.refuse(refusedAs(code))
	}
	if o.More {
		r.members.fill(from)
	}
	if c.Serial == 0 {
		return
	}
	a := mail.Ack{Serial: c.Serial, Code: code}
	switch {
	case code == mail.CodeStored && o.Receipt == nil:
		a.Code = mail.CodeAccepted // no receipt was asked for
	case code == mail.CodeStored:
		s, err := statement.Decode(o.Receipt)
		x, err2 := statement.DecodeReceipt(s.Body)
		if err != nil || err2 != nil {
			a.Code = mail.CodeBusy
			break
		}
		a.Fork, a.Until, a.Sig = s.Fork, x.Until, s.Sig
	case code == mail.CodeDeleted && len(o.Reply.Body) == len(a.Token):
		copy(a.Token[:], o.Reply.Body)
	}
	r.members.say(from, a)
}

// flushAcks sends the acks that wait, many in one frame.
func (r *Relay) flushAcks() {
	for {
		to, acks, ok := r.members.take()
		if !ok {
			return
		}
		for rest := acks; len(rest) > 0; {
			n := min(len(rest), r.acksPerFrame)
			m := mail.SwarmMessage{Kind: mail.SwarmAcks, Acks: rest[:n]}
			if r.tell(to, m.Encode()) == nil {
				r.count.acksOut.Add(uint64(n))
			}
			rest = rest[n:]
		}
		r.members.sent(len(acks))
	}
}

// lost ends the waits for a member that cannot be reached, or whose link has
// closed.
func (r *Relay) lost(id chain.NodeID) {
	r.stores.lost(id)
	r.talk.lost(id)
}

// tell sends a message to a member.
func (r *Relay) tell(to chain.NodeID, message []byte) error {
	return r.pool.Send(to, link.Frame{Type: link.Swarm, Data: message})
}

// others are those of a swarm but this node.
func (r *Relay) others(s directory.Swarm) []chain.NodeID {
	return slices.DeleteFunc(s.All(), func(id chain.NodeID) bool { return id == r.id })
}

// bury deletes what a token is of, which another member has shown: this node
// has missed it.
func (r *Relay) bury(token [32]byte) {
	if !r.members.begin(r.id) {
		return // it hears of it again by anti-entropy
	}
	r.mail.Do(r.now(), 0, mail.Command{Delete: &mail.Delete{Token: token}}, mailbox.BySync, func(mailbox.Outcome) { r.members.end(r.id) })
}

// fellows are the other members of this node's own swarm.
func (r *Relay) fellows(rs *rings) []chain.NodeID {
	if rs.swarm < 0 {
		return nil
	}
	return r.others(directory.Swarm{Members: rs.now.members[rs.swarm]})
}

// spread passes a command on, for which nobody waits.
func (r *Relay) spread(to []chain.NodeID, c mail.Copy) {
	if len(to) == 0 {
		return
	}
	message := mail.SwarmMessage{Kind: mail.SwarmCopies, Copies: []mail.Copy{c}}.Encode()
	for _, id := range to {
		if r.tell(id, message) == nil {
			r.count.copiesOut.Add(1)
		}
	}
}

// countdown calls end after n calls of done.
type countdown struct {
	mu   sync.Mutex
	left int
	end  func()
}

func newCountdown(n int, end func()) *countdown { return &countdown{left: n, end: end} }

func (c *countdown) done() {
	c.mu.Lock()
	c.left--
	last := c.left == 0
	c.mu.Unlock()
	if last {
		c.end()
	}
}
