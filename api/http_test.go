package api_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tunic/api"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/ledger"
)

// TestDirectoryCaching: one body per epoch and form, found again by its tag.
func TestDirectoryCaching(t *testing.T) {
	w := running(t, nil)
	forms := [][]string{{}, {"Accept", octets}, {"Accept-Encoding", "gzip"}, {"Accept", octets, "Accept-Encoding", "br, gzip;q=0.8, identity;q=0.5"}}
	tags := map[string]bool{}
	first, _ := open(w, w.ok("/v1/directory", nil, "Accept", octets).body)
	for _, form := range forms {
		a := w.get("/v1/directory", form...)
		tag := a.Header.Get("ETag")
		if a.StatusCode != http.StatusOK || tag == "" || strings.HasPrefix(tag, "W/") {
			t.Fatalf("%v: %s, tag %q", form, a.Status, tag)
		}
		// Small octet bodies are not compressed: they share a tag.
		tags[tag] = true
		if vary := strings.Join(a.Header.Values("Vary"), ","); !strings.Contains(vary, "Accept") {
			t.Errorf("%v: Vary %q", form, vary)
		}
		if a.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(a.body))
			w.must(err)
			plain, err := io.ReadAll(z)
			w.must(err)
			if len(form) == 2 && !bytes.Equal(plain, w.get("/v1/directory").body) {
				t.Error("gzip holds another body")
			}
		}
		w.seal() // a new head, the same list
		if a := w.get("/v1/directory", append(form, "If-None-Match", `"x", `+tag)...); a.StatusCode != http.StatusNotModified || len(a.body) != 0 || a.Header.Get("ETag") != tag {
			t.Errorf("%v again: %s", form, a.Status)
		}
	}
	if len(tags) < 3 {
		t.Errorf("%d tags for 4 forms", len(tags))
	}
	w.epoch(2)
	if a := w.get("/v1/directory", "If-None-Match", slices.Collect(maps.Keys(tags))[0]); a.StatusCode != http.StatusOK {
		t.Errorf("in the next epoch: %s", a.Status)
	}
	// The past is as it was, and its header is the epoch's first.
	again, l := open(w, w.ok("/v1/directory?epoch=1", nil, "Accept", octets).body)
	if again.Header.Hash() != first.Header.Hash() || l.Epoch != 1 {
		t.Error("epoch 1 is served with another header")
	}
	before, err := w.ledger.Header(again.Header.Height - 1)
	w.must(err)
	if before.Header.DirEpoch != 0 {
		t.Errorf("the header is not the first of epoch 1")
	}
}

func TestMethods(t *testing.T) {
	w := running(t, nil)
	for _, path := range []string{"/healthz", "/v1/status", "/v1/directory", "/v1/nodes", "/v1/blocks/latest", "/v1/events", "/api/service_nodes"} {
		if a := w.do(http.MethodHead, path, nil); a.StatusCode != http.StatusOK || len(a.body) != 0 || a.Header.Get("Content-Type") == "" {
			t.Errorf("HEAD %s: %s, %d bytes", path, a.Status, len(a.body))
		}
		if a := w.do(http.MethodOptions, path, nil); a.StatusCode != http.StatusNoContent || a.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("OPTIONS %s: %s, Allow %q", path, a.Status, a.Header.Get("Allow"))
		}
	}
	a := w.do(http.MethodDelete, "/v1/statements", nil)
	w.refused(a, 405, "method_not_allowed")
	if a.Header.Get("Allow") != "OPTIONS, POST" {
		t.Errorf("Allow %q", a.Header.Get("Allow"))
	}
	if a := w.do(http.MethodHead, "/v1/blocks/999", nil); a.StatusCode != 404 || len(a.body) != 0 {
		t.Errorf("HEAD of what is not there: %s, %d bytes", a.Status, len(a.body))
	}
}

func TestCrossOrigin(t *testing.T) {
	w := empty(t, nil)
	if a := w.get("/healthz", "Origin", "https://a.test"); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("pages may read by default")
	}
	w = empty(t, func(c *api.Config, _ *ledger.Config) { c.ReadOrigins = []string{"https://a.test"} })
	for origin, want := range map[string]string{"https://a.test": "https://a.test", "https://b.test": "", "": ""} {
		if got := w.get("/healthz", "Origin", origin).Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("origin %q: %q", origin, got)
		}
	}
	a := w.do(http.MethodOptions, "/v1/transactions", nil, "Origin", "https://a.test", "Access-Control-Request-Method", "POST")
	if m := a.Header.Get("Access-Control-Allow-Methods"); strings.Contains(m, "POST") {
		t.Errorf("pages may %s", m)
	}
	if a := w.do(http.MethodPost, "/v1/transactions", []byte("x"), "Content-Type", octets, "Origin", "https://a.test"); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a page may read what it posted")
	}
	// JSON-RPC reads by POST.
	for _, path := range []string{"/json_rpc", "/eth"} {
		a := w.do(http.MethodOptions, path, nil, "Origin", "https://a.test", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
		if a.Header.Get("Access-Control-Allow-Methods") != "POST" || !strings.Contains(a.Header.Get("Access-Control-Allow-Headers"), "Content-Type") {
			t.Errorf("%s: %v", path, a.Header)
		}
		a = w.do(http.MethodPost, path, []byte(`{"jsonrpc":"2.0","id":1,"method":"x"}`), "Origin", "https://a.test")
		if a.Header.Get("Access-Control-Allow-Origin") != "https://a.test" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", path, a.Header)
		}
	}
}

