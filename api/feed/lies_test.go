package feed_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

// TestDirectoryLies has a row for each lie of a single server about a list. The
// client refuses it, and takes the list from the next server if there is one.
func TestDirectoryLies(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 25)
	other := newWorld(t, genesis.ClockReal, 25)
	other.core.ChainID++
	other.net = genesis.Genesis{Core: other.core}.Network()
	other.headers = nil
	other.grow(t, 25)
	with := func(change func([]directory.Entry) []directory.Entry) func(chain.SealedHeader, *directory.List) []byte {
		return func(h chain.SealedHeader, l *directory.List) []byte {
			return honest(h, list(t, l.Epoch, change(append([]directory.Entry(nil), l.Entries...))))
		}
	}
	for _, c := range []struct {
		lie  string
		dir  func(chain.SealedHeader, *directory.List) []byte
		want error
	}{
		{"a node added", with(func(e []directory.Entry) []directory.Entry {
			return append(e, directory.Entry{Node: id(key(99)), Performance: 1000})
		}), nil},
		{"a node replaced", with(func(e []directory.Entry) []directory.Entry { e[0].Node = id(key(99)); return e }), directory.ErrRoot},
		{"a node removed", with(func(e []directory.Entry) []directory.Entry { return e[1:] }), directory.ErrRoot},
		{"all nodes removed", with(func(e []directory.Entry) []directory.Entry { return nil }), directory.ErrRoot},
		{"an onion key changed", with(func(e []directory.Entry) []directory.Entry { e[1].Onion.Key[0] ^= 1; return e }), directory.ErrRoot},
		{"an endpoint changed", with(func(e []directory.Entry) []directory.Entry { e[2].Endpoints = []string{"127.9.9.9:1"}; return e }), directory.ErrRoot},
		{"list of another epoch under this header", func(h chain.SealedHeader, l *directory.List) []byte { return honest(h, w.lists[1]) }, directory.ErrEpoch},
		{"list and header of another epoch", func(h chain.SealedHeader, l *directory.List) []byte { return honest(w.at(10), w.lists[1]) }, directory.ErrEpoch},
		{"header and list signed by another key", func(h chain.SealedHeader, l *directory.List) []byte {
			h.Header.Proposer = id(key(50))
			return honest(light.Seal(key(50), h.Header), l)
		}, light.ErrSealer},
		{"signed by another key in the sealer's name", func(h chain.SealedHeader, l *directory.List) []byte {
			return honest(light.Seal(key(50), h.Header), l)
		}, light.ErrSeal},
		{"the list changed and the header with it, unsigned", func(h chain.SealedHeader, l *directory.List) []byte {
			fake := list(t, l.Epoch, l.Entries[1:])
			h.Header.Directory, h.Header.DirCount = fake.Root(), 2
			return honest(h, fake)
		}, light.ErrSeal},
		{"a removal left out of the header", func(h chain.SealedHeader, l *directory.List) []byte {
			h.Header.Removals = append(h.Header.Removals, id(key(10)))
			return honest(h, l)
		}, light.ErrSeal},
		{"another network", func(h chain.SealedHeader, l *directory.List) []byte { return honest(other.at(h.Header.Height), l) }, light.ErrNetwork},
		{"a delta in place of the list", func(h chain.SealedHeader, l *directory.List) []byte {
			return append(wire.AppendBytes(nil, h.Encode()), directory.Diff(w.lists[1], l).Encode()...)
		}, nil},
		{"a list behind the list", func(h chain.SealedHeader, l *directory.List) []byte { return append(honest(h, l), 0) }, directory.ErrMalformed},
		{"a header and an endless list", func(h chain.SealedHeader, l *directory.List) []byte {
			return append(honest(h, l), make([]byte, 1<<20)...)
		}, nil},
		{"nothing", func(chain.SealedHeader, *directory.List) []byte { return nil }, nil},
		{"JSON", func(chain.SealedHeader, *directory.List) []byte { return []byte(`{"epoch":2}`) }, nil},
	} {
		t.Run(c.lie, func(t *testing.T) {
			liar, good := serve(t, w), serve(t, w)
			liar.dir = c.dir
			_, _, err := open(t, feed.Config{}, liar).Directory(t.Context(), 0)
			if !errors.Is(err, feed.ErrUnreachable) || (c.want != nil && !errors.Is(err, c.want)) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			l, h, err := open(t, feed.Config{}, liar, good).Directory(t.Context(), 0)
			if err != nil || l.Epoch != 2 || l.Check(h.Header) != nil {
				t.Fatalf("with an honest second server: %v", err)
			}
			if n := liar.count("/v1/directory/delta"); n != 0 {
				t.Errorf("%d deltas asked for", n)
			}
		})
	}
}

