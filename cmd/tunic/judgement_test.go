package main

import (
	"bytes"
	"strings"
	"testing"

	"tunic/api/client"
	"tunic/chain/genesis"
)

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
