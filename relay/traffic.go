package relay

import (
	"runtime"
	"sync/atomic"
	"time"

	"tunic/chain"
	"tunic/onion"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/registry/directory"
)

// view is what the workers go by. It never changes; the owner of the state
// replaces it.
type view struct {
	synced    bool
	state     string
	fork      uint32
	epoch     chain.Epoch
	height    chain.Height
	time      chain.Time
	lists     map[chain.Epoch]*directory.List // the newest few
	hello     func() []byte                   // what links are told; nil while there is nothing
	committed chain.Epoch                     // of the last probe commitment
	removed   []chain.NodeID                  // since the epoch began, ascending
	sealed    func() []byte                   // the encoded head; nil while there is none, or where no reply holds it
	rings     *rings                          // of the epoch's list, or the newest before that is there
	past      []*rings                        // and of the few before, the newest first
}

// find is the entry of a node in the newest list that has it.
func (v *view) find(id chain.NodeID) (directory.Entry, bool) {
	for e, n := v.epoch, 0; n < keptLists; e, n = e-1, n+1 {
		if l := v.lists[e]; l != nil {
			if entry, ok := l.Find(id); ok {
				return entry, true
			}
		}
		if e == 0 {
			break
		}
	}
	return directory.Entry{}, false
}

// head is the answer to who asks for the newest header.
func (v *view) head() mail.Reply {
	b := v.sealed()
	if b == nil {
		return mail.Reply{Code: mail.CodeNone}
	}
	return mail.Reply{Code: mail.CodeHead, Body: b}
}

// resolve is the pool's Resolver.
func (r *Relay) resolve(id chain.NodeID) (string, bool) {
	e, ok := r.view.Load().find(id)
	if !ok || len(e.Endpoints) == 0 {
		return "", false
	}
	return e.Endpoints[0], true
}

// port is what a relay keeps of one link for its packets.
type port struct {
	lane *lane
	pace link.Pace   // owned by the link's goroutine
	used atomic.Bool // a packet arrived since the last Hello was sent
}

// onFrame runs on a link's goroutine. It waits only where a relay's link has its
// share of packets waiting already.
func (r *Relay) onFrame(l *link.Link, f link.Frame) {
	switch f.Type {
	case link.Packet:
		p := l.Data.(*port) // set when the link opened
		if !p.used.Load() {
			p.used.Store(true)
		}
		buf := r.buffers.Get().(*[]byte)
		copy(*buf, f.Data)
		if r.draining.Load() {
			r.count.in.Add(1)
			r.drop(DropStopped, buf)
			return
		}
		if p.pace.Sparse(time.Now()) && r.atOnce.begin() {
			r.count.in.Add(1)
			r.peel(buf)
			r.atOnce.end()
			return
		}
		if l.Anonymous() {
			r.enter(p.lane, buf, ofOthers, false)
		} else {
			r.enter(p.lane, buf, ofRelays, true)
		}
	case link.Hello:
		r.onHello(l, f.Data)
	case link.Swarm:
		r.onSwarm(l, f.Data)
	case link.Control:
		if !r.clients.control(l, f.Data) {
			r.count.badControl.Add(1)
		}
	}
}

// enter takes a packet in.
func (r *Relay) enter(l *lane, buf *[]byte, class int, wait bool) {
	r.count.in.Add(1)
	switch r.queue.put(l, buf, class, wait) {
	case full:
		r.drop(DropOverload, buf)
	case stopped:
		r.drop(DropStopped, buf)
	}
}

func (r *Relay) drop(why Drop, buf *[]byte) {
	r.count.drop(why)
	r.buffers.Put(buf)
}

// worker peels packets until the queue closes.
func (r *Relay) worker() {
	if r.cfg.OwnThreads {
		err := ownThread()
		defer runtime.UnlockOSThread()
		if err != nil && !r.noSlices.Swap(true) {
			r.log.Info("the system refuses its workers a long time slice; beside a flood quiet links wait longer", "error", err)
		}
	}
	var from *lane
	junk := false
	for {
		l, buf, ok := r.queue.take(from, junk)
		if !ok {
			return
		}
		from, junk = l, r.peel(buf)
		if r.cfg.OwnThreads {
			letOthers()
		}
	}
}

// peel takes this node's layer off a packet and passes on what is inside. Each
// packet leaves it with exactly one count, or waits in the delay queue. It
// reports whether the packet was one that no honest sender makes.
//
// The order is that of cost: header, expiry, epoch, replay, and only then the payload.
func (r *Relay) peel(buf *[]byte) (junk bool) {
	v := r.view.Load()
	o, err := r.keys.open(*buf)
	if err == nil {
		err = o.Expired(v.epoch)
	}
	if err != nil {
		why := reason(err)
		r.drop(why, buf)
		return why != DropExpired
	}
	// No honest sender is more than an epoch ahead; and before its first head
	// the relay knows neither epoch nor fork to answer in.
	if !v.synced || o.Directory() > v.epoch+1 {
		r.drop(DropNoList, buf)
		return false
	}
	if err := r.replay.Add(o.KeyEpoch, o.Tag); err != nil {
		why := reason(err)
		r.drop(why, buf)
		return why == DropReplay
	}
	r.tags.add(o.Directory(), o.Tag)
	out, err := o.Finish()
	if err != nil {
		r.drop(reason(err), buf)
		return false // whoever changed it, the last node may not be to blame
	}
	switch o.Kind {
	case onion.Forward:
		r.forward(v, &o.Routing, buf, false)
	case onion.Deliver:
		if len(out) == 0 {
			r.loop(o.Tag, buf)
			return false
		}
		r.deliver(o.Directory(), out, buf)
	case onion.Client:
		r.answered(&o.Routing, buf)
	}
	return false
}

