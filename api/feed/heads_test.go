package feed_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/light"
)

func logger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// halts checks what must hold after two heads for a height were seen.
func halts(t *testing.T, f *feed.Feed, height chain.Height) {
	t.Helper()
	c := f.Conflict()
	if c == nil || c.First.Header.Height != height || c.Second.Header.Height != height || c.First.Header.Hash() == c.Second.Header.Hash() {
		t.Fatalf("conflict: %v", c)
	}
	_, _, e1 := f.Directory(t.Context(), 0)
	_, _, e2 := f.Directory(t.Context(), 1)
	_, e3 := f.Head(t.Context())
	_, e4 := f.Events(t.Context(), 0)
	for i, err := range []error{e1, e2, e3, e4, f.Submit(t.Context(), nil), f.Witness(c.First)} {
		var two *light.TwoHeads
		if !errors.Is(err, light.ErrTwoHeads) || !errors.As(err, &two) || two != c {
			t.Errorf("call %d after the conflict: %v", i, err)
		}
	}
}

func TestTwoHeads(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 22)
	fork := w.branch(t, 18, 4)
	lone := w.branch(t, 18, 5) // one block further
	for name, see := range map[string]func(t *testing.T, f *feed.Feed, l *ledger){
		"one server at different times": func(t *testing.T, f *feed.Feed, l *ledger) {
			l.change(func() { l.world = fork })
			_, err := f.Head(t.Context())
			if !errors.Is(err, light.ErrTwoHeads) {
				t.Fatal(err)
			}
		},
		"through the list": func(t *testing.T, f *feed.Feed, l *ledger) {
			l.change(func() { l.world = fork })
			f.Directory(t.Context(), 2)
			f.Directory(t.Context(), 0)
		},
		"the next block has another parent": func(t *testing.T, f *feed.Feed, l *ledger) {
			l.change(func() { l.world = lone })
			if _, err := f.Head(t.Context()); !errors.Is(err, light.ErrTwoHeads) {
				t.Fatal(err)
			}
		},
		"in a relay's greeting": func(t *testing.T, f *feed.Feed, l *ledger) {
			for _, ok := range []chain.SealedHeader{w.head(), w.at(3), w.at(20)} {
				if err := f.Witness(ok); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.Witness(light.Seal(key(9), fork.head().Header)); !errors.Is(err, light.ErrSeal) {
				t.Fatalf("a greeting that nobody sealed: %v", err)
			}
			if f.Conflict() != nil {
				t.Fatal("halted without a reason")
			}
			if err := f.Witness(fork.head()); !errors.Is(err, light.ErrTwoHeads) {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := serve(t, w)
			dir := t.TempDir()
			var told atomic.Int32
			var f *feed.Feed
			f = open(t, feed.Config{Dir: dir, Now: lone.now, OnConflict: func(two *light.TwoHeads) {
				told.Add(1)
				if f.Witness(two.Second) == nil || f.Conflict() != two {
					t.Error("told before the feed halted")
				}
			}}, l)
			if _, _, err := f.Directory(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			in, err := f.Events(t.Context(), 22)
			if err != nil {
				t.Fatal(err)
			}
			see(t, f, l)
			halts(t, f, 22)
			closes(t, in)
			if told.Load() != 1 {
				t.Errorf("told %d times", told.Load())
			}
			_, err = client(t, feed.Config{Dir: dir}, l)
			if !errors.Is(err, light.ErrTwoHeads) || !strings.Contains(err.Error(), feed.ConflictFile) {
				t.Errorf("a restart forgets: %v", err)
			}
		})
	}
}

// TestTwoServers: two servers show two histories. The second is asked once an
// epoch, and compared at its own height if it lags.
func TestTwoServers(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 22)
	for _, c := range []struct {
		name   string
		second *world
		height chain.Height // 0: no conflict
	}{
		{"the same", w, 0},
		{"another head", w.branch(t, 18, 4), 22},
		{"further, on another branch", w.branch(t, 18, 6), 22},
		{"lagging on the same", w.branch(t, 20, 0), 0},
		{"lagging on another branch", w.branch(t, 18, 3), 21},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := serve(t, w), serve(t, c.second)
			now := func() chain.Time { return w.now() + 60_000 }
			f := open(t, feed.Config{Now: now}, a, b)
			_, _, err := f.Directory(t.Context(), 0)
			if c.height == 0 {
				if err != nil {
					t.Fatal(err)
				}
				n := b.count("/v1/headers/22")
				f.Head(t.Context())
				if n != 1 || b.count("/v1/headers/22") != 1 {
					t.Error("not asked once")
				}
				return
			}
			if !errors.Is(err, light.ErrTwoHeads) {
				t.Fatal(err)
			}
			halts(t, f, c.height)

			f = open(t, feed.Config{Now: now}, a, b) // and through a stream
			in, err := f.Events(t.Context(), 19)
			if err != nil {
				t.Fatal(err)
			}
			closes(t, in)
			if f.Conflict() == nil {
				t.Fatal("stream closed without a conflict")
			}
		})
	}
	t.Run("the second is down", func(t *testing.T) {
		a, b := serve(t, w), serve(t, w)
		b.hook = func(w http.ResponseWriter, r *http.Request) bool { w.WriteHeader(500); return true }
		if _, _, err := open(t, feed.Config{}, a, b).Directory(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	})
}

