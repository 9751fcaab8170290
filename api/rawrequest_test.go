package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tunic/internal/httpx"
)

// What no client library sends: each gets an answer below 500, or the end of the
// connection, soon.
func TestRawRequests(t *testing.T) {
	w := running(t, nil)
	at := served(w).Listener.Addr().String()
	for name, c := range map[string]struct {
		request string
		status  int // 0: any below 500
	}{
		"junk":               {"\x00\x01\x02\r\n\r\n", 400},
		"no host":            {"GET /healthz HTTP/1.1\r\n\r\n", 400},
		"two hosts":          {"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		"absolute":           {"GET http://elsewhere.test/healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		"absolute, no path":  {"GET http://elsewhere.test HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		"connect":            {"CONNECT elsewhere.test:443 HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		"options of all":     {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		"a star":             {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		"bad escape":         {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"bytes in the path":  {"GET /v1/nodes/\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		"dots":               {"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 404},
		"a long header":      {"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 40_000) + "\r\n\r\n", 431},
		"a long line":        {"GET /" + strings.Repeat("a", 40_000) + " HTTP/1.1\r\nHost: a\r\n\r\n", 431},
		"many headers":       {"GET /healthz HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 5000) + "\r\n", 431},
		"two lengths":        {"POST /v1/statements HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400},
		"length and chunks":  {"POST /v1/statements HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 0},
		"bad chunks":         {"POST /v1/statements HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
		"an endless body":    {"POST /v1/statements HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1000\r\n"+strings.Repeat("x", 4096)+"\r\n", 40), 413},
		"says it is huge":    {"POST /json_rpc HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000000\r\n\r\n" + strings.Repeat("x", 200_000), 413},
		"waits for continue": {"POST /v1/statements HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n", 415},
		"version 3":          {"GET /healthz HTTP/3.0\r\nHost: a\r\n\r\n", 505},
		"upgrade":            {"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", 200},
		"a body on GET":      {"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200},
	} {
		conn, err := net.Dial("tcp", at)
		w.must(err)
		w.must(conn.SetDeadline(time.Now().Add(time.Minute)))
		go io.WriteString(conn, c.request) // the server may stop reading
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		switch {
		case err != nil && c.status != 0:
			t.Errorf("%s: %v", name, err)
		case err == nil && (res.StatusCode != c.status && c.status != 0 || c.status == 0 && res.StatusCode >= 500):
			t.Errorf("%s: %s", name, res.Status)
		}
		conn.Close()
	}
	if a := w.get("/healthz"); a.StatusCode != http.StatusOK {
		t.Error(fmt.Sprint("afterwards: ", a.Status))
	}
}

// A body that nobody will read is not waited for: the answer comes though the
// body never does.
func TestBodiesNotWaitedFor(t *testing.T) {
	w := running(t, nil)
	srv := httptest.NewUnstartedServer(nil)
	srv.Config = httpx.NewServer(w.handler)
	srv.Config.ReadTimeout = 0 // else it ends the wait
	srv.Start()
	t.Cleanup(srv.Close)
	for name, c := range map[string]struct {
		request string
		status  int
	}{
		"too long":          {"POST /v1/statements HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nContent-Length: 100000\r\n\r\n", 413},
		"of another type":   {"POST /v1/statements HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n", 415},
		"for no path":       {"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n", 404},
		"for no method":     {"PUT /v1/nodes HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 405},
		"for a hidden path": {"POST /dev/mine HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n", 404},
		"of a GET":          {"GET /v1/status HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", 200},
	} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		w.must(err)
		w.must(conn.SetDeadline(time.Now().Add(time.Minute)))
		_, err = io.WriteString(conn, c.request)
		w.must(err)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != c.status || !res.Close {
			t.Errorf("%s: %+v, %v", name, res, err)
		}
		conn.Close()
	}
}
