package pages

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"tunic/api/client"
	"tunic/chain"
	"tunic/internal/httpx"
)

// faucetMost is the most that the page gives at once; /dev/fund gives more.
const faucetMost = 10_000 * chain.TUN

// faucetForm is what the faucet's page holds: a form, what is wrong with it, or
// what it gave.
type faucetForm struct {
	Address, Amount       string
	BadAddress, BadAmount string
	Why                   string // the ledger's refusal
	Most                  chain.Amount
	Pool                  string
	Given                 *faucetGift
}

// faucetGift is what a form that was sent has brought about.
type faucetGift struct {
	Account *client.Account
	Height  int64
	Txs     []client.TransactionBrief // of the sealer's hand, in that block
}

func (s *Site) faucetView(r *http.Request, form faucetForm, status int) (view, error) {
	chainStatus, err := s.chainStatus(r.Context())
	if err != nil {
		return view{}, err
	}
	form.Most, form.Pool = faucetMost, chainStatus.RewardPool
	return view{Template: "faucet", Title: "Faucet", Nav: "/faucet", Status: status, Data: form, status: chainStatus}, nil
}

// faucet shows the form or, sent here by fund, what it gave.
func (s *Site) faucet(r *http.Request) (view, error) {
	if err := s.hasFaucet(); err != nil {
		return view{}, err
	}
	q := r.URL.Query()
	form := faucetForm{Address: q.Get("account"), Amount: "1000"}
	if height := q.Get("height"); height != "" {
		given, err := s.gift(r, form.Address, height)
		if err != nil {
			return view{}, err
		}
		form.Given = given
	}
	return s.faucetView(r, form, 0)
}

func (s *Site) hasFaucet() error {
	if s.cfg.Faucet {
		return nil
	}
	return httpx.Problem{Status: http.StatusNotFound, Code: "no_such_route", Detail: "only networks for development have a faucet"}
}

// gift is what a block's funds did for an account.
func (s *Site) gift(r *http.Request, address, height string) (*faucetGift, error) {
	account, err := s.api.GetAccountWithResponse(r.Context(), address, &client.GetAccountParams{})
	if err != nil {
		return nil, err
	}
	a, err := read(account.JSON200, account.HTTPResponse, account.Body)
	if err != nil {
		return nil, err
	}
	block, err := s.api.GetBlockWithResponse(r.Context(), height)
	if err != nil {
		return nil, err
	}
	b, err := read(block.JSON200, block.HTTPResponse, block.Body)
	if err != nil {
		return nil, err
	}
	out := &faucetGift{Account: a, Height: b.Header.Height}
	for _, t := range b.Transactions {
		if t.Kind == "dev" {
			out.Txs = append(out.Txs, t)
		}
	}
	return out, nil
}

// fund gives an account units of the reward pool, and sends the browser to a
// page about it, so that loading that again gives nothing more.
func (s *Site) fund(r *http.Request) (view, error) {
	if err := s.hasFaucet(); err != nil {
		return view{}, err
	}
	if err := r.ParseForm(); err != nil {
		return view{}, httpx.Problem{Status: http.StatusBadRequest, Code: "malformed_body", Detail: "the form cannot be read"}
	}
	form := faucetForm{Address: strings.TrimSpace(r.PostForm.Get("address")), Amount: strings.TrimSpace(r.PostForm.Get("amount"))}
	to, err := chain.ParseAddress(form.Address)
	if err != nil {
		form.BadAddress = "Give 0x and 40 hex digits. Where there are capitals among them, they are a checksum: this one does not fit, or digits are missing."
	}
	amount, err := chain.ParseTUN(form.Amount)
	switch {
	case err != nil:
		form.BadAmount = "Give a number of TUN with a point and at most nine digits behind it, such as 12.5."
	case amount == 0:
		form.BadAmount = "Give more than nothing."
	case amount > faucetMost:
		form.BadAmount = fmt.Sprintf("Give at most %s TUN at once.", faucetMost)
	}
	if form.BadAddress != "" || form.BadAmount != "" {
		v, err := s.faucetView(r, form, http.StatusUnprocessableEntity)
		v.Problem = &httpx.Problem{Status: http.StatusBadRequest, Code: "invalid_request", Detail: strings.TrimSpace(form.BadAddress + " " + form.BadAmount)}
		return v, err
	}
	units, _ := amount.MarshalText()
	res, err := s.api.DevFundWithResponse(r.Context(), client.DevFund{Address: to.String(), Amount: string(units)})
	if err != nil {
		return view{}, err
	}
	head, err := read(res.JSON200, res.HTTPResponse, res.Body)
	var p httpx.Problem
	switch {
	case errors.As(err, &p) && (p.Status == http.StatusConflict || p.Status == http.StatusUnprocessableEntity):
		form.Why = p.Detail
		v, err := s.faucetView(r, form, p.Status)
		v.Problem = &p
		return v, err
	case err != nil:
		return view{}, err
	}
	q := url.Values{"account": {to.String()}, "height": {fmt.Sprint(head.Height)}}
	return view{Location: "/faucet?" + q.Encode()}, nil
}
