package api

import (
	"bytes"
	"crypto/ed25519"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"tunic/api/oas"
	"tunic/api/pages"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/httpx"
	"tunic/ledger"
)

// bare is a server of a dev chain before its first block.
func bare(t *testing.T) *server {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	params, _ := genesis.For(genesis.Dev)
	g := genesis.Genesis{Core: genesis.Core{ChainID: 1, Profile: genesis.Dev, Dev: true, Clock: genesis.ClockLedger,
		Engine: genesis.EngineSealer, Time: 1, Sealers: []chain.NodeID{chain.NodeID(key.Public().(ed25519.PublicKey))}, Params: params}}
	l, err := ledger.Open(t.Context(), ledger.Config{Genesis: g, SealerKey: key, Mode: ledger.ModeManual, Clock: ledger.NewDrivenClock(1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	cfg := Config{Ledger: l, Network: g.Network()}
	if err := cfg.complete(); err != nil {
		t.Fatal(err)
	}
	site, err := pages.New(pages.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &server{cfg: cfg, ledger: l, pages: site}
}

// TestRoutes: what the router serves is what openapi.yaml says, no more and no
// less.
func TestRoutes(t *testing.T) {
	engine, err := bare(t).engine()
	if err != nil {
		t.Fatal(err)
	}
	routes, err := specRoutes()
	if err != nil {
		t.Fatal(err)
	}
	spec, err := oas.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Validate(t.Context()); err != nil {
		t.Errorf("openapi.yaml: %v", err)
	}
	var served, specified []string
	for _, r := range engine.Routes() {
		served = append(served, r.Method+" "+r.Path)
	}
	for name := range routes {
		specified = append(specified, name.method+" "+name.path)
	}
	slices.Sort(served)
	slices.Sort(specified)
	if !slices.Equal(served, specified) {
		t.Errorf("served    %v\nspecified %v", served, specified)
	}
}

// TestPanic: a panic is a problem without its value, which the log has.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	s := &server{cfg: Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}}
	h := httpx.WithRequestID(httpx.Recover(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("secret") }), s.panicked, s.turnAway))
	r := httptest.NewRequest(http.MethodGet, "/v1/status", nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), `"code":"internal"`) || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "secret") || strings.Contains(log.String(), r.RemoteAddr) {
		t.Errorf("log: %s", log.String())
	}

	// A browser gets a page about it, for which the API is not asked: it may be
	// what fails.
	site, err := pages.New(pages.Config{Faucet: true})
	if err != nil {
		t.Fatal(err)
	}
	s.pages = site
	r = httptest.NewRequest(http.MethodGet, "/nodes", nil)
	r.Header.Set("Accept", "text/html")
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "<code>internal</code>") || strings.Contains(w.Body.String(), "secret") ||
		!strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") || !strings.Contains(w.Body.String(), w.Header().Get(httpx.RequestIDHeader)) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestNegotiate(t *testing.T) {
	for accept, want := range map[string]representation{
		"": asJSON, "*/*": asJSON, "application/*": asJSON, "application/octet-stream": asOctets,
		"application/octet-stream, application/json": asJSON, "application/octet-stream;q=0.9, application/json;q=0.8": asOctets,
		"application/json;q=0, */*": asOctets, "text/html, */*;q=0.1": asJSON, "APPLICATION/OCTET-STREAM ; q=1.0": asOctets,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept", accept)
		if got, err := negotiate(r); err != nil || got != want {
			t.Errorf("Accept %q: %v, %v", accept, got, err)
		}
	}
}

// FuzzCursor: no text makes a cursor panic, and one that is accepted is the one
// that would have been given out.
func FuzzCursor(f *testing.F) {
	start, _ := list(nil, nil, "nodes")
	if err := start.pin(7, chain.Hash{1}); err != nil {
		f.Fatal(err)
	}
	f.Add(*start.token([]byte("key")))
	f.Add("AQ")
	f.Add((*start.token([]byte("key")))[:20] + "\r\n" + (*start.token([]byte("key")))[20:])
	f.Fuzz(func(t *testing.T, text string) {
		l, err := list(nil, &text, "nodes")
		if err == nil && *l.token(l.after.key) != text {
			t.Errorf("%q is not canonical", text)
		}
	})
}

func BenchmarkSpecification(b *testing.B) {
	for b.Loop() {
		if _, err := readSpec(); err != nil {
			b.Fatal(err)
		}
	}
}
