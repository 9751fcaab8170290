package main

import (
	"strings"
	"testing"

	"tunic/api/client"
	"tunic/chain/genesis"
)

// Until when a relay that leaves has to run: two epochs from that in which it
// asked, the receipts' horizon and the time to answer; never longer than its stake
// is bound, and not at all where nothing was ever stored with it.
func TestPartingOf(t *testing.T) {
	p, err := genesis.For(genesis.Dev) // epochs of 10 s; horizon 5 min, window 60 s
	if err != nil {
		t.Fatal(err)
	}
	core := genesis.Core{Time: 1000, Params: p}
	free := int64(1_000_000)
	active := client.NodeEvent{TimeMs: 5_000, From: "registered", To: client.Active}
	asked := client.NodeEvent{TimeMs: 1000 + 34_000, From: "active", To: client.Unlocking} // in epoch 3
	const over = 1000 + 50_000 + 300_000 + 60_000
	node := func(listed bool, free int64, history ...client.NodeEvent) *client.NodeDetail {
		n := &client.NodeDetail{State: client.Unlocking, Listed: listed, History: history}
		if free > 0 {
			n.Stake = &client.Stake{UnlockAtMs: &free}
		}
		return n
	}
	for _, c := range []struct {
		name string
		n    *client.NodeDetail
		now  int64
		want farewell
		says string
	}{
		{"listed still", node(true, free, active, asked), 36_000, farewell{Listed: true, RunUntilMS: over, StakeFreeMS: free}, "Keep the relay running until"},
		{"out of the list", node(false, free, active, asked), over - 1, farewell{RunUntilMS: over, StakeFreeMS: free}, "would lose stake"},
		{"promises over", node(false, free, active, asked), over, farewell{RunUntilMS: over, StakeFreeMS: free, MayStop: true}, "may be stopped"},
		{"stake free before", node(false, 60_000, active, asked), 60_000, farewell{RunUntilMS: 60_000, StakeFreeMS: 60_000, MayStop: true}, "tunic relay withdraw"},
		{"never served", node(false, 40_000, asked), 36_000, farewell{StakeFreeMS: 40_000, MayStop: true}, "may be stopped"},
		{"listed, never active", node(true, free, asked), 36_000, farewell{Listed: true, StakeFreeMS: free}, "until this epoch ends"},
		{"no word of its stake", node(false, 0, active, asked), over, farewell{RunUntilMS: over, MayStop: true}, "may be stopped"},
	} {
		c.want.State = string(client.Unlocking)
		got := partingOf(core, c.n, c.now)
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if words := got.words("r1"); !strings.Contains(words, c.says) {
			t.Errorf("%s: %q does not say %q", c.name, words, c.says)
		}
	}
}

func TestRegisteredAlready(t *testing.T) {
	for state, says := range map[client.NodeState]string{
		client.Active: "tunic relay stake", client.Decommissioned: "tunic relay status", client.Deregistered: "new keys",
		client.Left: "new keys", client.Tombstoned: "new keys", client.Unlocking: "new keys",
	} {
		err := registeredAlready("r1", &client.NodeDetail{State: state})
		if p := problemOf(err); p.exit != exitRefused || !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %v", state, err)
		}
	}
}
