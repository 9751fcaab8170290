package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"tunic/client"
)

// chatScreen is a chat on a terminal.
func (a *app) chatScreen(ctx context.Context, t *talk, in *os.File) error {
	c, err := newConsole(in, bare(a.Out))
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.open(); err != nil {
		return err
	}
	s := &screen{colour: os.Getenv("NO_COLOR") == ""}
	err = a.chatLoop(ctx, t, c, s)
	c.close()
	if err != nil && s.text != "" {
		fmt.Fprintf(a.Err, "not sent:\n%s\n", quote(s.text, "  "))
	}
	return err
}

// chatLoop owns the screen until the chat ends.
func (a *app) chatLoop(ctx context.Context, t *talk, c *console, s *screen) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	foreign := make(chan error, 1)
	go func() { foreign <- t.foreign(ctx) }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	events := t.Subscribe(ctx)

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
	var k keyboard
	for {
		if err := c.show(s); err != nil {
			return ending(err)
		}
		select {
		case n := <-c.paint.painted:
			if n != c.paint.posted {
				continue // a newer one comes
			}
			if err := s.markRead(t); err != nil {
				return err
			}
			s.read(t)
		case b := <-c.typed:
			if quit, err := a.chatTyped(ctx, t, c, s, k.press(b)); quit || err != nil {
				return ending(err)
			}
			if k.dropped() {
				s.say(tooLong)
			}
			s.read(t)
		case <-c.gone:
			return nil
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
		case <-c.resized:
			c.wipe = true
		case <-c.stops:
			if err := c.suspend(false); err != nil {
				return ending(err)
			}
		case <-c.resumed: // whoever stopped us may have changed the terminal
			if err := c.open(); err != nil {
				return ending(err)
			}
		case <-tick.C:
			s.read(t) // texts disappear
		case <-t.ended:
			return t.of.problem(t.err)
		case <-ctx.Done():
			select {
			case b := <-c.typed: // it was sent before the end
				_, err := a.chatTyped(ctx, t, c, s, k.press(b))
				return ending(err)
			default:
				return nil
			}
		}
	}
}

// ending is an error without that of a terminal that is gone: nobody is there
// whom it could be told, and what waits may leave.
func ending(err error) error {
	if errors.Is(err, errHungUp) {
		return nil
	}
	return err
}

// chatTyped does what was typed.
func (a *app) chatTyped(ctx context.Context, t *talk, c *console, s *screen, pressed []key) (quit bool, err error) {
	for _, k := range pressed {
		switch {
		case k.code == keyInterrupt, k.code == keyEOF && s.text == "":
			return true, nil
		case k.code == keyRedraw:
			c.wipe = true
		case k.code == keySuspend && ctx.Err() == nil:
			if err := c.suspend(true); err != nil {
				return true, err
			}
		}
		sent, refused := s.press(k)
		if refused != "" {
			s.say(refused)
		}
		x, err := a.chatInput(ctx, t, sent)
		if x.said != "" {
			s.say(x.said)
		}
		if x.refused || err != nil {
			s.text, s.at = sent, len(sent)
		}
		if x.quit || err != nil {
			return true, err
		}
	}
	return false, nil
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

// markRead notes that what is painted was seen: nothing while the newest texts are
// not in sight.
func (s *screen) markRead(t *talk) error {
	if s.back > 0 {
		return nil
	}
	seen := map[client.MessageID]bool{}
	for _, e := range s.entries {
		seen[e.ID] = true
	}
	return t.markShown(slices.DeleteFunc(t.unread(), func(x client.Message) bool { return x.Contact != t.id || !seen[x.ID] }))
}
