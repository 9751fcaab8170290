package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/statement"
	"tunic/registry"
)

// judging is a network in epoch 1 with five listed nodes of five operators, so
// that they judge each other.
func judging(t testing.TB) *world {
	t.Helper()
	w := five(t, nil)
	w.epoch(1)
	return w
}

// vote is r's on subject in the head's epoch.
func (w *world) vote(r, subject *relay, why statement.Reasons, score chain.Permille) []byte {
	v := statement.Vote{Subject: subject.id, Epoch: w.ledger.Head().Header.DirEpoch, Reasons: why, Score: score}
	return statement.Sign(w.ledger.Statements(), r.key, statement.LabelVote, statement.NewSequence(v.Epoch, 0), v.Encode()).Encode()
}

// A node is judged by four others: its votes, what they came to, its credit and
// who hears of it.
func TestJudgedNode(t *testing.T) {
	w := judging(t)
	subject := w.relays[0]
	vote := func(r *relay, why statement.Reasons) []byte { return w.vote(r, subject, why, 870) }
	post := func(body []byte) answer {
		return w.do(http.MethodPost, "/v1/statements", body, "Content-Type", "application/octet-stream")
	}
	for _, r := range w.relays[1:] {
		if a := post(vote(r, statement.ReasonLoss|statement.ReasonAbsent)); a.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %s", a.Status, a.body)
		}
	}
	w.refused(post(vote(subject, 0)), http.StatusConflict, registry.CodeNotInQuorum)
	w.seal()
	w.refused(post(vote(w.relays[1], 0)), http.StatusConflict, registry.CodeAlreadyVoted)
	var d oas.NodeDetail
	w.ok("/v1/nodes/"+subject.id.String(), &d)
	if len(d.Votes) != 4 || d.LastCount != nil || d.CreditMs != 20_000 || d.Performance != 1000 || d.DecommissionedMs != nil ||
		d.LastHeartbeatEpoch == nil || *d.LastHeartbeatEpoch != 1 {
		t.Fatalf("before the count: %+v", d)
	}
	w.epoch(2)
	d = oas.NodeDetail{}
	w.ok("/v1/nodes/"+subject.id.String(), &d)
	start := int64(w.gen.EpochStart(2))
	if len(d.Votes) != 0 || d.LastCount == nil || d.State != oas.Decommissioned || d.Performance != 870 || d.CreditMs != 21_666 ||
		d.DecommissionedMs == nil || *d.DecommissionedMs != start || *d.DecommissionedEpoch != 2 {
		t.Fatalf("after the count: %+v", d)
	}
	c := d.LastCount
	if c.Epoch != 1 || c.Voters != 4 || c.Needed != 3 || c.From != oas.Active || c.To != oas.Decommissioned || len(c.Votes) != 4 ||
		!slices.Equal(c.Votes[0].Reasons, []oas.BallotReasons{"absent", "loss"}) || c.Votes[0].Score != 870 {
		t.Fatalf("the count: %+v", c)
	}

	first := w.ledger.Head().Header.Height
	w.seal()
	f := w.events("?since=1")
	for h := chain.Height(1); h <= first+1; h++ {
		e, err := f.events.Next()
		w.must(err)
		var body struct {
			Unlisted []map[string]any `json:"unlisted"`
		}
		w.must(json.Unmarshal(e.Data, &body))
		if h != first {
			if len(body.Unlisted) != 0 {
				t.Errorf("block %d: %v", h, body.Unlisted)
			}
			continue
		}
		if u := body.Unlisted; len(u) != 1 || u[0]["node"] != subject.id.String() || u[0]["decommissioned"] != true || u[0]["since_epoch"] != 2.0 || u[0]["performance"] != 870.0 {
			t.Errorf("unlisted: %v", u)
		}
	}
}