// TestProblems has a case for each of this server's own codes that docs/spec/api.md lists.
func TestProblems(t *testing.T) {
	w := running(t, nil)
	zero, node := strings.Repeat("0", 64), w.relays[0].id.String()
	// Of TestPanic, TestForms, TestPruned and the tests of event types.
	seen := map[string]bool{"internal": true, "cross_origin": true, "events_gone": true, "pruned": true}
	check := func(a answer, status int, code string) {
		t.Helper()
		w.refused(a, status, code)
		if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get(httpx.RequestIDHeader) == "" {
			t.Errorf("%s: headers %v", code, a.Header)
		}
		seen[code] = true
	}
	cursor := func(path string) string {
		var p struct {
			Next string `json:"next_cursor"`
		}
		w.ok(path, &p)
		return p.Next
	}
	for _, c := range []struct {
		path   string
		status int
		code   string
	}{
		{"/v1/blocks?limit=1001", 400, "limit_too_large"},
		{"/v1/blocks?limit=0", 400, "invalid_request"},
		{"/v1/blocks?limit=ten", 400, "invalid_request"},
		{"/v1/blocks?limit=", 400, "invalid_request"},
		{"/v1/blocks?limit=1&limit=2", 400, "invalid_request"},
		{"/v1/blocks?page=2", 400, "invalid_request"},
		{"/v1/blocks?limit=%zz", 400, "invalid_request"},
		{"/v1/blocks?cursor=AAAA", 400, "invalid_cursor"},
		{"/v1/blocks?cursor=" + strings.Repeat("A", 300), 400, "invalid_request"},
		{"/v1/stakes?cursor=" + cursor("/v1/nodes?limit=1"), 400, "invalid_cursor"},
		{"/v1/nodes?state=active&cursor=" + cursor("/v1/nodes?limit=1"), 400, "invalid_cursor"},
		{"/v1/nodes?state=asleep", 400, "invalid_request"},
		{"/v1/nodes?operator=" + swapCase(w.accounts[0].at.String()), 400, "invalid_request"},
		{"/v1/accounts/0x12", 400, "invalid_request"},
		{"/v1/accounts/" + w.accounts[0].at.String() + "?proof=perhaps", 400, "invalid_request"},
		{"/v1/nodes/abc", 400, "invalid_request"},
		{"/v1/blocks/-1", 400, "invalid_request"},
		{"/v1/directory/delta", 400, "invalid_request"},
		{"/v1/directory?epoch=-1", 400, "invalid_request"},
		{"/v1/directory?epoch=99999999999999999999", 400, "invalid_request"},
		{"/v1/blocks/0", 404, "block_not_found"},
		{"/v1/chain/certificates/2", 404, "certificate_not_found"},
		{"/v1/headers/9999999999999999999", 404, "block_not_found"},
		{"/v1/blocks/" + zero, 404, "block_not_found"},
		{"/v1/transactions/" + zero, 404, "transaction_not_found"},
		{"/v1/challenges/" + zero, 404, "challenge_not_found"},
		{"/v1/stakes/" + zero, 404, "stake_not_found"},
		{"/v1/nodes/" + zero, 404, "node_not_found"},
		{"/v1/accounts?height=999", 404, "height_not_found"},
		{"/v1/directory?epoch=7", 404, "epoch_not_found"},
		{"/v1/directory/" + node + "/proof?epoch=7", 404, "epoch_not_found"},
		{"/v1/directory/delta?since=1&epoch=7", 404, "epoch_not_found"},
		{"/v1/slashes/" + zero, 404, "offence_not_found"},
		{"/v1/slashes/" + zero + "/proof", 404, "offence_not_found"},
		{"/v1/nodes/", 404, "no_such_route"},
		{"/v1//nodes", 404, "no_such_route"},
		{"//", 404, "no_such_route"},
	} {
		check(w.get(c.path), c.status, c.code)
	}
	for _, h := range []string{"x", "1.-1", strings.Repeat("9", 20)} {
		check(w.get("/v1/events", "Last-Event-ID", h), 400, "invalid_request")
	}
	check(w.get("/v1/directory", "Accept", "text/html"), 406, "not_acceptable")
	check(w.get("/v1/blocks/latest", "Accept", "application/json;q=0, application/octet-stream;q=0"), 406, "not_acceptable")
	check(w.do(http.MethodPut, "/v1/status", nil), 405, "method_not_allowed")
	big := bytes.Repeat([]byte{1}, chain.MaxTx+1)
	for _, path := range []string{"/v1/transactions", "/v1/statements", "/v1/proofs"} {
		check(w.post(path, big, octets), 413, "body_too_large")
		check(w.post(path, []byte("x"), "text/plain"), 415, "unsupported_media_type")
		check(w.post(path, []byte("x"), ""), 415, "unsupported_media_type")
		check(w.post(path, nil, octets), 400, "malformed_body")
	}
	check(w.do(http.MethodPost, "/v1/proofs", []byte("x"), "Content-Type", octets, "Content-Encoding", "gzip"), 415, "unsupported_media_type")
	check(w.post("/v1/transactions", []byte(`{"a":`+strings.Repeat("[", 100)), "application/json"), 400, "malformed_body")
	check(w.post("/v1/transactions", []byte("x"), octets), 422, "malformed_transaction")
	check(w.post("/v1/statements", []byte("x"), octets), 422, "malformed_transaction")
	check(w.post("/v1/statements", w.heartbeat(w.relays[0], 7, 0).Encode(), octets), 409, "wrong_epoch")
	forged := w.heartbeat(w.relays[0], 2, 0)
	forged.Sig[3] ^= 1
	check(w.post("/v1/statements", forged.Encode(), octets), 422, "bad_signature")
	tx := w.transfer(w.accounts[4], w.accounts[0], 1)
	bad := bytes.Replace(signed(w, tx, 27), []byte(`"amount":"1"`), []byte(`"amount":"one"`), 1)
	check(w.post("/v1/transactions", bad, "application/json"), 422, "malformed_message")

	w.must(w.ledger.Close())
	check(w.get("/readyz"), 503, "ledger_halted")
	w2 := running(t, func(_ *api.Config, c *ledger.Config) { c.KeepStates = 1 })
	check(w2.get("/v1/accounts?height=1"), 410, "height_not_kept")
	check(w.post("/v1/transactions", tx.Encode(), octets), 503, "ledger_halted")
	check(w.get("/v1/events"), 503, "ledger_halted")

	w = empty(t, func(c *api.Config, _ *ledger.Config) {
		c.Limits = &httpx.LimiterConfig{PerSecond: 0.001, Burst: 6, Now: func() time.Time { return time.Unix(0, 0) }}
		c.Streams = 1
	})
	check(w.get("/readyz"), 503, "no_head")
	check(w.get("/v1/directory"), 503, "no_head")
	check(w.get("/v1/accounts/"+w.accounts[0].at.String()+"?proof=true"), 503, "no_head")
	check(w.get("/v1/directory/"+node+"/proof"), 503, "no_head")
	w.events("")
	check(w.get("/v1/events"), 503, "too_many_streams")
	a := w.get("/healthz")
	check(a, 429, "rate_limited")
	if a.Header.Get("Retry-After") != "1000" {
		t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
	}

	spec, err := os.ReadFile("../docs/spec/api.md")
	w.must(err)
	_, section, found := strings.Cut(string(spec), "## Codes of the server")
	section, _, _ = strings.Cut(section, "\n## ")
	codes := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(section, -1)
	if !found || len(codes) < 20 {
		t.Fatalf("docs/spec/api.md lists %d codes", len(codes))
	}
	for _, c := range codes {
		if !seen[c[1]] {
			t.Errorf("code %s has no case here", c[1])
		}
	}
}

