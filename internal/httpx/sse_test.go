package httpx_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tunic/internal/httpx"
)

func TestEventStreamBytes(t *testing.T) {
	w := httptest.NewRecorder()
	s, err := httpx.NewEventStream(w, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []httpx.Event{
		{ID: "7", Name: "block", Data: []byte(`{"height":7}`)},
		{Data: []byte("a\nb\r\nc\rd")},
		{},
	} {
		if err := s.Send(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Heartbeat(); err != nil {
		t.Fatal(err)
	}
	for _, e := range []httpx.Event{{ID: "1\ndata: forged"}, {ID: "1\r"}, {ID: "\x00"}, {Name: "x\ny"}} {
		if err := s.Send(e); !errors.Is(err, httpx.ErrEvent) {
			t.Errorf("%q: %v, want ErrEvent", e, err)
		}
	}
	want := "id: 7\nevent: block\ndata: {\"height\":7}\n\n" +
		"data: a\ndata: b\ndata: c\ndata: d\n\n" +
		"data: \n\n" +
		":\n\n"
	if got := w.Body.String(); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if !w.Flushed || w.Header().Get("Content-Type") != httpx.EventStreamType {
		t.Errorf("flushed %v, headers %v", w.Flushed, w.Header())
	}
}

func TestEventReader(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []httpx.Event
		end      error
	}{
		{"empty", "", nil, io.EOF},
		{"plain", "id: 1\nevent: e\ndata: x\n\n", []httpx.Event{{ID: "1", Name: "e", Data: []byte("x")}}, io.EOF},
		{"line ends", "data:x\rdata: y\r\n\r\n", []httpx.Event{{Data: []byte("x\ny")}}, io.EOF},
		{"comments", "\ufeff:hi\n\n: there\ndata\n\n", []httpx.Event{{}}, io.EOF},
		{"no data is no event", "id: 1\nevent: e\n\ndata: x\n\n", []httpx.Event{{Data: []byte("x")}}, io.EOF},
		{"other fields", "retry: 5\nfoo\ndata: x\n\n", []httpx.Event{{Data: []byte("x")}}, io.EOF},
		{"cut off", "data: x\n\ndata: y\n", []httpx.Event{{Data: []byte("x")}}, io.EOF},
		{"line over limit", "data: " + strings.Repeat("x", 200) + "\n\n", nil, httpx.ErrEventTooLarge},
		{"event over limit", strings.Repeat("data: 0123456789\n", 5), nil, httpx.ErrEventTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httpx.NewEventReader(strings.NewReader(c.in), 40)
			for _, want := range c.want {
				got, err := r.Next()
				if err != nil || got.ID != want.ID || got.Name != want.Name || !bytes.Equal(got.Data, want.Data) {
					t.Fatalf("got %q, %v; want %q", got, err, want)
				}
			}
			for range 2 {
				if _, err := r.Next(); !errors.Is(err, c.end) {
					t.Fatalf("end: %v, want %v", err, c.end)
				}
			}
		})
	}
}

// FuzzEventStream: what was written is what is read.
func FuzzEventStream(f *testing.F) {
	f.Add("1", "block", []byte("a\nb"))
	f.Add("", "", []byte(""))
	f.Add(" x", "a: b", []byte("\r\n\r\r\n"))
	f.Fuzz(func(t *testing.T, id, name string, data []byte) {
		w := httptest.NewRecorder()
		s, err := httpx.NewEventStream(w, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(httpx.Event{ID: id, Name: name, Data: data}); err != nil {
			return
		}
		got, err := httpx.NewEventReader(w.Body, 1<<16).Next()
		if len(data)+len(id)+len(name) > 1<<15 {
			return
		}
		want := strings.ReplaceAll(strings.ReplaceAll(string(data), "\r\n", "\n"), "\r", "\n")
		if err != nil || got.ID != id || got.Name != name || string(got.Data) != want {
			t.Fatalf("wrote %q %q %q, read %q, %v", id, name, data, got, err)
		}
	})
}

// flood is a handler that sends as fast as its client reads, and tells how that
// ended.
func flood(ended chan<- error, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := httpx.NewEventStream(w, timeout)
		for err == nil {
			err = s.Send(httpx.Event{Data: bytes.Repeat([]byte("x"), 10_000)})
		}
		ended <- err
	})
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

func TestSlowReaderIsCutOffInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		client := &http.Client{Transport: httpx.InMemory(flood(ended, 5*time.Second))}
		resp, err := client.Get("http://tunic/events")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := <-ended; !isTimeout(err) || time.Since(start) != 5*time.Second {
			t.Errorf("after %v: %v, want a timeout after 5 s", time.Since(start), err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the client sees %v, want an early end", err)
		}
		resp.Body.Close()
	})
}

// TestSlowReaderIsCutOff does the same over a real connection, with the limits
// of a server on the whole request far shorter than the stream.
func TestSlowReaderIsCutOff(t *testing.T) {
	ended := make(chan error, 1)
	ts := httptest.NewUnstartedServer(flood(ended, 200*time.Millisecond))
	ts.Config = httpx.NewServer(ts.Config.Handler)
	ts.Start()
	defer ts.Close()
	resp, err := ts.Client().Get(ts.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := <-ended; !isTimeout(err) {
		t.Errorf("ended with %v, want a timeout", err)
	}
}

// TestStreamOutlivesServerLimits: the time limits on a whole request do not end
// a stream whose client reads.
func TestStreamOutlivesServerLimits(t *testing.T) {
	const limit = 200 * time.Millisecond // that the handler is reached within it
	const beats = 4                      // twice the limit
	ended := make(chan error, 1)
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := httpx.NewEventStream(w, time.Minute)
		for i := 0; err == nil && i < beats; i++ {
			select {
			case <-r.Context().Done():
				err = r.Context().Err()
			case <-time.After(limit / 2):
				err = s.Heartbeat()
			}
		}
		ended <- err
	}))
	ts.Config = httpx.NewServer(ts.Config.Handler)
	ts.Config.ReadTimeout, ts.Config.WriteTimeout = limit, limit
	ts.Start()
	defer ts.Close()
	resp, err := ts.Client().Get(ts.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err := <-ended; err != nil {
		t.Errorf("the handler ended with %v", err)
	}
	if err != nil || string(body) != strings.Repeat(":\n\n", beats) {
		t.Errorf("the client read %q, %v", body, err)
	}
}
