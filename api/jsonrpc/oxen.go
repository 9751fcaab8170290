package jsonrpc

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/ledger/machine"
	"tunic/registry"
)

// Oxen answers as Oxen's daemon, over POST.
func Oxen(c Config) http.Handler {
	s := &server{c}
	return &rpc{server: s, always: true,
		methods: map[string]call{
			"get_service_nodes": s.oxenNodes, "get_n_service_nodes": s.oxenNodes, "get_all_service_nodes": s.oxenNodes,
			"get_height": s.oxenHeight, "get_info": s.oxenInfo, "get_staking_requirement": s.oxenRequirement,
		},
		large: map[string]bool{"get_service_nodes": true, "get_n_service_nodes": true, "get_all_service_nodes": true},
	}
}

// oxenParams is what get_service_nodes takes; other members are passed over, as
// Oxen's daemon does.
type oxenParams struct {
	Fields  oxenFields `json:"fields"`
	Pubkeys []string   `json:"service_node_pubkeys"`
	Active  bool       `json:"active_only"`
	Limit   int64      `json:"limit"`
	Poll    *string    `json:"poll_block_hash"`
}

// oxenFields are the names asked for; nil is all of them.
type oxenFields map[string]bool

// UnmarshalJSON reads {"name": true, ...}, ["name", ...] or "all"; an empty one
// and the name "all" are all.
func (f *oxenFields) UnmarshalJSON(b []byte) error {
	var (
		members map[string]bool
		names   []string
		err     error
	)
	switch {
	case string(b) == "null" || string(b) == `"all"`:
		return nil
	case b[0] == '[':
		err = json.Unmarshal(b, &names)
	default:
		if err = json.Unmarshal(b, &members); err == nil && len(members) > 0 {
			names = slices.Collect(maps.Keys(members))
		}
	}
	if err != nil {
		return failed(codeParams, `fields: an object of names and true, an array of names, or "all"`)
	}
	if len(names) == 0 {
		return nil
	}
	*f = oxenFields{}
	for _, name := range names {
		(*f)[name] = members == nil || members[name]
	}
	if (*f)["all"] {
		*f = nil
	}
	return nil
}

// want says whether the field was asked for.
func (f oxenFields) want(name string) bool { return f == nil || f[name] }

// byName reads parameters into v, whose type says what they are.
func byName(params json.RawMessage, v any) error {
	if params == nil {
		return nil
	}
	if params[0] != '{' {
		return failed(codeParams, "params must be an object")
	}
	err := json.Unmarshal(params, v)
	var (
		wrong *json.UnmarshalTypeError
		known *failure // of oxenFields
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.As(err, &wrong):
		d := httpx.WrongType(wrong)
		return failed(codeParams, "%s: %v", httpx.Clip(d.Field, 80), d.Err)
	}
	return failed(codeParams, "params cannot be read")
}

// oxenNodes lists the nodes that are there: not those deregistered, tombstoned
// or gone.
func (s *server) oxenNodes(_ context.Context, raw json.RawMessage) (any, error) {
	var p oxenParams
	if err := byName(raw, &p); err != nil {
		return nil, err
	}
	only := map[chain.NodeID]bool{}
	for _, text := range p.Pubkeys {
		id, err := chain.ParseNodeID(text)
		if err != nil {
			return nil, failed(codeParams, "service_node_pubkeys: %q is not a key", httpx.Clip(text, 80))
		}
		only[id] = true
	}
	fields := snodeFields(p.Fields)
	out := map[string]any{"status": "OK"}
	s.Ledger.View(func(m *machine.Machine) {
		hash := m.HeadHash().String()
		out["height"] = m.Head().Height
		if p.Fields.want("target_height") {
			out["target_height"] = m.Head().Height
		}
		if p.Fields.want("hardfork") {
			out["hardfork"] = m.InForce().Number
		}
		if p.Fields.want("block_hash") || p.Poll != nil {
			out["block_hash"] = hash
		}
		if p.Poll != nil {
			same := strings.EqualFold(*p.Poll, hash)
			out["unchanged"] = same
			if same {
				return
			}
		}
		var nodes []registry.Node
		for n := range m.Registry().All() {
			switch n.State {
			case registry.Deregistered, registry.Tombstoned, registry.Left:
				continue
			}
			if (!p.Active || n.Listed) && (len(only) == 0 || only[n.ID]) {
				nodes = append(nodes, n)
			}
		}
		if p.Limit != 0 {
			rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		}
		if p.Limit > 0 && int64(len(nodes)) > p.Limit {
			nodes = nodes[:p.Limit]
		}
		states := make([]map[string]any, len(nodes))
		for i, n := range nodes {
			states[i] = snodeOf(m, n, fields)
		}
		out["service_node_states"] = states
	})
	return out, nil
}

// oxenHeight is the head.
func (s *server) oxenHeight(_ context.Context, _ json.RawMessage) (any, error) {
	h := s.Ledger.Head().Header
	return map[string]any{"status": "OK", "height": h.Height, "hash": h.Hash().String()}, nil
}

// oxenInfo is what of Oxen's get_info there is here.
func (s *server) oxenInfo(_ context.Context, _ json.RawMessage) (any, error) {
	h, core := s.Ledger.Head().Header, s.Ledger.Core()
	nettype := "mainnet"
	if core.Dev {
		nettype = "devnet"
	}
	return map[string]any{
		"status": "OK", "height": h.Height, "target_height": h.Height, "top_block_hash": h.Hash().String(), "nettype": nettype,
		"mainnet": !core.Dev, "devnet": core.Dev, "testnet": false, "offline": false,
		"target": uint64(core.Params.BlockInterval) / 1000, "tx_pool_size": s.Ledger.Waiting(), "version": s.Version,
	}, nil
}

// oxenRequirement is what a node has to stake.
func (s *server) oxenRequirement(_ context.Context, _ json.RawMessage) (any, error) {
	out := map[string]any{"status": "OK"}
	s.Ledger.View(func(m *machine.Machine) {
		out["height"], out["staking_requirement"] = m.Head().Height, uint64(m.Core().Params.StakingRequirement)
	})
	return out, nil
}

// versionNumbers is "1.2" as [1, 2, 0]; [0, 0, 0] for what is no such version.
func versionNumbers(text string) [3]int {
	var out [3]int
	text, _, _ = strings.Cut(text, "-")
	for i, part := range strings.Split(text, ".") {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil || i >= len(out) {
			return [3]int{}
		}
		out[i] = int(n)
	}
	return out
}
