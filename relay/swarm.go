package relay

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/relay/mailbox"
)

// RefusedCopy says why what a member sent was not looked at, or not taken.
type RefusedCopy uint8

// The reasons.
const (
	CopyStranger  RefusedCopy = iota // the sender is not in the list
	CopyMalformed                    // not of the form, or an answer to nothing
	CopyFlood                        // more at once than one member may send
	CopyForged                       // a signature, work or token that is not good
	CopyStale                        // of a time, an epoch or a serial that is over
	CopyFull                         // no room, or the disk failed
	CopyOutsider                     // a question about mailboxes that are not the sender's to ask about
	refusedCopies
)

var refusedCopyNames = [refusedCopies]string{"stranger", "malformed", "flood", "forged", "stale", "full", "outsider"}

func (c RefusedCopy) String() string {
	if c < refusedCopies {
		return refusedCopyNames[c]
	}
	return fmt.Sprintf("refusal %d", uint8(c))
}

// refusedAs sorts the codes of a mailbox's refusals.
func refusedAs(c mail.Code) RefusedCopy {
	switch c {
	case mail.CodeSignature, mail.CodeWork:
		return CopyForged
	case mail.CodeFull, mail.CodeBusy:
		return CopyFull
	case mail.CodeMalformed:
		return CopyMalformed
	}
	return CopyStale
}

// copiesBytes bounds the frames of members that wait to be worked on; one
// member may have an eighth of that.
const copiesBytes = 32 << 20

// members is what the relay knows of those that send it copies.
type members struct {
	limit int // frames of all under way

	mu     sync.Mutex
	frames map[chain.NodeID]int
	total  int
	acks   map[chain.NodeID][]mail.Ack // to be sent
	unsent int                         // of acks, and of those being sent
}

func newMembers(bodySize int) *members {
	return &members{
		limit:  max(64, min(2048, copiesBytes/bodySize)),
		frames: make(map[chain.NodeID]int), acks: make(map[chain.NodeID][]mail.Ack),
	}
}

// begin takes one frame of a member in; false where it has too many under way.
func (m *members) begin(id chain.NodeID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.frames[id] >= m.limit/8 || m.total >= m.limit {
		return false
	}
	m.frames[id]++
	m.total++
	return true
}

func (m *members) end(id chain.NodeID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total--
	if m.frames[id]--; m.frames[id] == 0 {
		delete(m.frames, id)
	}
}

// say puts an ack among those that leave together.
func (m *members) say(to chain.NodeID, a mail.Ack) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acks[to] = append(m.acks[to], a)
	m.unsent++
}

// take takes the acks of one member that wait; false where none do.
func (m *members) take() (to chain.NodeID, acks []mail.Ack, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for to, acks := range m.acks {
		delete(m.acks, to)
		return to, acks, true
	}
	return to, nil, false
}

func (m *members) sent(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unsent -= n
}

// busy is how many frames and acks are under way.
func (m *members) busy() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total + m.unsent
}

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

func (r *Relay) copied(from chain.NodeID, data []byte) copied {
	buf := r.buffers.Get().(*[]byte)
	n := copy(*buf, data)
	return copied{from, buf, (*buf)[:n]}
}

// carry works on a frame of a member.
func (r *Relay) carry(c copied) {
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
	switch x := c.Command; {
	case c.Tombstone != nil:
		id = c.Tombstone.Mailbox
	case x.Store != nil:
		id = x.Store.Mailbox()
	case x.Request != nil:
		id = mail.AccountMailbox(x.Request.Account)
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
		r.errands.stray()
	}
}

// taken answers a copy.
func (r *Relay) taken(from chain.NodeID, c mail.Copy, o mailbox.Outcome) {
	code := o.Reply.Code
	if code.Refused() {
		r.count.refuse(refusedAs(code))
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

// onAcks notes what a member says of copies.
func (r *Relay) onAcks(from chain.NodeID, data []byte) {
	m, err := r.format.DecodeSwarm(data)
	if err != nil {
		r.count.refuse(CopyMalformed)
		return
	}
	for _, a := range m.Acks {
		r.count.acksIn.Add(1)
		if !r.talk.ack(from, a) {
			r.stores.ack(r, from, a) // most come when the store has been answered
		}
	}
}

// checkOne is how many receipts of members are taken at their word for one that
// is verified: the link shows whose they are, the client verifies each, and a
// member that signs falsely only makes it ask on.
const checkOne = 16

// ack notes a member's ack; false where nothing waits for it.
func (s *stores) ack(r *Relay, from chain.NodeID, a mail.Ack) bool {
	var bad bool
	found := s.change(a.Serial, false, func(w *waitingStore) {
		if w.has(from) || !slices.Contains(w.swarm.Members, from) && !slices.Contains(w.swarm.Former, from) {
			bad = true
			return
		}
		w.answered(from)
		switch {
		case a.Code == mail.CodeStored:
			w.acks = append(w.acks, ackOf{from, a})
			if w.own != nil {
				bad = !s.believe(r, w, len(w.acks)-1)
			}
		case a.Code == mail.CodeDeleted && mail.Deleter(a.Token) == w.deleter:
			w.token = &a.Token
		}
	})
	if bad {
		r.count.refuse(CopyForged)
	}
	return found
}

// believe verifies one ack in sixteen, and all of who was found to lie; one
// that is false is taken out. Called with mu held.
func (s *stores) believe(r *Relay, w *waitingStore, i int) bool {
	a := w.acks[i]
	fork := r.view.Load().fork
	if a.ack.Fork == fork {
		if !s.liars[a.node] && rand.N(checkOne) != 0 {
			return true
		}
		if a.ack.Receipt(a.node, w.body).Verify(statement.Domain{Genesis: r.cfg.Genesis, Fork: fork}) == nil {
			return true
		}
		s.liars[a.node] = true
	}
	w.acks = slices.Delete(w.acks, i, i+1)
	return false
}

// settle notes what became of a store here.
func (s *stores) settle(r *Relay, serial uint64, o mailbox.Outcome, content []byte) {
	var body statement.Receipt
	if own, err := statement.Decode(o.Receipt); err == nil {
		body, _ = statement.DecodeReceipt(own.Body)
	} else if o.Reply.Code == mail.CodeBusy || o.Reply.Code == mail.CodeFull { // others may have it
		body = statement.Receipt{Chunks: mail.ChunkRoot(content), Class: uint8(r.format.Chunks)}
	}
	bad := 0
	s.change(serial, false, func(w *waitingStore) {
		w.own, w.receipt, w.body = &o.Reply, o.Receipt, body
		w.body.Deleter = w.deleter
		for i := len(w.acks) - 1; i >= 0; i-- {
			if !s.believe(r, w, i) {
				bad++
			}
		}
	})
	for range bad {
		r.count.refuse(CopyForged)
	}
}

// others are those of a swarm but this node.
func (r *Relay) others(s directory.Swarm) []chain.NodeID {
	return slices.DeleteFunc(s.All(), func(id chain.NodeID) bool { return id == r.id })
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
