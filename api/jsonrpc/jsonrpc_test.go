package jsonrpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestProtocol: what is asked and what is answered, by a server of three methods.
func TestProtocol(t *testing.T) {
	var log bytes.Buffer
	p := &rpc{server: &server{Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}}, large: map[string]bool{"list": true},
		missing: map[string]string{"send": "use the post"},
		methods: map[string]call{
			"list": func(context.Context, json.RawMessage) (any, error) { return []int{1, 2}, nil },
			"none": func(context.Context, json.RawMessage) (any, error) { return null, nil },
			"fail": func(context.Context, json.RawMessage) (any, error) { return nil, errors.New("a secret") },
		}}
	digits, text := strings.Repeat("9", maxDigits), strings.Repeat("x", maxID)
	const badID = `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request: id must be a string of at most 256 bytes, a number of at most 32 digits, or null"}}`
	for _, c := range []struct {
		body   string
		status int
		want   string
	}{
		{`{"jsonrpc":"2.0","id":1,"method":"list"}`, 200, `{"jsonrpc":"2.0","id":1,"result":[1,2]}`},
		{`{"jsonrpc":"2.0","id":"a","method":"none"}`, 200, `{"jsonrpc":"2.0","id":"a","result":null}`},
		{`{"jsonrpc":"2.0","id":1,"method":"fail"}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal error"}}`},
		{`{"jsonrpc":"2.0","id":1,"method":"send"}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method send is not available: use the post"}}`},
		{`{"jsonrpc":"2.0","id":1,"method":"x"}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"the method \"x\" does not exist"}}`},
		{`{"jsonrpc":"1.0","id":1,"method":"list"}`, 200, `{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"invalid request: jsonrpc must be \"2.0\""}}`},
		{`{"jsonrpc":"2.0","method":"list"}`, 204, ``},
		{`{"jsonrpc":"2.0","id":null,"method":"none"}`, 200, `{"jsonrpc":"2.0","id":null,"result":null}`},
		{`{"jsonrpc":"2.0","id":-1.5e3,"method":"none"}`, 200, `{"jsonrpc":"2.0","id":-1.5e3,"result":null}`},
		{`{"jsonrpc":"2.0","id":` + digits + `,"method":"none"}`, 200, `{"jsonrpc":"2.0","id":` + digits + `,"result":null}`},
		{`{"jsonrpc":"2.0","id":` + digits + `0,"method":"none"}`, 200, badID},
		{`{"jsonrpc":"2.0","id":` + strings.Repeat("9", 400) + `,"method":"none"}`, 200, badID},
		{`{"jsonrpc":"2.0","id":1e999,"method":"none"}`, 200, badID},
		{`{"jsonrpc":"2.0","id":true,"method":"none"}`, 200, badID},
		{`{"jsonrpc":"2.0","id":[1],"method":"none"}`, 200, badID},
		{`{"jsonrpc":"2.0","id":{"a":1},"method":"none"}`, 200, badID},
		{`{"jsonrpc":"2.0","id":"` + text + `","method":"none"}`, 200, `{"jsonrpc":"2.0","id":"` + text + `","result":null}`},
		{`{"jsonrpc":"2.0","id":"` + text + `x","method":"none"}`, 200, badID},
		{`[{"jsonrpc":"2.0","id":1e999,"method":"none"},{"jsonrpc":"2.0","id":2,"method":"none"}]`, 200,
			`[` + badID + `,{"jsonrpc":"2.0","id":2,"result":null}]`},
		{`[]`, 200, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request: a batch of nothing"}}`},
		{`[{"jsonrpc":"2.0","id":1,"method":"list"},{"jsonrpc":"2.0","method":"none"},{"jsonrpc":"2.0","id":2,"method":"list"}]`, 200,
			`[{"jsonrpc":"2.0","id":1,"result":[1,2]},{"jsonrpc":"2.0","id":2,"error":{"code":-32600,"message":"invalid request: one list a batch; ask for another by itself"}}]`},
	} {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader(c.body)))
		if got := strings.TrimSpace(w.Body.String()); w.Code != c.status || got != c.want {
			t.Errorf("%s\ngot  %d %s\nwant %d %s", c.body, w.Code, got, c.status, c.want)
		}
	}
	if !strings.Contains(log.String(), "a secret") {
		t.Error("a fault is not logged")
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest("POST", "/", strings.NewReader("["+strings.Repeat("{},", maxBatch)+"{}]")))
	if !strings.Contains(w.Body.String(), "a batch of 21; send at most 20") {
		t.Errorf("a batch too long: %s", w.Body)
	}
}
