package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
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
	w := empty(t, func(c *api.Config, _ *ledger.Config) { c.MaxLag, c.WriteTimeout = 20, time.Minute })
	w.seal()
	f := w.events("?since=1")
	f.block(1)
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
			return
		}
	}
}

// TestEventsStuck: a client that does not read at all is cut off.
func TestEventsStuck(t *testing.T) {
	w := empty(t, func(c *api.Config, _ *ledger.Config) { c.WriteTimeout, c.Streams = 20*time.Millisecond, 1 })
	for range 400 {
		w.seal()
	}
	f := w.events("?since=1")
	// Its place is free again once it is cut off.
	for range 200 {
		if a := w.do(http.MethodHead, "/v1/events", nil); a.StatusCode != http.StatusOK {
			t.Fatalf("HEAD: %s", a.Status)
		}
		res, err := w.client.Get("http://api.test/v1/events?since=400")
		w.must(err)
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			n := 0
			for ; err == nil; n++ {
				_, err = f.events.Next()
			}
			if n >= 400 {
				t.Error("all events came through")
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("a stream that nobody reads goes on")
}

func TestHeartbeats(t *testing.T) {
	w := empty(t, func(c *api.Config, _ *ledger.Config) { c.Heartbeat = time.Millisecond })
	w.seal()
	f := w.events("")
	b := make([]byte, 3)
	if _, err := io.ReadFull(f.res.Body, b); err != nil || string(b) != ":\n\n" {
		t.Errorf("a quiet stream sends %q, %v", b, err)
	}
}
