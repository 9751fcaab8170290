package httpx_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"tunic/internal/httpx"
)

// handClock is a clock that moves when told to.
type handClock struct{ t time.Time }

func (c *handClock) now() time.Time          { return c.t }
func (c *handClock) advance(d time.Duration) { c.t = c.t.Add(d) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestLimiter(t *testing.T) {
	clock := &handClock{t: time.Unix(1000, 0)}
	l := httpx.NewLimiter(httpx.LimiterConfig{PerSecond: 0.5, Burst: 2, Now: clock.now})
	allow := func(a string, wantWait time.Duration) {
		t.Helper()
		if wait, ok := l.Allow(addr(a)); wait != wantWait || ok != (wantWait == 0) {
			t.Errorf("%s: wait %v, %v, want %v", a, wait, ok, wantWait)
		}
	}
	allow("192.0.2.1", 0)
	allow("::ffff:192.0.2.1", 0) // the same client
	allow("192.0.2.1", 2*time.Second)
	allow("192.0.2.1", 2*time.Second) // a refusal costs nothing
	allow("192.0.2.2", 0)
	clock.advance(time.Second)
	allow("192.0.2.1", time.Second)
	clock.advance(time.Second)
	allow("192.0.2.1", 0)
	allow("2001:db8::1", 0)
	allow("2001:db8::2", 0)
	allow("2001:db8::3", 2*time.Second) // one /64 is one client
	allow("2001:db8:0:1::1", 0)
	allow("fe80::1%eth0", 0)
	if _, ok := l.Allow(netip.Addr{}); !ok {
		t.Error("a client without an IP address is refused")
	}
}

func TestLimiterForgetsTheOldest(t *testing.T) {
	clock := &handClock{t: time.Unix(1000, 0)}
	l := httpx.NewLimiter(httpx.LimiterConfig{PerSecond: 0.001, Burst: 1, Clients: 3, Now: clock.now})
	ask := func(i int) bool {
		_, ok := l.Allow(addr(fmt.Sprintf("192.0.2.%d", i)))
		return ok
	}
	for i := range 3 {
		if !ask(i) {
			t.Fatal("a new client is refused")
		}
	}
	if ask(0) { // and is now the most recent
		t.Fatal("no limit")
	}
	ask(3) // displaces 1
	if ask(0) {
		t.Error("a recent client was forgotten")
	}
	if !ask(1) {
		t.Error("the table keeps more than it may")
	}
}

func TestLimiterHandler(t *testing.T) {
	clock := &handClock{t: time.Unix(1000, 0)}
	l := httpx.NewLimiter(httpx.LimiterConfig{PerSecond: 0.4, Burst: 1, Now: clock.now})
	h := l.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	get := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		return w
	}
	if w := get(); w.Code != 200 {
		t.Fatal(w.Code)
	}
	w := get()
	if w.Code != 429 || w.Header().Get("Retry-After") != "3" || !strings.Contains(w.Body.String(), `"code":"rate_limited"`) {
		t.Fatalf("%d, Retry-After %q, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
	clock.advance(3 * time.Second) // who waits as told is served
	if w := get(); w.Code != 200 {
		t.Errorf("after Retry-After: %d", w.Code)
	}
}

func TestLimiterConcurrent(t *testing.T) {
	l := httpx.NewLimiter(httpx.LimiterConfig{PerSecond: 1e-9, Burst: 50, Clients: 10})
	var mu sync.Mutex
	var wg sync.WaitGroup
	passed := 0
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if _, ok := l.Allow(addr("192.0.2.1")); ok {
					mu.Lock()
					passed++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if passed != 50 {
		t.Errorf("%d of 160 passed, want 50", passed)
	}
}

func TestClientIP(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		remote    string
		forwarded []string
		want      string
	}{
		{"192.0.2.1:80", nil, "192.0.2.1"},
		{"192.0.2.1:80", []string{"203.0.113.9"}, "192.0.2.1"}, // not a proxy: a claim
		{"127.0.0.1:80", nil, "127.0.0.1"},
		{"127.0.0.1:80", []string{"203.0.113.9"}, "203.0.113.9"},
		{"[::ffff:127.0.0.1]:80", []string{"203.0.113.9"}, "203.0.113.9"},
		{"127.0.0.1:80", []string{"1.1.1.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		{"127.0.0.1:80", []string{"1.1.1.1", "203.0.113.9"}, "203.0.113.9"},
		{"127.0.0.1:80", []string{"1.1.1.1, nonsense"}, "127.0.0.1"},
		{"127.0.0.1:80", []string{"10.0.0.1, 10.0.0.2"}, "10.0.0.1"},
		{"@", []string{"203.0.113.9"}, "invalid IP"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.forwarded
		if got := httpx.ClientIP(r, proxies).String(); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}

func TestRequestID(t *testing.T) {
	var seen string
	h := httpx.WithRequestID(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen = httpx.RequestID(w) }))
	for given, kept := range map[string]bool{
		"abc-DEF_1.2": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "a\nb": false, "é": false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set(httpx.RequestIDHeader, given)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if sent := w.Header().Get(httpx.RequestIDHeader); sent != seen || (seen == given) != kept || (!kept && len(seen) != 24) {
			t.Errorf("given %q: handler saw %q, client got %q", given, seen, sent)
		}
	}
	if id := httpx.RequestID(httptest.NewRecorder()); id != "" {
		t.Errorf("no request has id %q", id)
	}
}

func TestNewServerHasLimits(t *testing.T) {
	s := httpx.NewServer(http.NotFoundHandler())
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 || s.ErrorLog == nil {
		t.Errorf("%+v", s)
	}
}
