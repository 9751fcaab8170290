package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// What a terminal is told at the beginning of a chat and at its end: the other
// screen, so that nothing of it stays on this one, wiped where there is but one; to
// mark what is pasted; and that what is too wide for a row does not go on in the next.
const (
	chatOpen  = "\x1b[?1049h\x1b[?2004h\x1b[?7l\x1b[2J"
	chatClose = "\x1b[2J\x1b[H\x1b[?7h\x1b[?2004l\x1b[?25h\x1b[?1049l"
)

// stalled is how long a terminal that takes nothing may hold up the end.
const stalled = time.Second

// painter owns what is written to a terminal, so that one that takes nothing, over
// a line that hangs for instance, holds up nobody. Of frames the newest counts. One
// goroutine calls its methods.
type painter struct {
	frames  chan frame    // of those at most one waits
	posted  int           // how many there were
	painted chan int      // the number of the last one that the terminal took
	done    chan struct{} // closed when nothing more is written
	err     error         // why; read it once done is closed
}

// frame is what a terminal is to show, and where the cursor stands.
type frame struct {
	rows        []string
	row, column int
	wipe        bool // what it shows now is not known
	number      int
}

// newPainter begins a chat's screen; end ends it.
func newPainter(out io.Writer) *painter {
	p := &painter{frames: make(chan frame, 1), painted: make(chan int, 1), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = p.work(out)
	}()
	return p
}

func (p *painter) work(out io.Writer) error {
	if _, err := io.WriteString(out, chatOpen); err != nil {
		return err
	}
	var shown []string
	for f := range p.frames {
		begin := ""
		if f.wipe {
			begin, shown = "\x1b[2J", nil
		}
		if _, err := io.WriteString(out, begin+paint(shown, f.rows, f.row, f.column)); err != nil {
			return err
		}
		shown = f.rows
		select {
		case <-p.painted:
		default:
		}
		p.painted <- f.number // it has room: nobody else fills it
	}
	_, err := io.WriteString(out, chatClose)
	return err
}

// post paints a frame, in place of one that waits still.
func (p *painter) post(f frame) {
	select {
	case old := <-p.frames:
		f.wipe = f.wipe || old.wipe
	default:
	}
	p.posted++
	f.number = p.posted
	p.frames <- f // it has room: nobody else fills it
}

// failed is why nothing is painted any more; nil if it is.
func (p *painter) failed() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// end waits until the terminal shows what it did before, unless it takes nothing.
func (p *painter) end() {
	close(p.frames)
	within(stalled, func() { <-p.done })
}

// within waits until f has returned, but no longer than d.
func within(d time.Duration, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(d):
	}
}

// paint is what a terminal has to be sent so that it shows rows, of which it shows
// old ones. A row is erased before it is written: behind one that fills the width
// the cursor stands on its last column still.
func paint(old, rows []string, row, column int) string {
	var b strings.Builder
	b.WriteString("\x1b[?25l")
	for i, r := range rows {
		if i >= len(old) || old[i] != r {
			fmt.Fprintf(&b, "\x1b[%d;1H\x1b[K%s", i+1, r)
		}
	}
	fmt.Fprintf(&b, "\x1b[%d;%dH\x1b[?25h", row+1, column+1)
	return b.String()
}
