package relay

import (
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/registry/probe"
)

// history is what this run has seen in blocks and may vote on, and what it has
// done itself in the epochs that are not over yet. The owner of the state owns
// it. A new fork begins a new one.
type history struct {
	since  chain.Time  // of the first head
	from   chain.Epoch // the first epoch of which it can judge what was probed
	epochs map[chain.Epoch]*epochSeen
	tally  []*probe.Tally // of judged epochs, ascending
	beats  map[chain.NodeID]beats
	out    map[chain.NodeID]chain.Epoch // in which a node was decommissioned last

	began    chain.Time // first block of the present epoch
	unlisted []Unlisted // who is judged in it though not listed

	commitment *outgoing // of the present epoch
	votes      []*outgoing
	voted      chain.Epoch // epoch of votes
}

// epochSeen is one epoch of the last few that had a block.
type epochSeen struct {
	beacon chain.Hash
	params *genesis.Params // in force in its first block
	whole  bool            // seen from its first block on
	net    *probe.Net      // nil while its list cannot be had
	round  *probe.Round
	own    *own
	tree   *probe.Tree // to which this node is committed
}

// beats are a node's heartbeats.
type beats struct {
	at           chain.Time          // of the block with the newest
	last, before chain.Epoch         // the newest two epochs that it signed for
	version      string              // of the newest
	newest       statement.Statement // verified where its version is held against its node
}

func newHistory() *history {
	return &history{
		epochs: make(map[chain.Epoch]*epochSeen), beats: make(map[chain.NodeID]beats), out: make(map[chain.NodeID]chain.Epoch),
	}
}

// begin starts an epoch at its first head. first says that it is the first head
// of all, which may stand anywhere in its epoch; before is a header of the epoch
// before it, if one is at hand then.
func (h *history) begin(e Event, params *genesis.Params, first bool, before *chain.SealedHeader) {
	head := e.Header.Header
	if first {
		h.since, h.from = head.Time, head.DirEpoch+1
		if before != nil {
			h.epochs[head.DirEpoch-1] = &epochSeen{beacon: before.Header.Beacon, params: params}
		}
	}
	h.epochs[head.DirEpoch] = &epochSeen{beacon: head.Beacon, params: params, whole: !first}
	h.began, h.unlisted = head.Time, e.Unlisted
	h.commitment, h.votes = nil, nil
	for _, u := range e.Unlisted {
		if u.Decommissioned {
			h.out[u.Node] = max(h.out[u.Node], u.Since)
		}
	}
	h.count(head.DirEpoch, int(params.ScoreWindow))
	h.forget(head, params)
}

// count makes the tally of the epoch that was judged up to now. One of which
// any of the epochs from the one before it to the last of its pipeline had no
// block is not judged.
func (h *history) count(now chain.Epoch, window int) {
	if now < probe.First+probe.Delay {
		return
	}
	judged := now - probe.Delay
	x := h.epochs[judged]
	for e := judged - 1; e < now; e++ {
		if h.epochs[e] == nil {
			return
		}
	}
	switch {
	case x.net == nil:
		h.from = max(h.from, judged+1) // its list could not be had
	case x.round != nil:
		h.tally = append(h.tally, x.round.Tally())
		x.round = nil
	}
	for len(h.tally) > 0 && h.tally[0].Epoch+probe.Reach*chain.Epoch(window) <= judged {
		h.from = max(h.from, h.tally[0].Epoch+1)
		h.tally = h.tally[1:]
	}
}

// forget drops what no vote asks for any more.
func (h *history) forget(head chain.Header, p *genesis.Params) {
	for e := range h.epochs {
		if e+probe.Delay+1 < head.DirEpoch {
			delete(h.epochs, e)
		}
	}
	for id, b := range h.beats {
		if b.at+chain.Time(p.HeartbeatValid+4*p.EpochLength) < head.Time {
			delete(h.beats, id)
		}
	}
	for id, e := range h.out {
		if e+probe.Reach*chain.Epoch(p.ScoreWindow)+probe.Delay < head.DirEpoch {
			delete(h.out, id)
		}
	}
}

// beginEpoch is what the first head of an epoch changes, before its block is
// read.
func (o *owner) beginEpoch(e Event, first bool) {
	o.watch.begin()
	o.ballots.begin()
	var before *chain.SealedHeader
	if at := e.Header.Header.DirEpoch; at > 0 {
		if s, ok := o.listed[at-1]; ok && s.Header.DirEpoch == at-1 {
			before = &s
		}
	}
	o.history.begin(e, o.rules(), first, before)
	o.tags.begin(e.Header.Header.DirEpoch)
}

// rules are the parameters in force, for whoever keeps them longer than that.
func (o *owner) rules() *genesis.Params {
	p := o.inForce.Params
	return &p
}

// network makes the present epoch ready for its probes, once its list is there.
func (o *owner) network() {
	at := o.head.DirEpoch
	j, before, list := o.history.epochs[at], o.history.epochs[at-min(at, 1)], o.lists[at]
	if j == nil || j.net != nil || list == nil || at == 0 || before == nil {
		return
	}
	j.net = o.cfg.Shared.net(&o.cfg.Core, j.params, o.cfg.Genesis, list, before.beacon, j.beacon)
	if j.net.Probed() {
		j.round = probe.NewRound(j.net, o.cfg.Verified)
	}
}

// learn notes what a statement in a block says of its node. encoded is its encoding.
func (o *owner) learn(s statement.Statement, encoded []byte) {
	h := o.history
	switch s.Label {
	case statement.LabelHeartbeat:
		body, err := statement.DecodeHeartbeat(s.Body)
		if err != nil {
			return
		}
		b := h.beats[s.Node]
		if e := s.Sequence.Epoch(); e != b.last {
			b.before, b.last = b.last, e
		}
		b.at, b.version, b.newest = o.head.Time, body.Version, s
		h.beats[s.Node] = b
	case statement.LabelCommitment:
		if s.Sequence.Epoch() != o.head.DirEpoch {
			return
		}
		c := o.cfg.Shared.commitment(o.domain(), s, encoded, o.cfg.Verified)
		if c == nil || c.Epoch != o.head.DirEpoch {
			return // a server may show statements that no block holds
		}
		for e := c.Epoch - min(c.Epoch, 3); e < c.Epoch; e++ {
			if j := h.epochs[e]; j != nil && j.round != nil {
				j.round.Take(s.Node, c)
			}
		}
	}
}

// window are the tallies that a vote of the present epoch goes by, and those
// before them as far as this run has them; false where it has not followed all of
// the window.
func (o *owner) window(p *genesis.Params) (older, tallies []*probe.Tally, seed chain.Hash, followed bool) {
	h, now := o.history, o.head.DirEpoch
	if now < probe.First+probe.Delay {
		return nil, nil, chain.Hash{}, true // nothing is judged yet
	}
	judged := now - probe.Delay
	first := max(probe.First, judged+1-min(judged, chain.Epoch(p.ScoreWindow)))
	newest := h.epochs[judged]
	if h.from > first || newest == nil {
		return nil, nil, chain.Hash{}, false
	}
	old := 0
	for ; old < len(h.tally) && h.tally[old].Epoch < first; old++ {
	}
	from := 0
	for ; from < old && h.tally[from].Epoch+(probe.Reach-1)*chain.Epoch(p.ScoreWindow) < first; from++ {
	}
	return h.tally[from:old], h.tally[old:], newest.beacon, true
}
