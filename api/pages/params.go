package pages

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tunic/api/client"
)

// paramRow is a parameter as it is, was at genesis, and will be.
type paramRow struct {
	paramInfo
	Value, Genesis, Next string // Genesis and Next are empty where they are Value
}

// paramTable is a group's rows.
type paramTable struct {
	Title string
	Rows  []paramRow
}

// changeView is a change that is scheduled or waits for approvals.
type changeView struct {
	client.ParamsChange
	Rows []paramRow // those that differ: Value now, Next then
}

// params shows the parameters in force and what the council is about to do.
func (s *Site) params(r *http.Request) (view, error) {
	p, err := s.inForce(r.Context())
	if err != nil {
		return view{}, err
	}
	res, err := s.api.GetNetworkWithResponse(r.Context())
	if err != nil {
		return view{}, err
	}
	network, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return view{}, err
	}
	genesis, _ := (*network)["params"].(map[string]any)
	var scheduled *changeView
	var next map[string]any
	if p.Scheduled != nil {
		scheduled, next = changeOf(p, *p.Scheduled), p.Scheduled.Params
	}
	var approvals []*changeView
	for _, a := range p.Approvals {
		approvals = append(approvals, changeOf(p, a))
	}
	return view{Template: "params", Title: "Parameters", Nav: "/params", Live: "params", Data: struct {
		*client.Params
		Tables    []paramTable
		Changed   int // from genesis
		Change    *changeView
		Proposals []*changeView
	}{p, paramTables(p.Params, genesis, next), differing(p.Params, genesis), scheduled, approvals}}, nil
}

// inForce are the parameters in force.
func (s *Site) inForce(ctx context.Context) (*client.Params, error) {
	res, err := s.api.GetParamsWithResponse(ctx, &client.GetParamsParams{})
	if err != nil {
		return nil, err
	}
	return read(res.JSON200, res.HTTPResponse, res.Body)
}

// paramTables are all parameters in their groups; those that this package does
// not know stand in a last one.
func paramTables(now, genesis, next map[string]any) []paramTable {
	var out []paramTable
	known := map[string]bool{}
	for _, g := range paramGroups {
		t := paramTable{Title: g.Title}
		for _, info := range g.Params {
			known[info.Name] = true
			if _, there := now[info.Name]; there {
				t.Rows = append(t.Rows, rowOf(info, now, genesis, next))
			}
		}
		if len(t.Rows) > 0 {
			out = append(out, t)
		}
	}
	other := paramTable{Title: "Others"}
	for name := range now {
		if !known[name] {
			other.Rows = append(other.Rows, rowOf(paramInfo{Name: name}, now, genesis, next))
		}
	}
	slices.SortFunc(other.Rows, func(a, b paramRow) int { return strings.Compare(a.Name, b.Name) })
	if len(other.Rows) > 0 {
		out = append(out, other)
	}
	return out
}

func rowOf(info paramInfo, now, genesis, next map[string]any) paramRow {
	row := paramRow{paramInfo: info, Value: paramText(info.Unit, now[info.Name])}
	if was := paramText(info.Unit, genesis[info.Name]); genesis != nil && was != row.Value {
		row.Genesis = was
	}
	if will := paramText(info.Unit, next[info.Name]); next != nil && will != row.Value {
		row.Next = will
	}
	return row
}

func differing(now, genesis map[string]any) (n int) {
	for name := range now {
		if genesis != nil && fmt.Sprint(now[name]) != fmt.Sprint(genesis[name]) {
			n++
		}
	}
	return n
}

func changeOf(p *client.Params, c client.ParamsChange) *changeView {
	out := &changeView{ParamsChange: c}
	for _, t := range paramTables(p.Params, nil, c.Params) {
		for _, row := range t.Rows {
			if row.Next != "" {
				out.Rows = append(out.Rows, row)
			}
		}
	}
	return out
}

// paramText is a value for people, in its unit.
func paramText(unit string, v any) string {
	n, isNumber := v.(float64)
	switch {
	case v == nil && unit == unitVersions:
		return "any"
	case v == nil:
		return "none"
	case unit == unitAmount:
		return tun(v)
	case unit == unitMs && isNumber:
		return duration(int64(n))
	case unit == unitBps && isNumber:
		return percent(fmt.Sprint(int64(n)), 100)
	case unit == unitPermille && isNumber:
		return percent(fmt.Sprint(int64(n)), 10)
	case unit == unitGeometry && isNumber:
		if name := map[float64]string{1: "small", 2: "large"}[n]; name != "" {
			return name
		}
	case unit == unitVersions:
		if list, ok := v.([]any); ok {
			if len(list) == 0 {
				return "any"
			}
			words := make([]string, len(list))
			for i, x := range list {
				words[i] = fmt.Sprint(x)
			}
			return strings.Join(words, ", ")
		}
	}
	switch x := v.(type) {
	case bool:
		if x {
			return "on"
		}
		return "off"
	case float64:
		return group(int64(x))
	}
	return fmt.Sprint(v)
}
