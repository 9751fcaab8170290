package relay

import (
	"context"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/registry/probe"
)

// commit publishes, once an epoch, what this node says of the probes of the
// three epochs before: the root of the tags of the first, its own probes of the
// second, and the opening for the third. docs/spec/judgement.md, section Probes.
func (o *owner) commit(ctx context.Context) {
	now := o.head.DirEpoch
	if now <= o.syncEpoch {
		return
	}
	h := o.history
	switch c := h.commitment; {
	case c == nil:
		body, ok := o.commitmentBody(now)
		if !ok {
			return
		}
		h.commitment = o.signCommitment(now, body, 0)
	case c.stale:
		h.commitment = o.signCommitment(now, c.Body, 1<<14)
	}
	if h.commitment != nil {
		o.offer(ctx, h.commitment)
	}
}

func (o *owner) signCommitment(now chain.Epoch, body []byte, skip uint32) *outgoing {
	s, err := o.sign(statement.LabelCommitment, now, body, skip)
	if err != nil {
		o.log.Error("cannot sign a probe commitment", "error", err)
		return nil
	}
	o.committed = now
	return s
}

// commitmentBody is what there is to say in epoch now; false for nothing.
func (o *owner) commitmentBody(now chain.Epoch) ([]byte, bool) {
	c := statement.Commitment{Epoch: now}
	if x := o.probed(now, 1); x != nil {
		if x.tree == nil {
			tree, err := probe.NewTree(o.cfg.Rand, o.tags.take(now-1), x.params.ProbeDepth)
			if err != nil {
				o.log.Error("cannot commit to the tags of an epoch", "error", err)
				return nil, false
			}
			x.tree = tree
		}
		c.Depth, c.Root = x.tree.Depth(), x.tree.Root()
	}
	if x := o.probed(now, 2); x != nil && x.own != nil && x.own.whole() {
		c.Reveal = &statement.Reveal{Draw: x.own.draw, Probes: x.own.tags}
	}
	if x := o.probed(now, 3); x != nil && x.tree != nil && x.round != nil {
		c.Open = x.tree.Open(x.round.Layers(o.id), statement.MaxBody-len(c.Encode()))
	}
	return c.Encode(), c.Depth > 0 || c.Reveal != nil || c.Open != nil
}

// probed is the epoch that many before now, nil where it was not probed, or
// this node was not in its list.
func (o *owner) probed(now, ago chain.Epoch) *epochSeen {
	x := o.history.epochs[now-min(now, ago)]
	if x == nil || x.net == nil || !x.net.Probed() {
		return nil
	}
	if _, listed := x.net.List().Index(o.id); !listed {
		return nil
	}
	return x
}
