package pages

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"tunic/api/client"
)

const (
	// mapMost is how many nodes the map shows, those in the directory first.
	mapMost = 1000
	// mapPages is how many pages of a thousand nodes are read for it.
	mapPages = 4
	// mapNamed is up to how many nodes each has its name beside it.
	mapNamed = 40
)

type mapView struct {
	Side    int
	Layout  layout
	Nodes   []mapNode
	Groups  []mapGroup
	Outside []mapNode // not in the directory
	// BySwarm says what stands together: the nodes of one swarm or, where all are
	// in one, those of one operator.
	BySwarm bool
	Stakes  template.HTML
	Epoch   int64
	Listed  int
	// Left is how many have left the network and are not shown, More how many
	// others there was no room for.
	Left, More int
	Named      bool
	Operators  int
}

// mapLegend is one state with its mark and how many nodes have it.
type mapLegend struct {
	State, Shape, Points string
	Count                int
}

// Box is the drawing's viewBox: with room for names where there are some.
func (d mapView) Box() string {
	if d.Named {
		return "-90 -40 980 880"
	}
	return "-6 -6 812 812"
}

// Legend are the states on the map, those in the directory first.
func (d mapView) Legend() (out []mapLegend) {
	for _, state := range append([]string{"listed"}, nodeStates...) {
		l := mapLegend{State: state, Shape: shapes[state], Points: corners(shapes[state], place{X: 10, Y: 10, R: 7})}
		for _, n := range d.Nodes {
			l.Count += b2i(n.State == state)
		}
		if l.Count > 0 {
			out = append(out, l)
		}
	}
	return out
}

// mapNode is a node on the map. Shape differs with the state, so that nothing
// depends on the colour.
type mapNode struct {
	place
	ID, Name, Operator, Group, State, Stake, Title string
	// Shape is disc, ring, up, square, diamond or cross.
	Shape  string
	Points string // of a shape with corners
	// The name's place, outside the ring.
	NameX, NameY float64
	Anchor       string
}

// mapGroup is a swarm or an operator with its nodes in the directory.
type mapGroup struct {
	Name  string
	Nodes []mapNode
}

// shapes are those of a node in each state that is on the map.
var shapes = map[string]string{"listed": "disc", "registered": "ring", "active": "ring", "decommissioned": "up", "deregistered": "square",
	"unlocking": "diamond", "tombstoned": "cross"}

// networkMap is the map: nodes on rings, those of one swarm or operator beside
// each other.
func (s *Site) networkMap(r *http.Request) (view, error) {
	all, total, err := s.allNodes(r)
	if err != nil {
		return view{}, err
	}
	status, err := s.chainStatus(r.Context())
	if err != nil {
		return view{}, err
	}
	d := mapView{Side: mapSide, Epoch: status.Epoch, Listed: status.Listed, Left: status.Nodes["left"]}
	all = slices.DeleteFunc(all, func(n client.NodeItem) bool { return n.State == "left" })
	d.BySwarm = swarms(all) > 1
	slices.SortFunc(all, d.order)
	d.More = max(0, int(total)-d.Left-min(len(all), mapMost))
	all = all[:min(len(all), mapMost)]
	d.draw(all)
	if d.Stakes, err = stakeChart(all); err != nil {
		return view{}, err
	}
	return view{Template: "map", Title: "Map", Nav: "/map", Live: "node", status: status, Data: d}, nil
}

// allNodes reads as many nodes as the map can show, and how many there are.
func (s *Site) allNodes(r *http.Request) (all []client.NodeItem, total int64, err error) {
	limit := mapMost
	params := client.ListNodesParams{Limit: &limit}
	for range mapPages {
		res, err := s.api.ListNodesWithResponse(r.Context(), &params)
		if err != nil {
			return nil, 0, err
		}
		page, err := read(res.JSON200, res.HTTPResponse, res.Body)
		if err != nil {
			return nil, 0, err
		}
		all, total = append(all, page.Items...), page.Total
		if page.NextCursor == nil {
			break
		}
		params.Cursor = page.NextCursor
	}
	return all, total, nil
}

// swarms is how many there are.
func swarms(all []client.NodeItem) int {
	seen := map[string]bool{}
	for _, n := range all {
		if n.Listed && n.Swarm != noSwarm {
			seen[n.Swarm] = true
		}
	}
	return len(seen)
}

// group is what a node in the directory stands with; empty for others.
func (d mapView) group(n client.NodeItem) string {
	switch {
	case !n.Listed || d.BySwarm && n.Swarm == noSwarm:
		return ""
	case d.BySwarm:
		return n.Swarm
	}
	return n.Operator
}

