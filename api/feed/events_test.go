package feed_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/httpx"
	"tunic/ledger/light"
)

func TestEvents(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 75)
	good := w.statement(3, "kept")
	w.said[74] = [][]byte{append(w.statement(4, "long"), 0), good, []byte("junk"), nil}
	l := serve(t, w)
	f := open(t, feed.Config{}, l)
	all := take(t, follow(t, f, 0), 75) // from a past too old to go by
	for i, e := range all {
		if e.Header.Seal != w.headers[i].Seal {
			t.Fatalf("event %d is of height %d", i, e.Header.Header.Height)
		}
	}
	if p := all[73].Published; len(p) != 1 || string(p[0]) != string(good) {
		t.Errorf("published: %q", p)
	}
	if n, _ := f.Newest(); n.Header.Height != 75 {
		t.Errorf("newest is %d", n.Header.Height)
	}
	in := follow(t, f, 75)
	more := *w
	more.grow(t, 1)
	l.change(func() { l.world = &more })
	if got := heights(take(t, in, 1)); got != "76 " {
		t.Error(got)
	}
	for _, since := range []chain.Height{math.MaxUint64, math.MaxInt64} {
		if _, err := f.Events(t.Context(), since); !errors.Is(err, feed.ErrRange) {
			t.Errorf("since %d: %v", since, err)
		}
	}
}

// TestEventLies has a row for each lie of a stream. The client takes what came
// before it, opens the stream again where it was, and goes to the other server.
func TestEventLies(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 25)
	type send = func(name, data string)
	for _, c := range []struct {
		lie string
		at  func(h chain.SealedHeader, send send) // instead of height 22
	}{
		{"gap", func(h chain.SealedHeader, send send) { send("block", eventJSON(w.at(23), nil)) }},
		{"replay", func(h chain.SealedHeader, send send) { send("block", eventJSON(w.at(21), nil)) }},
		{"reorder", func(h chain.SealedHeader, send send) {
			send("block", eventJSON(w.at(24), nil))
			send("block", eventJSON(h, nil))
		}},
		{"signed by another key", func(h chain.SealedHeader, send send) { send("block", eventJSON(light.Seal(key(9), h.Header), nil)) }},
		{"another network", func(h chain.SealedHeader, send send) {
			h.Header.Genesis[0] ^= 1
			send("block", eventJSON(light.Seal(w.sealer, h.Header), nil))
		}},
		{"junk", func(h chain.SealedHeader, send send) { send("block", "junk") }},
		{"junk header", func(h chain.SealedHeader, send send) { send("block", `{"header":"AAAA","published":[]}`) }},
		{"null", func(h chain.SealedHeader, send send) { send("block", "null") }},
		{"published is no array", func(h chain.SealedHeader, send send) {
			send("block", strings.Replace(eventJSON(h, [][]byte{}), "[]", `{"a":1}`, 1))
		}},
		{"too many statements", func(h chain.SealedHeader, send send) {
			send("block", strings.Replace(eventJSON(h, [][]byte{}), "[]", `[""`+strings.Repeat(`,""`, chain.MaxBlockTxs)+`]`, 1))
		}},
		{"unlisted is no array", func(h chain.SealedHeader, send send) {
			send("block", strings.Replace(eventJSON(h, nil), "{", `{"unlisted":{"a":1},`, 1))
		}},
		{"unlisted with a performance above all", func(h chain.SealedHeader, send send) {
			send("block", strings.Replace(eventJSON(h, nil), "{", `{"unlisted":[{"node":"`+strings.Repeat("00", 32)+`","performance":1001}],`, 1))
		}},
		{"unlisted that is no node", func(h chain.SealedHeader, send send) {
			send("block", strings.Replace(eventJSON(h, nil), "{", `{"unlisted":[{"node":"00"}],`, 1))
		}},
		{"text behind the object", func(h chain.SealedHeader, send send) { send("block", eventJSON(h, nil)+"{}") }},
	} {
		t.Run(c.lie, func(t *testing.T) {
			liar, good := serve(t, w), serve(t, w)
			liar.event = func(h chain.SealedHeader, said [][]byte, send func(name, data string)) {
				switch {
				case h.Header.Height < 22:
					send("block", eventJSON(h, said))
				case h.Header.Height == 22:
					c.at(h, send)
				}
			}
			f := open(t, feed.Config{}, liar, good)
			got := heights(take(t, follow(t, f, 19), 6))
			if got != "20 21 22 23 24 25 " {
				t.Error(got)
			}
			if good.count("/v1/events") == 0 {
				t.Error("the other server was not asked")
			}
			if f.Conflict() != nil {
				t.Error("halted")
			}
		})
	}
}

// Who is judged though no list names it comes with the block, as the server says.
func TestEventsUnlisted(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 22)
	l := serve(t, w)
	want := feed.Unlisted{Node: chain.NodeID{1, 31: 2}, Decommissioned: true, Since: 7, Performance: 990}
	l.event = func(h chain.SealedHeader, said [][]byte, send func(name, data string)) {
		data := eventJSON(h, said)
		if h.Header.Height == 21 {
			one, err := json.Marshal(want)
			if err != nil {
				t.Error(err)
			}
			data = strings.Replace(data, "{", `{"unlisted":[`+string(one)+`],`, 1)
		}
		send("block", data)
	}
	got := take(t, follow(t, open(t, feed.Config{}, l), 19), 3)
	if len(got[0].Unlisted) != 0 || len(got[2].Unlisted) != 0 || len(got[1].Unlisted) != 1 || got[1].Unlisted[0] != want {
		t.Errorf("%+v", got)
	}
}

