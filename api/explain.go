package api

import (
	"context"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/registry/explain"
)

// ExplainNode says why a node is in the directory or not, what follows, and what
// there is to do.
func (s *server) ExplainNode(ctx context.Context, req oas.ExplainNodeRequestObject) (oas.ExplainNodeResponseObject, error) {
	id, err := nodeID("node", req.Node)
	if err != nil {
		return nil, err
	}
	var out oas.ExplainNode200JSONResponse
	err = s.at(ctx, nil, func(m *machine.Machine, _ chain.SealedHeader) error {
		n, known := m.Registry().Node(id)
		if !known {
			return notFound(codeNodeUnknown, "node "+req.Node+" was never registered")
		}
		a := explain.Why(asked(m, n), asOf(m, n))
		if why, ok := explain.WhySwarm(m.List(), id, m.Core().Params); ok {
			a.Reasons = append(a.Reasons, why.Sentence())
		}
		out = oas.ExplainNode200JSONResponse{Node: id.String(), Height: int64(m.Head().Height), State: oas.NodeState(n.State.String()),
			Listed: n.Listed, Eligible: a.Eligible, Reasons: linesOf(a.Reasons), Actions: linesOf(a.Actions)}
		return nil
	})
	return out, err
}

// asked is a node of the state, to be explained.
func asked(m *machine.Machine, n registry.Node) explain.Node {
	out := explain.Node{
		ID: n.ID, State: n.State, Listed: n.Listed, Staked: m.Staking().Total(n.ID), Requirement: m.Core().Params.StakingRequirement,
		LastHeartbeat: n.LastHeartbeat, Version: n.Version, Credit: m.Registry().Credit(n, m.Head().Time), Performance: n.Performance,
		DescriptorEpoch: n.DescriptorSequence.Epoch(), HeartbeatEpoch: n.HeartbeatSequence.Epoch(),
	}
	if b, ok := m.Staking().Bond(n.ID); ok && b.Closed() {
		out.FreeAt = b.MaturesAt()
	}
	if d, ok := n.Described(); ok {
		out.Descriptor = &d
	}
	if n.State == registry.Decommissioned {
		out.DecommissionedAt, out.DecommissionedEpoch, out.Stay = n.StateSince, m.Core().EpochAt(n.StateSince), n.Stay
	}
	if h := m.Registry().History(n.ID); len(h) > 0 {
		out.Last = h[len(h)-1]
	}
	return out
}

// asOf is when n is explained: at m's head.
func asOf(m *machine.Machine, n registry.Node) explain.Now {
	out := explain.Now{Core: m.Core(), Epoch: m.Head().DirEpoch, Time: m.Head().Time, Others: len(m.List().Entries) - len(m.Head().Removals)}
	if n.Listed {
		out.Others--
	}
	return out
}

func linesOf(lines []explain.Line) []oas.Reason {
	out := make([]oas.Reason, len(lines))
	for i, l := range lines {
		out[i] = oas.Reason{Code: l.Code, Text: l.Text}
	}
	return out
}
