package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"time"

	"tunic/chain"
	"tunic/onion"
	"tunic/onion/mail"
	"tunic/registry/path"
	"tunic/relay/mailbox"
)

// command is a client's command that waits for a worker. cmd aliases buf.
type command struct {
	epoch chain.Epoch // of the list that its packet was made from
	cmd   mail.Command
	buf   *[]byte
}

// deliver leaves a mailbox command to the mailers, since it may wait for the
// disk.
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
	r.commands <- &command{epoch, cmd, buf} // has room for each token of mailing
}

// mailer carries out what clients and members ask for, until ctx ends. It may
// wait for the disk where that reads, but never for one that writes.
func (r *Relay) mailer(ctx context.Context) {
	for {
		select {
		case c := <-r.commands:
			r.obey(*c)
		case c := <-r.copies:
			r.carry(c)
		case <-ctx.Done():
			return
		}
	}
}

// free ends a command: nothing refers to its packet any more.
func (r *Relay) free(c command) {
	r.buffers.Put(c.buf)
	<-r.mailing
}

// obey carries out a command. Polls and reads are answered at once; a store,
// when other members have it; all else, when this one has it.
func (r *Relay) obey(c command) {
	v := r.view.Load()
	switch {
	case c.cmd.Head != nil:
		r.answer(c.epoch, c.cmd.Replies[0], v.head())
		r.free(c)
	case c.cmd.Submit != nil:
		// The ledger may take its time, and no other command waits for it. The
		// allowance bounds how many there are, as c does.
		r.mailers.Add(1)
		go func() {
			defer r.mailers.Done()
			r.answer(c.epoch, c.cmd.Replies[0], r.handOn(c.cmd.Submit.Tx))
			r.free(c)
		}()
	case c.cmd.Poll != nil:
		for i, reply := range r.mail.Handle(r.now(), v.epoch, c.cmd) {
			if i == 0 {
				r.answer(c.epoch, c.cmd.Replies[i], reply)
			} else {
				r.answerLater(c.epoch, c.cmd.Replies[i], reply)
			}
		}
		r.free(c)
	case c.cmd.Store != nil:
		r.store(v, c)
	default:
		r.keep(r.now(), v.epoch, mail.Copy{Command: c.cmd}, mailbox.ByClient, func(o mailbox.Outcome) {
			r.answer(c.epoch, c.cmd.Replies[0], o.Reply)
			r.passOn(c.cmd, o)
			r.free(c)
		})
	}
}

// store keeps an item here and has the other members of its swarm keep it: both
// at the same time. The answer waits for enough of them.
func (r *Relay) store(v *view, c command) {
	s := c.cmd.Store
	swarm := v.rings.of(s.Mailbox())
	others := r.others(swarm)
	serial, waits := r.stores.put(&waitingStore{
		self: r.id, epoch: c.epoch, block: bytes.Clone(c.cmd.Replies[0]), deleter: s.Deleter, swarm: swarm, pending: slices.Clone(others),
	})
	copies := mail.SwarmMessage{
		Kind: mail.SwarmCopies, Copies: []mail.Copy{{Serial: serial, Command: mail.Command{Store: s}}},
	}.Encode() // before c may be freed
	begun := r.keep(r.now(), v.epoch, mail.Copy{Command: c.cmd}, mailbox.ByClient, func(o mailbox.Outcome) {
		if waits {
			r.stores.settle(r, serial, o, s.Content)
		} else {
			r.answer(c.epoch, c.cmd.Replies[0], o.Reply)
		}
		r.free(c)
	})
	if !begun {
		return
	}
	for _, id := range others {
		if r.tell(id, copies) == nil {
			r.count.copiesOut.Add(1)
		} else if waits {
			r.stores.change(serial, false, func(w *waitingStore) { w.answered(id) })
		}
	}
	r.cfg.Kill("after-copies")
}

// passOn tells the other members of a request, a bundle or a deletion.
func (r *Relay) passOn(cmd mail.Command, o mailbox.Outcome) {
	rings := r.view.Load().rings
	switch code := o.Reply.Code; {
	case cmd.Request != nil && (code == mail.CodeAccepted || code == mail.CodeBusy):
		r.spread(r.others(rings.of(mail.AccountMailbox(cmd.Request.Account))), mail.Copy{Command: mail.Command{Request: cmd.Request}})
	case cmd.PutBundle != nil && (code == mail.CodeAccepted || code == mail.CodeBusy):
		if b, err := mail.DecodeBundle(cmd.PutBundle.Bundle); err == nil && !b.Once {
			r.spread(r.others(rings.of(mail.AccountMailbox(b.Account()))), mail.Copy{Command: mail.Command{PutBundle: cmd.PutBundle}})
		}
	case cmd.Delete != nil && len(o.Gone) == 0:
		// Only an item says which mailbox a token is of. The client asks one of
		// its members: the others are in the same swarm.
		r.spread(r.fellows(rings), mail.Copy{Command: mail.Command{Delete: cmd.Delete}})
	case cmd.Delete != nil:
		for _, g := range o.Gone {
			r.spread(r.others(rings.of(g.Mailbox)), mail.Copy{Tombstone: &g.Tombstone})
		}
	}
}

// answer sends a reply by a reply block, counted when it leaves. Its first node
// counts in the list of the epoch that the command's packet was made in.
func (r *Relay) answer(epoch chain.Epoch, block []byte, reply mail.Reply) {
	next, packet, ok := r.wrapReply(epoch, block, reply)
	r.answersLeft(ok && r.send(next, packet) == nil)
}

// answerLater sends a further reply to a command after a delay that this node
// draws: answers that leave together would show that they are those of one poll.
func (r *Relay) answerLater(epoch chain.Epoch, block []byte, reply mail.Reply) {
	if r.params.MixingMean == 0 || r.cfg.StandingClock {
		r.answer(epoch, block, reply)
		return
	}
	next, packet, ok := r.wrapReply(epoch, block, reply)
	if !ok {
		r.answersLeft(false)
		return
	}
	wait := path.Delay(path.FromReader(rand.Reader).Uint64(), r.params.MixingMean)
	r.hold(held{at: time.Now().Add(time.Duration(wait) * time.Millisecond), next: next, own: true, packet: &packet})
}

func (r *Relay) wrapReply(epoch chain.Epoch, block []byte, reply mail.Reply) (next chain.NodeID, packet []byte, ok bool) {
	list := r.view.Load().lists[epoch]
	surb, err := onion.ParseSURB(block)
	if err != nil || list == nil {
		return next, nil, false
	}
	first, packet, err := surb.Reply(reply.Encode())
	if err != nil || int64(first) >= int64(len(list.Entries)) || len(packet) != BodySize(r.cfg.Core) {
		return next, nil, false
	}
	return list.Entries[first].Node, packet, true
}
