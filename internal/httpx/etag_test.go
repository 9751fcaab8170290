package httpx_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"tunic/internal/httpx"
)

func TestMatchETag(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   bool
	}{
		{nil, false},
		{[]string{""}, false},
		{[]string{"*"}, true},
		{[]string{" * "}, true},
		{[]string{`*, "x"`}, false},
		{[]string{`"abc"`}, true},
		{[]string{`W/"abc"`}, true},
		{[]string{`w/"abc"`}, false},
		{[]string{`abc`}, false},
		{[]string{`"ABC"`}, false},
		{[]string{`"ab"`, `"abc"`}, true},
		{[]string{` "x" ,, W/"y,z" ,	"abc" `}, true},
		{[]string{`"x,"abc"`}, false},
		{[]string{`"x" "abc"`}, false},
		{[]string{`"x", abc, "abc"`}, false},
		{[]string{`"abc`}, false},
		{[]string{`"`}, false},
	} {
		if got := httpx.MatchETag(c.values, `"abc"`); got != c.want {
			t.Errorf("%q: %v, want %v", c.values, got, c.want)
		}
	}
}

func TestNotModified(t *testing.T) {
	body := []byte("the directory")
	tag := httpx.ETag(body)
	if tag == httpx.ETag([]byte("another")) || len(tag) != 24 {
		t.Fatalf("tag %s", tag)
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if !httpx.NotModified(w, r, tag) {
			w.Write(body)
		}
	})
	for _, c := range []struct {
		method, match string
		status        int
	}{
		{"GET", "", 200}, {"GET", tag, 304}, {"HEAD", tag, 304}, {"POST", tag, 200}, {"GET", `"other"`, 200},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		if c.match != "" {
			r.Header.Set("If-None-Match", c.match)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || w.Header().Get("ETag") != tag {
			t.Errorf("%s %s: %d, ETag %s", c.method, c.match, w.Code, w.Header().Get("ETag"))
		}
		if rest, _ := io.ReadAll(w.Body); c.status == 304 && (len(rest) != 0 || w.Header().Get("Content-Type") != "") {
			t.Errorf("304 with body %q and type %q", rest, w.Header().Get("Content-Type"))
		}
	}
}
