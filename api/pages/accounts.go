package pages

import (
	"net/http"
	"net/url"

	"tunic/api/client"
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
	if err != nil && !missing(err) {
		return view{}, err
	}
	stakes := deref(a.Stakes)
	return view{Template: "account", Title: "Account " + short(a.Address), Nav: "/accounts", Live: "transaction", LiveOf: a.Address, Data: struct {
		*client.Account
		Bonds  []client.AccountStake
		Txs    *client.TransactionPage
		Unused bool
	}{a, stakes, txs, a.Balance == "0" && a.Nonce == "0" && len(stakes) == 0}}, nil
}
