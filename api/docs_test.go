package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// The description is served as it is embedded, by tag; the page that shows it
// loads nothing but files of this server, and those are there.
func TestDocs(t *testing.T) {
	w := empty(t, nil)
	var spec struct {
		OpenAPI string
		Paths   map[string]any
	}
	a := w.ok("/openapi.json", &spec)
	if !strings.HasPrefix(spec.OpenAPI, "3.0") || len(spec.Paths) < 50 || a.Header.Get("ETag") == "" {
		t.Fatalf("%s, %d paths, %v", spec.OpenAPI, len(spec.Paths), a.Header)
	}
	if b := w.get("/openapi.json", "If-None-Match", a.Header.Get("ETag")); b.StatusCode != http.StatusNotModified {
		t.Errorf("again: %s", b.Status)
	}
	if !bytes.Contains(a.body, []byte(`"operationId":"getStatus"`)) {
		t.Error("operations are not named as in openapi.yaml")
	}
	page := w.get("/docs")
	policy := page.Header.Get("Content-Security-Policy")
	if page.StatusCode != 200 || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") || !strings.Contains(policy, "default-src 'none'") {
		t.Fatalf("%s, %s", page.Status, policy)
	}
	if bytes.Contains(page.body, []byte("://")) || regexp.MustCompile(`(?i)<style|<script>|style=|onload=`).Match(page.body) {
		t.Errorf("it loads from elsewhere, or holds code:\n%s", page.body)
	}
	links := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllSubmatch(page.body, -1)
	if len(links) < 4 {
		t.Fatalf("%d links", len(links))
	}
	for _, l := range links {
		if string(l[1]) == "/" {
			continue // the way to the explorer
		}
		f := w.get(string(l[1]))
		if f.StatusCode != 200 || len(f.body) < 100 || f.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s, %d bytes", l[1], f.Status, len(f.body))
		}
		packed := w.get(string(l[1]), "Accept-Encoding", "gzip")
		if enc := packed.Header.Get("Content-Encoding"); enc == "gzip" && packed.Header.Get("ETag") == f.Header.Get("ETag") {
			t.Errorf("%s: one tag for two forms", l[1])
		}
		if b := w.get(string(l[1]), "If-None-Match", f.Header.Get("ETag")); b.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %s", l[1], b.Status)
		}
	}
	for _, path := range []string{"/docs/swagger-ui-bundle.js.gz", "/docs/index.html", "/docs/embed.go", "/docs/..", "/docs/oauth2-redirect.html"} {
		w.refused(w.get(path), 404, "no_such_route")
	}
	if !json.Valid(a.body) {
		t.Error("not JSON")
	}
}
