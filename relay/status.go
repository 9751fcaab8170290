package relay

import "tunic/chain"

// Status is a snapshot for the operator. It names no peer.
type Status struct {
	Node     chain.NodeID `json:"node"`
	Synced   bool         `json:"synced"`
	Listed   bool         `json:"listed"` // in the list of Epoch
	State    string       `json:"state"`  // what the relay makes of it, in words
	Epoch    chain.Epoch  `json:"epoch"`
	Height   chain.Height `json:"height"`
	HeadTime chain.Time   `json:"head_time_ms"` // of the head that it acted on last
	Relays   int          `json:"relays"`       // in the list of Epoch
	Links    int          `json:"links"`
	Clients  int          `json:"clients"` // attached tokens
	Replay   int          `json:"replay_tags"`
	Items    int          `json:"mailbox_items"`
	Stores   int          `json:"stores_waiting"` // for receipts of other members
	Probing  Probing      `json:"probing"`
	Cover    Cover        `json:"cover"`
	Counters Counters     `json:"counters"`
}

// Probing is what the relay does for the network's judgement. It says how much,
// never whom.
type Probing struct {
	Sent      uint64      `json:"sent"`      // own probes
	Back      uint64      `json:"back"`      // of these, those that came back
	Committed chain.Epoch `json:"committed"` // of the last probe commitment, 0 for none
	Votes     uint64      `json:"votes"`     // cast
}

// Cover is what the relay sends beside. What stays away for longer than a minute
// was lost: more than one in a hundred says that its links, or the network's, are
// bad.
type Cover struct {
	Sent uint64 `json:"sent"` // loops
	Back uint64 `json:"back"` // of these, those that came back
}

// Status may be called at any time, also before and after Run.
func (r *Relay) Status() Status {
	v := r.view.Load()
	s := Status{Node: r.id, Synced: v.synced, State: v.state, Epoch: v.epoch, Height: v.height, HeadTime: v.time, Counters: r.count.snapshot(),
		Probing: Probing{Sent: r.count.probesSent.Load(), Back: r.count.probesBack.Load(), Committed: v.committed, Votes: r.count.votes.Load()},
		Cover:   Cover{Sent: r.count.coverSent.Load(), Back: r.count.coverBack.Load()}}
	if s.State == "" {
		s.State = "not synced with the ledger"
	}
	if l := v.lists[v.epoch]; l != nil {
		_, s.Listed = l.Index(r.id)
		s.Relays = len(l.Entries)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running {
		s.Links, _ = r.pool.Count()
		s.Clients = r.clients.count()
		s.Replay = r.replay.Len()
		s.Items = r.mail.Items()
		s.Stores = r.stores.count()
	}
	return s
}

// Motion is what the relay has to do with packets: now are those that it works
// on, holds for their delay, or has no link for yet, with mailbox commands under
// way; total counts what has come and what it sent of its own. A
// relay is at rest where now is zero. It may be called at any time.
func (r *Relay) Motion() (now int64, total uint64) {
	in := r.count.in.Load()
	total = in + r.count.answers.Load() + r.count.answersLost.Load()
	now = int64(in) - int64(r.count.forwarded.Load()+r.count.delivered.Load()+r.count.toClient.Load()+r.count.probes.Load())
	for d := range r.count.dropped {
		now -= int64(r.count.dropped[d].Load())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running {
		now += int64(r.pool.Pending() + len(r.mailing) + r.stores.count() + r.members.busy() + r.asking.busy() + r.errands.busy())
	}
	return now, total
}

// Counters returns the totals since the relay started.
func (r *Relay) Counters() Counters { return r.count.snapshot() }
