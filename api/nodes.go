package api

import (
	"context"
	"encoding/hex"
	"net/netip"
	"slices"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/registry/directory"
)

// nodeID reads a node id parameter, whose pattern the specification checks.
func nodeID(name, text string) (chain.NodeID, error) {
	id, err := chain.ParseNodeID(text)
	if err != nil {
		return id, field(codeInvalidRequest, name, "is not a node id")
	}
	return id, nil
}

func nodeOf(m *machine.Machine, n registry.Node) oas.Node {
	out := oas.Node{
		Node: n.ID.String(), Operator: n.Operator.String(), VrfKey: hex.EncodeToString(n.VRF[:]),
		State: oas.NodeState(n.State.String()), Listed: n.Listed, Staked: amount(m.Staking().Total(n.ID)),
		Requirement: amount(m.Core().Params.StakingRequirement), RegisteredHeight: int64(n.RegisteredHeight),
		LastHeartbeatMs: nonZero(n.LastHeartbeat), Version: nonEmpty(n.Version),
		Performance: int(n.Performance), Swarm: decimal(n.Swarm), CreditMs: int64(m.Registry().Credit(n, m.Head().Time)),
	}
	if n.LastHeartbeat != 0 {
		epoch := int64(n.HeartbeatSequence.Epoch())
		out.LastHeartbeatEpoch = &epoch
	}
	if n.State == registry.Decommissioned {
		epoch := int64(m.Core().EpochAt(n.StateSince))
		out.DecommissionedMs, out.DecommissionedEpoch = nonZero(n.StateSince), &epoch
		if stay := int(n.Stay); stay > 0 {
			out.StayEpochs = &stay
		}
	}
	if d, ok := n.Described(); ok {
		out.Endpoints = &d.Endpoints
	}
	return out
}

// ListNodes pages through the nodes ever registered.
func (s *server) ListNodes(ctx context.Context, req oas.ListNodesRequestObject) (oas.ListNodesResponseObject, error) {
	p := req.Params
	f, err := filter[oas.Node](question{p.Operator, p.Swarm, p.Search, p.Version, p.MinStake, p.Fields, p.Order})
	if err != nil {
		return nil, err
	}
	w := nodeFilter{filtering: f}
	if p.State != nil {
		w.state = string(*p.State)
	}
	if p.Flag != nil {
		w.flag = *p.Flag
	}
	l, err := list(p.Limit, p.Cursor, append([]string{"nodes", w.state, string(w.flag)}, f.given...)...)
	if err != nil {
		return nil, err
	}
	var (
		out   oas.NodePage
		nodes []oas.Node
	)
	err = s.pinned(ctx, &l, p.Height, func(m *machine.Machine) error {
		out.Height = int64(m.Head().Height)
		nodes, out.NextCursor, out.Total = page(&l, slices.Values(w.wanted(m)), keyOf[registry.Node],
			func(r ranked[registry.Node]) oas.Node { return nodeOf(m, r.item) })
		return nil
	})
	if err != nil {
		return nil, err
	}
	items, err := show(f, nodes)
	if err != nil {
		return nil, err
	}
	body, err := httpx.EncodeJSON(struct {
		Height     int64   `json:"height"`
		Total      int64   `json:"total"`
		NextCursor *string `json:"next_cursor,omitempty"`
		Items      any     `json:"items"`
	}{out.Height, out.Total, out.NextCursor, items})
	if err != nil {
		return nil, err
	}
	return listed{unstored(asJSON, body).serve(requestOf(ctx), cacheRevalidate), out.NextCursor}, nil
}

// nodeFilter is a filtering with what nodes alone have.
type nodeFilter struct {
	filtering
	state string
	flag  oas.ListNodesParamsFlag
}

// wanted are the nodes that f takes, in its order.
func (f nodeFilter) wanted(m *machine.Machine) []ranked[registry.Node] {
	var all []ranked[registry.Node]
	for n := range m.Registry().All() {
		if f.takes(m, n) {
			all = append(all, ranked[registry.Node]{f.rank(n.ID, f.value(m, n)), n})
		}
	}
	return inOrder(all)
}

// takes asks what costs least first; a descriptor is read for a search alone.
func (f nodeFilter) takes(m *machine.Machine, n registry.Node) bool {
	if f.state != "" && f.state != n.State.String() || !f.flagged(m, n) {
		return false
	}
	e := directory.Entry{Node: n.ID, Operator: n.Operator, Swarm: n.Swarm, Version: n.Version, Stake: m.Staking().Total(n.ID)}
	if f.Search != "" {
		d, _ := n.Described()
		e.Endpoints = d.Endpoints
	}
	return f.Match(&e)
}

func (f nodeFilter) flagged(m *machine.Machine, n registry.Node) bool {
	switch f.flag {
	case oas.Listed:
		return n.Listed
	case oas.Unlisted:
		return !n.Listed
	case oas.Staked:
		return m.Staking().FullyStaked(n.ID)
	case oas.Open:
		b, ok := m.Staking().Bond(n.ID)
		return ok && !b.Closed() && b.Total() < m.Core().Params.StakingRequirement
	}
	return true
}

