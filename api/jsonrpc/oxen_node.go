package jsonrpc

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger/machine"
	"tunic/registry"
	"tunic/staking"
)

// snode is a node as get_service_nodes shows it.
type snode struct {
	m *machine.Machine
	registry.Node
	bond    staking.Bond // none: zero
	desc    statement.Descriptor
	at      netip.AddrPort   // its first endpoint
	history []registry.Event // where a field needs it
}

// snodeField is one field of Oxen's service_node_states that means something
// here. docs/spec/api.md says what, and which are left out.
type snodeField struct {
	name    string
	history bool // it reads the node's history
	of      func(v *snode) any
}

var allSnodeFields = []snodeField{
	{"service_node_pubkey", false, func(v *snode) any { return v.ID.String() }},
	{"pubkey_ed25519", false, func(v *snode) any { return v.ID.String() }},
	{"pubkey_x25519", false, func(v *snode) any {
		if key, ok := v.desc.KeyFor(v.m.Head().DirEpoch); ok {
			return hex.EncodeToString(key.Key[:])
		}
		return ""
	}},
	{"public_ip", false, func(v *snode) any {
		if v.at.IsValid() {
			return v.at.Addr().String()
		}
		return ""
	}},
	{"storage_port", false, func(v *snode) any { return int(v.at.Port()) }},
	{"registration_height", false, func(v *snode) any { return v.RegisteredHeight }},
	{"requested_unlock_height", false, func(v *snode) any { return v.unlockHeight() }},
	{"active", false, func(v *snode) any { return v.Listed }},
	{"payable", false, func(v *snode) any { return v.bond.Active }},
	{"funded", false, func(v *snode) any { return v.m.Staking().FullyStaked(v.ID) }},
	{"state", false, func(v *snode) any { return v.State.String() }},
	{"state_height", true, func(v *snode) any {
		if len(v.history) == 0 {
			return v.RegisteredHeight
		}
		return v.history[len(v.history)-1].Height
	}},
	{"earned_downtime_blocks", false, func(v *snode) any {
		return uint64(v.m.Registry().Credit(v.Node, v.m.Head().Time)) / max(1, uint64(v.m.Core().Params.BlockInterval))
	}},
	{"decommission_count", true, func(v *snode) any {
		count, _ := v.decommissions()
		return count
	}},
	{"last_decomm_reasons", true, func(v *snode) any {
		_, last := v.decommissions()
		return map[string][]string{"all": last, "some": {}}
	}},
	{"total_contributed", false, func(v *snode) any { return uint64(v.bond.Total()) }},
	{"total_reserved", false, func(v *snode) any { return uint64(v.bond.Total()) }},
	{"staking_requirement", false, func(v *snode) any { return uint64(v.m.Core().Params.StakingRequirement) }},
	{"operator_fee", false, func(v *snode) any { return uint64(v.bond.Fee) * 100 }}, // millionths
	{"operator_address", false, func(v *snode) any { return v.Operator.String() }},
	{"contributors", false, func(v *snode) any {
		out := []map[string]any{}
		for _, c := range v.bond.Contributions {
			out = append(out, map[string]any{"address": c.Account.String(), "amount": uint64(c.Amount), "reserved": uint64(c.Amount), "locked_contributions": []any{}})
		}
		return out
	}},
	{"swarm_id", false, func(v *snode) any { return uint64(v.Swarm) }},
	{"swarm", false, func(v *snode) any { return strconv.FormatUint(uint64(v.Swarm), 16) }},
	{"service_node_version", false, func(v *snode) any { return versionNumbers(v.Version) }},
	{"last_uptime_proof", false, func(v *snode) any { return uint64(v.LastHeartbeat / 1000) }},
}

// snodeFields are the fields asked for; names that there are not are passed over.
func snodeFields(f oxenFields) []snodeField {
	var out []snodeField
	for _, one := range allSnodeFields {
		if f.want(one.name) {
			out = append(out, one)
		}
	}
	return out
}

func snodeOf(m *machine.Machine, n registry.Node, fields []snodeField) map[string]any {
	v := &snode{m: m, Node: n}
	v.bond, _ = m.Staking().Bond(n.ID)
	if d, ok := n.Described(); ok {
		v.desc = d
		if len(d.Endpoints) > 0 {
			v.at, _ = netip.ParseAddrPort(d.Endpoints[0])
		}
	}
	out := make(map[string]any, len(fields))
	for _, f := range fields {
		if f.history && v.history == nil {
			v.history = m.Registry().History(n.ID)
		}
		out[f.name] = f.of(v)
	}
	return out
}

// unlockHeight is about when the node's stake can be withdrawn, by the block
// interval; 0 where nobody asked for it.
func (v *snode) unlockHeight() chain.Height {
	if v.bond.UnlockRequested == 0 {
		return 0
	}
	head, interval := v.m.Head(), chain.Time(max(1, v.m.Core().Params.BlockInterval))
	if v.bond.UnlockAt <= head.Time {
		return head.Height
	}
	return head.Height + chain.Height((v.bond.UnlockAt-head.Time+interval-1)/interval)
}

// decommissions counts them, and gives the last one's reasons.
func (v *snode) decommissions() (count int, last []string) {
	last = []string{}
	for _, e := range v.history {
		if e.To == registry.Decommissioned {
			count++
			_, reasons, _ := strings.Cut(e.Reason, ": ")
			last = strings.Split(reasons, "+")
		}
	}
	return count, last
}
