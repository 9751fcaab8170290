package main

import (
	"strings"
	"testing"

	"tunic/api/client"
	"tunic/chain"
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
		if words := got.words("--dir r1"); !strings.Contains(words, c.says) {
			t.Errorf("%s: %q does not say %q", c.name, words, c.says)
		}
	}
}

func TestRegisteredAlready(t *testing.T) {
	for state, says := range map[client.NodeState]string{
		client.Active: "tunic relay stake", client.Decommissioned: "tunic relay status", client.Deregistered: "new keys",
		client.Left: "new keys", client.Tombstoned: "new keys", client.Unlocking: "new keys",
	} {
		err := registeredAlready("--dir r1", &client.NodeDetail{State: state})
		if p := problemOf(err); p.Exit != exitRefused || !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %v", state, err)
		}
	}
}

func TestNothingDue(t *testing.T) {
	at := func(ms int64) *client.NodeDetail { return &client.NodeDetail{Stake: &client.Stake{FreeAtMs: &ms}} }
	for says, n := range map[string]*client.NodeDetail{
		"the stake is free from 2026-01-01 02:10:00Z on, in 2 h 10 min": at(1767225600000 + 7_800_000),
		"has none of it left":                at(1767225600000),
		"some time after `tunic tx unlock n": {Stake: &client.Stake{}},
		"no reward has come":                 {},
	} {
		p := problemOf(nothingDue(n, 1767225600000, "tunic tx unlock n"))
		if p.Exit != exitRefused || p.Code != "nothing_due" || !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %v", says, p)
		}
	}
}

// What a withdrawal brought follows from the account before and after its block,
// where nothing else befell it.
func TestPayoutOf(t *testing.T) {
	at := func(nonce, balance string, stakes ...client.AccountStake) *client.Account {
		return &client.Account{Nonce: nonce, Balance: balance, Stakes: &stakes}
	}
	in := func(node, stake, reward string) client.AccountStake {
		return client.AccountStake{Node: node, Amount: stake, Reward: &reward}
	}
	const fee, block = 10, 7
	before := at("4", "1000", in("a", "500", "20"), in("b", "300", "9"))
	for name, c := range map[string]struct {
		after *client.Account
		want  *payout
	}{
		"rewards":                         {at("5", "1010", in("a", "500", "0"), in("b", "300", "11")), &payout{0, 20}},
		"with this block's":               {at("5", "1017", in("a", "500", "0"), in("b", "300", "11")), &payout{0, 27}},
		"stake too":                       {at("5", "1510", in("b", "300", "11")), &payout{500, 20}},
		"more than a block pays":          {at("5", "1018", in("a", "500", "0")), nil},
		"less than was due":               {at("5", "1009", in("a", "500", "0")), nil},
		"another transaction of it":       {at("6", "1010", in("a", "500", "0")), nil},
		"not all of the rewards were had": {at("5", "1010", in("a", "500", "3")), nil},
		"more stake than before":          {at("5", "1010", in("a", "501", "0")), nil},
		"stake that went elsewhere":       {at("5", "1010"), nil},
		"a balance below the fee":         {at("5", "900", in("a", "500", "0")), nil},
	} {
		got := payoutOf(before, c.after, "a", fee, block)
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	for want, p := range map[string]payout{"0 TUN of rewards": {}, "2000 TUN of stake": {Stake: 2000 * chain.TUN}, "1 TUN of stake, 0.5 TUN of rewards": {chain.TUN, chain.TUN / 2}} {
		if got := p.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
