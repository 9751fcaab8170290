// Package jsonrpc answers what programs of other networks ask in JSON-RPC 2.0:
// [Oxen] as that network's daemon does, so that its health checks and clients
// read the list of nodes, and [Ethereum] what a wallet asks to connect and to
// show a balance. It implements docs/spec/api.md, section Compatibility.
//
// It promises: nothing that is asked changes anything; whatever is wrong with a
// request is an error of JSON-RPC, and a fault of this server is logged and not
// shown. Bodies are bounded by whoever reads them first; batches are bounded
// here.
package jsonrpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/ledger"
)

// Config is what the answers are made of; all of it is needed.
type Config struct {
	Ledger  *ledger.Ledger
	Version string       // the software's
	Logger  *slog.Logger // gets failures of this server
}

// server holds the methods.
type server struct{ Config }

// Codes of JSON-RPC 2.0, and Ethereum's for what the server cannot answer.
const (
	codeParse    = -32700
	codeRequest  = -32600
	codeMethod   = -32601
	codeParams   = -32602
	codeInternal = -32603
	codeServer   = -32000
)

// maxBatch is how many requests one batch may hold, maxMessage how many bytes an
// error may say.
const (
	maxBatch   = 20
	maxMessage = 300
)

// maxID is how many bytes an id may have that is a string, as it was written,
// without its quotes; maxDigits how many characters one that is a number.
const (
	maxID     = 256
	maxDigits = 32
)

// failure is an error of JSON-RPC.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *failure) Error() string { return e.Message }

func failed(code int, format string, args ...any) *failure {
	return &failure{code, httpx.Clip(fmt.Sprintf(format, args...), maxMessage)}
}

// call answers one method: with a result, or with an error, of which the
// client sees a *failure alone. params is an object, an array, or nil.
type call func(ctx context.Context, params json.RawMessage) (any, error)

// rpc answers JSON-RPC 2.0 over POST.
type rpc struct {
	server  *server
	methods map[string]call
	// missing says what to do instead of a method that there is not.
	missing map[string]string
	// large are methods whose answers are: a batch may hold one of them.
	large map[string]bool
	// always answers requests without an id too, as Oxen's daemon does, whose
	// callers leave it out; by JSON-RPC they are notifications.
	always bool
}

// exchange is an HTTP request that is being answered.
type exchange struct {
	w     http.ResponseWriter
	r     *http.Request
	large bool         // one of the large answers was given
	state chain.Height // of the former state that was read; 0: none
}

// exchangeKey finds the *exchange that a call is of.
type exchangeKey struct{}

type answer struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result,omitempty"`
	Error   *failure        `json:"error,omitempty"`
}

var null = json.RawMessage("null")

func refused(id json.RawMessage, err *failure) *answer {
	return &answer{Version: "2.0", ID: id, Error: err}
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
		out = refused(null, failed(codeRequest, "invalid request: %v", err))
	case err != nil:
		out = refused(null, failed(codeParse, "parse error: %v", err))
	default:
		out = p.serve(&exchange{w: w, r: r}, body)
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if out == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	b, err := httpx.EncodeJSON(out)
	if err != nil {
		panic("jsonrpc: internal error: " + err.Error()) // values of our own
	}
	h.Set("Content-Type", "application/json") // exactly: clients compare it as it is
	h.Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b)
}

// serve is the answer to a sound JSON value: *answer, a slice of them, or nil
// where there were notifications alone.
func (p *rpc) serve(x *exchange, body json.RawMessage) any {
	if body[0] != '[' {
		if a := p.one(x, body); a != nil {
			return a
		}
		return nil
	}
	var batch []json.RawMessage
	if err := json.Unmarshal(body, &batch); err != nil || len(batch) == 0 {
		return refused(null, failed(codeRequest, "invalid request: a batch of nothing"))
	}
	if len(batch) > maxBatch {
		return refused(null, failed(codeRequest, "invalid request: a batch of %d; send at most %d", len(batch), maxBatch))
	}
	var out []*answer
	for _, one := range batch {
		if a := p.one(x, one); a != nil {
			out = append(out, a)
		}
	}
	if out == nil {
		return nil
	}
	return out
}

// one answers one request; nil for a notification.
func (p *rpc) one(x *exchange, body json.RawMessage) *answer {
	var req map[string]json.RawMessage
	if json.Unmarshal(body, &req) != nil || req == nil {
		return refused(null, failed(codeRequest, "invalid request: not an object"))
	}
	id, given := req["id"]
	if !given {
		id = null
	} else if !echoed(id) {
		return refused(null, failed(codeRequest, "invalid request: id must be a string of at most %d bytes, a number of at most %d digits, or null", maxID, maxDigits))
	}
	var version, method string
	if json.Unmarshal(req["jsonrpc"], &version) != nil || version != "2.0" {
		return refused(id, failed(codeRequest, `invalid request: jsonrpc must be "2.0"`))
	}
	if json.Unmarshal(req["method"], &method) != nil || method == "" {
		return refused(id, failed(codeRequest, "invalid request: method must be a string"))
	}
	params := req["params"]
	switch {
	case string(params) == "null":
		params = nil
	case params != nil && params[0] != '{' && params[0] != '[':
		return refused(id, failed(codeRequest, "invalid request: params must be an object or an array"))
	}
	result, err := p.call(x, method, params)
	switch {
	case !given && !p.always:
		return nil
	case err != nil:
		return refused(id, err)
	}
	return &answer{Version: "2.0", ID: id, Result: result}
}

// echoed says whether an id can stand in an answer: null, a string that is not
// too long, or a number that any reader of JSON has room for.
func echoed(id json.RawMessage) bool {
	switch c := id[0]; {
	case c == 'n':
		return true
	case c == '"':
		return len(id) <= maxID+2
	case c == '-' || c >= '0' && c <= '9':
		_, err := strconv.ParseFloat(string(id), 64) // 1e999 is out of range
		return err == nil && len(id) <= maxDigits
	}
	return false
}

func (p *rpc) call(x *exchange, method string, params json.RawMessage) (any, *failure) {
	f := p.methods[method]
	if f == nil {
		if instead := p.missing[method]; instead != "" {
			return nil, failed(codeMethod, "the method %s is not available: %s", method, instead)
		}
		return nil, failed(codeMethod, "the method %q does not exist", httpx.Clip(method, 60))
	}
	if p.large[method] {
		if x.large {
			return nil, failed(codeRequest, "invalid request: one list a batch; ask for another by itself")
		}
		x.large = true
	}
	result, err := f(context.WithValue(x.r.Context(), exchangeKey{}, x), params)
	var known *failure
	switch {
	case err == nil:
		return result, nil
	case errors.As(err, &known):
		return nil, known
	}
	p.server.Logger.Error("request failed", "method", method, "request", httpx.RequestID(x.w), "error", err)
	return nil, failed(codeInternal, "internal error")
}
