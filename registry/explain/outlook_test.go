package explain_test

import (
	"strings"
	"testing"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/registry"
	"tunic/registry/explain"
)

// text is lines on one.
func text(lines []explain.Line) string {
	var all []string
	for _, l := range lines {
		all = append(all, l.Text)
	}
	return strings.Join(all, " ")
}

// The rules of the dev profile: epochs of 10 s, heartbeats good for 25 s, credit
// 20 s at first, at least 10 s to be decommissioned, a sixth of listed time.
func TestAhead(t *testing.T) {
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	core := genesis.Core{Time: 1_000_000, Params: p}
	at := func(ms chain.Time) chain.Time { return core.Time + ms }
	asked := func(e chain.Epoch, ms chain.Time, others int) explain.Now {
		return explain.Now{Core: core, Epoch: e, Time: at(ms), Others: others}
	}
	for _, c := range []struct {
		name string
		node explain.Node
		e    chain.Epoch
		now  chain.Time // since genesis
		want explain.Outlook
		says []string
	}{
		// Heard at 11 s, good until 36 s: unlisted in epoch 4 (40 s), votes
		// counted at 50 s. Until 40 s it gains 28/6 s: 24.6 s from 50 s on end at
		// 74.6 s; the count after that is epoch 8's.
		{"listed", explain.Node{State: registry.Active, Listed: true, LastHeartbeat: at(11_000), Credit: 20_000}, 1, 12_000,
			explain.Outlook{Credit: 20_000, Unlisted: 4, Decommissioned: 5, Deregistered: 8, BackBy: 6},
			[]string{"may be out for 20.0 s", "grows by 4 h 0 min a day, to 50.0 s", "unlisted in epoch 4, decommissioned in epoch 5", "epoch 8", "heartbeat for epoch 6"}},
		{"listed with little credit", explain.Node{State: registry.Active, Listed: true, LastHeartbeat: at(11_000), Credit: 5_000}, 1, 12_000,
			explain.Outlook{Credit: 5_000, Unlisted: 4, Deregistered: 5, BackBy: 3}, []string{"epoch 5", "a credit of 10.0 s to be given a second chance"}},
		{"silent", explain.Node{State: registry.Active, LastHeartbeat: at(1_000), Credit: 20_000}, 4, 41_000,
			explain.Outlook{Credit: 20_000, Unlisted: 4, Decommissioned: 5, Deregistered: 7, BackBy: 5}, nil},
		// Out since 50 s with 20 s: 9 s are left at 61 s, used up at 70 s.
		{"out and running", explain.Node{State: registry.Decommissioned, HeartbeatEpoch: (6), DecommissionedAt: at(50_000), DecommissionedEpoch: (5), Credit: 9_000},
			6, 61_000, explain.Outlook{Credit: 9_000, Out: 11_000, Deregistered: 7, BackBy: 5, Earliest: 7},
			[]string{"out for 11.0 s and may be out for 9.0 s more", "epoch 7 (", "credit of 0.0 s would be left"}},
		{"out and silent", explain.Node{State: registry.Decommissioned, HeartbeatEpoch: (3), DecommissionedAt: at(50_000), DecommissionedEpoch: (5), Credit: 19_000},
			5, 51_000, explain.Outlook{Credit: 19_000, Left: 18_000, Out: 1_000, Deregistered: 7, BackBy: 5, Earliest: 7}, []string{"credit of 18.0 s would be left"}},
		{"kept out", explain.Node{State: registry.Decommissioned, HeartbeatEpoch: (6), DecommissionedAt: at(50_000), DecommissionedEpoch: (5), Credit: 9_000, Stay: 8},
			6, 61_000, explain.Outlook{Credit: 9_000, Deregistered: 7, BackBy: 5, Left: 0, Out: 11_000, Stay: 13, Earliest: 13}, []string{"out for 8 epochs at least"}},
		{"long out", explain.Node{State: registry.Decommissioned, HeartbeatEpoch: (3), DecommissionedAt: at(50_000), DecommissionedEpoch: (5)},
			9, 95_000, explain.Outlook{Out: 45_000, Deregistered: 10, BackBy: 8, Earliest: 11}, nil},
	} {
		got := explain.Ahead(c.node, asked(c.e, c.now, 5))
		c.want.Gain, c.want.Most = int64(p.CreditPerDay), int64(p.CreditMost)
		if got == nil || *got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
			continue
		}
		words := text(got.Words(c.node, core))
		for _, s := range c.says {
			if !strings.Contains(words, s) {
				t.Errorf("%s: %q is not in %q", c.name, s, words)
			}
		}
	}
	for _, s := range []registry.State{registry.Registered, registry.Deregistered, registry.Unlocking, registry.Left, registry.Tombstoned} {
		if v := explain.Ahead(explain.Node{State: s}, asked(5, 51_000, 5)); v != nil {
			t.Errorf("%s is judged: %+v", s, v)
		}
	}
	few := explain.Ahead(explain.Node{State: registry.Active, Listed: true, LastHeartbeat: at(11_000)}, asked(1, 12_000, 3))
	if words := few.Words(explain.Node{State: registry.Active}, core); !few.TooFew || !strings.Contains(words[0].Text, "Nobody is judged now") {
		t.Errorf("%+v: %v", few, words)
	}
	out := explain.Node{State: registry.Decommissioned, DecommissionedEpoch: 1, DecommissionedAt: at(10_000), LastHeartbeat: at(11_000), HeartbeatEpoch: 1, Stay: 2}
	if words := text(explain.Ahead(out, asked(1, 12_000, 3)).Words(out, core)); !strings.Contains(words, "it is back without votes in the first block of epoch 3") {
		t.Error(words)
	}
}
