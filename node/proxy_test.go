package node_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tunic/internal/sockstest"
	"tunic/node"
)

func parseProxy(t *testing.T, s string) *node.Proxy {
	t.Helper()
	p, err := node.ParseProxy(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParseProxy(t *testing.T) {
	for s, want := range map[string]string{
		"socks5://127.0.0.1:9050": "socks5://127.0.0.1:9050", "socks5h://localhost:9150/": "socks5://127.0.0.1:9150",
		"socks5://u:p@[::1]:1080": "socks5://[::1]:1080",
	} {
		if p := parseProxy(t, s); p.String() != want {
			t.Errorf("%s is %s", s, p)
		}
	}
	for s, want := range map[string]string{
		"": "want socks5://", "127.0.0.1:9050": "want socks5://", "http://127.0.0.1:9050": `"http" is not spoken here`,
		"socks5://127.0.0.1": "a port is missing", "socks5://tor:9050": "looked up around the proxy", "socks5://127.0.0.1:0": "no IP address",
		"socks5://127.0.0.1:99999": "no IP address", "socks5://127.0.0.1:9050/x": "nothing may follow", "socks5://127.0.0.1:9050?x=1": "nothing may follow",
		"socks5://secret@127.0.0.1:9050": "user and password", "socks5://:secret@127.0.0.1:9050": "user and password",
		"socks5://u:" + strings.Repeat("secret", 50) + "@127.0.0.1:9050": "user and password", "socks5://u:secret@tor:9050": "looked up",
	} {
		_, err := node.ParseProxy(s)
		if !errors.Is(err, node.ErrProxyURL) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// noLookups fails the test where a name is looked up.
func noLookups(t *testing.T) {
	t.Helper()
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("a name was looked up around the proxy")
		return nil, errors.New("no lookups")
	}}
	t.Cleanup(func() { net.DefaultResolver = was })
}

// A ledger is asked by its name, which the proxy resolves, with the user that keeps
// accounts apart; user and password of the URL are sent as they are.
func TestProxyRequests(t *testing.T) {
	noLookups(t)
	for _, v := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(v, "http://127.0.0.1:1") // nobody is there
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	defer srv.Close()
	hosts := map[string]string{"ledger.invalid": srv.Listener.Addr().String()}
	get := func(p *node.Proxy) error {
		h := p.HTTP()
		defer h.CloseIdleConnections()
		res, err := h.Get("http://ledger.invalid:8400/")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err == nil && string(b) != "here" {
			t.Errorf("got %q", b)
		}
		return err
	}
	open := sockstest.Start(t, sockstest.Config{Hosts: hosts})
	one, two := parseProxy(t, "socks5://"+open.Addr), parseProxy(t, "socks5://"+open.Addr)
	for _, p := range []*node.Proxy{one, one, two} {
		if err := get(p); err != nil {
			t.Fatal(err)
		}
	}
	seen := open.Seen()
	if len(seen) != 3 || seen[0] != seen[1] || seen[0].User == seen[2].User || len(seen[0].User) < 16 || len(seen[2].User) < 16 {
		t.Errorf("accounts are not kept apart: %+v", seen)
	}
	for _, r := range seen {
		if r.Address != "ledger.invalid:8400" || r.Password != "ledger" {
			t.Errorf("asked for %+v", r)
		}
	}
	closed := sockstest.Start(t, sockstest.Config{User: "anne", Password: "pw", Hosts: hosts})
	if err := get(parseProxy(t, "socks5://anne:pw@"+closed.Addr)); err != nil {
		t.Error(err)
	}
	if err := get(parseProxy(t, "socks5://anne:other@"+closed.Addr)); !errors.Is(err, node.ErrProxy) || !strings.Contains(err.Error(), "does not take this user") {
		t.Errorf("a wrong password: %v", err)
	}
	if err := get(parseProxy(t, "socks5://"+sockstest.Start(t, sockstest.Config{Plain: true, Hosts: hosts}).Addr)); err != nil {
		t.Errorf("a proxy that asks for no user: %v", err)
	}
}

// Where the proxy does not work, the error says so in a sentence, it is logged once,
// and nothing goes around it.
func TestProxyDown(t *testing.T) {
	noLookups(t)
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer srv.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	go func() {
		for {
			c, err := other.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "SSH-2.0-other\r\n")
			_, _ = io.Copy(io.Discard, c) // until the other side has had enough
			c.Close()
		}
	}()
	refusing := sockstest.Start(t, sockstest.Config{Refuse: true})
	for name, c := range map[string]struct {
		addr, want string
		broken     bool
	}{
		"nobody there": {ln.Addr().String(), "the SOCKS5 proxy does not work: nobody answers at socks5://" + ln.Addr().String() + " (connection refused)", true},
		"no SOCKS5":    {other.Addr().String(), "speaks no SOCKS5", true},
		"no way":       {refusing.Addr, "the proxy at socks5://" + refusing.Addr + " does not get through: host unreachable", false},
	} {
		var log bytes.Buffer
		p := parseProxy(t, "socks5://"+c.addr)
		p.Warn(slog.New(slog.NewTextHandler(&log, nil)))
		h := p.HTTP()
		h.Timeout = time.Minute
		for range 2 {
			_, err := h.Get(srv.URL)
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, node.ErrProxy) != c.broken {
				t.Errorf("%s: %v", name, err)
			}
		}
		if lines := strings.Count(log.String(), "nothing is sent: "); lines != map[bool]int{true: 1, false: 0}[c.broken] {
			t.Errorf("%s: logged %q", name, log.String())
		}
		if err := p.Check(t.Context()); (err != nil) != (name == "nobody there") || err != nil && !errors.Is(err, node.ErrProxy) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests went around the proxy", n)
	}
}
