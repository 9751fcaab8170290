package api_test

import (
	"bytes"
	"net/http"
	"slices"
	"testing"

	"tunic/api"
	"tunic/internal/httpx"
	"tunic/ledger"
)

// TestCurrentDirectory: the list of the head's epoch is the same whether it is
// asked for in the way that most do, which is a shorter one, or as epoch 0; in
// every form and coding, as 304, to HEAD, from another origin, and after the
// list has changed.
func TestCurrentDirectory(t *testing.T) {
	w := running(t, func(c *api.Config, _ *ledger.Config) {
		c.ReadOrigins = []string{"https://explorer.example"}
		c.Limits = &httpx.LimiterConfig{PerSecond: 1e6, Burst: 1000}
	})
	tags := map[string]bool{}
	same := func(status int, method string, headers ...string) string {
		t.Helper()
		quick, slow := w.do(method, "/v1/directory", nil, headers...), w.do(method, "/v1/directory?epoch=0", nil, headers...)
		for _, a := range []answer{quick, slow} {
			a.Header.Del("X-Request-Id")
			a.Header.Del("Date")
		}
		if quick.StatusCode != status || slow.StatusCode != status || !bytes.Equal(quick.body, slow.body) {
			t.Fatalf("%s %v: %d and %d, %d and %d bytes", method, headers, quick.StatusCode, slow.StatusCode, len(quick.body), len(slow.body))
		}
		if len(quick.Header) != len(slow.Header) {
			t.Errorf("%s %v: %v, %v", method, headers, quick.Header, slow.Header)
		}
		for name, values := range quick.Header {
			if name != "Content-Length" && !slices.Equal(values, slow.Header[name]) && status != http.StatusNotAcceptable {
				t.Errorf("%s %v: %s %q, %q", method, headers, name, values, slow.Header[name])
			}
		}
		return quick.Header.Get("ETag")
	}
	all := func() {
		t.Helper()
		for _, accept := range []string{"", "*/*", "application/json", "application/octet-stream", "application/octet-stream, application/json;q=0.5", "text/html, */*;q=0.1"} {
			for _, coding := range []string{"", "gzip", "gzip, deflate, br", "identity", "gzip;q=0", "*"} {
				ask := []string{"Accept", accept, "Accept-Encoding", coding, "Origin", "https://explorer.example"}
				tag := same(http.StatusOK, http.MethodGet, ask...)
				if tags[tag] = true; tag == "" {
					t.Fatalf("%v: no tag", ask)
				}
				same(http.StatusOK, http.MethodHead, ask...)
				for _, known := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
					same(http.StatusNotModified, http.MethodGet, append(ask, "If-None-Match", known)...)
				}
				same(http.StatusOK, http.MethodGet, append(ask, "If-None-Match", `"other"`)...)
			}
		}
	}
	all()
	before := len(tags)
	w.seal() // another head, the same list
	all()
	if len(tags) != before {
		t.Errorf("%d tags after a block, %d before", len(tags), before)
	}
	w.publish(w.relays[0], 2)
	w.seal()
	w.epoch(2)
	all()
	if len(tags) != 2*before {
		t.Errorf("%d tags in two epochs, %d in one", len(tags), before)
	}

	a := w.get("/v1/directory", "Accept", "text/html")
	w.refused(a, http.StatusNotAcceptable, "not_acceptable")
	w.refused(empty(t, nil).get("/v1/directory"), http.StatusServiceUnavailable, "no_head")
}

// TestVary: an answer says all that it depends on, and one answer's header is no
// other's.
func TestVary(t *testing.T) {
	w := running(t, func(c *api.Config, _ *ledger.Config) { c.ReadOrigins = []string{"*"} })
	for range 2 {
		for _, path := range []string{"/v1/directory", "/v1/network", "/v1/blocks/1", "/v1/params"} {
			vary := w.get(path, "Accept-Encoding", "gzip").Header.Values("Vary")
			want := map[string][]string{"/v1/directory": {"Origin, Accept, Accept-Encoding"}, "/v1/network": {"Origin"}}[path]
			if want == nil {
				want = []string{"Origin", "Accept"}
			}
			if !slices.Equal(vary, want) {
				t.Errorf("%s: Vary %q, want %q", path, vary, want)
			}
		}
	}
}
