package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/gin-gonic/gin"
	"pgregory.net/rapid"

	"tunic/internal/testenv"
)

// asSpecified is what the quick way must not go beyond.
func asSpecified(r *route, req *http.Request, path map[string]string) error {
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return err
	}
	for name, values := range query {
		if r.Operation.Parameters.GetByInAndName(openapi3.ParameterInQuery, name) == nil || len(values) > 1 {
			return fmt.Errorf("%s: unknown, or more than once", name)
		}
	}
	return openapi3filter.ValidateRequest(req.Context(), &openapi3filter.RequestValidationInput{
		Request: req, PathParams: path, QueryParams: query, Route: r.Route, Options: &openapi3filter.Options{SkipSettingDefaults: true}})
}

// TestQuickCheck: for any values of any route's parameters, what the quick way
// lets pass is as specified; and it lets pass what most clients send.
func TestQuickCheck(t *testing.T) {
	routes, err := specRoutes()
	if err != nil {
		t.Fatal(err)
	}
	var quick []*route
	words := []string{"", "0", "1", "7", "-1", "+1", "007", "1e3", "1.0", "999", "1000", "1001", "9007199254740992", "9007199254740993", "9223372036854775807",
		"9223372036854775808", "latest", "true", "abc", "a,b", ",", "a+b", "a%20b", "%", "%ZZ", "a;b", "ü", "\x7f", "null", "state", "nodes", "-stake",
		strings.Repeat("0", 64), strings.Repeat("f", 64), strings.Repeat("F", 64), "0x" + strings.Repeat("a", 40), "127.0.0.1", "tunic/1*", strings.Repeat("x", 129), strings.Repeat("x", 300)}
	for _, r := range routes {
		if !r.quick.ok {
			continue
		}
		quick = append(quick, r)
		for _, q := range slices.Concat(r.quick.path, r.quick.query) {
			words = append(words, q.enum...)
		}
	}
	slices.SortFunc(quick, func(a, b *route) int { return strings.Compare(a.Method+a.Path, b.Method+b.Path) })
	slices.Sort(words)
	words = slices.Compact(words)
	if len(quick) < 20 {
		t.Fatalf("%d routes are simple", len(quick))
	}
	passed := 0
	one := func(t *rapid.T) {
		r := rapid.SampledFrom(quick).Draw(t, "route")
		c := new(gin.Context)
		path := map[string]string{}
		value := func(name string) string {
			return rapid.OneOf(rapid.SampledFrom(words), rapid.StringMatching(`[ -~]{0,12}`)).Draw(t, name)
		}
		for _, p := range r.quick.path {
			v := value(p.name)
			path[p.name] = v
			c.Params = append(c.Params, gin.Param{Key: p.name, Value: v})
		}
		names := []string{"other"}
		for _, p := range r.quick.query {
			names = append(names, p.name, p.name, p.name)
		}
		var pairs []string
		for range rapid.IntRange(0, 3).Draw(t, "parameters") {
			pairs = append(pairs, rapid.SampledFrom(names).Draw(t, "name")+rapid.SampledFrom([]string{"=", "=", "=", ""}).Draw(t, "sign")+value("value"))
		}
		c.Request = &http.Request{Method: r.Method, URL: &url.URL{Path: r.Path, RawQuery: strings.Join(pairs, "&")}, Header: http.Header{}}
		for _, h := range r.quick.header {
			if rapid.Bool().Draw(t, h) {
				c.Request.Header.Set(h, value(h))
			}
		}
		if !r.quick.passes(c) {
			return
		}
		passed++
		if err := asSpecified(r, c.Request, path); err != nil {
			t.Fatalf("%s %s?%s %v passes: %v", r.Method, r.Path, c.Request.URL.RawQuery, path, err)
		}
	}
	testenv.Check(t, func(t *rapid.T) {
		for range 300 {
			one(t)
		}
	})
	if passed < 1000 {
		t.Errorf("%d requests pass", passed)
	}

	// What most clients send.
	for _, want := range []string{"/v1/directory", "/v1/directory?epoch=3", "/v1/directory/delta?since=3&epoch=4", "/v1/events?since=17", "/v1/nodes?limit=100",
		"/v1/status", "/v1/params?proof=true"} {
		u, err := url.Parse(want)
		if err != nil {
			t.Fatal(err)
		}
		c := new(gin.Context)
		c.Request = &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}}
		r := routes[routeName{http.MethodGet, u.Path}]
		if got := r != nil && r.quick.passes(c); got != !strings.Contains(want, "true") {
			t.Errorf("%s passes: %v", want, got)
		}
	}
	if r := routes[routeName{http.MethodPost, "/v1/transactions"}]; r.quick.ok {
		t.Error("a route with a body is no simple case")
	}
}