// order puts nodes in the directory first, by group, then the others by state.
func (d mapView) order(a, b client.NodeItem) int {
	ga, gb := d.group(a), d.group(b)
	return cmp.Or(cmp.Compare(b2i(b.Listed), b2i(a.Listed)), cmp.Compare(len(ga), len(gb)), cmp.Compare(ga, gb),
		cmp.Compare(string(a.State), string(b.State)), cmp.Compare(a.Node, b.Node))
}

// draw lays nodes out and says what there is in words.
func (d *mapView) draw(all []client.NodeItem) {
	groups, sizes := make([]string, len(all)), make([]float64, len(all))
	largest := 0.0
	for i, n := range all {
		x, _ := units(n.Staked)
		sizes[i] = float64(x)
		largest = max(largest, sizes[i])
		groups[i] = d.group(n)
	}
	for i := range sizes {
		sizes[i] /= max(largest, 1)
	}
	d.Layout = layOut(groups, sizes)
	d.Named = len(all) <= mapNamed
	operators := map[string]bool{}
	for i, n := range all {
		m := mapNodeOf(n, d.Layout.Places[i], d.Layout.Most)
		m.Group = groups[i]
		operators[m.Operator] = true
		d.Nodes = append(d.Nodes, m)
		if !n.Listed {
			d.Outside = append(d.Outside, m)
			continue
		}
		if last := len(d.Groups) - 1; last < 0 || d.Groups[last].Name != m.Group {
			d.Groups = append(d.Groups, mapGroup{Name: m.Group})
		}
		last := &d.Groups[len(d.Groups)-1]
		last.Nodes = append(last.Nodes, m)
	}
	d.Operators = len(operators)
}

func mapNodeOf(n client.NodeItem, at place, most float64) mapNode {
	m := mapNode{place: at, ID: n.Node, Name: n.Node[:6], Operator: n.Operator, State: string(n.State),
		Stake: tun(n.Staked)}
	if n.Listed {
		m.State = "listed"
	}
	m.Shape = shapes[m.State]
	m.Points = corners(m.Shape, at)
	m.Title = fmt.Sprintf("%s, %s, stake %s, operator %s", m.Name, m.State, m.Stake, short(m.Operator))
	if n.Listed && n.Swarm != noSwarm {
		m.Title += ", swarm " + n.Swarm
	}
	m.Anchor = anchor(at)
	beside := most + 8
	if m.Anchor == "middle" {
		beside += 5 // half a line
	}
	m.NameX, m.NameY = onRing(distance(at)+beside, at.angle)
	return m
}

// corners are the points of a shape that has some.
func corners(shape string, at place) string {
	point := func(dx, dy float64) string { return fmt.Sprint(round1(at.X+dx*at.R), ",", round1(at.Y+dy*at.R)) }
	switch shape {
	case "up":
		return strings.Join([]string{point(0, -1.1), point(1.1, 0.9), point(-1.1, 0.9)}, " ")
	case "square":
		return strings.Join([]string{point(-0.85, -0.85), point(0.85, -0.85), point(0.85, 0.85), point(-0.85, 0.85)}, " ")
	case "diamond":
		return strings.Join([]string{point(0, -1.15), point(1.15, 0), point(0, 1.15), point(-1.15, 0)}, " ")
	case "cross":
		return strings.Join([]string{point(-0.85, -0.85), point(0.85, 0.85), point(0, 0), point(0.85, -0.85), point(-0.85, 0.85)}, " ")
	}
	return ""
}

// operatorsMost is how many operators the chart of stakes names; the rest is one
// bar.
const operatorsMost = 20

// stakeChart draws the stake of the largest operators, since what one of them
// holds is what one of them can see.
func stakeChart(all []client.NodeItem) (template.HTML, error) {
	of, total := map[string]float64{}, 0.0
	for _, n := range all {
		x, _ := units(n.Staked)
		of[n.Operator] += float64(x) / 1e9
		total += float64(x) / 1e9
	}
	if total == 0 {
		return "", nil
	}
	names := slices.SortedFunc(maps.Keys(of), func(a, b string) int { return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b)) })
	c := chart{Name: "Stake by operator, in TUN"}
	stakes, rest := series{Name: "stake"}, 0.0
	for i, name := range names {
		if i >= operatorsMost {
			rest += of[name]
			continue
		}
		c.Labels, stakes.Values = append(c.Labels, name[:6]), append(stakes.Values, of[name])
	}
	if rest > 0 {
		c.Labels, stakes.Values = append(c.Labels, "others"), append(stakes.Values, rest)
	}
	c.Series = []series{stakes}
	c.Says = fmt.Sprintf("%s; the largest holds %.1f %% of all stake", count(len(of), "operator"), 100*of[names[0]]/total)
	return c.bars()
}