// TestRevert: a dev network that goes back and raises its fork is no conflict,
// and its lists are asked for anew.
func TestRevert(t *testing.T) {
	w := newWorld(t, genesis.ClockLedger, 25)
	l := serve(t, w)
	f := open(t, feed.Config{}, l)
	if _, _, err := f.Directory(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	r := w.branch(t, 18, 0)
	h := r.next(t)
	h.Fork = 1
	h.Results = chain.Hash{2}
	r.headers = append(r.headers, light.Seal(r.sealer, h))
	r.grow(t, 3)
	l.change(func() { l.world = r })
	got, at, err := f.Directory(t.Context(), 0)
	if err != nil || at.Header.Fork != 1 || at.Header.Height != 22 || got.Check(at.Header) != nil {
		t.Fatalf("after the revert: %v", err)
	}
	if err := f.Witness(w.head()); !errors.Is(err, light.ErrFork) {
		t.Errorf("header of the fork that was given up: %v", err)
	}
}

// TestEventsRevert: a stream goes on with a block of a higher fork below the
// last, leaves out what comes late of the former, and nothing else may go back.
func TestEventsRevert(t *testing.T) {
	w := newWorld(t, genesis.ClockLedger, 25)
	r := w.branch(t, 18, 0)
	h := r.next(t)
	h.Fork = 1
	r.headers = append(r.headers, light.Seal(r.sealer, h))
	r.grow(t, 3)
	l := serve(t, w)
	l.event = func(h chain.SealedHeader, said [][]byte, send func(name, data string)) {
		send("block", eventJSON(h, said))
		if h.Header.Height == 25 {
			for _, h := range r.headers[18:] {
				send("block", eventJSON(h, nil))
			}
		}
	}
	l.params = func(h chain.SealedHeader, f genesis.InForce) []byte {
		if l.count("/v1/params") == 1 {
			return honestParams(h, f)
		}
		return honestParams(r.head(), f)
	}
	f := open(t, feed.Config{}, l)
	got := take(t, follow(t, f, 22), 7)
	if heights(got) != "23 24 25 19 20 21 22 " || got[3].Header.Header.Fork != 1 {
		t.Error(heights(got))
	}
	// One that begins below the fork gets what is of it.
	l.event = nil
	l.change(func() { l.world = r })
	if got := heights(take(t, follow(t, f, 15), 4)); got != "19 20 21 22 " {
		t.Error(got)
	}
	if f.Conflict() != nil {
		t.Error("halted")
	}
}

func TestConflictFile(t *testing.T) {
	w := newWorld(t, genesis.ClockReal, 22)
	two := &light.TwoHeads{First: w.head(), Second: w.branch(t, 18, 4).head()}
	path := filepath.Join(t.TempDir(), "sub", "evidence")
	if err := feed.SaveConflict(path, two); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{two.First.Header.Hash().String(), two.Second.Header.Hash().String(), "height    22", "2025-06-15"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%q does not stand in\n%s", want, b)
		}
	}
	got, err := feed.ParseConflict(b, w.net)
	if err != nil || got.First.Seal != two.First.Seal || got.Second.Seal != two.Second.Seal {
		t.Fatalf("read back: %v", err)
	}
	forged := w.branch(t, 18, 4).head()
	forged.Seal[0] ^= 1
	foreign := newWorld(t, genesis.ClockLedger, 1)
	for name, c := range map[string]struct {
		two *light.TwoHeads
		net genesis.Network
	}{
		"one header twice":   {&light.TwoHeads{First: w.head(), Second: w.head()}, w.net},
		"two heights":        {&light.TwoHeads{First: w.head(), Second: w.at(21)}, w.net},
		"a broken seal":      {&light.TwoHeads{First: w.head(), Second: forged}, w.net},
		"of another network": {two, foreign.net},
	} {
		if _, err := feed.ParseConflict([]byte(feed.FormatConflict(c.two)), c.net); !errors.Is(err, feed.ErrEvidence) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "hello", string(b[:len(b)/2])} {
		if _, err := feed.ParseConflict([]byte(text), w.net); !errors.Is(err, feed.ErrEvidence) {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
}