// TestFlippedBytes serves the list with each byte flipped and cut at each
// length (at a stride): nothing but the whole truth is accepted.
func TestFlippedBytes(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 12)
	truth := honest(w.head(), w.lists[1])
	l := serve(t, w)
	for i := 0; i < len(truth); i += 7 {
		for _, lie := range [][]byte{append(append(append([]byte(nil), truth[:i]...), truth[i]^1), truth[i+1:]...), truth[:i]} {
			l.dir = func(chain.SealedHeader, *directory.List) []byte { return lie }
			if _, _, err := open(t, feed.Config{}, l).Directory(t.Context(), 1); err == nil {
				t.Fatalf("accepted with byte %d flipped or cut there", i)
			}
		}
	}
	header := w.head().Encode()
	for i := 0; i < len(header); i += 5 {
		lie := append([]byte(nil), header...)
		lie[i] ^= 0x80
		l.hook = func(w http.ResponseWriter, r *http.Request) bool { octets(w, lie); return true }
		if _, err := open(t, feed.Config{}, l).Head(t.Context()); err == nil {
			t.Fatalf("header accepted with byte %d flipped", i)
		}
	}
}

func TestOldEpochServedAsNew(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 75)
	old := *w
	old.headers = w.headers[:35]
	t.Run("fresh client, real clock", func(t *testing.T) {
		l := serve(t, &old)
		_, _, err := open(t, feed.Config{Now: w.now}, l).Directory(t.Context(), 0)
		if !errors.Is(err, feed.ErrStale) {
			t.Fatalf("got %v, want ErrStale", err)
		}
	})
	t.Run("fresh client, real clock, an honest server second", func(t *testing.T) {
		got, _, err := open(t, feed.Config{Now: w.now}, serve(t, &old), serve(t, w)).Directory(t.Context(), 0)
		if err != nil || got.Epoch != 7 {
			t.Fatalf("%v", err)
		}
	})
	for _, clock := range []genesis.Clock{genesis.ClockReal, genesis.ClockLedger} {
		t.Run("running client, clock "+string(clock), func(t *testing.T) {
			w := newWorld(t, clock, 75)
			l := serve(t, w)
			f := open(t, feed.Config{}, l)
			if _, _, err := f.Directory(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{35, 55, 65, 74} { // beyond two epochs back, within, and lagging
				l.change(func() { c := *w; c.headers = w.headers[:n]; l.world = &c })
				got, h, err := f.Directory(t.Context(), 0)
				if err != nil || got.Epoch != 7 || h.Seal != w.head().Seal {
					t.Fatalf("at %d: epoch %v, %v", n, got, err)
				}
			}
		})
	}
	t.Run("fresh client, clock of the ledger: nothing tells", func(t *testing.T) {
		w := newWorld(t, genesis.ClockLedger, 75)
		w.headers = w.headers[:35]
		got, _, err := open(t, feed.Config{}, serve(t, w)).Directory(t.Context(), 0)
		if err != nil || got.Epoch != 3 {
			t.Fatalf("%v", err)
		}
	})
	t.Run("restarted client", func(t *testing.T) {
		dir := t.TempDir()
		good, bad := serve(t, w), serve(t, &old)
		if _, _, err := open(t, feed.Config{Dir: dir}, good).Directory(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		f := open(t, feed.Config{Dir: dir, Now: w.now}, bad)
		if _, err := f.Head(t.Context()); !errors.Is(err, light.ErrOld) {
			t.Fatalf("got %v, want ErrOld", err)
		}
		got, _, err := f.Directory(t.Context(), 0) // what it knows from before
		if err != nil || got.Epoch != 7 {
			t.Fatalf("%v", err)
		}
	})
	t.Run("from the future", func(t *testing.T) {
		early := func() chain.Time { return w.now() - 70_000 }
		if _, err := open(t, feed.Config{Now: early}, serve(t, w)).Head(t.Context()); !errors.Is(err, light.ErrFuture) {
			t.Fatalf("got %v, want ErrFuture", err)
		}
	})
	t.Run("a list of the past that is asked for", func(t *testing.T) {
		f := open(t, feed.Config{}, serve(t, w))
		if _, err := f.Head(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, h, err := f.Directory(t.Context(), 2)
		if err != nil || got.Epoch != 2 || got.Check(h.Header) != nil {
			t.Fatalf("%v", err)
		}
		if n, _ := f.Newest(); n.Header.DirEpoch != 7 {
			t.Errorf("newest is of epoch %d", n.Header.DirEpoch)
		}
	})
}

// TestStall: the ledger seals no more, or is gone.
func TestStall(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 25)
	now := w.now()
	clock := func() chain.Time { return now }
	var log bytes.Buffer
	for _, gone := range []bool{false, true} {
		now = w.now()
		log.Reset()
		l := serve(t, w)
		dir := t.TempDir()
		f := open(t, feed.Config{Dir: dir, Now: clock, Logger: logger(&log)}, l)
		if _, _, err := f.Directory(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if log.Len() != 0 {
			t.Fatalf("a healthy ledger is warned of: %s", log.String())
		}
		if gone {
			l.hook = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(503); return true }
		}
		now = w.now() + chain.Time(23*genesis.Hour)
		for _, f := range []*feed.Feed{f, open(t, feed.Config{Dir: dir, Now: clock}, l)} {
			got, h, err := f.Directory(t.Context(), 0)
			if err != nil || got.Epoch != 2 || got.Check(h.Header) != nil {
				t.Fatalf("within a day, gone %v: %v", gone, err)
			}
		}
		if !strings.Contains(log.String(), "stalled") {
			t.Errorf("no warning of the stall: %q", log.String())
		}
		now = w.now() + chain.Time(25*genesis.Hour)
		for _, f := range []*feed.Feed{f, open(t, feed.Config{Dir: dir, Now: clock}, l)} {
			if _, _, err := f.Directory(t.Context(), 0); !errors.Is(err, feed.ErrStale) {
				t.Fatalf("after a day, gone %v: %v", gone, err)
			}
		}
	}
}

// TestRemovals: the header that comes with a list is the newest of its epoch,
// also after a restart.
func TestRemovals(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 22)
	l := serve(t, w)
	dir := t.TempDir()
	f := open(t, feed.Config{Dir: dir}, l)
	if _, h, err := f.Directory(t.Context(), 0); err != nil || len(h.Header.Removals) != 0 {
		t.Fatal(err)
	}
	before := *w
	h := w.next(t)
	h.Removals = []chain.NodeID{id(key(10))}
	after := *w
	after.headers = append(append([]chain.SealedHeader(nil), w.headers...), light.Seal(w.sealer, h))
	l.change(func() { l.world = &after })
	if _, h, err := f.Directory(t.Context(), 0); err != nil || !light.Removed(h.Header, id(key(10))) {
		t.Fatalf("removal not seen: %v", err)
	}
	l.change(func() { l.world = &before }) // brings the node back
	for _, f := range []*feed.Feed{f, open(t, feed.Config{Dir: dir, Now: after.now}, l)} {
		if _, h, err := f.Directory(t.Context(), 2); err != nil || !light.Removed(h.Header, id(key(10))) {
			t.Fatalf("removal taken back: %v", err)
		}
	}
}

