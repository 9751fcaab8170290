package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

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
	id mail.AccountID
}

// contact is the other side, as of now.
func (t *talk) contact() client.Contact {
	for _, x := range t.Contacts() {
		if x.ID == t.id {
			return x
		}
	}
	return client.Contact{ID: t.id}
}

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
	t := &talk{s, id}
	s.start()
	in, isFile := a.in.(*os.File)
	if !a.json() && isFile && term.IsTerminal(int(in.Fd())) && terminal(a.out) {
		err = a.chatScreen(ctx, t, in)
	} else {
		err = a.chatLines(ctx, t, f)
	}
	if err != nil {
		return err
	}
	return a.chatEnd(t, f.flush)
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

// chatEnd lets leave what can, and says what is left.
func (a *app) chatEnd(t *talk, d time.Duration) error {
	t.flush(context.WithoutCancel(t.ctx), d)
	n := t.unsent()
	if n == 0 {
		return nil
	}
	if a.json() {
		return a.show(map[string]any{"type": "unsent", "messages": n}, nil)
	}
	a.say("%s not sent yet, and kept: `tunic client run%s` sends what waits", count(n, "text"), t.of.flag())
	return nil
}

const chatHelp = `/help            this
/timer [1h|off]  after how long texts disappear, once they were read
/safety          the safety number, and what is known of the contact
/search WORDS    texts of this conversation that hold all the words
/quit            end; so do Ctrl-C and Ctrl-D
//TEXT           a text that begins with /`

// chatInput handles what was typed: a command, or a text to send. said is what to
// tell the user.
func (a *app) chatInput(ctx context.Context, t *talk, text string) (said string, quit bool, err error) {
	if strings.TrimSpace(text) == "" {
		return "", false, nil
	}
	word, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.HasPrefix(text, "//"):
		text = text[1:]
	case word == "/help":
		return chatHelp, false, nil
	case word == "/quit":
		return "", true, nil
	case word == "/safety":
		var b strings.Builder
		x := t.contact()
		v := viewContact(x)
		v.Safety = client.SafetyNumber(t.ID(), x.ID)
		contactText(&b, x, v, func(s string) string { return s })
		return strings.TrimRight(b.String(), "\n"), false, nil
	case word == "/timer":
		return t.timer(rest)
	case word == "/search":
		return t.search(rest), false, nil
	case strings.HasPrefix(text, "/"):
		return fmt.Sprintf("there is no command %s; /help lists them, // begins a text with a stroke", printable(word)), false, nil
	}
	_, err = t.Send(context.WithoutCancel(ctx), t.id, text)
	if errors.Is(err, client.ErrMessage) {
		return "not sent: " + t.of.problem(err).Error(), false, nil
	}
	return "", false, t.of.problem(err)
}

func (t *talk) timer(after string) (string, bool, error) {
	if after != "" {
		d, err := parseTimer(after)
		if err == nil {
			err = t.SetTimer(t.id, d)
		}
		if err != nil && !errors.Is(err, client.ErrConfig) && problemOf(err).exit != exitUsage {
			return "", false, err
		} else if err != nil {
			return oneLine(err.Error()), false, nil
		}
	}
	return timerWords(t.contact().Timer), false, nil
}

// maxFound bounds what a search shows within a chat.
const maxFound = 10

func (t *talk) search(words string) string {
	var b strings.Builder
	n := 0
	names := namesOf(t.Client)
	found := t.Search(words)
	for i := len(found) - 1; i >= 0 && words != ""; i-- {
		if e := found[i]; e.Contact == t.id {
			if n++; n <= maxFound {
				viewText(e, names).print(&b)
			}
		}
	}
	switch {
	case words == "":
		return "/search WORDS"
	case n == 0:
		return "nothing found"
	case n > maxFound:
		fmt.Fprintf(&b, "and %d older ones; `tunic search` shows all", n-maxFound)
	}
	return strings.TrimRight(b.String(), "\n")
}

// greetings are what is told when a conversation opens.
func (t *talk) greetings() (out []string, err error) {
	x := t.contact()
	out = append(out, t.claim())
	if x.State == client.Incoming {
		out = append(out, "asks to be your contact; what they wrote comes once you answer, or accept with `tunic contact accept`")
	}
	answered := func(e client.Entry) bool { return !e.Mine && e.Received > x.Began }
	if lastResort(x) && !slices.ContainsFunc(t.Conversation(t.id), answered) {
		out = append(out, lastResortWords)
	}
	more, err := t.anew()
	return append(out, more...), err
}

// anew tells once that the contact began anew.
func (t *talk) anew() ([]string, error) {
	x := t.contact()
	if x.Anew == 0 || x.Told {
		return nil, nil
	}
	return []string{"warning: " + anewWords(x)}, t.SetTold(x.ID)
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
		r := bufio.NewScanner(a.in)
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
			said, quit, err := a.chatInput(ctx, t, line)
			if said != "" {
				a.chatNotice(said)
			}
			if quit || err != nil {
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

// chatUnread shows what the contact wrote and was not shown.
func (a *app) chatUnread(t *talk) error {
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
	case e.Kind == client.EventContact && e.Contact.ID == t.id && news.is(e):
		said, err := t.anew()
		for _, s := range said {
			a.chatNotice(s)
		}
		return err
	}
	return nil
}
