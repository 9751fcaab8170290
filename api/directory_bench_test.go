package api_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"tunic/api"
	"tunic/internal/httpx"
	"tunic/ledger"
)

// discard is a ResponseWriter that keeps the header alone.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkDirectory asks for the list as clients do that have it: all
// middleware, no socket. `tunic bench directory` measures it over sockets.
func BenchmarkDirectory(b *testing.B) {
	w := running(b, func(c *api.Config, _ *ledger.Config) {
		c.Limits = &httpx.LimiterConfig{PerSecond: 1e9, Burst: 1e9}
		c.ReadOrigins = []string{"https://explorer.example"}
	})
	for _, path := range []string{"/v1/directory", "/v1/directory?epoch=1", "/v1/directory/delta?since=1"} {
		b.Run(path, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.RemoteAddr = "127.0.0.1:40000"
			r.Header.Set("Accept", "application/octet-stream")
			r.Header.Set("Accept-Encoding", "gzip")
			r.Header.Set("If-None-Match", w.get(path, "Accept", "application/octet-stream", "Accept-Encoding", "gzip").Header.Get("ETag"))
			b.ReportAllocs()
			for b.Loop() {
				d := &discard{http.Header{}}
				w.handler.ServeHTTP(d, r)
				if d.header.Get("ETag") == "" || d.header.Get("Content-Type") != "" {
					b.Fatalf("not a 304: %v", d.header)
				}
			}
		})
	}
}
