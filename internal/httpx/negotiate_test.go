package httpx_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"tunic/internal/httpx"
)

func TestQuality(t *testing.T) {
	for _, c := range []struct {
		accept []string
		want   int
	}{
		{nil, 0}, {[]string{"text/html"}, 1000}, {[]string{"TEXT/HTML ; q=0.5"}, 500}, {[]string{"text/*;q=0.2, */*;q=0.9"}, 200},
		{[]string{"*/*"}, 1000}, {[]string{"text/html;q=0, */*"}, 0}, {[]string{"application/json", "text/html;level=1;q=0.3"}, 300},
		{[]string{"text/html;q=2"}, 0}, {[]string{"text/html;q=x"}, 0}, {[]string{"text/html;q=NaN"}, 0}, {[]string{",;,"}, 0},
	} {
		if got := httpx.Quality(c.accept, "text/html"); got != c.want {
			t.Errorf("%q: %d, want %d", c.accept, got, c.want)
		}
	}
}

func TestTakesGzip(t *testing.T) {
	for encoding, want := range map[string]bool{
		"": false, "gzip": true, "*": true, "gzip;q=0": false, "br": false, "gzip;q=0.5, identity": false, "identity;q=0.5, *;q=0.6": true,
		"gzip;q=x": false, "GZIP, deflate": true, "br, gzip; q=0.1": true, "*, gzip;q=0": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Encoding", encoding)
		if got := httpx.TakesGzip(r); got != want {
			t.Errorf("Accept-Encoding %q: %v", encoding, got)
		}
	}
}

func TestGzip(t *testing.T) {
	body := bytes.Repeat([]byte("tunic "), 1000)
	packed := httpx.Gzip(body, gzip.BestCompression)
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, body) || len(packed) >= len(body) {
		t.Errorf("%d bytes packed into %d come back as %d, %v", len(body), len(packed), len(got), err)
	}
}

func TestClip(t *testing.T) {
	for text, want := range map[string]string{"": "", "abcd": "abcd", "abcde": "abcd...", "abcé": "abc...", "é€": "é...", "ab\xff\xffc": "ab..."} {
		got := httpx.Clip(text, 4)
		if got != want || !utf8.ValidString(strings.TrimSuffix(got, "...")) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
