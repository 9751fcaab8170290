package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"tunic/api"
	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/statement"
	"tunic/ledger"
	"tunic/registry"
	"tunic/registry/directory"
)

// tell puts a statement into the pool.
func (w *world) tell(st []byte) {
	w.Helper()
	_, err := w.ledger.Publish(w.Context(), st)
	w.must(err)
}

// ids are nodes as answers show them, ascending.
func ids(relays ...*relay) []oas.NodeID {
	out := []oas.NodeID{}
	for _, r := range relays {
		out = append(out, r.id.String())
	}
	slices.Sort(out)
	return out
}

// Three epochs: a node is voted out in the second, and what is told of each.
func TestEpochs(t *testing.T) {
	w := judging(t)
	subject := w.relays[0]
	for i, r := range w.relays[1:] {
		w.tell(w.vote(r, subject, statement.ReasonLoss|statement.Reasons(i&1), chain.Permille(800+10*i)))
		w.tell(w.heartbeat(r, 1, 1).Encode())
	}
	w.must(w.submit(w.transfer(w.accounts[0], w.accounts[1], 7)))
	w.seal()
	w.epoch(2)
	head := w.ledger.Head().Header

	var list oas.EpochPage
	w.ok("/v1/epochs", &list)
	if list.Total != 3 || list.Height != int64(head.Height) || len(list.Items) != 3 || list.NextCursor != nil {
		t.Fatalf("%+v", list)
	}
	two, one, zero := list.Items[0], list.Items[1], list.Items[2]
	if two.Epoch != 2 || !two.Running || two.FirstHeight != int64(head.Height) || two.LastHeight != two.FirstHeight || two.Listed != 4 ||
		two.Beacon != head.Beacon.String() || two.DirectoryRoot != head.Directory.String() || two.EndsMs != int64(w.gen.EpochStart(3)) {
		t.Errorf("epoch 2: %+v", two)
	}
	if one.Epoch != 1 || one.Running || one.LastHeight != int64(head.Height)-1 || one.Listed != 5 || one.TimeMs != int64(w.gen.EpochStart(1)) ||
		*one.Transactions != 1 || *one.Votes != 4 || *one.Heartbeats != 4 || *one.Commitments != 0 {
		t.Errorf("epoch 1: %+v", one)
	}
	if zero.Epoch != 0 || zero.FirstHeight != 1 || zero.Listed != 0 || *zero.Transactions != 5 || *zero.Heartbeats != 5 {
		t.Errorf("epoch 0: %+v", zero)
	}
	var page oas.EpochPage
	w.ok("/v1/epochs?limit=2", &page)
	if len(page.Items) != 2 || page.NextCursor == nil {
		t.Fatalf("%+v", page)
	}
	w.ok("/v1/epochs?limit=2&cursor="+*page.NextCursor, &page)
	if len(page.Items) != 1 || page.Items[0].Epoch != 0 {
		t.Errorf("second page: %+v", page)
	}

	var d oas.EpochDetail
	w.ok("/v1/epochs/1", &d)
	if !slices.Equal(*d.Joined, ids(w.relays...)) || len(*d.Left) != 0 || len(*d.Contributed) != 0 {
		t.Errorf("epoch 1: joined %v, left %v, contributed %v", *d.Joined, *d.Left, *d.Contributed)
	}
	if len(d.Judged) != 1 || d.Judged[0].Subject != subject.id.String() || len(d.Judged[0].Votes) != 4 || *d.Judged[0].Score != 810 ||
		!slices.IsSortedFunc(d.Judged[0].Votes, func(a, b oas.Ballot) int { return strings.Compare(a.Voter, b.Voter) }) {
		t.Errorf("judged in epoch 1: %+v", d.Judged)
	}
	d = oas.EpochDetail{}
	w.ok("/v1/epochs/latest", &d)
	if d.Epoch != 2 || len(*d.Joined) != 0 || !slices.Equal(*d.Left, ids(subject)) || len(d.Judged) != 0 {
		t.Errorf("epoch 2: %+v", d)
	}
	// The heartbeats of epoch 1 from epoch 0, and the second ones, are one voice each.
	if !slices.Equal(*d.Contributed, ids(w.relays...)) || recounted(w, 2) != head.Beacon {
		t.Errorf("contributed %v", *d.Contributed)
	}

	var n oas.NodeEpochs
	w.ok("/v1/nodes/"+subject.id.String()+"/epochs", &n)
	if n.SinceEpoch != 0 || len(n.Items) != 3 {
		t.Fatalf("%+v", n)
	}
	now, judged, first := n.Items[0], n.Items[1], n.Items[2]
	if now.Epoch != 2 || now.Listed || now.Performance != nil || now.Votes != nil || now.From != nil {
		t.Errorf("epoch 2: %+v", now)
	}
	if !judged.Listed || judged.Removed || *judged.Performance != 1000 || judged.Heartbeats != 0 || *judged.Votes != 4 || *judged.Unfit != 4 ||
		*judged.Score != 810 || !slices.Equal(*judged.Reasons, []string{"absent", "loss"}) || *judged.From != oas.Active || *judged.To != oas.Decommissioned {
		t.Errorf("epoch 1: %+v", judged)
	}
	if first.Heartbeats != 1 || first.Listed || first.From != nil {
		t.Errorf("epoch 0: %+v", first)
	}
	w.refused(w.get("/v1/nodes/"+strings.Repeat("00", 32)+"/epochs"), http.StatusNotFound, "node_not_found")
}

