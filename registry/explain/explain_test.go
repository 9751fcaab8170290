package explain_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/registry"
	"tunic/registry/explain"
)

// Each thing that can speak against a node: its code, what is found with its
// numbers, and what to do.
func TestWhy(t *testing.T) {
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	p.Versions = []string{"1.0", "1.1"}
	core := genesis.Core{Time: 1_700_000_000_000, Params: p}
	now := explain.Now{Core: core, Epoch: 7, Time: core.EpochStart(7) + 4_000, Others: 5}
	id := chain.NodeID{0xab}
	fit := explain.Node{ID: id, State: registry.Active, Listed: true, Staked: p.StakingRequirement, Requirement: p.StakingRequirement,
		Descriptor: &statement.Descriptor{Keys: []statement.OnionKey{{First: 5, Last: 12}}}, DescriptorEpoch: 5,
		LastHeartbeat: now.Time - 3_000, HeartbeatEpoch: 7, Version: "1.1", Credit: 20_000, Performance: 1000}
	for _, c := range []struct {
		name      string
		change    func(*explain.Node)
		eligible  bool
		reasons   []string // the first codes
		says      string
		actions   []string
		do        string
		notListed string
	}{
		{name: "fit", change: func(*explain.Node) {}, eligible: true, reasons: []string{"listed", "credit", "if_silent", "last_chance"},
			says: "listed in epoch 7, and nothing speaks against epoch 8"},
		{name: "waits", change: func(n *explain.Node) { n.Listed = false }, eligible: true, reasons: []string{"waits_for_epoch"},
			says: "made anew every 10.0 s, and that of epoch 8 is due in 6.0 s", notListed: "nothing speaks against it"},
		{name: "not listed and silent from now on", change: func(n *explain.Node) { n.Listed = false }, eligible: true, reasons: []string{"waits_for_epoch", "credit", "if_silent"},
			says: "from now on, it is decommissioned in epoch"},
		{name: "stake", change: func(n *explain.Node) { n.Staked -= 500 * chain.TUN }, reasons: []string{"listed_until_epoch_ends", "stake_missing"},
			says: "500 TUN of stake are missing: it has 1500 of 2000", actions: []string{"contribute"}, do: "`tunic tx contribute " + id.String() + " 500`"},
		{name: "silent", change: func(n *explain.Node) { n.Listed, n.Descriptor = false, nil }, reasons: []string{"not_announced"}, actions: []string{"start_relay"},
			says: "It has not announced itself", notListed: "it has not announced itself; start it with `tunic relay run`"},
		{name: "early", change: func(n *explain.Node) { n.DescriptorEpoch = 9 }, reasons: []string{"listed_until_epoch_ends", "descriptor_early"}, actions: []string{"wait"}, says: "of epoch 9"},
		{name: "old heartbeat", change: func(n *explain.Node) { n.LastHeartbeat, n.HeartbeatEpoch = now.Time-31_000, 4 }, reasons: []string{"listed_until_epoch_ends", "heartbeat_old"},
			actions: []string{"start_relay"}, says: "Its last heartbeat, of epoch 4, is 31.0 s old; one counts for less than 25.0 s"},
		{name: "version", change: func(n *explain.Node) { n.Version = "0.9" }, reasons: []string{"listed_until_epoch_ends", "version_not_allowed"},
			actions: []string{"update_software"}, says: "version 0.9 is not allowed", do: "1.0, 1.1"},
		{name: "key", change: func(n *explain.Node) {
			n.Descriptor = &statement.Descriptor{Keys: []statement.OnionKey{{First: 5, Last: 8}}}
		},
			reasons: []string{"listed_until_epoch_ends", "onion_key_missing"}, actions: []string{"start_relay"}, says: "no onion key for epoch 9"},
		{name: "two that one thing helps", change: func(n *explain.Node) {
			n.LastHeartbeat, n.Descriptor = now.Time-31_000, &statement.Descriptor{Keys: []statement.OnionKey{{First: 1, Last: 2}}}
		}, reasons: []string{"listed_until_epoch_ends", "heartbeat_old", "onion_key_missing"}, actions: []string{"start_relay"}, says: "no onion key for epoch 8"},
		{name: "decommissioned", change: func(n *explain.Node) {
			n.State, n.Listed, n.DecommissionedAt, n.DecommissionedEpoch = registry.Decommissioned, false, core.EpochStart(6), 6
			n.Last = registry.Event{Height: 61, Time: core.EpochStart(6), Reason: "unavailable: loss", Proof: chain.Hash{0xcd}}
		}, reasons: []string{"decommissioned", "history", "out"}, actions: []string{"mend"},
			says: "It became decommissioned in block 61, 2023-11-14 22:14:20Z: unavailable: loss; `tunic slash show cd00"},
		{name: "unlocking", change: func(n *explain.Node) { n.State, n.FreeAt = registry.Unlocking, now.Time+60_000 }, reasons: []string{"listed_until_epoch_ends", "unlocking"},
			actions: []string{"withdraw"}, says: "It is unlocking", do: "From 2023-11-14 22:15:34Z on `tunic tx withdraw " + id.String()},
		{name: "free", change: func(n *explain.Node) { n.State, n.Listed, n.FreeAt = registry.Deregistered, false, now.Time }, reasons: []string{"deregistered"},
			actions: []string{"withdraw"}, says: "It is deregistered", do: "Its stake is free: `tunic tx withdraw"},
		{name: "tombstoned", change: func(n *explain.Node) { n.State, n.Listed = registry.Tombstoned, false }, reasons: []string{"tombstoned"}, actions: []string{"register_anew"}, says: "out for good"},
		{name: "tombstoned, without stake and silent", change: func(n *explain.Node) {
			n.State, n.Listed, n.Staked, n.LastHeartbeat = registry.Tombstoned, false, 1, now.Time-60_000
		}, reasons: []string{"tombstoned"}, actions: []string{"register_anew"}, says: "out for good"}, // neither stake nor heartbeats help
		{name: "unlocking and silent", change: func(n *explain.Node) { n.State, n.Listed, n.LastHeartbeat = registry.Unlocking, false, now.Time-60_000 },
			reasons: []string{"unlocking"}, actions: []string{"withdraw"}, says: "It is unlocking"},
		{name: "left", change: func(n *explain.Node) { n.State, n.Listed = registry.Left, false }, reasons: []string{"left"}, actions: []string{"withdraw"}, says: "It has left"},
	} {
		n := fit
		c.change(&n)
		a := explain.Why(n, now)
		var codes, acts []string
		for _, r := range a.Reasons {
			codes = append(codes, r.Code)
		}
		for _, r := range a.Actions {
			acts = append(acts, r.Code)
		}
		if a.Eligible != c.eligible || len(codes) < len(c.reasons) || !slices.Equal(codes[:len(c.reasons)], c.reasons) || !slices.Equal(acts, c.actions) {
			t.Errorf("%s: eligible %t, reasons %v, actions %v", c.name, a.Eligible, codes, acts)
		}
		if !strings.Contains(text(a.Reasons), c.says) {
			t.Errorf("%s: %q is not in %q", c.name, c.says, text(a.Reasons))
		}
		if !strings.Contains(text(a.Actions), c.do) {
			t.Errorf("%s: %q is not in %q", c.name, c.do, text(a.Actions))
		}
		if got := explain.NotListed(n, now); n.Listed != (got == "") || !strings.HasPrefix(got, c.notListed) {
			t.Errorf("%s: not listed because %q", c.name, got)
		}
	}
}

// Instant is the time that the standard library shows, over 8,000 years.
func TestInstant(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, ms := range []int64{0, 86_399_999, 951_782_400_000, 951_868_800_000, 1_709_164_800_000, 4_107_542_400_000} {
		checkInstant(t, ms)
	}
	for range 20_000 {
		checkInstant(t, r.Int64N(8000*365*86_400_000))
	}
}

func checkInstant(t *testing.T, ms int64) {
	t.Helper()
	if got, want := explain.Instant(chain.Time(ms)), time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05Z"); got != want {
		t.Fatalf("%d ms: %s, want %s", ms, got, want)
	}
}

func ExampleSpan() {
	for _, d := range []chain.Duration{0, 950, 31_040, 65_000, 3_700_000, 30 * genesis.Day} {
		fmt.Println(explain.Span(d))
	}
	// Output:
	// 0.0 s
	// 1.0 s
	// 31.0 s
	// 1 min 5 s
	// 1 h 1 min
	// 30 days 0 h
}
