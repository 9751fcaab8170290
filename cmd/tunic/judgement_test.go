package main

import (
	"bytes"
	"strings"
	"testing"

	"tunic/api/client"
	"tunic/chain"
	"tunic/chain/genesis"
)

// The rules of the dev profile: epochs of 10 s, heartbeats good for 25 s, credit
// 20 s at first, at least 10 s to be decommissioned, a sixth of listed time.
func TestJudgementAhead(t *testing.T) {
	p, err := genesis.For(genesis.Dev)
	if err != nil {
		t.Fatal(err)
	}
	core := genesis.Core{Time: 1_000_000, Params: p}
	at := func(ms int64) *int64 { ms += int64(core.Time); return &ms }
	epoch := func(e int64) *int64 { return &e }
	for _, c := range []struct {
		name string
		node client.NodeDetail
		e    chain.Epoch
		now  int64 // since genesis
		want judgementView
		says []string
	}{
		// Heard at 11 s, good until 36 s: unlisted in epoch 4 (40 s), votes
		// counted at 50 s. Until 40 s it gains 28/6 s: 24.6 s from 50 s on end at
		// 74.6 s; the count after that is epoch 8's.
		{"listed", client.NodeDetail{State: client.Active, Listed: true, LastHeartbeatMs: at(11_000), CreditMs: 20_000}, 1, 12_000,
			judgementView{Credit: 20_000, Unlisted: 4, Decommissioned: 5, Deregistered: 8, BackBy: 6},
			[]string{"may be out for 20.0 s", "grows by 4 h 0 min a day, to 50.0 s", "unlisted in epoch 4, decommissioned in epoch 5", "epoch 8", "heartbeat for epoch 6"}},
		{"listed with little credit", client.NodeDetail{State: client.Active, Listed: true, LastHeartbeatMs: at(11_000), CreditMs: 5_000}, 1, 12_000,
			judgementView{Credit: 5_000, Unlisted: 4, Deregistered: 5, BackBy: 3}, []string{"epoch 5", "a credit of 10.0 s to be given a second chance"}},
		{"silent", client.NodeDetail{State: client.Active, LastHeartbeatMs: at(1_000), CreditMs: 20_000}, 4, 41_000,
			judgementView{Credit: 20_000, Unlisted: 4, Decommissioned: 5, Deregistered: 7, BackBy: 5}, nil},
		// Out since 50 s with 20 s: 9 s are left at 61 s, used up at 70 s.
		{"out and running", client.NodeDetail{State: client.Decommissioned, LastHeartbeatEpoch: epoch(6), DecommissionedMs: at(50_000), DecommissionedEpoch: epoch(5), CreditMs: 9_000},
			6, 61_000, judgementView{Credit: 9_000, Out: 11_000, Deregistered: 7, BackBy: 5, Earliest: 7},
			[]string{"out for 11.0 s and may be out for 9.0 s more", "epoch 7 (", "credit of 0.0 s would be left"}},
		{"out and silent", client.NodeDetail{State: client.Decommissioned, LastHeartbeatEpoch: epoch(3), DecommissionedMs: at(50_000), DecommissionedEpoch: epoch(5), CreditMs: 19_000},
			5, 51_000, judgementView{Credit: 19_000, Left: 18_000, Out: 1_000, Deregistered: 7, BackBy: 5, Earliest: 7}, []string{"credit of 18.0 s would be left"}},
		{"kept out", client.NodeDetail{State: client.Decommissioned, LastHeartbeatEpoch: epoch(6), DecommissionedMs: at(50_000), DecommissionedEpoch: epoch(5), CreditMs: 9_000, StayEpochs: new(8)},
			6, 61_000, judgementView{Credit: 9_000, Deregistered: 7, BackBy: 5, Left: 0, Out: 11_000, Stay: 13, Earliest: 13}, []string{"out for 8 epochs at least"}},
		{"long out", client.NodeDetail{State: client.Decommissioned, LastHeartbeatEpoch: epoch(3), DecommissionedMs: at(50_000), DecommissionedEpoch: epoch(5)},
			9, 95_000, judgementView{Out: 45_000, Deregistered: 10, BackBy: 8, Earliest: 11}, nil},
	} {
		got := judgementOf(core, &c.node, c.e, int64(core.Time)+c.now, 5)
		c.want.Gain, c.want.Most = int64(p.CreditPerDay), int64(p.CreditMost)
		if got == nil || *got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
			continue
		}
		words := strings.Join(got.words(core, &c.node), " ")
		for _, s := range c.says {
			if !strings.Contains(words, s) {
				t.Errorf("%s: %q is not in %q", c.name, s, words)
			}
		}
	}
	for _, s := range []client.NodeState{client.Registered, client.Deregistered, client.Unlocking, client.Left, client.Tombstoned} {
		if v := judgementOf(core, &client.NodeDetail{State: s}, 5, int64(core.Time)+51_000, 5); v != nil {
			t.Errorf("%s is judged: %+v", s, v)
		}
	}
	few := judgementOf(core, &client.NodeDetail{State: client.Active, Listed: true, LastHeartbeatMs: at(11_000)}, 1, int64(core.Time)+12_000, 3)
	if words := few.words(core, &client.NodeDetail{State: client.Active}); !few.TooFew || !strings.Contains(words[0], "Nobody is judged now") {
		t.Errorf("%+v: %v", few, words)
	}
}

func TestJudgementPrinted(t *testing.T) {
	var out bytes.Buffer
	n := &client.NodeDetail{State: client.Tombstoned, Performance: 930,
		Votes: []client.Ballot{{Voter: strings.Repeat("ab", 32), Score: 1000, Reasons: []client.BallotReasons{}}},
		LastCount: &client.VoteCount{Epoch: 7, Height: 91, Voters: 9, Needed: 6, From: client.Active, To: client.Decommissioned,
			Votes: []client.Ballot{{Voter: strings.Repeat("cd", 32), Score: 870, Reasons: []client.BallotReasons{"absent", "loss"}}}}}
	new(app).printJudgement(&out, genesis.Core{}, n, nil)
	for _, want := range []string{"930/1000", "of epoch 7, in block 91: 1 of 9 voted, 6 had to agree; active -> decommissioned",
		"cdcdcdcd", "unfit: absent, loss, score 870/1000", "1 vote in this epoch", "abababab", "fit, score 1000/1000"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	out.Reset()
	until := int64(1_200_000)
	n.State, n.LastCount.From, n.LastCount.To = client.Deregistered, client.Decommissioned, client.Deregistered
	n.History = []client.NodeEvent{{Reason: "unavailable: absent"}}
	n.Stake = &client.Stake{LockedUntilMs: &until}
	new(app).printJudgement(&out, genesis.Core{}, n, nil)
	for _, want := range []string{"930/1000, when it was last judged",
		"It was deregistered in block 91: its judges of epoch 7 found it unfit (absent), and it had no credit left; its stake is locked until 1970-01-01 00:20:00Z."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	out.Reset()
	new(app).printJudgement(&out, genesis.Core{}, &client.NodeDetail{}, nil)
	if !strings.Contains(out.String(), "no votes on it were ever counted") {
		t.Error(out.String())
	}
}
