package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"tunic/internal/httpx"
)

// Codes of JSON-RPC 2.0, and Ethereum's for what the server cannot answer.
const (
	rpcParse   = -32700
	rpcRequest = -32600
	rpcMethod  = -32601
	rpcParams  = -32602
	rpcServer  = -32000
)

// maxBatch is how many requests one batch may hold.
const maxBatch = 20

// rpcError is an error of JSON-RPC.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return e.Message }

func rpcFailed(code int, format string, args ...any) *rpcError {
	return &rpcError{code, clip(fmt.Sprintf(format, args...), maxProblemDetail)}
}

// rpcCall answers one method: with a result, or with an error, of which the
// client sees an *rpcError alone. params is an object, an array, or nil.
type rpcCall func(ctx context.Context, params json.RawMessage) (any, error)

// rpc answers JSON-RPC 2.0 over POST.
type rpc struct {
	server  *server
	methods map[string]rpcCall
	// missing says what to do instead of a method that there is not.
	missing map[string]string
	// always answers requests without an id too, as Oxen's daemon does, whose
	// callers leave it out; by JSON-RPC they are notifications.
	always bool
}

type rpcAnswer struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

var rpcNull = json.RawMessage("null")

func rpcRefused(id json.RawMessage, err *rpcError) *rpcAnswer {
	return &rpcAnswer{Version: "2.0", ID: id, Error: err}
}

// ServeHTTP answers a request, or a batch of them with an array. Whatever is
// wrong with what was sent is 200 with an error of JSON-RPC.
func (p *rpc) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var out any
	var body json.RawMessage
	raw, err := io.ReadAll(r.Body)
	if err == nil {
		err = httpx.DecodeStrict(bytes.NewReader(raw), int64(len(raw)), &body)
	}
	switch {
	case errors.Is(err, httpx.ErrDuplicateKey), errors.Is(err, httpx.ErrType):
		out = rpcRefused(rpcNull, rpcFailed(rpcRequest, "invalid request: %v", err))
	case err != nil:
		out = rpcRefused(rpcNull, rpcFailed(rpcParse, "parse error: %v", err))
	default:
		out = p.serve(w, r, body)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if out == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	b, err := encodeJSON(out)
	if err != nil {
		panic("api: internal error: " + err.Error()) // values of our own
	}
	h.Set("Content-Type", typeJSON) // exactly: clients compare it as it is
	h.Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b)
}

// serve is the answer to a sound JSON value: *rpcAnswer, a slice of them, or nil
// where there were notifications alone.
func (p *rpc) serve(w http.ResponseWriter, r *http.Request, body json.RawMessage) any {
	if body[0] != '[' {
		if a := p.one(w, r, body); a != nil {
			return a
		}
		return nil
	}
	var batch []json.RawMessage
	if err := json.Unmarshal(body, &batch); err != nil || len(batch) == 0 {
		return rpcRefused(rpcNull, rpcFailed(rpcRequest, "invalid request: a batch of nothing"))
	}
	if len(batch) > maxBatch {
		return rpcRefused(rpcNull, rpcFailed(rpcRequest, "invalid request: a batch of %d; send at most %d", len(batch), maxBatch))
	}
	var out []*rpcAnswer
	for _, one := range batch {
		if a := p.one(w, r, one); a != nil {
			out = append(out, a)
		}
	}
	if out == nil {
		return nil
	}
	return out
}

// one answers one request; nil for a notification.
func (p *rpc) one(w http.ResponseWriter, r *http.Request, body json.RawMessage) *rpcAnswer {
	var req map[string]json.RawMessage
	if json.Unmarshal(body, &req) != nil || req == nil {
		return rpcRefused(rpcNull, rpcFailed(rpcRequest, "invalid request: not an object"))
	}
	id, given := req["id"]
	if !given {
		id = rpcNull
	} else if c := id[0]; c == '{' || c == '[' || c == 't' || c == 'f' {
		return rpcRefused(rpcNull, rpcFailed(rpcRequest, "invalid request: id is no string, number or null"))
	}
	var version, method string
	if json.Unmarshal(req["jsonrpc"], &version) != nil || version != "2.0" {
		return rpcRefused(id, rpcFailed(rpcRequest, `invalid request: jsonrpc must be "2.0"`))
	}
	if json.Unmarshal(req["method"], &method) != nil || method == "" {
		return rpcRefused(id, rpcFailed(rpcRequest, "invalid request: method must be a string"))
	}
	params := req["params"]
	switch {
	case string(params) == "null":
		params = nil
	case params != nil && params[0] != '{' && params[0] != '[':
		return rpcRefused(id, rpcFailed(rpcRequest, "invalid request: params must be an object or an array"))
	}
	result, err := p.call(w, r, method, params)
	switch {
	case !given && !p.always:
		return nil
	case err != nil:
		return rpcRefused(id, err)
	}
	return &rpcAnswer{Version: "2.0", ID: id, Result: result}
}

func (p *rpc) call(w http.ResponseWriter, r *http.Request, method string, params json.RawMessage) (any, *rpcError) {
	f := p.methods[method]
	if f == nil {
		if instead := p.missing[method]; instead != "" {
			return nil, rpcFailed(rpcMethod, "the method %s is not available: %s", method, instead)
		}
		return nil, rpcFailed(rpcMethod, "the method %q does not exist", clip(method, 60))
	}
	result, err := f(r.Context(), params)
	var known *rpcError
	switch {
	case err == nil:
		return result, nil
	case errors.As(err, &known):
		return nil, known
	}
	p.server.cfg.Logger.Error("request failed", "method", method, "request", httpx.RequestID(w), "error", err)
	return nil, rpcFailed(-32603, "internal error")
}
