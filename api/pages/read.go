package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"tunic/internal/httpx"
)

// read returns the value of an answer of 200, or the problem that came instead,
// as an httpx.Problem:
//
//	res, err := s.api.GetBlockWithResponse(ctx, name)
//	if err != nil { return view{}, err }
//	block, err := read(res.JSON200, res.HTTPResponse, res.Body)
func read[T any](ok *T, res *http.Response, body []byte) (*T, error) {
	if ok != nil {
		return ok, nil
	}
	p := httpx.Problem{Status: http.StatusBadGateway, Code: "unexpected_answer", Detail: "the API answered with neither a value nor a problem"}
	if res != nil && res.StatusCode >= 400 {
		var given httpx.Problem
		if json.Unmarshal(body, &given) == nil && given.Code != "" {
			p = given
			p.Instance = "" // the page's, not the one that it asked
		}
		p.Status = res.StatusCode
	}
	return nil, p
}

// missing reports whether err says that there is no such thing, so that a page
// can say so in a part of it and show the rest.
func missing(err error) bool {
	var p httpx.Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound
}

// known is a part of a page that may not be there, or not any more: nil without
// an error then.
func known[T any](v *T, err error) (*T, error) {
	if missing(err) {
		return nil, nil
	}
	return v, err
}

// problemOf is the problem that an error is.
func problemOf(err error) httpx.Problem {
	var p httpx.Problem
	if errors.As(err, &p) {
		return p
	}
	return httpx.Problem{Status: http.StatusBadGateway, Code: "api_unreachable", Detail: "the API behind these pages does not answer"}
}

// base is where commands ask the ledger: the first URL of the network file.
func (s *Site) base(ctx context.Context) string {
	if res, err := s.api.GetNetworkWithResponse(ctx); err == nil && res.JSON200 != nil {
		if urls, _ := (*res.JSON200)["urls"].([]any); len(urls) > 0 {
			return strings.TrimSuffix(fmt.Sprint(urls[0]), "/")
		}
	}
	return "http://LEDGER"
}

// ptr is where a parameter that may be left out stands; nil for its zero value.
func ptr[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// deref is what p points to, or the zero value.
func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// cursor is the query's, nil on the first page of a list.
func cursor(r *http.Request) *string { return ptr(r.URL.Query().Get("cursor")) }

// number reads digits; 0 where text is something else.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