// value is what n has in f's order.
func (f nodeFilter) value(m *machine.Machine, n registry.Node) uint64 {
	switch f.order {
	case "staked":
		return uint64(m.Staking().Total(n.ID))
	case "performance":
		return uint64(n.Performance)
	case "registered":
		return uint64(n.RegisteredHeight)
	case "heartbeat":
		return uint64(n.LastHeartbeat)
	case "credit":
		return uint64(m.Registry().Credit(n, m.Head().Time))
	}
	return 0
}

// GetNode serves one node with its history.
func (s *server) GetNode(ctx context.Context, req oas.GetNodeRequestObject) (oas.GetNodeResponseObject, error) {
	id, err := nodeID("node", req.Node)
	if err != nil {
		return nil, err
	}
	var out oas.GetNode200JSONResponse
	err = s.at(ctx, req.Params.Height, func(m *machine.Machine, _ chain.SealedHeader) error {
		n, ok := m.Registry().Node(id)
		if !ok {
			return notFound(codeNodeUnknown, "node "+req.Node+" was never registered")
		}
		out = oas.GetNode200JSONResponse(detailOf(m, n))
		return nil
	})
	return out, err
}

func detailOf(m *machine.Machine, n registry.Node) oas.NodeDetail {
	b := nodeOf(m, n)
	out := oas.NodeDetail{
		Node: b.Node, Operator: b.Operator, VrfKey: b.VrfKey, State: b.State, Listed: b.Listed, Staked: b.Staked,
		Requirement: b.Requirement, RegisteredHeight: b.RegisteredHeight, LastHeartbeatMs: b.LastHeartbeatMs,
		LastHeartbeatEpoch: b.LastHeartbeatEpoch, Version: b.Version, Endpoints: b.Endpoints, Performance: b.Performance, Swarm: b.Swarm,
		CreditMs: b.CreditMs, DecommissionedMs: b.DecommissionedMs, DecommissionedEpoch: b.DecommissionedEpoch, StayEpochs: b.StayEpochs,
		Votes: ballotsOf(m.Registry().Votes(n.ID)), History: []oas.NodeEvent{},
	}
	if c, ok := m.Registry().LastCount(n.ID); ok {
		out.LastCount = &oas.VoteCount{Epoch: int64(c.Epoch), Height: int64(c.Height), Voters: int(c.Voters), Needed: int(c.Needed),
			From: oas.NodeState(c.From.String()), To: oas.NodeState(c.To.String()), Votes: ballotsOf(c.Votes)}
	}
	if n.Descriptor != nil {
		out.Descriptor = &n.Descriptor
	}
	if bond, ok := m.Staking().Bond(n.ID); ok {
		stake := bondOf(m, bond)
		out.Stake = &stake
	}
	for _, e := range m.Registry().History(n.ID) {
		out.History = append(out.History, nodeEventOf(e))
	}
	return out
}

func nodeEventOf(e registry.Event) oas.NodeEvent {
	return oas.NodeEvent{Height: int64(e.Height), TimeMs: int64(e.Time), From: e.From.String(), To: oas.NodeState(e.To.String()), Reason: e.Reason,
		Proof: named(e.Proof)}
}

func ballotsOf(votes []registry.Ballot) []oas.Ballot {
	out := make([]oas.Ballot, len(votes))
	for i, v := range votes {
		out[i] = oas.Ballot{Voter: v.Voter.String(), Reasons: []oas.BallotReasons{}, Score: int(v.Score)}
		for _, name := range v.Reasons.Names() {
			out[i].Reasons = append(out[i].Reasons, oas.BallotReasons(name))
		}
	}
	return out
}

// GetServiceNodes serves all nodes but those that left, as one array in the
// shape that health checks of service nodes know.
func (s *server) GetServiceNodes(context.Context, oas.GetServiceNodesRequestObject) (oas.GetServiceNodesResponseObject, error) {
	out := oas.GetServiceNodes200JSONResponse{}
	s.ledger.View(func(m *machine.Machine) {
		for n := range m.Registry().All() {
			if n.State != registry.Left {
				out = append(out, serviceNodeOf(m, n))
			}
		}
	})
	return out, nil
}

func serviceNodeOf(m *machine.Machine, n registry.Node) oas.ServiceNode {
	out := oas.ServiceNode{
		ServiceNodePubkey: n.ID.String(), PubkeyEd25519: n.ID.String(), Active: n.Listed, Funded: m.Staking().FullyStaked(n.ID),
		State: oas.NodeState(n.State.String()), OperatorAddress: n.Operator.String(),
		TotalContributed: amount(m.Staking().Total(n.ID)), StakingRequirement: amount(m.Core().Params.StakingRequirement),
		ServiceNodeVersion: n.Version, LastUptimeProof: int64(n.LastHeartbeat / 1000), SwarmId: decimal(n.Swarm),
	}
	d, ok := n.Described()
	if !ok {
		return out
	}
	if key, ok := d.KeyFor(m.Head().DirEpoch); ok {
		out.PubkeyX25519 = hex.EncodeToString(key.Key[:])
	}
	if len(d.Endpoints) > 0 {
		if at, err := netip.ParseAddrPort(d.Endpoints[0]); err == nil {
			out.PublicIp, out.StoragePort = at.Addr().String(), int(at.Port())
		}
	}
	return out
}