// TestSockets: what holds in memory holds over a connection, HEAD and streams
// included.
func TestSockets(t *testing.T) {
	w := running(t, nil)
	srv := httptest.NewUnstartedServer(w.handler)
	srv.Config = httpx.NewServer(w.handler)
	srv.Start()
	defer srv.Close()
	client := srv.Client()
	defer client.CloseIdleConnections()
	get := func(method, path string) (*http.Response, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, nil)
		w.must(err)
		res, err := client.Do(req)
		w.must(err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		w.must(err)
		return res, b
	}
	if res, b := get(http.MethodGet, "/v1/directory"); res.StatusCode != 200 || !res.Uncompressed || !bytes.Equal(b, w.get("/v1/directory").body) {
		t.Errorf("directory over a socket: %s, uncompressed %v", res.Status, res.Uncompressed)
	}
	if res, b := get(http.MethodHead, "/v1/blocks/latest"); res.StatusCode != 200 || len(b) != 0 || res.ContentLength <= 0 {
		t.Errorf("HEAD: %s, length %d", res.Status, res.ContentLength)
	}
	if res, _ := get(http.MethodGet, "/nothing"); res.StatusCode != 404 || res.Header.Get("Content-Type") != httpx.ProblemType {
		t.Errorf("404: %s", res.Status)
	}
	res, err := client.Get(srv.URL + "/v1/events?since=1")
	w.must(err)
	f := &feed{w, res, httpx.NewEventReader(res.Body, 1<<20)}
	f.block(1)
	f.block(2)
	res.Body.Close()
}

func TestConfig(t *testing.T) {
	if _, err := api.New(api.Config{}); err == nil {
		t.Error("no ledger is needed")
	}
	w := empty(t, nil)
	other := w.gen
	other.ChainID++
	if _, err := api.New(api.Config{Ledger: w.ledger, Network: other.Network()}); err == nil {
		t.Error("another network's file is served")
	}
}
