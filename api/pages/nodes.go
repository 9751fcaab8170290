package pages

import (
	"fmt"
	"net/http"
	"net/url"

	"tunic/api/client"
)

// nodeStates are in the order of a node's life.
var nodeStates = []string{"registered", "active", "decommissioned", "deregistered", "unlocking", "left", "tombstoned"}

// nodeFlags are what /v1/nodes takes as flag, with words for people.
var nodeFlags = []option{{"listed", "in the directory"}, {"unlisted", "not in the directory"}, {"staked", "fully staked"}, {"open", "wants more stake"}}

// option is a choice of a form.
type option struct{ Value, Text string }

type nodesView struct {
	Filter struct{ State, Flag, Search, Order string }
	// States are links to the nodes of one state, with how many there are.
	States []stateLink
	// Flags and AllStates are the choices of the form.
	Flags     []option
	AllStates []string
	Sort      sorter
	Nodes     []nodeRow
	Total     int64
	Filtered  bool // some filter is set
	First     string
	Next      string
	Later     bool // not the first page
}

type stateLink struct {
	State, Link string
	Count       int
	Current     bool
}

type nodeRow struct {
	client.NodeItem
	// Why is in few words why the node is not listed; empty where it is.
	Why string
	// Do is what the link to the reasons says.
	Do string
}

// StateWord is the node's state.
func (n nodeRow) StateWord() string { return string(n.State) }

// nodes is the table of all nodes, filtered and ordered by the API.
func (s *Site) nodes(r *http.Request) (view, error) {
	q := r.URL.Query()
	params := client.ListNodesParams{Limit: &pageLimit, Cursor: cursor(r), State: ptr(client.NodeState(q.Get("state"))),
		Flag: ptr(client.ListNodesParamsFlag(q.Get("flag"))), Search: ptr(q.Get("search")), Order: ptr(q.Get("order"))}
	res, err := s.api.ListNodesWithResponse(r.Context(), &params)
	if err != nil {
		return view{}, err
	}
	page, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return view{}, err
	}
	status, err := s.chainStatus(r.Context())
	if err != nil {
		return view{}, err
	}
	d := nodesView{Flags: nodeFlags, AllStates: nodeStates, Total: page.Total, First: link("/nodes", q, "", ""), Next: next("/nodes", q, page.NextCursor),
		Later: q.Get("cursor") != "", Filtered: q.Get("state") != "" || q.Get("flag") != "" || q.Get("search") != ""}
	d.Filter.State, d.Filter.Flag, d.Filter.Search, d.Filter.Order = q.Get("state"), q.Get("flag"), q.Get("search"), q.Get("order")
	d.Sort = sorter{Path: "/nodes", Query: q, Order: q.Get("order"), Descends: map[string]bool{"staked": true, "performance": true, "registered": true, "heartbeat": true, "credit": true}}
	d.States = stateCounts(status, q)
	for _, n := range page.Items {
		row := nodeRow{NodeItem: n, Why: whyUnlisted(n, status), Do: "what to do"}
		if n.State == client.Tombstoned || n.State == client.Left || n.State == client.Unlocking {
			row.Do = "why" // nothing is to be done
		}
		d.Nodes = append(d.Nodes, row)
	}
	return view{Template: "nodes", Title: "Nodes", Nav: "/nodes", Live: "node", status: status, Data: d}, nil
}

func stateCounts(status *client.Status, q url.Values) (out []stateLink) {
	for _, state := range nodeStates {
		if n := status.Nodes[state]; n > 0 || q.Get("state") == state {
			out = append(out, stateLink{State: state, Count: n, Current: q.Get("state") == state, Link: link("/nodes", url.Values{}, "state", state)})
		}
	}
	return out
}

// whyUnlisted says in few words why a node is not in the directory, from what a
// list of nodes tells; the node's own page tells all.
func whyUnlisted(n client.NodeItem, now *client.Status) string {
	if n.Listed {
		return ""
	}
	switch n.State {
	case "registered":
		switch missing := lacking(n.Staked, n.Requirement); {
		case missing != "":
			return "waits for " + missing + " of stake"
		case n.LastHeartbeatMs == nil:
			return "no heartbeat yet"
		}
		return "waits for the next epoch"
	case "active":
		if missing := lacking(n.Staked, n.Requirement); missing != "" {
			return "lacks " + missing + " of stake"
		}
		if deref(n.LastHeartbeatEpoch)+1 < now.Epoch {
			return "no recent heartbeat"
		}
		return "left out of this epoch's list"
	case "decommissioned":
		if n.CreditMs > 0 {
			return "failed tests; " + duration(n.CreditMs) + " of credit left"
		}
		return "failed tests; no credit left"
	case "deregistered":
		return "out for absence; stake locked"
	case "unlocking":
		return "on its way out"
	case "left":
		return "has left"
	case "tombstoned":
		return "proven to have cheated; never back"
	}
	return ""
}

// lacking is how much stake is missing in TUN, empty where none is.
func lacking(staked, requirement string) string {
	have, ok := units(staked)
	want, ok2 := units(requirement)
	if !ok || !ok2 || have >= want {
		return ""
	}
	return (want - have).String() + " TUN"
}

// permilleOf is how much part is of whole in permille, 0 to 1000.
func permilleOf(part, whole string) int {
	p, ok := units(part)
	w, ok2 := units(whole)
	if !ok || !ok2 || w == 0 {
		return 0
	}
	return int(min(float64(p)/float64(w), 1)*1000 + 0.5)
}

// nodeTitle is a node's name in a window's title.
func nodeTitle(id string) string { return fmt.Sprintf("Node %.8s", id) }
