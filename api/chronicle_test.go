package api_test

import (
	"fmt"
	"net/http"
	"testing"

	"tunic/api"
	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/httpx"
	"tunic/ledger"
)

// fresh is another server of the same ledger, which has read nothing yet.
func (w *world) fresh() *world {
	w.Helper()
	h, err := api.New(api.Config{Ledger: w.ledger, Network: w.gen.Network(), Version: "test"})
	w.must(err)
	other := *w
	other.handler, other.client = h, &http.Client{Transport: httpx.InMemory(h)}
	return &other
}

// Whoever asks after each block, in between, or only now gets the same: what is
// read forward, what is read back in small steps, and what follows a revert.
func TestChronicleIsOne(t *testing.T) {
	w := judging(t)
	paths := []string{"/v1/epochs", "/v1/epochs/latest", "/v1/epochs/1", "/v1/epochs/2", "/v1/transactions?limit=1000", "/v1/transactions?kind=publish"}
	for _, r := range w.relays {
		paths = append(paths, "/v1/nodes/"+r.id.String()+"/epochs", "/v1/transactions?node="+r.id.String())
	}
	asked := w.fresh()
	same := func(when string) {
		t.Helper()
		other := w.fresh()
		for _, p := range paths {
			if got, want := asked.ok(p, nil).body, other.ok(p, nil).body; string(got) != string(want) {
				t.Fatalf("%s: %s:\n%s\nread anew:\n%s", when, p, got, want)
			}
		}
		// A little at a time, until there is no more.
		all := *api.ReadAtOnce
		*api.ReadAtOnce = 1
		defer func() { *api.ReadAtOnce = all }()
		slow := w.fresh()
		for range w.ledger.Head().Header.Height {
			slow.ok(paths[0], nil)
		}
		for _, p := range paths {
			if got, want := slow.ok(p, nil).body, other.ok(p, nil).body; string(got) != string(want) {
				t.Fatalf("%s: %s read step by step:\n%s\nat once:\n%s", when, p, got, want)
			}
		}
	}
	for e := w.ledger.Head().Header.DirEpoch; e < 4; e++ {
		for i, r := range w.relays {
			w.tell(w.heartbeat(r, e, 1).Encode())
			w.tell(w.vote(r, w.relays[(i+1)%5], 0, chain.Permille(900+i)))
		}
		w.must(w.submit(w.transfer(w.accounts[0], w.accounts[1], 7)))
		w.seal()
		asked.ok(paths[int(e)%2], nil)
		for i, r := range w.relays {
			w.tell(w.heartbeat(r, e+1, 0).Encode())
			w.tell(w.vote(r, w.relays[(i+2)%5], statement.ReasonLoss, 3))
		}
		w.seal()
		if e == 2 {
			_, err := w.ledger.Snapshot("two")
			w.must(err)
		}
		w.epoch(e + 1)
		same(fmt.Sprintf("in epoch %d", e+1))
	}
	// The revert leaves epoch 2, in a new fork in which all may vote again.
	_, err := w.ledger.Revert(t.Context(), "two")
	w.must(err)
	same("after a revert")
	asked.refused(asked.get("/v1/epochs/3"), http.StatusNotFound, "epoch_not_found")
	w.tell(w.vote(w.relays[0], w.relays[1], 0, 77))
	w.seal()
	same("after another vote")
	var d oas.EpochDetail
	asked.ok("/v1/epochs/2", &d)
	for _, j := range d.Judged {
		if j.Subject == w.relays[1].id.String() {
			for _, v := range j.Votes {
				if v.Voter == w.relays[0].id.String() && v.Score != 77 {
					t.Errorf("the vote of the fork that was given up counts: %+v", v)
				}
			}
		}
	}
	// Ten epochs at once, most of them without a block.
	w.must(w.ledger.AdvanceTo(t.Context(), w.gen.EpochStart(12)))
	same("after a jump")
	_, err = w.ledger.Seal(t.Context())
	w.must(err)
	same("after the jump")
}

