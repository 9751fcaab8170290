package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestPainterHoldsNobodyUp: a terminal that takes nothing delays neither frames nor
// the end, and gets the newest frame alone when it goes on.
func TestPainterHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal, out := io.Pipe()
		p := newPainter(out)
		took := func() string {
			b := make([]byte, 1<<10)
			n, err := terminal.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			return string(b[:n])
		}
		if got := took(); got != chatOpen {
			t.Errorf("it begins with %q", got)
		}
		p.post(frame{rows: []string{"first"}, wipe: true})
		synctest.Wait() // which is being written
		for range 100 {
			p.post(frame{rows: []string{"older"}, wipe: true})
			p.post(frame{rows: []string{"newest"}})
		}
		if got := took(); !strings.Contains(got, "first") {
			t.Errorf("then %q", got)
		}
		if n := <-p.painted; n != 1 {
			t.Errorf("the terminal has taken frame %d", n)
		}
		if got := took(); !strings.HasPrefix(got, "\x1b[2J") || !strings.Contains(got, "newest") {
			t.Errorf("then %q", got)
		}
		if n := <-p.painted; n != p.posted {
			t.Errorf("the terminal has taken frame %d of %d", n, p.posted)
		}
		start := time.Now()
		p.end()
		if d := time.Since(start); d != stalled {
			t.Errorf("it ends after %s", d)
		}
		if got := took(); got != chatClose {
			t.Errorf("it ends with %q", got)
		}
		<-p.done
		if err := p.failed(); err != nil {
			t.Error(err)
		}
	})
}

// TestPainterSaysThatTheTerminalIsGone: frames may be posted still.
func TestPainterSaysThatTheTerminalIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal, out := io.Pipe()
		gone := errors.New("gone")
		terminal.CloseWithError(gone)
		p := newPainter(out)
		synctest.Wait()
		if err := p.failed(); !errors.Is(err, gone) {
			t.Error(err)
		}
		p.post(frame{})
		p.post(frame{})
		p.end()
	})
}
