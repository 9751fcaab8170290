package main

import (
	"slices"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/registry"
	"tunic/registry/explain"
)

// asTold is a node as the ledger tells it, to be explained. What is nonsense in
// it counts as not there.
func asTold(n *client.NodeDetail) explain.Node {
	var have, want chain.Amount
	_ = have.UnmarshalText([]byte(n.Staked))
	_ = want.UnmarshalText([]byte(n.Requirement))
	id, _ := chain.ParseNodeID(n.Node)
	out := explain.Node{
		ID: id, State: registry.State(slices.Index(nodeStates, n.State) + 1), // nodeStates has them in order
		Listed: n.Listed, Staked: have, Requirement: want,
		LastHeartbeat: chain.Time(deref(n.LastHeartbeatMs)), HeartbeatEpoch: chain.Epoch(deref(n.LastHeartbeatEpoch)), Version: deref(n.Version),
		Credit: chain.Duration(max(0, n.CreditMs)), Performance: chain.Permille(n.Performance),
		DecommissionedAt: chain.Time(deref(n.DecommissionedMs)), DecommissionedEpoch: chain.Epoch(deref(n.DecommissionedEpoch)), Stay: uint16(deref(n.StayEpochs)),
	}
	if st := n.Stake; st != nil {
		out.FreeAt = chain.Time(max(deref(st.UnlockAtMs), deref(st.LockedUntilMs)))
	}
	if d, seq, ok := descriptorOf(n); ok {
		out.Descriptor, out.DescriptorEpoch = &d, seq.Epoch()
	}
	return out
}

// asOf is when a node is explained: at the head that s tells of. core has the
// parameters in force.
func asOf(core genesis.Core, s *client.Status, n *client.NodeDetail) explain.Now {
	others := s.Listed
	if n.Listed {
		others--
	}
	return explain.Now{Core: core, Epoch: chain.Epoch(s.Epoch), Time: chain.Time(s.TimeMs), Others: others}
}

// descriptorOf is what a node published last of itself, as the ledger tells it.
func descriptorOf(n *client.NodeDetail) (d statement.Descriptor, seq statement.Sequence, ok bool) {
	if n.Descriptor == nil {
		return d, seq, false
	}
	st, err := statement.Decode(*n.Descriptor)
	if err != nil || st.Node.String() != n.Node {
		return d, seq, false
	}
	d, err = statement.DecodeDescriptor(st.Body)
	return d, st.Sequence, err == nil
}