// recounted is an epoch's beacon as anybody computes it from the blocks.
func recounted(w *world, e chain.Epoch) chain.Hash {
	count := registry.NewRecount(w.gen.Hash(), e-1)
	var before chain.Hash
	for h := chain.Height(1); h <= w.ledger.Head().Header.Height; h++ {
		b, err := w.ledger.Block(h)
		w.must(err)
		if b.Header.DirEpoch == e-1 {
			before = b.Header.Beacon
		}
		count.Block(b)
	}
	return registry.Close(before, count.Voices(func(id chain.NodeID) (registry.Standing, bool) {
		for _, r := range w.relays {
			if r.id == id {
				return registry.Standing{VRF: r.vrf.Public(), State: registry.Active, Registered: 2}, true
			}
		}
		return registry.Standing{}, false
	}))
}

// Who judges whom, of listed nodes and of one that is out.
func TestQuorums(t *testing.T) {
	w := judging(t)
	subject := w.relays[0]
	check := func(epoch string, out bool) {
		t.Helper()
		var q oas.QuorumPage
		w.ok("/v1/epochs/"+epoch+"/quorums", &q)
		if q.Total != 5 || len(q.Items) != 5 || !slices.IsSortedFunc(q.Items, func(a, b oas.Quorum) int { return strings.Compare(a.Subject, b.Subject) }) {
			t.Fatalf("%+v", q)
		}
		l, header, err := w.ledger.List(chain.Epoch(q.Epoch))
		w.must(err)
		for _, x := range q.Items {
			id, err := chain.ParseNodeID(x.Subject)
			w.must(err)
			voters := l.Voters(header.Header.Beacon, id, int(w.gen.Params.QuorumSize))
			isOut := out && id == subject.id
			if *x.Listed == isOut || x.Voters != len(voters) || x.Needed != directory.VotesNeeded(len(voters), 10, 7) || len(x.Members) != len(l.Entries) {
				t.Errorf("%+v", x)
			}
			for _, v := range voters {
				if !slices.Contains(x.Members, v.String()) {
					t.Errorf("voter %s is no member: %v", v, x.Members)
				}
			}
		}
	}
	check("1", false)
	for _, r := range w.relays[1:] {
		w.tell(w.vote(r, subject, statement.ReasonLoss, 500))
	}
	w.seal()
	w.epoch(2)
	check("latest", true)
	check("1", false)
	var q oas.QuorumPage
	w.ok("/v1/epochs/0/quorums", &q)
	if q.Total != 0 || len(q.Items) != 0 {
		t.Errorf("epoch 0: %+v", q)
	}
	// A list that is not kept has none.
	w.epoch(18)
	w.refused(w.get("/v1/epochs/1/quorums"), http.StatusNotFound, "epoch_not_found")
}

// Epochs that are not there say why.
func TestNoSuchEpoch(t *testing.T) {
	clock := ledger.NewDrivenClock(1_700_000_000_000)
	w := empty(t, func(_ *api.Config, c *ledger.Config) { c.Clock = clock })
	var list oas.EpochPage
	w.ok("/v1/epochs", &list)
	if list.Total != 0 || len(list.Items) != 0 || list.Height != 0 {
		t.Errorf("%+v", list)
	}
	w.refused(w.get("/v1/epochs/latest"), http.StatusServiceUnavailable, "no_head")
	w.refused(w.get("/v1/epochs/0/quorums"), http.StatusServiceUnavailable, "no_head")
	w.seal()
	var d oas.EpochDetail
	w.ok("/v1/epochs/0", &d)
	if d.Listed != 0 || !d.Running || len(*d.Joined) != 0 || len(*d.Contributed) != 0 {
		t.Errorf("epoch 0: %+v", d)
	}
	w.must(clock.Set(w.gen.EpochStart(5)))
	w.seal()
	var skipped oas.EpochPage
	w.ok("/v1/epochs", &skipped)
	if skipped.Total != 2 || skipped.Items[0].Epoch != 5 || skipped.Items[1].Epoch != 0 {
		t.Errorf("%+v", skipped)
	}
	for epoch, says := range map[string]string{"3": "was skipped", "9": "has not come", "99999999999999": "", "999999999999": "has not come"} {
		a := w.get("/v1/epochs/" + epoch)
		if says == "" {
			w.refused(a, http.StatusBadRequest, "invalid_request")
		} else if p := w.refused(a, http.StatusNotFound, "epoch_not_found"); !strings.Contains(p.Detail, says) {
			t.Errorf("epoch %s: %s", epoch, p.Detail)
		}
	}
	w.refused(w.get("/v1/epochs/-1"), http.StatusBadRequest, "invalid_request")
	w.refused(w.get("/v1/epochs/latest/quorums?limit=1001"), http.StatusBadRequest, "limit_too_large")
}
