package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"tunic/client"
)

// What a terminal is told at the beginning of a chat and at its end: the other
// screen, so that nothing of it stays on this one, and to mark what is pasted.
const (
	chatOpen  = "\x1b[?1049h\x1b[?2004h\x1b[2J"
	chatClose = "\x1b[?2004l\x1b[?1049l"
)

// chatScreen is a chat on a terminal.
func (a *app) chatScreen(ctx context.Context, t *talk, in *os.File) error {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("set up the terminal: %w", err)
	}
	fmt.Fprint(a.out, chatOpen)
	defer func() {
		fmt.Fprint(a.out, chatClose)
		_ = term.Restore(int(in.Fd()), before)
	}()
	return a.chatLoop(ctx, t, in)
}

// chatLoop owns the screen until the chat ends.
func (a *app) chatLoop(ctx context.Context, t *talk, in *os.File) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	typed, inErr := reading(ctx, in)
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	foreign := make(chan error, 1)
	go func() { foreign <- t.foreign(ctx) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	events := t.Subscribe(ctx)

	s := &screen{colour: os.Getenv("NO_COLOR") == ""}
	said, err := t.greetings()
	if err != nil {
		return err
	}
	s.read(t)
	for _, e := range s.entries {
		if !e.Mine && e.Read == 0 {
			s.fresh = e.ID
			break
		}
	}
	for _, x := range said {
		s.say(x)
	}
	var shown []string
	var rest []byte
	for {
		if err := s.markRead(t); err != nil {
			return err
		}
		if shown, err = a.draw(s, t, in, shown); err != nil {
			return err
		}
		select {
		case b := <-typed:
			var pressed []key
			pressed, rest = keys(append(rest, b...))
			if len(rest) > 2*client.MaxText {
				rest = nil
			}
			for _, k := range pressed {
				switch {
				case k.code == keyInterrupt, k.code == keyEOF && s.text == "":
					return nil
				case k.code == keyRedraw:
					shown = nil
				}
				said, quit, err := a.chatInput(ctx, t, s.press(k))
				if said != "" {
					s.say(said)
				}
				if quit || err != nil {
					return err
				}
			}
			s.read(t)
		case err := <-inErr:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read the terminal: %w", err)
		case err := <-foreign:
			if err != nil {
				return err
			}
		case e, open := <-events:
			if !open {
				events = t.Subscribe(ctx)
			}
			s.event(e)
			said, err := t.anew()
			if err != nil {
				return err
			}
			for _, x := range said {
				s.say(x)
			}
			s.read(t)
		case <-resized:
			shown = nil
		case <-tick.C:
			s.read(t) // texts disappear
		case <-t.ended:
			return t.of.problem(t.err)
		case <-ctx.Done():
			return nil
		}
	}
}

// reading hands on what is typed. It ends with the program where the terminal
// says nothing more.
func reading(ctx context.Context, in io.Reader) (<-chan []byte, <-chan error) {
	typed, failed := make(chan []byte), make(chan error, 1)
	go func() {
		for {
			b := make([]byte, 4096)
			n, err := in.Read(b)
			if n > 0 {
				select {
				case typed <- b[:n]:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	return typed, failed
}

// read takes over how the conversation stands.
func (s *screen) read(t *talk) {
	s.entries = t.Conversation(t.id)
	s.online = t.Online()
	x := t.contact()
	s.name = viewContact(x).who.String()
	if x.Name == "" {
		s.name = s.name[:14] + "…"
	}
	s.head = ""
	if x.Timer > 0 {
		s.head += " · timer " + roundSpan(x.Timer)
	}
	if x.Verified == 0 {
		s.head += " · not compared"
	}
	if n := t.unsent(); n > 0 {
		s.head += fmt.Sprintf(" · %d unsent", n)
	}
}

// say puts a note behind what there is.
func (s *screen) say(text string) {
	var after client.MessageID
	if n := len(s.entries); n > 0 {
		after = s.entries[n-1].ID
	}
	s.notes = append(s.notes, note{after, text})
	if len(s.notes) > maxNotes {
		s.notes = s.notes[1:]
	}
	s.back = 0
}

// maxNotes bounds the notes that are kept.
const maxNotes = 100

// event says what no text shows.
func (s *screen) event(e client.Event) {
	const begin = "first text to this contact: proof of work"
	if e.Kind != client.EventWork {
		return
	}
	for i, n := range s.notes {
		if strings.HasPrefix(n.text, begin) {
			s.notes[i].text = fmt.Sprintf("%s, %d %%", begin, e.Work)
			return
		}
	}
	if e.Work < 100 {
		s.say(fmt.Sprintf("%s, %d %%", begin, e.Work))
	}
}

// markRead notes what is in sight: nothing while the newest texts are not.
func (s *screen) markRead(t *talk) error {
	if s.back > 0 {
		return nil
	}
	var l []client.Message
	for _, x := range t.unread() {
		if x.Contact == t.id {
			l = append(l, x)
		}
	}
	return t.markShown(l)
}

// draw shows the screen and returns its rows.
func (a *app) draw(s *screen, t *talk, in *os.File, shown []string) ([]string, error) {
	w, h, err := term.GetSize(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("ask for the terminal's size: %w", err)
	}
	if w <= 0 || h <= 0 { // a terminal that does not know
		w, h = 80, 24
	}
	s.width, s.height = max(w, 20), max(h, 6)
	rows, row, column := s.view()
	begin := ""
	if shown == nil {
		begin = "\x1b[2J"
	}
	_, err = fmt.Fprint(a.out, begin+paint(shown, rows, row, column))
	return rows, err
}
