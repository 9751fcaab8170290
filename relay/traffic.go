package relay

import (
	"context"
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
	hello     []byte                          // what links are told; nil while there is nothing
	committed chain.Epoch                     // of the last probe commitment
	sealed    []byte                          // the encoded head; nil while there is none, or where no reply holds it
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
	if v.sealed == nil {
		return mail.Reply{Code: mail.CodeNone}
	}
	return mail.Reply{Code: mail.CodeHead, Body: v.sealed}
}

// resolve is the pool's Resolver.
func (r *Relay) resolve(id chain.NodeID) (string, bool) {
	e, ok := r.view.Load().find(id)
	if !ok || len(e.Endpoints) == 0 {
		return "", false
	}
	return e.Endpoints[0], true
}

// onFrame runs on a link's goroutine and must not wait.
func (r *Relay) onFrame(l *link.Link, f link.Frame) {
	switch f.Type {
	case link.Packet:
		r.hellos.heard(l)
		buf := r.buffers.Get().(*[]byte)
		copy(*buf, f.Data)
		r.enter(buf)
	case link.Hello:
		r.onHello(l, f.Data)
	case link.Control:
		if !r.clients.control(l, f.Data) {
			r.count.badControl.Add(1)
		}
	}
}

// enter takes a packet in.
func (r *Relay) enter(buf *[]byte) {
	r.count.in.Add(1)
	select {
	case r.work <- buf:
	default:
		r.drop(DropOverload, buf)
	}
}

func (r *Relay) drop(why Drop, buf *[]byte) {
	r.count.drop(why)
	r.buffers.Put(buf)
}

// worker peels packets until ctx ends.
func (r *Relay) worker(ctx context.Context) {
	for {
		select {
		case buf := <-r.work:
			r.peel(buf)
		case <-ctx.Done():
			return
		}
	}
}

// peel takes this node's layer off a packet and passes on what is inside. Each
// packet leaves it with exactly one count, or waits in the delay queue.
//
// The order is that of cost: header, expiry, epoch, replay, and only then the payload.
func (r *Relay) peel(buf *[]byte) {
	v := r.view.Load()
	o, err := r.keys.open(*buf)
	if err == nil {
		err = o.Expired(v.epoch)
	}
	if err != nil {
		r.drop(reason(err), buf)
		return
	}
	// No honest sender is more than an epoch ahead; and before its first head
	// the relay knows neither epoch nor fork to answer in.
	if !v.synced || o.Directory() > v.epoch+1 {
		r.drop(DropNoList, buf)
		return
	}
	if why, ok := r.replay.add(o.KeyEpoch, o.Tag); !ok {
		r.drop(why, buf)
		return
	}
	r.tags.add(o.Directory(), o.Tag)
	out, err := o.Finish()
	if err != nil {
		r.drop(reason(err), buf)
		return
	}
	switch o.Kind {
	case onion.Forward:
		r.forward(v, &o.Routing, buf, false)
	case onion.Deliver:
		if len(out) == 0 {
			r.loop(o.Tag, buf)
			return
		}
		r.deliver(o.Directory(), out, buf)
	case onion.Client:
		r.toClient(&o.Routing, buf)
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
	r.count.waiting.Add(1)
	ok, stopped := r.delay.put(h)
	switch {
	case stopped:
		r.unheld(DropStopped, h.packet)
	case !ok:
		r.unheld(DropDelayFull, h.packet)
	}
}

// release takes a packet from the delay queue on.
func (r *Relay) release(h held) {
	r.count.waiting.Add(-1)
	if h.early != nil {
		r.forward(r.view.Load(), h.early, h.packet, true)
		return
	}
	r.pass(h.next, h.packet)
}

func (r *Relay) unheld(why Drop, buf *[]byte) {
	r.count.waiting.Add(-1)
	r.drop(why, buf)
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
		r.enter(buf)
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

// deliver carries out a mailbox command on a goroutine of its own, since it may
// wait for the disk.
func (r *Relay) deliver(epoch chain.Epoch, message []byte, buf *[]byte) {
	cmd, err := r.format.Decode(message)
	if err != nil {
		r.drop(DropCommand, buf)
		return
	}
	select {
	case r.mailing <- struct{}{}:
	default:
		r.drop(DropMailboxBusy, buf)
		return
	}
	r.count.delivered.Add(1)
	r.mailers.Add(1)
	go func() {
		defer r.mailers.Done()
		r.answer(epoch, cmd)
		r.buffers.Put(buf) // cmd aliases it
		<-r.mailing
	}()
}

// answer sends one reply by each reply block; all blocks are always used. Their
// first nodes count in the list of the epoch that the command's packet was made
// in.
func (r *Relay) answer(epoch chain.Epoch, cmd mail.Command) {
	v := r.view.Load()
	var replies []mail.Reply
	switch {
	case cmd.Head != nil:
		replies = []mail.Reply{v.head()}
	case cmd.Submit != nil:
		replies = []mail.Reply{r.passOn(cmd.Submit.Tx)}
	default:
		replies = r.mail.Handle(r.now(), v.epoch, cmd)
	}
	list := r.view.Load().lists[epoch]
	for i, reply := range replies {
		if r.reply(list, cmd.Replies[i], reply) {
			r.count.answers.Add(1)
		} else {
			r.count.answersLost.Add(1)
		}
	}
}

func (r *Relay) reply(list *directory.List, block []byte, reply mail.Reply) bool {
	surb, err := onion.ParseSURB(block)
	if err != nil || list == nil {
		return false
	}
	first, packet, err := surb.Reply(reply.Encode())
	if err != nil || int64(first) >= int64(len(list.Entries)) || len(packet) != BodySize(r.cfg.Core) {
		return false
	}
	return r.send(list.Entries[first].Node, packet) == nil
}
