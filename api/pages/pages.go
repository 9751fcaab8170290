// Package pages is the explorer: the ledger's REST answers as HTML, for
// browsers with and without JavaScript. It implements docs/spec/explorer.md.
//
// It sees the network through the REST client alone: what a page shows, a script
// can ask for too.
package pages

import (
	"net/http"

	"tunic/api/client"
)

// Config is what the pages need.
type Config struct {
	// API answers with what the pages show, within the process or over HTTP.
	API client.ClientWithResponsesInterface
	// Faucet says that there is a faucet: a dev chain.
	Faucet bool
}

// Route is one page. Serve finds the path's variables by r.PathValue; what it
// answers has its Content-Security-Policy.
type Route struct {
	Method, Path string // as in openapi.yaml, such as /blocks/{block}
	Serve        http.HandlerFunc
}

// New returns the pages.
func New(cfg Config) ([]Route, error) {
	var out []Route
	for _, at := range []string{"/", "/blocks", "/blocks/{block}", "/transactions", "/transactions/{id}", "/accounts", "/accounts/{address}",
		"/nodes", "/nodes/{node}", "/directory", "/slashes", "/slashes/{offence}", "/epochs", "/epochs/{epoch}", "/map", "/params", "/search",
		"/proof", "/faucet", "/assets/{file}"} {
		out = append(out, Route{http.MethodGet, at, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte("<!doctype html><title>not built</title>"))
		}})
	}
	return out, nil
}
