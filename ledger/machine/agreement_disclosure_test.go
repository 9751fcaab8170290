package machine_test

import (
	"iter"
	"math/rand/v2"

	"tunic/chain"
	"tunic/chain/state"
	"tunic/chain/statement"
	"tunic/slashing"
)

// teller is who knows every node's keys.
const teller = "owner 7"

// tellings are the disclosures that can be made under the beacon of epoch e: of
// each node's two keys, committed to in the epoch before.
func (c *corpus) tellings(e chain.Epoch) iter.Seq[telling] {
	return func(yield func(telling) bool) {
		for _, n := range c.nodes {
			for _, k := range []statement.KeyKind{statement.KeyIdentity, statement.KeyOnion} {
				x := telling{who: teller, node: n, key: k, epoch: e - 1}
				if k == statement.KeyOnion {
					x.first = e / 8 * 8
				}
				if e > 0 && !yield(x) {
					return
				}
			}
		}
	}
}

// disclosure is of the identity or the onion key of node under the beacon of e.
func (c *corpus) disclosure(rng *rand.Rand, node string, e chain.Epoch) (p slashing.Proof) {
	m, n := c.at[e], rng.IntN(2)
	for x, shown := range m.commits {
		if x.node != node || (x.key == statement.KeyOnion) != (n == 1) {
			continue
		}
		o := slashing.Opening{Key: x.key, First: x.first, Reporter: address(x.who), Salt: x.salt, Committed: x.epoch, Commit: shown}
		o.Sig = c.discloses(node, m.header, o)
		p, _ = slashing.AssembleDisclosure(m.header, m.list, nodeID(node), o)
	}
	return p
}

func (c *corpus) discloses(node string, header chain.SealedHeader, o slashing.Opening) [64]byte {
	h := header.Header
	msg := statement.Disclosure{Node: nodeID(node), Key: o.Key, First: o.First, Epoch: h.DirEpoch, Reporter: o.Reporter, Beacon: h.Beacon}
	d := statement.Domain{Genesis: c.w.g.Hash(), Fork: h.Fork}
	if o.Key == statement.KeyIdentity {
		return d.DiscloseIdentity(nodeKey(node), msg)
	}
	private, public := onionKey(node)
	sig, err := d.DiscloseOnion(private, public, msg, [64]byte{1})
	if err != nil {
		panic(err)
	}
	return sig
}

// openOther gives a proof another's opening, or another's signature.
func (c *corpus) openOther(rng *rand.Rand, p *slashing.Proof) {
	if q := c.disclosure(rng, c.nodes[rng.IntN(len(c.nodes))], chain.Epoch(rng.IntN(corpusEpochs))); rng.IntN(2) == 0 {
		p.Opening = q.Opening
	} else {
		p.Opening.Sig = q.Opening.Sig
	}
}

// openOtherwise changes what an opening says, and signs it again.
func (c *corpus) openOtherwise(rng *rand.Rand, p *slashing.Proof) {
	o := &p.Opening
	switch rng.IntN(6) {
	case 0:
		o.Key ^= statement.KeyKind(rng.IntN(4))
	case 1:
		o.First += chain.Epoch(rng.IntN(3)) - 1
	case 2:
		o.Reporter = address(c.nodes[0])
	case 3:
		o.Salt[0] ^= 1
	case 4:
		o.Committed += chain.Epoch(rng.IntN(3)) - 1
	case 5:
		o.Commit.Part ^= state.Part(rng.IntN(2))
	}
	for _, n := range c.nodes {
		if nodeID(n) == p.Entry.Node && p.Kind == slashing.KeyDisclosure && o.Key.Known() {
			o.Sig = c.discloses(n, p.Header, *o)
		}
	}
}
