package pages

import (
	"context"
	"net/http"
	"net/url"

	"tunic/api/client"
	"tunic/chain"
)

// accounts lists balances.
func (s *Site) accounts(r *http.Request) (view, error) {
	res, err := s.api.ListAccountsWithResponse(r.Context(), &client.ListAccountsParams{Limit: &pageLimit, Cursor: cursor(r)})
	if err != nil {
		return view{}, err
	}
	page, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return view{}, err
	}
	return view{Template: "accounts", Title: "Accounts", Nav: "/accounts", Data: struct {
		*client.AccountPage
		Later bool
		Next  string
	}{page, cursor(r) != nil, next("/accounts", url.Values{}, page.NextCursor)}}, nil
}

// accountTxs is how many of an account's transactions its page shows.
var accountTxs = 20

// account shows one account.
func (s *Site) account(r *http.Request) (view, error) {
	name := r.PathValue("address")
	res, err := s.api.GetAccountWithResponse(r.Context(), name, &client.GetAccountParams{})
	if err != nil {
		return view{}, err
	}
	a, err := read(res.JSON200, res.HTTPResponse, res.Body)
	if err != nil {
		return view{}, err
	}
	txs, err := s.listTransactions(r.Context(), &client.ListTransactionsParams{Account: &a.Address, Limit: &accountTxs})
	if err != nil {
		return view{}, err
	}
	bonds, err := s.bondsOf(r.Context(), a)
	if err != nil {
		return view{}, err
	}
	due := a.Rewards != nil && deref(a.Rewards) != "0"
	var staked chain.Amount
	for _, b := range bonds {
		x, _ := units(b.Amount)
		staked += x
		due = due || b.Free
	}
	return view{Template: "account", Title: "Account " + short(a.Address), Nav: "/accounts", Live: "transaction", LiveOf: a.Address, Data: struct {
		*client.Account
		Bonds  []bond
		Staked string
		Due    bool // something can be withdrawn
		Txs    *client.TransactionPage
		Unused bool
	}{a, bonds, inUnits(staked), due, txs, a.Balance == "0" && a.Nonce == "0" && len(bonds) == 0}}, nil
}

// accountBonds is of how many of an account's stakes its page says when they
// are free.
const accountBonds = 20

// bond is an account's stake in a node, and how far that is on its way out.
type bond struct {
	client.AccountStake
	State  string // the node's; empty beyond accountBonds
	FreeAt *int64 // from when on the stake can be withdrawn; nil while it is bound
	Free   bool   // it can be now
}

func (s *Site) bondsOf(ctx context.Context, a *client.Account) ([]bond, error) {
	var out []bond
	status, err := s.chainStatus(ctx)
	if err != nil {
		return nil, err
	}
	for i, stake := range deref(a.Stakes) {
		b := bond{AccountStake: stake}
		if i < accountBonds {
			res, err := s.api.GetNodeWithResponse(ctx, stake.Node, nil)
			if err != nil {
				return nil, err
			}
			n, err := known(read(res.JSON200, res.HTTPResponse, res.Body))
			if err != nil {
				return nil, err
			}
			if n != nil {
				b.State = string(n.State)
			}
			if n != nil && n.Stake != nil && n.Stake.FreeAtMs != nil {
				b.FreeAt, b.Free = n.Stake.FreeAtMs, *n.Stake.FreeAtMs <= status.TimeMs
			}
		}
		out = append(out, b)
	}
	return out, nil
}
