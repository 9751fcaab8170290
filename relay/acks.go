package relay

import (
	"math/rand/v2"
	"slices"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/onion/mail"
	"tunic/relay/mailbox"
)

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
	var bad, gone bool
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
			w.token, gone = &a.Token, true
		}
	})
	if gone {
		r.bury(a.Token)
	}
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
