package api

import (
	"context"
	"slices"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/machine"
	"tunic/registry"
)

// ListNodeEpochs says what a node did in each of the epochs that are remembered
// and whose lists are known, newest first.
func (s *server) ListNodeEpochs(_ context.Context, req oas.ListNodeEpochsRequestObject) (oas.ListNodeEpochsResponseObject, error) {
	id, err := nodeID("node", req.Node)
	if err != nil {
		return nil, err
	}
	var (
		known   bool
		history []registry.Event
	)
	s.ledger.View(func(m *machine.Machine) {
		if known = m.Registry().Known(id); known {
			history = m.Registry().History(id)
		}
	})
	if !known {
		return nil, notFound(codeNodeUnknown, "node "+req.Node+" was never registered")
	}
	out := oas.ListNodeEpochs200JSONResponse{Node: id.String(), Items: []oas.NodeEpoch{}}
	err = s.chronicle.view(func() {
		var next chain.Height // first block of the epoch after
		for i := len(s.chronicle.epochs) - 1; i >= 0; i-- {
			e := s.chronicle.epochs[i]
			if !e.whole || !e.listed {
				break
			}
			out.SinceEpoch = int64(e.first.DirEpoch)
			out.Items = append(out.Items, s.chronicle.nodeEpoch(e, id, next, history))
			next = e.first.Height
		}
		if len(out.Items) == 0 {
			out.SinceEpoch = int64(s.chronicle.newest.DirEpoch)
		}
	})
	return out, err
}

// nodeEpoch is one epoch of a node's; next is the block that counted its votes, 0
// if it has not come.
func (c *chronicle) nodeEpoch(e *epochNotes, id chain.NodeID, next chain.Height, history []registry.Event) oas.NodeEpoch {
	out := oas.NodeEpoch{Epoch: int64(e.first.DirEpoch), Removed: slices.Contains(e.last.Removals, id)}
	number, noted := c.nodes[id]
	n := e.nodes[number]
	if !noted || n == nil {
		n = new(nodeNotes)
	}
	out.Heartbeats, out.Listed = int(n.heartbeats), n.listed
	if n.listed {
		p := int(n.performance)
		out.Performance = &p
	}
	if votes := c.ballots(n); len(votes) > 0 {
		var unfit int
		var any statement.Reasons
		for _, v := range votes {
			if any |= v.Reasons; v.Reasons != 0 {
				unfit++
			}
		}
		all, reasons := len(votes), texts(any.Names())
		out.Votes, out.Unfit, out.Reasons, out.Score = &all, &unfit, &reasons, median(votes)
	}
	for _, ev := range history {
		if next > 0 && ev.Height == next && ev.Judged() {
			from, to := oas.NodeState(ev.From.String()), oas.NodeState(ev.To.String())
			out.From, out.To = &from, &to
		}
	}
	return out
}
