package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tunic/api/client"
	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/httpx"
	"tunic/node"
)

// remote is a ledger over its API. What is not verified is shown as its word.
type remote struct {
	net     genesis.Network
	through *node.Proxy // as $TUNIC_PROXY says; nil: none
	http    *http.Client
	api     *client.ClientWithResponses
}

// remote reads the network file and takes its first URL.
func (a *app) remote(file string) (*remote, error) {
	n, err := network(file)
	if err != nil {
		return nil, err
	}
	return newRemote(n)
}

// newRemote is the ledger at the first URL of n.
func newRemote(n genesis.Network) (*remote, error) {
	if len(n.URLs) == 0 {
		return nil, usage("the network file names no ledger; add its URL under \"urls\"")
	}
	for i, u := range n.URLs {
		n.URLs[i] = strings.TrimRight(u, "/")
	}
	h := &http.Client{Timeout: 15 * time.Second}
	through, err := proxied("")
	if err != nil {
		return nil, err
	}
	if through != nil {
		h = through.HTTP()
		h.Timeout = time.Minute
	}
	c, err := client.NewClientWithResponses(n.URLs[0], client.WithHTTPClient(h))
	if err != nil {
		return nil, fmt.Errorf("ledger URL: %w", err)
	}
	return &remote{net: n, through: through, http: h, api: c}, nil
}

// feed is the verified view.
func (r *remote) feed() (*feed.Feed, error) {
	return feed.New(feed.Config{Network: r.net, HTTP: r.http})
}

func (r *remote) domain() chain.Domain { return chain.NewDomain(r.net.ChainID, r.net.Genesis) }

// answer checks what a call gave: the body of a 2xx, a problem otherwise.
func answer(status int, body []byte, err error) error {
	var u *url.Error
	switch {
	case errors.Is(err, node.ErrProxy):
		return proxyProblem(err)
	case errors.As(err, &u) && u.Timeout():
		return fail(exitUnreachable, "timeout", "the ledger did not answer in time", "%s", u.URL)
	case errors.As(err, &u):
		return fail(exitUnreachable, "unreachable", "the ledger is unreachable", "%v; is it running? the network file says where", u.Err)
	case err != nil:
		return fail(exitUnreachable, "bad_answer", "no usable answer from the ledger", "%v", err)
	case status/100 == 2:
		return nil
	}
	var p httpx.Problem
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		return fail(exitUnreachable, "bad_answer", "no usable answer from the ledger", "HTTP status %d", status)
	}
	exit := exitRefused
	switch {
	case status >= 500 || status == http.StatusTooManyRequests:
		exit = exitUnreachable
	case status == http.StatusNotFound, status == http.StatusGone:
		exit = exitFailed
	}
	title := p.Title
	switch exit { // the status' text would say less
	case exitRefused:
		title = "refused: " + p.Code
	case exitFailed:
		title = "the ledger does not know it"
		if status == http.StatusGone {
			title = "the ledger does not keep it any more"
		}
	}
	return fail(exit, p.Code, title, "%s", p.Detail)
}

// errNoJSON means that an answer of the right status holds something else.
var errNoJSON = errors.New("the answer is not the JSON that it should be")

// decoded is what a call gave: v, read from the body of a 200, or a problem.
func decoded[T any](status int, body []byte, v *T) (*T, error) {
	if err := answer(status, body, nil); err != nil {
		return nil, err
	}
	if v == nil {
		return nil, answer(0, nil, errNoJSON)
	}
	return v, nil
}

// pageSize is the most that the ledger gives at once.
const pageSize = 1000

// pages reads a list to its end: next gives the page at a cursor, nil for the
// first, and the cursor of the one behind it.
func pages[T any](next func(cursor *string) ([]T, *string, error)) ([]T, error) {
	all := []T{}
	for cursor := (*string)(nil); ; {
		items, more, err := next(cursor)
		if err != nil {
			return nil, err
		}
		all = append(all, items...)
		if cursor = more; cursor == nil || len(items) == 0 {
			return all, nil
		}
	}
}

const (
	idLen     = 64 // hex digits of an id
	minPrefix = 4  // of which so many must be given
)

// idDigits are the hex digits of an id, or the first ones of it, in lower case.
func idDigits(text, of string) (string, error) {
	digits := strings.ToLower(strings.TrimPrefix(text, "0x"))
	if len(digits) < minPrefix || len(digits) > idLen || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", usage("%q is no %s id; give %d hex digits, or at least the first %d", text, of, idLen, minPrefix)
	}
	return digits, nil
}

// account is what the ledger says of one.
type account struct {
	Balance chain.Amount
	Nonce   uint64 // the next that a transaction should carry
}

// account asks for one after a block; nil is the newest.
func (r *remote) account(ctx context.Context, of chain.Address, height *int64) (account, error) {
	res, err := r.api.GetAccountWithResponse(ctx, of.String(), &client.GetAccountParams{Height: height})
	if err != nil {
		return account{}, answer(0, nil, err)
	}
	x, err := decoded(res.StatusCode(), res.Body, res.JSON200)
	if err != nil {
		return account{}, err
	}
	var out account
	if err := out.Balance.UnmarshalText([]byte(x.Balance)); err != nil {
		return out, err
	}
	nonce := x.Nonce
	if x.NextNonce != nil {
		nonce = *x.NextNonce
	}
	out.Nonce, err = strconv.ParseUint(nonce, 10, 64)
	return out, err
}

// fetch gets canonical bytes at path, at most limit.
func (r *remote) fetch(ctx context.Context, path string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.net.URLs[0]+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/octet-stream")
	res, err := r.http.Do(req)
	if err != nil {
		return nil, answer(0, nil, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return nil, answer(0, nil, err)
	}
	if int64(len(b)) > limit {
		return nil, fail(exitUnreachable, "bad_answer", "no usable answer from the ledger", "over %d bytes", limit)
	}
	return b, answer(res.StatusCode, b, nil)
}