// answered holds an answer for its delay, as any packet, before its client gets
// it.
func (r *Relay) answered(to *onion.Routing, buf *[]byte) {
	switch {
	case chain.Duration(to.Delay) > maxDelay(r.params):
		r.drop(DropDelayBound, buf)
	case to.Delay == 0 || r.cfg.StandingClock:
		r.toClient(to, buf)
	default:
		at := time.Now().Add(time.Duration(to.Delay) * time.Millisecond)
		client := *to
		r.hold(held{at: at, client: &client, packet: buf})
	}
}

// earlyWait is how long a packet of the epoch to come is held, once: its sender
// has seen the new epoch's first block a moment before this relay.
const earlyWait = 250 * time.Millisecond

func (r *Relay) forward(v *view, to *onion.Routing, buf *[]byte, early bool) {
	list := v.lists[to.Directory()]
	switch {
	case list == nil && !early && to.Directory() == v.epoch+1:
		wait := *to
		r.hold(held{at: time.Now().Add(earlyWait), early: &wait, packet: buf})
		return
	case list == nil:
		r.drop(DropNoList, buf)
		return
	case int64(to.NextIndex) >= int64(len(list.Entries)):
		r.drop(DropNextHop, buf)
		return
	}
	next := list.Entries[to.NextIndex].Node
	switch {
	case chain.Duration(to.Delay) > maxDelay(r.params):
		r.drop(DropDelayBound, buf)
	case to.Delay == 0 || r.cfg.StandingClock:
		r.pass(next, buf)
	default:
		r.hold(held{at: time.Now().Add(time.Duration(to.Delay) * time.Millisecond), next: next, packet: buf})
	}
}

// hold puts a packet into the delay queue.
func (r *Relay) hold(h held) {
	if !h.own {
		r.count.waiting.Add(1)
	}
	ok, stopped := r.delay.put(h)
	switch {
	case stopped:
		r.unheld(DropStopped, h)
	case !ok:
		r.unheld(DropDelayFull, h)
	}
}

// release takes a packet from the delay queue on.
func (r *Relay) release(h held) {
	if h.own {
		r.answersLeft(r.send(h.next, *h.packet) == nil)
		r.buffers.Put(h.packet)
		return
	}
	r.count.waiting.Add(-1)
	if h.early != nil {
		r.forward(r.view.Load(), h.early, h.packet, true)
		return
	}
	if h.client != nil {
		r.toClient(h.client, h.packet)
		return
	}
	r.pass(h.next, h.packet)
}

func (r *Relay) unheld(why Drop, h held) {
	if h.own {
		r.answersLeft(false)
		r.buffers.Put(h.packet)
		return
	}
	r.count.waiting.Add(-1)
	r.drop(why, h.packet)
}

// answersLeft counts an answer of this node's mailboxes.
func (r *Relay) answersLeft(ok bool) {
	if ok {
		r.count.answers.Add(1)
	} else {
		r.count.answersLost.Add(1)
	}
}

// pass sends a packet on.
func (r *Relay) pass(next chain.NodeID, buf *[]byte) {
	if r.send(next, *buf) != nil {
		r.drop(DropLink, buf)
		return
	}
	r.count.forwarded.Add(1)
	r.buffers.Put(buf)
}

// send puts a packet on the link to a node, or into this node's own queue.
func (r *Relay) send(next chain.NodeID, packet []byte) error {
	if next == r.id {
		buf := r.buffers.Get().(*[]byte)
		copy(*buf, packet)
		r.enter(r.self, buf, ofRelays, false)
		return nil
	}
	return r.pool.Send(next, link.Frame{Type: link.Packet, Data: packet})
}

// toClient hands an answer to the client that attached its token. The body of
// the frame is the packet's size, like any other's.
func (r *Relay) toClient(to *onion.Routing, buf *[]byte) {
	l := r.clients.find(to.Token)
	if l == nil {
		r.drop(DropClient, buf)
		return
	}
	body := *buf
	clear(body[copy(body, to.SURB[:]):onion.HeaderSize])
	if l.Send(link.Frame{Type: link.Packet, Data: body}) != nil {
		r.drop(DropClientLink, buf)
		return
	}
	r.count.toClient.Add(1)
	r.buffers.Put(buf)
}