// TestEventsResume: cut off after each block, the stream goes on where it was,
// with one server.
func TestEventsResume(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 25)
	for name, cut := range map[string]func(http.ResponseWriter, *httpx.EventStream){
		"closed": func(http.ResponseWriter, *httpx.EventStream) {},
		"told": func(_ http.ResponseWriter, s *httpx.EventStream) {
			s.Send(httpx.Event{Name: "cut", Data: []byte("slow")})
		},
		"half line": func(w http.ResponseWriter, _ *httpx.EventStream) { w.Write([]byte("event: block\ndata: {\"he")) },
		"aborted":   func(http.ResponseWriter, *httpx.EventStream) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			l := serve(t, w)
			l.hook = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/v1/events" {
					return false
				}
				s, err := httpx.NewEventStream(rw, time.Minute)
				if err != nil {
					return true
				}
				var n int
				for _, c := range r.URL.Query().Get("since") {
					n = 10*n + int(c-'0')
				}
				if n <= 25 {
					s.Send(httpx.Event{Name: "block", Data: []byte(eventJSON(w.at(chain.Height(n)), nil))})
				}
				cut(rw, s)
				return true
			}
			f := open(t, feed.Config{}, l)
			if got := heights(take(t, follow(t, f, 20), 5)); got != "21 22 23 24 25 " {
				t.Error(got)
			}
		})
	}
}

// TestEventsPruned: what no ledger has any more is skipped, what one has is not.
func TestEventsPruned(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 25)
	young := func(first int) *ledger {
		l := serve(t, w)
		l.hook = func(rw http.ResponseWriter, r *http.Request) bool {
			if since, err := strconv.Atoi(r.URL.Query().Get("since")); r.URL.Path != "/v1/events" || err != nil || since >= first {
				return false
			}
			httpx.WriteProblem(rw, r, httpx.Problem{Status: http.StatusNotFound, Code: "pruned", Detail: "blocks from another height on"})
			return true
		}
		return l
	}
	f := open(t, feed.Config{}, young(23), young(20))
	if got := heights(take(t, follow(t, f, 20), 5)); got != "21 22 23 24 25 " {
		t.Errorf("one has them: %s", got)
	}
	f = open(t, feed.Config{}, young(23), young(20))
	if _, err := f.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	newest, ok := f.Newest()
	if got := heights(take(t, follow(t, f, 10), 1)); !ok || got != fmt.Sprint(newest.Header.Height, " ") {
		t.Errorf("none has them, the newest is %d: %s", newest.Header.Height, got)
	}
}

// TestEventsTwoHistories: after a reconnect a stream goes on with another
// history, at a height that the verifier has no neighbour for.
func TestEventsTwoHistories(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 75)
	fork := w.branch(t, 10, 65)
	l := serve(t, w)
	l.event = func(h chain.SealedHeader, said [][]byte, send func(name, data string)) {
		n := h.Header.Height
		switch {
		case n <= 12: // too old to be kept by anybody but the follower
			send("block", eventJSON(h, said))
		case n == 13:
			l.mu.Lock()
			l.world = fork
			l.mu.Unlock()
			send("block", eventJSON(fork.at(13), said))
		}
	}
	f := open(t, feed.Config{}, l)
	in := follow(t, f, 5)
	if got := heights(take(t, in, 7)); got != "6 7 8 9 10 11 12 " {
		t.Error(got)
	}
	closes(t, in)
	halts(t, f, 12)
}

// TestSilence runs on fake time: a server that sends nothing but heartbeats is
// left for another, a minute or four block intervals later.
func TestSilence(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 25)
	synctest.Test(t, func(t *testing.T) {
		silent := &ledger{world: w, asked: map[string]int{}, grown: make(chan struct{})}
		silent.hook = func(rw http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/v1/events" {
				return false
			}
			s, err := httpx.NewEventStream(rw, time.Minute)
			for err == nil && r.Context().Err() == nil {
				err = s.Heartbeat()
				select {
				case <-time.After(15 * time.Second):
				case <-r.Context().Done():
				}
			}
			return true
		}
		good := &ledger{world: w, asked: map[string]int{}, grown: make(chan struct{})}
		n := w.net
		n.URLs = []string{"http://silent", "http://good"}
		f, err := feed.New(feed.Config{Network: n, Now: w.now, HTTP: &http.Client{Transport: byHost{
			"silent": httpx.InMemory(silent), "good": httpx.InMemory(good)}}})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		in, err := f.Events(t.Context(), 24)
		if err != nil {
			t.Fatal(err)
		}
		<-in
		if d := time.Since(began); d < 4*time.Minute || d > 5*time.Minute {
			t.Errorf("left after %s", d)
		}
	})
}

type byHost map[string]http.RoundTripper

func (b byHost) RoundTrip(r *http.Request) (*http.Response, error) { return b[r.URL.Host].RoundTrip(r) }