func TestFrozenListChanged(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 22)
	l := serve(t, w)
	f := open(t, feed.Config{}, l)
	if _, _, err := f.Directory(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	h := w.next(t)
	fake := list(t, 2, w.lists[2].Entries[1:])
	h.Directory, h.DirCount = fake.Root(), 2
	lie := *w
	lie.headers = append(append([]chain.SealedHeader(nil), w.headers...), light.Seal(w.sealer, h))
	l.change(func() { l.world = &lie })
	if _, err := f.Head(t.Context()); !errors.Is(err, feed.ErrFrozen) {
		t.Fatalf("got %v, want ErrFrozen", err)
	}
	forked := light.Seal(w.sealer, func() chain.Header { h := w.next(t); h.Fork = 1; return h }())
	if err := f.Witness(forked); !errors.Is(err, light.ErrFork) {
		t.Errorf("fork of a network without forks: %v", err)
	}
}

// TestHostileServers: whatever a server does, the next is asked, in time.
func TestHostileServers(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 12)
	truth := w.head().Encode()
	forever := func(w http.ResponseWriter, r *http.Request, b []byte) bool {
		w.Header().Set("Content-Type", "application/octet-stream")
		for r.Context().Err() == nil {
			if _, err := w.Write(b); err != nil {
				break
			}
		}
		return true
	}
	elsewhere := serve(t, w)
	for name, hook := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"endless body": func(w http.ResponseWriter, r *http.Request) bool { return forever(w, r, make([]byte, 1<<16)) },
		"silence": func(w http.ResponseWriter, r *http.Request) bool {
			io.Copy(io.Discard, r.Body) // a server hears that a client has gone once it has read what it sent
			<-r.Context().Done()
			return true
		},
		"silence after a header": func(w http.ResponseWriter, r *http.Request) bool {
			octets(w, truth[:10])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return true
		},
		"gzip bomb": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer z.Close()
			w.Header().Set("Content-Type", "application/octet-stream")
			for range 16 {
				z.Write(make([]byte, 1<<18))
			}
			return true
		},
		"an encoding not asked for": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Encoding", "br")
			octets(w, truth)
			return true
		},
		"another type": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "text/html")
			w.Write(truth)
			return true
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
			return true
		},
		"status 500":     func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(500); return true },
		"refuses to all": func(w http.ResponseWriter, r *http.Request) bool { http.Error(w, `{"code":"no"}`, 404); return true },
		"cut-off body": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Length", "999")
			octets(w, truth)
			return true
		},
		"connection shut": func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, good := serve(t, w), serve(t, w)
			bad.hook = hook
			f := open(t, feed.Config{Timeout: 500 * time.Millisecond, Retry: time.Minute}, bad, good)
			got, _, err := f.Directory(t.Context(), 0)
			if err != nil || got.Epoch != 1 {
				t.Fatalf("%v", err)
			}
			if err := f.Submit(t.Context(), []byte("statement")); err != nil && name != "silence" {
				t.Errorf("submit: %v", err)
			}
			if name != "refuses to all" && bad.count("/v1/directory") != 0 {
				t.Error("the bad server was asked first again")
			}
			_, _, err = open(t, feed.Config{Timeout: 500 * time.Millisecond}, bad).Directory(t.Context(), 0)
			if err == nil {
				t.Error("accepted from the bad server alone")
			}
		})
	}
	t.Cleanup(func() {
		if n := elsewhere.count("/v1/headers/latest"); n != 0 {
			t.Errorf("a redirect was followed %d times", n)
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 12)
	l := serve(t, w)
	l.hook = func(w http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }
	ctx, cancel := context.WithCancel(t.Context())
	f := open(t, feed.Config{}, l)
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, _, err := f.Directory(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestSubmit(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 12)
	a, b := serve(t, w), serve(t, w)
	f := open(t, feed.Config{}, a, b)
	refuse := func(status int, code string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			io.WriteString(w, `{"code":"`+code+`","detail":"line\u001b[31m one\n\u202etwo"}`)
			return true
		}
	}
	for range 2 {
		if err := f.Submit(t.Context(), []byte("one")); err != nil {
			t.Fatal(err)
		}
	}
	if a.count("/v1/transactions") != 1 || b.count("/v1/transactions") != 1 {
		t.Error("the servers do not take turns")
	}
	a.hook = refuse(422, "stale_sequence")
	for range 2 { // one refuses, the other takes it
		if err := f.Submit(t.Context(), []byte("one")); err != nil {
			t.Fatal(err)
		}
	}
	b.hook = a.hook
	err := f.Submit(t.Context(), []byte("one"))
	var r *chain.Refusal
	if !errors.As(err, &r) || r.Code != "stale_sequence" || strings.ContainsAny(err.Error(), "\x1b\n\u202e") {
		t.Fatalf("got %q", err)
	}
	b.hook = refuse(503, "stale_sequence")
	if err := f.Submit(t.Context(), []byte("one")); !errors.As(err, &r) {
		t.Fatalf("one refuses, one is down: %v", err)
	}
	a.hook = refuse(422, "No Code")
	if err := f.Submit(t.Context(), []byte("one")); errors.As(err, &r) || !errors.Is(err, feed.ErrUnreachable) {
		t.Fatalf("not a refusal: %v", err)
	}
}

func TestURLs(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 12)
	for _, urls := range [][]string{nil, {""}, {"localhost:1"}, {"ftp://h"}, {"http://"}, {"http://h?q=1"}, {"http://h#f"},
		{"http://h", "http://alice:hunter2@h:port"}, {"http://alice:hunter2%zz@h"}} {
		n := w.net
		n.URLs = urls
		_, err := feed.New(feed.Config{Network: n})
		if !errors.Is(err, feed.ErrConfig) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", urls, err)
		}
	}
	l := serve(t, w)
	n := w.net
	n.URLs = []string{strings.Replace(l.URL, "http://", "http://alice:hunter2@", 1)}
	l.Close()
	var log bytes.Buffer
	f := open(t, feed.Config{Network: n, Now: w.now, Logger: logger(&log)})
	_, err := f.Head(t.Context())
	if !errors.Is(err, feed.ErrUnreachable) || !strings.Contains(err.Error(), l.URL) {
		t.Errorf("the error does not name the server: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	in, _ := f.Events(ctx, 0)
	closes(t, in)
	if s := err.Error() + log.String(); strings.Contains(s, "hunter2") || strings.Contains(s, "alice") {
		t.Errorf("user or password shown: %s", s)
	}
}

// TestCacheFlipped: no byte of the file can be changed, and a file that is not
// used costs a fetch.
func TestCacheFlipped(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 12)
	l := serve(t, w)
	dir := t.TempDir()
	if _, _, err := open(t, feed.Config{Dir: dir}, l).Directory(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, feed.CacheFile)
	truth, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, feed.Config{Dir: dir}, l)
	if h, ok := f.Newest(); !ok || h.Header.Height != 12 {
		t.Fatal("the whole file is not used")
	}
	for i := range truth {
		lie := append([]byte(nil), truth...)
		lie[i] ^= 1 << (i % 8)
		files := [][]byte{lie}
		if i%16 == 0 {
			files = append(files, truth[:i])
		}
		for _, b := range files {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, ok := open(t, feed.Config{Dir: dir}, l).Newest(); ok {
				t.Fatalf("trusted with byte %d changed or cut there", i)
			}
		}
	}
	n := l.count("/v1/directory")
	if got, _, err := open(t, feed.Config{Dir: dir}, l).Directory(t.Context(), 0); err != nil || got.Epoch != 1 || l.count("/v1/directory") != n+1 {
		t.Fatalf("no fall back to a fetch: %v", err)
	}
	if b, _ := os.ReadFile(path); !bytes.Equal(b, truth) {
		t.Error("the file was not mended")
	}
}
