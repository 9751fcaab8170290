package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/registry/directory"
	"tunic/registry/explain"
)

func (a *app) nodeCommand() *cobra.Command {
	return noun("node", "The nodes on the ledger: stake, state, history", a.nodeList(), a.nodeShow())
}

var nodeStates = []client.NodeState{client.Registered, client.Active, client.Decommissioned, client.Deregistered,
	client.Unlocking, client.Left, client.Tombstoned}

// nodeFlags and nodeOrders are what the ledger takes as flag and order.
var (
	nodeFlags  = []client.ListNodesParamsFlag{client.Listed, client.Unlisted, client.Staked, client.Open}
	nodeOrders = []string{"node", "staked", "performance", "registered", "heartbeat", "credit"}
)

func (a *app) nodeList() *cobra.Command {
	var (
		net, state, flag string
		f                entryFlags
		height           uint64
	)
	c := &cobra.Command{
		Use: "list", Short: "All nodes ever registered, by filters", Args: cobra.NoArgs,
		Long: `All nodes ever registered, or those that the filters take, as the ledger tells it.
What clients go by is the directory, which is verified: ` + "`tunic directory get`" + `.`,
		Example: `  tunic node list --state decommissioned
  tunic node list --flag open --order -staked
  tunic node list --version '1.*' --search 203.0.113.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := nodeQuery(state, flag, f)
			if err != nil {
				return err
			}
			back, err := past(height)
			if err != nil {
				return err
			}
			r, s, err := a.asked(cmd.Context(), net)
			if err != nil {
				return err
			}
			if back != nil {
				if _, s, err = r.moment(cmd.Context(), s, back); err != nil {
					return err
				}
			}
			p.Height = back
			nodes, err := r.nodes(cmd.Context(), p)
			if err != nil {
				return err
			}
			return a.show(map[string]any{"nodes": nodes}, func(w io.Writer) {
				rows := [][]string{a.head("node", "state", "listed", "stake", "performance", "heartbeat", "version", "endpoint")}
				for _, n := range nodes {
					rows = append(rows, []string{short(n.Node), string(n.State), yesNo(n.Listed), tun(n.Staked),
						fmt.Sprintf("%d/1000", n.Performance), ago(n.LastHeartbeatMs, s.TimeMs), cmp.Or(deref(n.Version), "-"),
						cmp.Or(strings.Join(deref(n.Endpoints), " "), "-")})
				}
				if len(nodes) == 0 {
					fmt.Fprintln(w, "no such nodes")
					return
				}
				table(w, rows...)
				fmt.Fprintln(w, "\n`tunic node show NODE` tells more; the first digits of an id will do")
			})
		},
	}
	networkFlag(c, &net)
	c.Flags().StringVar(&state, "state", "", "only those in this state: "+commas(nodeStates))
	c.Flags().StringVar(&flag, "flag", "", "only those that are listed (in the directory now), unlisted, staked (fully), or open (want more stake)")
	f.add(c, commas(nodeOrders))
	heightFlag(c, &height)
	return c
}

// commas are names with commas between.
func commas[T ~string](names []T) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return strings.Join(out, ", ")
}

// nodeQuery is what the flags of node list ask the ledger for.
func nodeQuery(state, flag string, f entryFlags) (p client.ListNodesParams, err error) {
	filter, err := f.read()
	switch {
	case err != nil:
		return p, err
	case state != "" && !slices.Contains(nodeStates, client.NodeState(state)):
		return p, usage("--state %q is unknown; use one of %s", state, commas(nodeStates))
	case flag != "" && !slices.Contains(nodeFlags, client.ListNodesParamsFlag(flag)):
		return p, usage("--flag %q is unknown; use one of %s", flag, commas(nodeFlags))
	case f.order != "" && !slices.Contains(nodeOrders, strings.TrimPrefix(f.order, "-")):
		return p, usage("--order %q is unknown; use one of %s, with a minus in front for the other way round", f.order, commas(nodeOrders))
	}
	given := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	if state != "" {
		s := client.NodeState(state)
		p.State = &s
	}
	if flag != "" {
		x := client.ListNodesParamsFlag(flag)
		p.Flag = &x
	}
	if filter.MinStake > 0 {
		p.MinStake = given(strconv.FormatUint(uint64(filter.MinStake), 10))
	}
	p.Operator, p.Swarm, p.Search, p.Version, p.Order = given(f.operator), given(f.swarm), given(f.search), given(f.version), given(f.order)
	return p, nil
}

// ago is how long before now, both in the ledger's time.
func ago(then *int64, now int64) string {
	if then == nil {
		return "never"
	}
	return span(now-*then) + " ago"
}

// nodes reads all pages of the nodes that p asks for.
func (r *remote) nodes(ctx context.Context, p client.ListNodesParams) ([]client.Node, error) {
	limit := pageSize
	p.Limit = &limit
	return pages(func(cursor *string) ([]client.Node, *string, error) {
		p.Cursor = cursor
		res, err := r.api.ListNodesWithResponse(ctx, &p)
		if err != nil {
			return nil, nil, answer(0, nil, err)
		}
		page, err := decoded(res.StatusCode(), res.Body, res.JSON200)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
}

// node asks for one node by its full id, after a block; nil is the newest.
func (r *remote) node(ctx context.Context, id string, height *int64) (*client.NodeDetail, error) {
	res, err := r.api.GetNodeWithResponse(ctx, id, &client.GetNodeParams{Height: height})
	if err != nil {
		return nil, answer(0, nil, err)
	}
	return decoded(res.StatusCode(), res.Body, res.JSON200)
}

// onlyNode is nodeID for a filter: nil where nothing is given.
func (r *remote) onlyNode(ctx context.Context, text string) (*string, error) {
	if text == "" {
		return nil, nil
	}
	id, err := r.nodeID(ctx, text)
	if err != nil {
		return nil, err
	}
	s := id.String()
	return &s, nil
}

// nodeID reads a node id, or finds the one that begins with what is given. Only
// commands that read take prefixes: an id that money goes to is given in full.
func (r *remote) nodeID(ctx context.Context, text string) (chain.NodeID, error) {
	prefix, err := idDigits(text, "node")
	if err != nil {
		return chain.NodeID{}, err
	}
	if len(prefix) == idLen {
		return chain.ParseNodeID(prefix)
	}
	nodes, err := r.nodes(ctx, client.ListNodesParams{Search: &prefix})
	if err != nil {
		return chain.NodeID{}, err
	}
	nodes = slices.DeleteFunc(nodes, func(n client.Node) bool { return !strings.HasPrefix(n.Node, prefix) })
	switch len(nodes) {
	case 0:
		return chain.NodeID{}, fail(exitFailed, "node_not_found", "no such node", "none begins with %s; `tunic node list` shows them", prefix)
	case 1:
		return chain.ParseNodeID(nodes[0].Node)
	}
	return chain.NodeID{}, usage("%d nodes begin with %s; give more digits", len(nodes), prefix)
}

func (a *app) nodeShow() *cobra.Command {
	var net string
	var height uint64
	c := &cobra.Command{
		Use: "show NODE", Short: "One node: stake, history, and why it is not listed", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			back, err := past(height)
			if err != nil {
				return err
			}
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			id, err := r.nodeID(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			s, err := r.status(cmd.Context())
			if err != nil {
				return err
			}
			n, err := r.node(cmd.Context(), id.String(), back)
			if err != nil {
				return err
			}
			in, s, err := r.moment(cmd.Context(), s, back)
			if err != nil {
				return err
			}
			return a.showNode(r, s, n, in)
		},
	}
	networkFlag(c, &net)
	heightFlag(c, &height)
	return c
}

// noSwarm is how the ledger writes that a node is in none.
var noSwarm = fmt.Sprint(uint64(directory.NoSwarm))

// showNode prints what the ledger says of a node, s and in being of the same block.
func (a *app) showNode(r *remote, s *client.Status, n *client.NodeDetail, in genesis.InForce) error {
	core := r.net.Core
	core.Params = in.Params
	v := struct {
		*client.NodeDetail
		NotListed string           `json:"not_listed_because,omitempty"`
		Judgement *explain.Outlook `json:"judgement,omitempty"`
	}{n, explain.NotListed(asTold(n), asOf(core, s, n)), explain.Ahead(asTold(n), asOf(core, s, n))}
	return a.show(v, func(w io.Writer) {
		listed := "yes"
		if v.NotListed != "" {
			listed = "no: " + v.NotListed
		}
		rows := [][]string{
			{"node", n.Node}, {"operator", n.Operator}, {"state", string(n.State)}, {"listed", listed},
			{"stake", fmt.Sprintf("%s of %s", tun(n.Staked), tun(n.Requirement))},
		}
		if st := n.Stake; st != nil {
			rows = append(rows, []string{"operator's fee", percent(chain.BasisPoints(st.FeeBps))})
			for i, x := range st.Contributions {
				role := "contributor"
				if i == 0 {
					role = "operator"
				}
				rows = append(rows, []string{"  " + role, x.Account + "  " + tun(x.Amount)})
			}
			if st.UnlockAtMs != nil {
				rows = append(rows, []string{"unlocks", instant(*st.UnlockAtMs)})
			}
			if st.LockedUntilMs != nil {
				rows = append(rows, []string{"locked until", instant(*st.LockedUntilMs)})
			}
		}
		swarm := n.Swarm
		if swarm == noSwarm {
			swarm = "none"
		}
		rows = append(rows,
			[]string{"endpoints", cmp.Or(strings.Join(deref(n.Endpoints), " "), "-")},
			[]string{"version", cmp.Or(deref(n.Version), "-")},
			[]string{"heartbeat", ago(n.LastHeartbeatMs, s.TimeMs)},
			[]string{"swarm", swarm})
		table(w, rows...)
		a.printJudgement(w, r.net.Core, n, v.Judgement)
		fmt.Fprintln(w, "\nhistory")
		a.printHistory(w, n.History)
	})
}

func (a *app) printHistory(w io.Writer, history []client.NodeEvent) {
	rows := [][]string{a.head("  height", "time", "change", "reason", "offence")}
	for _, e := range history {
		change := string(e.To)
		if e.From != change && e.From != "" {
			change = e.From + " -> " + change
		}
		rows = append(rows, []string{fmt.Sprintf("  %d", e.Height), instant(e.TimeMs), change, e.Reason, deref(e.Proof)})
	}
	table(w, rows...)
}

func percent(b chain.BasisPoints) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%d.%02d", b/100, b%100), "0"), ".") + " %"
}
