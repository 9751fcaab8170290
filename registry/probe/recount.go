package probe

import (
	"maps"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/registry/directory"
)

// Recount computes scores from blocks, without a ledger: what a quorum of an
// epoch goes by. docs/spec/explain.md. Make it with NewRecount, give it the
// verified blocks from the epoch First on in any order, then ask for Score.
type Recount struct {
	core    *genesis.Core
	params  *genesis.Params
	genesis chain.Hash
	epoch   chain.Epoch
	beacons map[chain.Epoch]chain.Hash
	said    map[chain.Epoch]map[chain.NodeID]said
}

// said is a node's commitment, and where it stood.
type said struct {
	height chain.Height
	body   statement.Commitment
}

// NewRecount is of the score that the quorums of epoch e go by, all epochs of
// its window being probed by the same parameters.
func NewRecount(core *genesis.Core, params *genesis.Params, gen chain.Hash, e chain.Epoch) *Recount {
	return &Recount{core: core, params: params, genesis: gen, epoch: e,
		beacons: map[chain.Epoch]chain.Hash{}, said: map[chain.Epoch]map[chain.NodeID]said{}}
}

// Window are the first and the last epoch that count; none is judged where
// first is above last.
func (c *Recount) Window() (first, last chain.Epoch) {
	if c.epoch < Delay {
		return First, 0
	}
	last = c.epoch - Delay
	return max(First, last+1-min(last, chain.Epoch(c.params.ScoreWindow))), last
}

// oldest is the first epoch that counts where a node was not always listed.
func (c *Recount) oldest() chain.Epoch {
	first, _ := c.Window()
	return max(First, first-min(first, (Reach-1)*chain.Epoch(c.params.ScoreWindow)))
}

// First is the epoch from whose first block on blocks are needed.
func (c *Recount) First() chain.Epoch { return c.oldest() - 1 }

// Block takes the commitments of b, as far as their nodes signed them for b's
// fork. That b's transactions are those of its header, and the header one of
// this network, is the caller's to verify.
func (c *Recount) Block(b chain.Block) {
	h := b.Header
	c.beacons[h.DirEpoch] = h.Beacon
	domain := statement.Domain{Genesis: c.genesis, Fork: h.Fork}
	for _, enc := range b.Txs {
		tx, err := chain.DecodeTx(enc)
		if err != nil || tx.Kind != chain.KindPublish {
			continue
		}
		s, err := statement.Decode(tx.Payload)
		if err != nil || s.Label != statement.LabelCommitment || s.Sequence.Epoch() != h.DirEpoch {
			continue
		}
		body, err := statement.DecodeCommitment(s.Body)
		if err != nil || body.Epoch != h.DirEpoch || s.Verify(domain) != nil {
			continue
		}
		if c.said[h.DirEpoch] == nil {
			c.said[h.DirEpoch] = map[chain.NodeID]said{}
		}
		if old, any := c.said[h.DirEpoch][s.Node]; !any || h.Height < old.height {
			c.said[h.DirEpoch][s.Node] = said{h.Height, body}
		}
	}
}

// Score is that of a node, which was last decommissioned in epoch since. list
// gives the list of an epoch, held against a header. Its only errors are list's.
func (c *Recount) Score(node chain.NodeID, since chain.Epoch, list func(chain.Epoch) (*directory.List, error)) (Score, error) {
	first, last := c.Window()
	var older, tallies []*Tally
	for e := c.oldest(); e <= last; e++ {
		judged := true
		for x := e - 1; x < e+Delay; x++ {
			_, block := c.beacons[x]
			judged = judged && block
		}
		if !judged {
			continue
		}
		l, err := list(e)
		if err != nil {
			return Score{}, err
		}
		net := NewNet(c.core, c.params, c.genesis, l, c.beacons[e-1], c.beacons[e])
		if !net.Probed() {
			continue
		}
		round := NewRound(net, nil)
		for x := e + 1; x < e+Delay; x++ {
			for _, id := range slices.SortedFunc(maps.Keys(c.said[x]), compareNodes) {
				body := c.said[x][id].body
				round.Take(id, &body)
			}
		}
		if e < first {
			older = append(older, round.Tally())
		} else {
			tallies = append(tallies, round.Tally())
		}
	}
	return Judge(node, older, tallies, c.params, c.beacons[last], since), nil
}
