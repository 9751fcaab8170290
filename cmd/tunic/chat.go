package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tunic/chain"
	"tunic/client"
	"tunic/ledger/light"
	"tunic/onion/mail"
)

// chatFlags are the flags of `chat`.
type chatFlags struct {
	messenger
	history     int
	wait, flush time.Duration
}

func (a *app) chatCommand() *cobra.Command {
	var f chatFlags
	c := &cobra.Command{
		Use: "chat CONTACT", Short: "Write with a contact, live", Args: cobra.ExactArgs(1),
		Long: `Shows the conversation with a contact and sends what you type. Each of your texts shows how
far it came: queued, sent, stored, delivered, read. /help lists the commands.

Without a terminal each line of standard input is sent as a text, and what comes is
printed, with -o json an object a line. At its end, and at Ctrl-C, what has not left yet
gets a little time to do so; what is left then, any later command sends.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.history < 0 {
				return usage("--history %d: a number of texts", f.history)
			}
			return a.chat(cmd.Context(), &f, args[0])
		},
	}
	c.ValidArgsFunction = a.completeContacts(&f.messenger, 0)
	f.flags(c)
	f.coverFlag(c)
	f.receiptsFlag(c)
	c.Flags().IntVar(&f.history, "history", 0, "without a terminal: so many former texts first")
	c.Flags().DurationVar(&f.wait, "wait", 0, "without a terminal: after the end of the input, wait so long for answers")
	c.Flags().DurationVar(&f.flush, "flush", 10*time.Second, "at the end, how long what has not left yet may still do so")
	return c
}

// talk is a conversation that is open.
type talk struct {
	*session
	id        mail.AccountID
	elsewhere chain.Time // the later state of the account that was told of
}

// contact is the other side, as of now.
func (t *talk) contact() client.Contact { return contactOf(t.Client, t.id) }

// unsent counts the texts to the contact that no mailbox has.
func (t *talk) unsent() (n int) {
	for _, s := range t.Outbox() {
		if s.Contact == t.id && s.State < client.Stored {
			n++
		}
	}
	return n
}

// chat opens a conversation. It does not wait for the network: what is typed is
// kept until there is one.
func (a *app) chat(ctx context.Context, f *chatFlags, name string) error {
	log, err := a.quiet()
	if err != nil {
		return err
	}
	in, isFile := a.In.(*os.File)
	screen := !a.json() && isFile && term.IsTerminal(int(in.Fd())) && terminal(a.Out)
	if screen && terminal(a.Err) {
		log = slog.New(slog.DiscardHandler) // it would be written across the screen
	}
	ctx, stop := untilHungUp(ctx)
	defer stop()
	// The client outlives an interrupt, so that what was written can leave.
	s, err := a.open(context.WithoutCancel(ctx), &f.messenger, false, log)
	if err != nil {
		return err
	}
	defer s.close()
	id, err := recipient(s.Client, &f.messenger, name)
	if err != nil {
		return err
	}
	t := &talk{session: s, id: id}
	s.start()
	if screen {
		err = a.chatScreen(ctx, t, in)
	} else {
		err = a.chatLines(ctx, t, f)
	}
	if err != nil {
		return err
	}
	return a.chatEnd(ctx, t, f.flush)
}

// untilHungUp is ctx until the terminal is gone, unless whoever started us wants
// that ignored. There may be several such signals, from the kernel and from a
// shell: none of them ends the program before what waits could leave.
func untilHungUp(ctx context.Context) (context.Context, context.CancelFunc) {
	if signal.Ignored(syscall.SIGHUP) {
		return context.WithCancel(ctx)
	}
	return signal.NotifyContext(ctx, syscall.SIGHUP)
}

// start sets the client to work, whether or not the ledger answers.
func (s *session) start() {
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		s.err = s.Run(s.ctx)
	}()
}

// foreign asks the ledger whether it is the network file's at all: whatever else
// is wrong may pass.
func (t *talk) foreign(ctx context.Context) error {
	_, err := t.feed.Head(ctx)
	if errors.Is(err, light.ErrNetwork) || errors.Is(err, light.ErrSealer) {
		return t.of.problem(err)
	}
	return nil
}

// chatEnd lets leave what can within d, and says what is left. An interrupt cuts it
// short: the one that ended the chat does not.
func (a *app) chatEnd(ctx context.Context, t *talk, d time.Duration) error {
	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	slow := time.AfterFunc(time.Second, func() { a.notice("what was written leaves; Ctrl-C ends it now, and keeps what is left") })
	t.flush(ctx, d)
	slow.Stop()
	n := t.unsent()
	if n == 0 {
		return nil
	}
	if a.json() {
		return a.show(map[string]any{"type": "unsent", "messages": n}, nil)
	}
	within(stalled, func() { // a terminal may take nothing more
		a.say("%s not sent yet, and kept: `tunic client run%s` sends what waits", count(n, "text"), t.of.flag())
	})
	return nil
}

// greetings are what is told when a conversation opens.
func (t *talk) greetings() (out []string, err error) {
	x := t.contact()
	out = append(out, t.claim())
	if x.State == client.Incoming {
		out = append(out, "asks to be your contact"+noteText(x.Note)+"; what they wrote comes once you answer, or accept with `tunic contact accept`")
	}
	answered := func(e client.Entry) bool { return !e.Mine && e.Received > x.Began }
	if lastResort(x) && !slices.ContainsFunc(t.Conversation(t.id), answered) {
		out = append(out, lastResortWords)
	}
	more, err := t.anew()
	return append(out, more...), err
}

// anew tells once that the contact began anew, or that the account did elsewhere.
func (t *talk) anew() (out []string, err error) {
	if since := t.Elsewhere(); since != t.elsewhere {
		t.elsewhere = since
		out = append(out, "warning: "+elsewhereWords(since))
	}
	x := t.contact()
	if x.Anew == 0 || x.Told {
		return out, nil
	}
	return append(out, "warning: "+anewWords(x)), t.SetTold(x.ID)
}

// chatLines is a chat without a terminal.
func (a *app) chatLines(ctx context.Context, t *talk, f *chatFlags) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := t.foreign(ctx); err != nil {
		return err
	}
	events := t.Subscribe(ctx)
	news := newNews(t.Client)
	said, err := t.greetings()
	if err != nil {
		return err
	}
	for _, s := range said {
		a.chatNotice(s)
	}
	if err := a.chatHistory(t, f.history); err != nil {
		return err
	}
	if err := a.chatUnread(t); err != nil {
		return err
	}
	lines, readErr := make(chan string), make(chan error, 1)
	go func() {
		r := bufio.NewScanner(a.In)
		r.Buffer(nil, client.MaxText+1)
		for r.Scan() {
			select {
			case lines <- r.Text():
			case <-ctx.Done():
				return
			}
		}
		readErr <- r.Err()
	}()
	var end <-chan time.Time
	for {
		select {
		case line := <-lines:
			x, err := a.chatInput(ctx, t, line)
			if x.said != "" {
				a.chatNotice(x.said)
			}
			if x.quit || err != nil {
				return err
			}
		case err := <-readErr:
			if err != nil {
				return fail(exitFailed, "bad_input", "cannot read a line of the input", "%v; a text has at most %d bytes, and what came before was taken", err, client.MaxText)
			}
			end = time.After(f.wait)
		case <-end:
			return a.chatUnread(t)
		case e, open := <-events:
			if !open {
				events = t.Subscribe(ctx)
				err = a.chatUnread(t)
			} else {
				err = a.chatEvent(t, e, news)
			}
			if err != nil {
				return err
			}
		case <-t.ended:
			return t.of.problem(t.err)
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *app) chatNotice(s string) {
	_ = a.show(map[string]string{"type": "notice", "text": s}, func(w io.Writer) { fmt.Fprintln(w, quote(s, "* ")) })
}

func (a *app) chatHistory(t *talk, n int) error {
	all := t.Conversation(t.id)
	names := namesOf(t.Client)
	for _, e := range all[max(0, len(all)-n):] {
		if !e.Mine && e.Read == 0 {
			continue // it comes with the unread ones
		}
		v := viewText(e, names)
		err := a.show(struct {
			Type string `json:"type"`
			textView
		}{"history", v}, func(w io.Writer) { v.print(w) })
		if err != nil {
			return err
		}
	}
	return nil
}

// chatAnew tells once that the contact began anew.
func (a *app) chatAnew(t *talk) error {
	said, err := t.anew()
	for _, s := range said {
		a.chatNotice(s)
	}
	return err
}

// chatUnread shows what the contact wrote and was not shown.
func (a *app) chatUnread(t *talk) error {
	if err := a.chatAnew(t); err != nil {
		return err
	}
	var l []client.Message
	for _, x := range t.unread() {
		if x.Contact != t.id {
			continue
		}
		l = append(l, x)
		if err := a.showEvent(t.session, client.Event{Kind: client.EventMessage, Message: x}); err != nil {
			return err
		}
	}
	return t.markShown(l)
}

func (a *app) chatEvent(t *talk, e client.Event, news *news) error {
	switch {
	case e.Kind == client.EventMessage && e.Message.Contact == t.id:
		return a.chatUnread(t)
	case e.Kind == client.EventStatus && e.Status.Contact == t.id && news.is(e):
		return a.showEvent(t.session, e)
	case e.Kind == client.EventElsewhere, e.Kind == client.EventContact && e.Contact.ID == t.id && news.is(e):
		return a.chatAnew(t)
	}
	return nil
}
