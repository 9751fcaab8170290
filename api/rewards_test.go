package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/chain/statement"
	"tunic/staking"
)

func (w *world) units(a oas.Amount) (x chain.Amount) {
	w.Helper()
	w.must(x.UnmarshalText([]byte(a)))
	return x
}

// What is said to be earned is what a withdrawal pays, and the parts sum up.
func TestRewards(t *testing.T) {
	w := running(t, nil)
	before := w.ledger.Head().Header.Height
	for range 9 {
		w.seal()
	}
	var r oas.Rewards
	w.ok("/v1/rewards", &r)
	if r.Earning != 2 || w.units(r.PerBlock) != w.gen.Params.BlockReward || r.Outstanding == "0" || r.Height != int64(w.ledger.Head().Header.Height) {
		t.Fatalf("%+v", r)
	}
	if w.units(r.Pool)+w.units(r.Outstanding) != w.gen.RewardPool {
		t.Errorf("pool %s and outstanding %s are not %d", r.Pool, r.Outstanding, w.gen.RewardPool)
	}
	var page oas.StakePage
	w.ok("/v1/stakes", &page)
	var sum chain.Amount
	for _, b := range page.Items {
		for _, c := range b.Contributions {
			sum += w.units(*c.Reward)
		}
	}
	// Rounding stays with the accumulator: below one unit a contributor.
	if due := w.units(r.Outstanding); sum > due || due-sum > 8 {
		t.Errorf("contributors have earned %d of %d", sum, due)
	}
	helper := w.accounts[3]
	var a oas.Account
	w.ok("/v1/accounts/"+helper.at.String(), &a)
	stakes := *a.Stakes
	if len(stakes) != 1 || stakes[0].Node != w.relays[1].id.String() || *stakes[0].Reward != *a.Rewards || *a.Rewards == "0" {
		t.Fatalf("%+v", a)
	}
	var d oas.NodeDetail
	w.ok("/v1/nodes/"+w.relays[1].id.String(), &d)
	if i := slices.IndexFunc(d.Stake.Contributions, func(c oas.Contribution) bool { return c.Account == helper.at.String() }); *d.Stake.Contributions[i].Reward != *a.Rewards {
		t.Errorf("%+v", d.Stake)
	}
	// One more block pays, before the withdrawal that is in it.
	w.must(w.submit(sign(w, helper, staking.WithdrawType, func(h chain.Head) staking.Withdraw {
		return staking.Withdraw{Head: h, Node: w.relays[1].id}
	})))
	head := w.seal().Header.Height
	perBlock := w.units(*a.Rewards) / chain.Amount(head-1-before)
	var after oas.Account
	w.ok("/v1/accounts/"+helper.at.String(), &after)
	if got, want := w.units(after.Balance), w.units(a.Balance)+w.units(*a.Rewards)+perBlock-w.gen.Params.MinFee; *after.Rewards != "0" || got > want+1 || got+1 < want {
		t.Errorf("withdrew to %d, want %d; left %s", got, want, *after.Rewards)
	}
	// At a height of before nothing was withdrawn.
	var old oas.Rewards
	w.ok(fmt.Sprintf("/v1/rewards?height=%d", head), &old)
	if old.Height != int64(head) {
		t.Errorf("%+v", old)
	}
	w.refused(w.get(fmt.Sprintf("/v1/rewards?height=%d", head+1)), http.StatusNotFound, "height_not_found")
}

// Bonds on their way out, by when they can be had.
func TestUnlocking(t *testing.T) {
	w := running(t, nil)
	var page oas.StakePage
	w.ok("/v1/unlocking", &page)
	if page.Total != 0 || len(page.Items) != 0 {
		t.Fatalf("%+v", page)
	}
	unlock := func(by *account, r *relay) {
		w.must(w.submit(sign(w, by, staking.RequestUnlockType, func(h chain.Head) staking.RequestUnlock {
			return staking.RequestUnlock{Head: h, Node: r.id}
		})))
		w.seal()
	}
	unlock(w.accounts[0], w.relays[0])
	w.epoch(2)
	unlock(w.accounts[2], w.relays[2]) // never fully staked: free at once
	unlock(w.accounts[1], w.relays[1])
	w.ok("/v1/unlocking", &page)
	var order []oas.NodeID
	for _, b := range page.Items {
		if b.FreeAtMs == nil || b.UnlockAtMs == nil || *b.FreeAtMs != *b.UnlockAtMs || b.FullyStaked {
			t.Errorf("%+v", b)
		}
		order = append(order, b.Node)
	}
	want := []oas.NodeID{w.relays[2].id.String(), w.relays[0].id.String(), w.relays[1].id.String()}
	if page.Total != 3 || !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
	var got []oas.NodeID
	for cursor := ""; ; {
		page = oas.StakePage{}
		w.ok("/v1/unlocking?limit=1"+cursor, &page)
		got = append(got, page.Items[0].Node)
		if page.NextCursor == nil {
			break
		}
		cursor = "&cursor=" + *page.NextCursor
	}
	if !slices.Equal(got, want) {
		t.Errorf("page by page %v, want %v", got, want)
	}
	w.refused(w.get("/v1/unlocking?cursor=AAAA"), http.StatusBadRequest, "invalid_cursor")
}

// Slashes by the height that punished them, newest first, and what they cost in
// the status.
func TestSlashOrder(t *testing.T) {
	w := judging(t)
	subject := w.relays[0]
	slashed := func() int {
		var st oas.Status
		w.ok("/v1/status", &st)
		return st.Slashes
	}
	// Voted out, and once its credit is used up deregistered.
	for e := chain.Epoch(1); slashed() < 2; e++ {
		if e == 12 {
			t.Fatal("it is still there")
		}
		for _, r := range w.relays[1:] {
			if e > 1 {
				w.tell(w.heartbeat(r, e, 0).Encode())
			}
			w.tell(w.vote(r, subject, statement.ReasonAbsent, 100))
		}
		w.seal()
		w.epoch(e + 1)
	}
	var all, newest, oldest oas.SlashPage
	w.ok("/v1/slashes", &all)
	w.ok("/v1/slashes?order=-height", &newest)
	w.ok("/v1/slashes?order=height", &oldest)
	if len(all.Items) != 2 || len(newest.Items) != 2 || newest.Items[0].Height == newest.Items[1].Height {
		t.Fatalf("%d offences", len(all.Items))
	}
	for i, s := range newest.Items {
		if i > 0 && s.Height > newest.Items[i-1].Height || s.Offence != oldest.Items[len(oldest.Items)-1-i].Offence {
			t.Errorf("newest first: %+v", newest.Items)
		}
	}
	var st oas.Status
	w.ok("/v1/status", &st)
	var total chain.Amount
	for _, s := range all.Items {
		total += w.units(s.Slashed)
	}
	if st.Slashes != len(all.Items) || w.units(st.Slashed) != total {
		t.Errorf("%+v", st)
	}
	w.refused(w.get("/v1/slashes?order=node"), http.StatusBadRequest, "invalid_request")
	var page oas.SlashPage
	w.ok("/v1/slashes?order=-height&limit=1", &page)
	w.refused(w.get("/v1/slashes?order=height&limit=1&cursor="+*page.NextCursor), http.StatusBadRequest, "invalid_cursor")
	w.ok("/v1/slashes?order=-height&limit=1&cursor="+*page.NextCursor, &page)
	if len(page.Items) != 1 || page.Items[0].Offence != newest.Items[1].Offence {
		t.Errorf("second page: %+v", page)
	}
}
