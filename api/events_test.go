package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tunic/api"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/ledger"
)

// feed is an open event stream.
type feed struct {
	w      *world
	res    *http.Response
	events *httpx.EventReader
}

func (w *world) events(query string, headers ...string) *feed {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://api.test/v1/events"+query, nil)
	w.must(err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := w.client.Do(req)
	w.must(err)
	w.Cleanup(func() { cancel(); res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != httpx.EventStreamType {
		w.Fatalf("events: %s, %s", res.Status, res.Header.Get("Content-Type"))
	}
	return &feed{w, res, httpx.NewEventReader(res.Body, 1<<20)}
}

// block reads the next event, which is the block at want.
func (f *feed) block(want chain.Height) (published int) {
	f.w.Helper()
	e, err := f.events.Next()
	f.w.must(err)
	var body struct {
		Header    []byte
		Published [][]byte
	}
	f.w.must(json.Unmarshal(e.Data, &body))
	sealed, err := chain.DecodeSealedHeader(body.Header)
	f.w.must(err)
	if e.Name != "block" || e.ID != strconv.FormatUint(uint64(want), 10) || sealed.Header.Height != want {
		f.w.Fatalf("event %q with id %q and height %d, want the block at %d", e.Name, e.ID, sealed.Header.Height, want)
	}
	return len(body.Published)
}

// TestEvents: old blocks come from the store, new ones as they are sealed, and a
// client that comes back misses none.
func TestEvents(t *testing.T) {
	w := running(t, nil)
	head := w.ledger.Head().Header.Height
	f := w.events("?since=2")
	statements := 0
	for h := chain.Height(2); h <= head; h++ {
		statements += f.block(h)
	}
	if statements != 6 {
		t.Errorf("%d statements, published were 6", statements)
	}
	w.seal()
	f.block(head + 1)
	f.res.Body.Close()
	w.seal()
	w.seal()
	f = w.events("?since=1", "Last-Event-ID", strconv.FormatUint(uint64(head+1), 10))
	f.block(head + 2)
	f.block(head + 3)
	next := w.events("")
	w.seal()
	next.block(head + 4)
	f.block(head + 4)
	// A stream ends with its ledger, and says so.
	w.must(w.ledger.Close())
	if e, err := f.events.Next(); err != nil || e.Name != "cut" || string(e.Data) != `{"reason":"closed"}` {
		t.Errorf("end of a stream: %+v, %v", e, err)
	}
	if _, err := f.events.Next(); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

// TestEventsTooSlow: a client that caught up and then stops reading is told so
// when it reads again.
func TestEventsTooSlow(t *testing.T) {
	for _, types := range []string{"", "?types=head", "?types=head,transaction,block"} {
		w := empty(t, func(c *api.Config, _ *ledger.Config) { c.MaxLag, c.WriteTimeout = 20, time.Minute })
		w.seal()
		f := w.events(types)
		w.seal()
		if e, err := f.events.Next(); err != nil || e.Name == "cut" {
			t.Fatalf("%+v, %v", e, err)
		}
		for range 400 { // more than buffers hold
			w.seal()
		}
		for {
			e, err := f.events.Next()
			w.must(err)
			if e.Name == "cut" {
				if string(e.Data) != `{"reason":"too_slow"}` {
					t.Errorf("cut: %s", e.Data)
				}
				break
			}
		}
	}
}

// TestEventsStuck: a client that does not read at all is cut off.
func TestEventsStuck(t *testing.T) {
	for _, types := range []string{"", "&types=head"} {
		w := empty(t, func(c *api.Config, _ *ledger.Config) { c.WriteTimeout, c.Streams = 20*time.Millisecond, 1 })
		for range 400 {
			w.seal()
		}
		f := w.events("?since=1" + types)
		// Its place is free again once it is cut off.
		w.eventually(func() bool {
			if a := w.do(http.MethodHead, "/v1/events", nil); a.StatusCode != http.StatusOK {
				t.Fatalf("HEAD: %s", a.Status)
			}
			res, err := w.client.Get("http://api.test/v1/events?since=400")
			w.must(err)
			res.Body.Close()
			return res.StatusCode == http.StatusOK
		})
		n := 0
		for err := error(nil); err == nil; n++ {
			_, err = f.events.Next()
		}
		if n >= 400 {
			t.Error("all events came through")
		}
	}
}

// eventually waits for what happens soon.
func (w *world) eventually(f func() bool) {
	w.Helper()
	for range 1000 {
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Fatal("it does not happen")
}

// serve puts the handler behind a real socket until ctx ends.
func (w *world) serve(ctx context.Context) (url string) {
	w.Helper()
	srv := httptest.NewUnstartedServer(w.handler)
	srv.Config = httpx.NewServer(w.handler)
	srv.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	srv.Start()
	w.Cleanup(srv.Close)
	return srv.URL
}

// TestEventsManyReaders: all of many readers get each block, and a last word when
// the server stops as when the ledger ends.
func TestEventsManyReaders(t *testing.T) {
	for _, stops := range []string{"server", "ledger"} {
		w := empty(t, func(c *api.Config, _ *ledger.Config) { c.Streams = 50 })
		w.seal()
		ctx, stop := context.WithCancel(context.Background())
		url := w.serve(ctx) + "/v1/events?types="
		types := []string{"head", "head,slash", everyType, "block"}
		client := &http.Client{Transport: &http.Transport{}}
		var feeds []*feed
		for i := range 50 {
			res, err := client.Get(url + types[i%len(types)])
			w.must(err)
			defer res.Body.Close()
			feeds = append(feeds, &feed{w, res, httpx.NewEventReader(res.Body, 1<<20)})
		}
		res, err := client.Get(url + "head")
		w.must(err)
		res.Body.Close()
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
			t.Errorf("one stream too many: %s", res.Status)
		}
		for range 3 {
			w.seal()
		}
		for i, f := range feeds {
			name := []string{"head", "head", "block", "block"}[i%len(types)]
			for h := chain.Height(2); h <= 4; h++ {
				f.until(name, h)
			}
		}
		if stops == "server" {
			stop()
		} else {
			w.must(w.ledger.Close())
		}
		for i, f := range feeds {
			if e, err := f.events.Next(); err != nil || e.Name != "cut" || string(e.Data) != `{"reason":"closed"}` {
				t.Errorf("reader %d at the end of the %s: %+v, %v", i, stops, e, err)
			}
			if _, err := f.events.Next(); err != io.EOF {
				t.Errorf("reader %d after the end: %v", i, err)
			}
		}
		stop()
		client.CloseIdleConnections()
	}
}

// TestEventsShare: one address has no more than its share of the streams, except
// loopback.
func TestEventsShare(t *testing.T) {
	w := empty(t, func(c *api.Config, _ *ledger.Config) {
		c.Limits, c.StreamsEach = &httpx.LimiterConfig{PerSecond: 1e6, Burst: 1e6}, 2
	})
	w.seal()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	request := func(from string) *http.Request {
		req := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/events?types=head", nil)
		req.RemoteAddr = from
		return req
	}
	// ask leaves a stream running: of its answer the status can be read.
	ask := func(from string) *httptest.ResponseRecorder {
		out, begun := httptest.NewRecorder(), make(chan struct{})
		wg.Go(func() {
			w.handler.ServeHTTP(flushing{out, sync.OnceFunc(func() { close(begun) })}, request(from))
		})
		<-begun
		return out
	}
	for range 2 {
		if a := ask("192.0.2.1:1000"); a.Code != http.StatusOK {
			t.Fatalf("within the share: %d", a.Code)
		}
	}
	a := httptest.NewRecorder()
	w.handler.ServeHTTP(a, request("192.0.2.1:2000"))
	if a.Code != http.StatusTooManyRequests || !strings.Contains(a.Body.String(), "too_many_streams") || a.Header().Get("Retry-After") == "" {
		t.Errorf("beyond the share: %d %s", a.Code, a.Body)
	}
	for range 5 {
		if a := ask("127.0.0.1:3000"); a.Code != http.StatusOK {
			t.Errorf("loopback: %d", a.Code)
		}
	}
	if a := ask("192.0.2.2:1000"); a.Code != http.StatusOK {
		t.Errorf("another address: %d", a.Code)
	}
	stop()
	wg.Wait()
}

// flushing tells when the head of an answer was written.
type flushing struct {
	*httptest.ResponseRecorder
	begun func()
}

func (f flushing) WriteHeader(code int) { f.ResponseRecorder.WriteHeader(code); f.begun() }

func TestHeartbeats(t *testing.T) {
	w := empty(t, func(c *api.Config, _ *ledger.Config) { c.Heartbeat = time.Millisecond })
	w.seal()
	f := w.events("")
	b := make([]byte, 3)
	if _, err := io.ReadFull(f.res.Body, b); err != nil || string(b) != ":\n\n" {
		t.Errorf("a quiet stream sends %q, %v", b, err)
	}
}
