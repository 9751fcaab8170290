package api_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tunic/api"
	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/statement"
	"tunic/slashing"
	"tunic/staking"
)

// txs reads all pages of a list of transactions, limit at a time.
func (w *world) txs(query string, limit int) (all []oas.TransactionItem) {
	w.Helper()
	for cursor := ""; ; {
		var page oas.TransactionPage
		w.ok(fmt.Sprintf("/v1/transactions?limit=%d%s%s", limit, query, cursor), &page)
		all = append(all, page.Items...)
		if page.NextCursor == nil {
			if int(page.Total) != len(all) {
				w.Errorf("%s: %d of %d", query, len(all), page.Total)
			}
			return all
		}
		if len(page.Items) != limit {
			w.Fatalf("%s: a page of %d", query, len(page.Items))
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

// What is in blocks, by every filter, newest first.
func TestListTransactions(t *testing.T) {
	w := running(t, nil)
	w.must(w.submit(w.transfer(w.accounts[3], w.accounts[4], 7)))
	head := w.seal().Header
	all := w.txs("", 1000)
	if len(all) != 3+1+6+1 || !slices.EqualFunc(all, w.txs("", 2), sameItem) {
		t.Fatalf("%d transactions", len(all))
	}
	first := all[0]
	if first.Kind != "transfer" || *first.Height != int64(head.Height) || *first.TimeMs != int64(head.Time) || *first.Result != "ok" || *first.Amount != "7" ||
		*first.Sender != w.accounts[3].at.String() || *first.To != w.accounts[4].at.String() || first.Node != nil || first.Status != "included" {
		t.Errorf("%+v", first)
	}
	if !slices.IsSortedFunc(all, func(a, b oas.TransactionItem) int {
		if *a.Height != *b.Height {
			return int(*b.Height - *a.Height)
		}
		return *b.Index - *a.Index
	}) {
		t.Error("not newest first")
	}
	one, other := w.relays[1], w.accounts[3]
	for query, want := range map[string]int{
		"&kind=transfer": 1, "&kind=register": 3, "&kind=contribute": 1, "&kind=publish": 6, "&kind=signed": 5, "&kind=dev": 0, "&kind=withdraw": 0,
		"&account=" + other.at.String(): 2, "&account=" + w.accounts[4].at.String(): 1, "&account=" + other.at.String() + "&kind=transfer": 1,
		"&account=" + other.at.String() + "&kind=publish": 0,
		"&node=" + one.id.String():                        4, "&node=" + one.id.String() + "&kind=publish": 2, "&node=" + strings.Repeat("00", 32): 0, "&status=included": 11,
		"&node=" + one.id.String() + "&account=" + other.at.String(): 1,
	} {
		if got := w.txs(query, 1000); len(got) != want {
			t.Errorf("%s: %d, want %d", query, len(got), want)
		}
	}
	for _, item := range w.txs("&kind=publish", 10) {
		if item.Node == nil || item.Label == nil || item.Sender != nil {
			t.Errorf("%+v", item)
		}
	}
	for query, code := range map[string]string{
		"kind=mint": "invalid_request", "status=refused": "invalid_request", "account=0x00": "invalid_request", "node=00": "invalid_request",
		"cursor=AA": "invalid_cursor", "limit=1001": "limit_too_large",
	} {
		w.refused(w.get("/v1/transactions?"+query), http.StatusBadRequest, code)
	}
	// A cursor is of its filters and its history.
	var page oas.TransactionPage
	w.ok("/v1/transactions?limit=1&kind=register", &page)
	cursor := "cursor=" + *page.NextCursor
	w.refused(w.get("/v1/transactions?limit=1&kind=publish&"+cursor), http.StatusBadRequest, "invalid_cursor")
	// It is pinned: what comes later does not shift it.
	w.must(w.submit(w.transfer(w.accounts[3], w.accounts[4], 8)))
	w.seal()
	var next oas.TransactionPage
	w.ok("/v1/transactions?limit=5&kind=register&"+cursor, &next)
	if next.Height != page.Height || next.Total != page.Total || len(next.Items) != 2 {
		t.Errorf("%+v", next)
	}
}

func sameItem(a, b oas.TransactionItem) bool { return a.Id == b.Id && *a.Height == *b.Height }

// What waits: by account and nonce, statements last.
func TestPendingTransactions(t *testing.T) {
	w := running(t, nil)
	if all := w.txs("&status=pending", 10); len(all) != 0 {
		t.Fatalf("%+v", all)
	}
	w.tell(w.heartbeat(w.relays[0], 1, 1).Encode())
	var want []oas.Hash
	for _, a := range []*account{w.accounts[4], w.accounts[3]} {
		for i := range 3 {
			tx := w.transfer(a, w.accounts[0], chain.Amount(i+1))
			w.must(w.submit(tx))
			want = append(want, tx.ID().String())
		}
	}
	if bytes.Compare(w.accounts[3].at[:], w.accounts[4].at[:]) < 0 {
		want = slices.Concat(want[3:], want[:3])
	}
	var got []oas.Hash
	for i, item := range w.txs("&status=pending", 2) {
		if item.Status != "pending" || item.Height != nil || item.Result != nil || (item.Kind == "publish") != (i == 6) {
			t.Errorf("%+v", item)
		}
		if i < 6 {
			got = append(got, item.Id)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if n := len(w.txs("&status=pending&kind=publish", 10)); n != 1 {
		t.Errorf("%d statements wait", n)
	}
	if n := len(w.txs("&status=pending&account="+w.accounts[3].at.String(), 10)); n != 3 {
		t.Errorf("%d of the account wait", n)
	}
	w.seal()
	if all := w.txs("&status=pending", 10); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// Only the last ones are remembered, and from where on all are there is said.
func TestTransactionsAreBounded(t *testing.T) {
	most := *api.KeptTxs
	*api.KeptTxs = 10
	t.Cleanup(func() { *api.KeptTxs = most })
	w := running(t, nil)
	since := func() (page oas.TransactionPage) {
		w.ok("/v1/transactions?kind=transfer&limit=1000", &page)
		return page
	}
	since()
	for range 8 {
		for range 3 {
			w.must(w.submit(w.transfer(w.accounts[3], w.accounts[4], 1)))
		}
		w.seal()
	}
	read := since() // forward
	if read.Total != 10 || read.SinceHeight != int64(w.ledger.Head().Header.Height)-2 {
		t.Errorf("%d from %d on, the head is %d", read.Total, read.SinceHeight, w.ledger.Head().Header.Height)
	}
	again := w.fresh()
	var back oas.TransactionPage
	again.ok("/v1/transactions?kind=transfer&limit=1000", &back)
	if back.Total != read.Total || back.SinceHeight != read.SinceHeight {
		t.Errorf("read back: %d from %d on, forward: %d from %d on", back.Total, back.SinceHeight, read.Total, read.SinceHeight)
	}
	var e oas.EpochDetail
	again.ok("/v1/epochs/1", &e)
	if *e.Transactions != 24 {
		t.Errorf("%d transactions are counted in epoch 1", *e.Transactions)
	}
}

// A receipt: when, how deep, what it cost and what it brought about.
func TestReceipts(t *testing.T) {
	w := running(t, nil)
	receipt := func(id chain.Hash) (tx oas.Transaction) {
		t.Helper()
		w.ok("/v1/transactions/"+id.String(), &tx)
		return tx
	}
	tx := w.transfer(w.accounts[3], w.accounts[4], 7)
	w.must(w.submit(tx))
	if got := receipt(tx.ID()); got.Confirmations != nil || got.TimeMs != nil || *got.HeadHeight != int64(w.ledger.Head().Header.Height) || *got.To != w.accounts[4].at.String() {
		t.Errorf("pending: %+v", got)
	}
	at := w.seal().Header
	w.seal()
	if got := receipt(tx.ID()); *got.Confirmations != 2 || *got.TimeMs != int64(at.Time) || *got.Fee != fmt.Sprint(uint64(w.gen.Params.MinFee)) || *got.Amount != "7" || got.Event != nil || got.Offence != nil {
		t.Errorf("included: %+v", got)
	}
	for _, item := range w.txs("&kind=register", 10) {
		id, err := chain.ParseHash(item.Id)
		w.must(err)
		if got := receipt(id); got.Event == nil || got.Event.To != oas.Registered || got.Event.Height != *got.Height || *got.Node != *item.Node {
			t.Errorf("registration: %+v", got)
		}
	}
	unlock := sign(w, w.accounts[1], staking.RequestUnlockType, func(h chain.Head) staking.RequestUnlock {
		return staking.RequestUnlock{Head: h, Node: w.relays[1].id}
	})
	w.must(w.submit(unlock))
	// A proof, reported by the third node.
	l, header, err := w.ledger.List(1)
	w.must(err)
	p, err := slashing.Assemble(slashing.DoubleDescriptor, w.descriptor(w.relays[0], 2, 1).Encode(), w.descriptor(w.relays[0], 2, 2).Encode(), header, l)
	w.must(err)
	report := statement.Sign(w.ledger.Statements(), w.relays[2].key, statement.LabelProof, statement.NewSequence(1, 0), p.Encode())
	reported, err := w.ledger.Publish(t.Context(), report.Encode())
	w.must(err)
	w.seal()
	if got := receipt(unlock.ID()); got.Event == nil || got.Event.To != oas.Unlocking {
		t.Errorf("unlock: %+v", got)
	}
	if got := receipt(reported); got.Offence == nil || *got.Offence != p.ID().String() || got.Event == nil || got.Event.To != oas.Tombstoned || *got.About != w.relays[0].id.String() || *got.Node != w.relays[2].id.String() ||
		*got.Event.Proof != p.ID().String() {
		t.Errorf("report: %+v", got)
	}
	if found := w.txs("&node="+w.relays[0].id.String()+"&kind=publish", 10); len(found) != 3 || *found[0].Label != "proof report" || *found[0].About != w.relays[0].id.String() {
		t.Errorf("%+v", found)
	}
	var st oas.Status
	w.ok("/v1/status", &st)
	if st.Slashes != 1 || st.Slashed != "100000000000" {
		t.Errorf("status: %d offences took %s", st.Slashes, st.Slashed)
	}
	// A refusal is said in words.
	broke := sign(w, w.accounts[1], staking.RequestUnlockType, func(h chain.Head) staking.RequestUnlock {
		return staking.RequestUnlock{Head: h, Node: w.relays[1].id}
	})
	w.must(w.submit(broke))
	w.seal()
	if got := receipt(broke.ID()); got.Status != oas.Refused || *got.Result != staking.CodeAlreadyUnlocking || !strings.Contains(*got.Detail, "unlocks at") || got.Confirmations != nil {
		t.Errorf("refused: %+v", got)
	}
}