// The last 64 epochs are remembered; older ones are told by their headers, and a
// node's go back as far as lists were seen.
func TestManyEpochs(t *testing.T) {
	w := judging(t)
	node := "/v1/nodes/" + w.relays[0].id.String() + "/epochs"
	for e := chain.Epoch(2); e <= 80; e++ {
		for _, r := range w.relays {
			w.tell(w.heartbeat(r, e-1, 1).Encode())
		}
		for _, r := range w.relays {
			if e%7 == 0 { // before its onion key ends
				w.tell(w.descriptor(r, e, 22021).Encode())
			}
		}
		w.seal()
		w.epoch(e)
		if e%10 == 0 {
			w.ok(node, nil)
		}
	}
	fresh := w.fresh()
	for name, c := range map[string]struct {
		w     *world
		since int64 // whose list is known
	}{"that was asked all along": {w, 17}, "that was begun now": {fresh, 80 - ledger.KeptLists + 1}} {
		var list oas.EpochPage
		c.w.ok("/v1/epochs", &list)
		if list.Total != 64 || list.Items[0].Epoch != 80 || list.Items[63].Epoch != 17 || list.Items[63].Transactions == nil {
			t.Errorf("a server %s knows %d epochs", name, list.Total)
		}
		var n oas.NodeEpochs
		c.w.ok(node, &n)
		if n.SinceEpoch != c.since || int64(len(n.Items)) != 80-c.since+1 || n.Items[0].Epoch != 80 {
			t.Errorf("a server %s knows %d epochs of the node since %d, want %d", name, len(n.Items), n.SinceEpoch, c.since)
		}
		var d oas.EpochDetail
		c.w.ok("/v1/epochs/16", &d)
		if d.Running || d.Votes != nil || d.Joined != nil || d.Contributed != nil || d.LastHeight < d.FirstHeight || d.TimeMs != int64(w.gen.EpochStart(16)) {
			t.Errorf("a server %s: epoch 16: %+v", name, d)
		}
		d = oas.EpochDetail{}
		c.w.ok("/v1/epochs/19", &d)
		if d.Contributed == nil || (d.Joined == nil) != (c.since > 18) {
			t.Errorf("a server %s: epoch 19: %+v", name, d)
		}
	}
}

// Where there are very many nodes and votes it is fewer epochs, and the newest
// stays whatever it holds.
func TestNotesAreBounded(t *testing.T) {
	most := *api.KeptNotes
	*api.KeptNotes = 40
	t.Cleanup(func() { *api.KeptNotes = most })
	w := judging(t)
	for e := chain.Epoch(1); e < 6; e++ {
		for i, r := range w.relays {
			w.tell(w.heartbeat(r, e, 1).Encode())
			w.tell(w.vote(r, w.relays[(i+1)%5], 0, 1000))
			w.tell(w.vote(r, w.relays[(i+2)%5], 0, 1000))
		}
		w.seal()
		w.epoch(e + 1)
		w.ok("/v1/epochs", nil)
	}
	for name, w := range map[string]*world{"forward": w, "back": w.fresh()} {
		var list oas.EpochPage
		w.ok("/v1/epochs", &list)
		// 15 notes an epoch and 5 in the newest: two whole ones beside it.
		if list.Total < 2 || list.Total > 3 || list.Items[0].Epoch != 6 || list.Items[1].Votes == nil || *list.Items[1].Votes != 10 {
			t.Errorf("read %s: %+v", name, list.Items)
		}
	}
	*api.KeptNotes = 1
	w = w.fresh()
	var list oas.EpochPage
	w.ok("/v1/epochs", &list)
	if list.Total != 1 || list.Items[0].Epoch != 6 || !list.Items[0].Running {
		t.Errorf("%+v", list.Items)
	}
}

// More blocks than may be read between two requests: it begins anew at the
// head and goes back in steps, and the newest epoch is there at once.
func TestChronicleReadsInSteps(t *testing.T) {
	w := running(t, nil)
	w.ok("/v1/epochs", nil)
	all := *api.ReadAtOnce
	*api.ReadAtOnce = 400 // ten blocks
	t.Cleanup(func() { *api.ReadAtOnce = all })
	first := w.ledger.Head().Header.Height
	for range 35 {
		w.seal()
	}
	var list oas.EpochPage
	w.ok("/v1/epochs", &list)
	if len(list.Items) != 1 || list.Items[0].Epoch != 1 || list.Items[0].Transactions != nil || list.Items[0].FirstHeight != int64(first) || !list.Items[0].Running {
		t.Fatalf("%+v", list.Items)
	}
	var d oas.EpochDetail
	w.ok("/v1/epochs/1", &d)
	if d.FirstHeight != int64(first) || d.Heartbeats != nil || d.Contributed != nil || d.Judged == nil {
		t.Fatalf("%+v", d)
	}
	var txs oas.TransactionPage
	w.ok("/v1/transactions", &txs)
	if txs.SinceHeight <= 1 || txs.Total != 0 {
		t.Fatalf("%+v", txs)
	}
	since := txs.SinceHeight
	for range 4 {
		w.ok("/v1/transactions", &txs)
		if txs.SinceHeight > since {
			t.Fatalf("knows of block %d on, and knew of %d", txs.SinceHeight, since)
		}
		since = txs.SinceHeight
	}
	if since != 1 || txs.Total == 0 {
		t.Fatalf("%+v", txs)
	}
	w.ok("/v1/epochs", &list)
	if len(list.Items) != 2 || list.Items[0].Transactions == nil {
		t.Fatalf("%+v", list.Items)
	}
}
