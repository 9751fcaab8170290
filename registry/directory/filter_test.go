package directory_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"tunic/chain"
	"tunic/registry/directory"
)

// Each member of a filter takes what it says, and all together what each takes.
func TestFilter(t *testing.T) {
	e := entry(1)
	e.Swarm, e.Stake, e.Version = 7, 100, "1.10.0"
	e.Endpoints = append(e.Endpoints, "[2001:DB8::1]:22021")
	other, swarm, none := chain.Address{1}, directory.SwarmID(7), directory.NoSwarm
	node, operator := e.Node.String(), e.Operator.String()
	for name, c := range map[string]struct {
		f    directory.Filter
		want bool
	}{
		"all":               {directory.Filter{}, true},
		"operator":          {directory.Filter{Operator: &e.Operator}, true},
		"other operator":    {directory.Filter{Operator: &other}, false},
		"swarm":             {directory.Filter{Swarm: &swarm}, true},
		"no swarm":          {directory.Filter{Swarm: &none}, false},
		"enough stake":      {directory.Filter{MinStake: 100}, true},
		"more stake":        {directory.Filter{MinStake: 101}, false},
		"version":           {directory.Filter{Version: "1.10.0"}, true},
		"version's begin":   {directory.Filter{Version: "1.1"}, false},
		"version with star": {directory.Filter{Version: "1.1*"}, true},
		"any version":       {directory.Filter{Version: "*"}, true},
		"other star":        {directory.Filter{Version: "1.2*"}, false},
		"node":              {directory.Filter{Search: node[:9]}, true},
		"node in capitals":  {directory.Filter{Search: "0x" + strings.ToUpper(node)}, true},
		"more than a node":  {directory.Filter{Search: node + "0"}, false},
		"inside a node id":  {directory.Filter{Search: node[20:40]}, false},
		"operator's begin":  {directory.Filter{Search: operator[:9]}, true},
		"part of endpoint":  {directory.Filter{Search: "7.1.0.1:"}, true},
		"IPv6 endpoint":     {directory.Filter{Search: "2001:db8"}, true},
		"nobody's endpoint": {directory.Filter{Search: "127.2"}, false},
		"all of it":         {directory.Filter{Operator: &e.Operator, Swarm: &swarm, MinStake: 1, Version: "1*", Search: node}, true},
		"one does not hold": {directory.Filter{Operator: &e.Operator, Swarm: &swarm, MinStake: 1, Version: "2*", Search: node}, false},
	} {
		if got := c.f.Match(&e); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestOrder(t *testing.T) {
	all := list(1, entries(5)).Entries
	for i, stake := range []chain.Amount{30, 10, 20, 10, 40} {
		all[i].Stake, all[i].Performance = stake, chain.Permille(900+i)
	}
	for by, want := range map[string][]int{
		"": {0, 1, 2, 3, 4}, "node": {0, 1, 2, 3, 4}, "-node": {4, 3, 2, 1, 0},
		"stake": {1, 3, 2, 0, 4}, "-stake": {4, 0, 2, 1, 3}, "-performance": {4, 3, 2, 1, 0},
	} {
		got := slices.Clone(all)
		slices.Reverse(got)
		if err := directory.Order(got, by); err != nil {
			t.Fatal(err)
		}
		for i, j := range want {
			if got[i].Node != all[j].Node {
				t.Errorf("%q: place %d is not %d", by, i, j)
			}
		}
	}
	if err := directory.Order(all, "swarm"); !errors.Is(err, directory.ErrOrder) {
		t.Errorf("by swarm: %v", err)
	}
}
