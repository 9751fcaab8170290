package httpx_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"tunic/internal/httpx"
)

func TestWriteProblem(t *testing.T) {
	for _, c := range []struct {
		name   string
		method string
		in     httpx.Problem
		want   httpx.Problem
	}{
		{"filled in", "GET", httpx.Problem{Status: 404},
			httpx.Problem{Type: "about:blank", Title: "Not Found", Status: 404, Code: "not_found", Instance: "/v1/a%2Fb"}},
		{"kept", "GET", httpx.Problem{Type: "urn:x", Title: "T", Status: 400, Code: "bad-limit", Detail: "d", Instance: "/i",
			Errors: []httpx.FieldError{{Field: "limit", Detail: "over 100"}}},
			httpx.Problem{Type: "urn:x", Title: "T", Status: 400, Code: "bad-limit", Detail: "d", Instance: "/i",
				Errors: []httpx.FieldError{{Field: "limit", Detail: "over 100"}}}},
		{"status that is no error", "GET", httpx.Problem{Status: 200},
			httpx.Problem{Type: "about:blank", Title: "Internal Server Error", Status: 500, Code: "internal_server_error", Instance: "/v1/a%2Fb"}},
		{"status without a text", "GET", httpx.Problem{Status: 599},
			httpx.Problem{Type: "about:blank", Status: 599, Code: "status_599", Instance: "/v1/a%2Fb"}},
		{"apostrophe", "GET", httpx.Problem{Status: 418},
			httpx.Problem{Type: "about:blank", Title: "I'm a teapot", Status: 418, Code: "i_m_a_teapot", Instance: "/v1/a%2Fb"}},
		{"head", "HEAD", httpx.Problem{Status: 404}, httpx.Problem{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			w.Header().Set("ETag", `"x"`)
			w.Header().Set("Content-Encoding", "gzip")
			httpx.WriteProblem(w, httptest.NewRequest(c.method, "/v1/a%2Fb?secret=1", nil), c.in)
			if w.Header().Get("Content-Type") != httpx.ProblemType || w.Header().Get("Cache-Control") != "no-store" ||
				w.Header().Get("ETag") != "" || w.Header().Get("Content-Encoding") != "" {
				t.Errorf("headers %v", w.Header())
			}
			if c.method == "HEAD" {
				if w.Body.Len() != 0 {
					t.Errorf("body %q to HEAD", w.Body)
				}
				return
			}
			var got httpx.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if w.Code != c.want.Status || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %d %+v\nwant %+v", w.Code, got, c.want)
			}
		})
	}
}

func TestProblemIsAnError(t *testing.T) {
	var err error = httpx.Problem{Status: 409, Detail: "nonce 4 is used"}
	if got := err.Error(); got != "Conflict: nonce 4 is used" {
		t.Error(got)
	}
}

func TestProblemMux(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/thing/{id}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.PathValue("id")) })
	mux.HandleFunc("POST /v1/thing/{id}", func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	h := httpx.ProblemMux(mux)
	for _, c := range []struct {
		method, path string
		status       int
		body, allow  string
	}{
		{"GET", "/v1/thing/7", 200, "7", ""},
		{"POST", "/v1/thing/7", 404, "404 page not found\n", ""}, // the handler's own answer is left alone
		{"DELETE", "/v1/thing/7", 405, `"code":"method_not_allowed"`, "GET, HEAD, POST"},
		{"GET", "/nothing", 404, `"code":"not_found"`, ""},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: %d %q, Allow %q", c.method, c.path, w.Code, w.Body, w.Header().Get("Allow"))
		}
	}
}

func TestRecover(t *testing.T) {
	var reported any
	h := httpx.Recover(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			io.WriteString(w, strings.Repeat("x", 5000))
		}
		panic("secret of the house")
	}), func(_ http.ResponseWriter, _ *http.Request, v any) { reported = v }, nil)
	client := &http.Client{Transport: httpx.InMemory(h)}
	resp, err := client.Get("http://tunic/early")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 500 || strings.Contains(string(body), "secret") || !strings.Contains(string(body), `"code":"internal"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if reported != "secret of the house" {
		t.Errorf("reported %v", reported)
	}
	if resp, err = client.Get("http://tunic/late"); err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != io.ErrUnexpectedEOF {
		t.Errorf("a panic in the middle: %d bytes and %v, want an early end", len(body), err)
	}
	resp.Body.Close()
}
