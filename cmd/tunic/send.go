package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/client"
	"tunic/onion/mail"
)

// sendFlags are the flags of `send`.
type sendFlags struct {
	messenger
	timeout, ttl   time.Duration
	stored, noWait bool
}

func (a *app) sendCommand() *cobra.Command {
	var f sendFlags
	c := &cobra.Command{
		Use: "send CONTACT TEXT...", Short: "Send a message and wait until it is confirmed", Args: cobra.MinimumNArgs(2),
		Long: `Send a message to a contact, given by name or account id, and wait until the
contact's program confirms it. The text - means standard input.

With --stored signed receipts of most members of the mailbox are enough: the contact
may be offline. With --no-wait the message is put into the outbox alone; "tunic client
run" sends it. Whatever is not confirmed is sent again by any later command that
goes online, until its time is over: also where the network cannot be reached now
(exit code 4), so do not send it twice.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.stored && f.noWait {
				return usage("--stored and --no-wait contradict each other")
			}
			text, err := a.text(args[1:])
			if err != nil {
				return err
			}
			if f.noWait {
				return a.queue(cmd.Context(), &f, args[0], text)
			}
			return a.send(cmd.Context(), &f, args[0], text)
		},
	}
	c.ValidArgsFunction = a.completeContacts(&f.messenger, 0)
	f.flags(c)
	f.coverFlag(c)
	c.Flags().DurationVar(&f.timeout, "timeout", time.Minute, "give up waiting after")
	c.Flags().DurationVar(&f.ttl, "ttl", 0, "how long the message lives, a minute or more: then the contact gets it no more, and it is given up (default: the network's mailbox TTL)")
	c.Flags().BoolVar(&f.stored, "stored", false, "wait for the receipts of most mailbox members only")
	c.Flags().BoolVar(&f.noWait, "no-wait", false, "put it into the outbox and return")
	return c
}

// text is the message: the arguments, or standard input for "-".
func (a *app) text(args []string) (string, error) {
	text := strings.Join(args, " ")
	if len(args) == 1 && args[0] == "-" {
		b, err := io.ReadAll(io.LimitReader(a.In, client.MaxText+2))
		if err != nil {
			return "", fmt.Errorf("read standard input: %w", err)
		}
		text = strings.TrimSuffix(string(b), "\n")
	}
	switch {
	case strings.TrimSpace(text) == "":
		return "", usage("the message is empty")
	case len(text) > client.MaxText:
		return "", usage("the message is longer than %d bytes", client.MaxText)
	}
	return text, nil
}

// recipient finds a contact; an account id that is none yet becomes one.
func recipient(c *client.Client, m *messenger, s string) (mail.AccountID, error) {
	x, err := findContact(c, s)
	switch {
	case errors.Is(err, client.ErrNoContact) && x.ID == c.ID():
		return x.ID, usage("that is your own account")
	case errors.Is(err, client.ErrNoContact):
		return x.ID, m.problem(c.AddContact(x.ID, ""))
	}
	return x.ID, err
}

// queue puts a message into the outbox without the network, and says so.
func (a *app) queue(ctx context.Context, f *sendFlags, contact, text string) error {
	v, err := a.keep(ctx, f, contact, text)
	if err != nil {
		return err
	}
	return a.show(v, func(w io.Writer) {
		fmt.Fprintf(w, "in the outbox for %s; `tunic client run%s` sends it\n", a.bold(v.To.String()), f.flag())
	})
}

// keep puts a message into the outbox without the network.
func (a *app) keep(ctx context.Context, f *sendFlags, contact, text string) (v statusView, err error) {
	err = a.atHome(&f.messenger, func(c *client.Client) error {
		to, err := recipient(c, &f.messenger, contact)
		if err != nil {
			return err
		}
		if err := a.warn(c, to); err != nil {
			return err
		}
		id, err := c.SendWith(ctx, to, text, client.SendOptions{TTL: f.ttl})
		if err != nil {
			return f.problem(err)
		}
		st, _ := c.Status(id)
		v = viewStatus(c, st)
		return nil
	})
	return v, err
}

// send sends a message and waits. Where there is no network it is kept, as it is
// where the wait was in vain.
func (a *app) send(ctx context.Context, f *sendFlags, contact, text string) error {
	kept, err := a.sendNow(ctx, f, contact, text)
	if err == nil || kept {
		return err
	}
	p := problemOf(err)
	switch {
	case errors.Is(err, context.Canceled), p.Exit == exitUnreachable && ctx.Err() != nil:
		return fail(exitFailed, "interrupted", "interrupted", "the message was not sent, and is not in the outbox")
	case p.Exit != exitUnreachable:
		return err
	}
	if _, err := a.keep(ctx, f, contact, text); err != nil {
		return fail(p.Exit, p.Code, p.Title, "%s; the message is not in the outbox: %v", p.Detail, err)
	}
	return fail(p.Exit, p.Code, p.Title, "%s; the message waits in the outbox, and `tunic client run%s` sends it", p.Detail, f.flag())
}

// sendNow sends a message; kept says that it is in the outbox, whatever came of it.
func (a *app) sendNow(ctx context.Context, f *sendFlags, contact, text string) (kept bool, err error) {
	start := time.Now()
	log, err := a.quiet()
	if err != nil {
		return false, err
	}
	s, err := a.open(ctx, &f.messenger, false, log)
	if err != nil {
		return false, err
	}
	defer s.close()
	to, err := recipient(s.Client, &f.messenger, contact)
	if err != nil {
		return false, err
	}
	if err := a.goOnline(s); err != nil {
		return false, err
	}
	if s.usable != nil {
		return false, s.usable
	}
	waitCtx, cancel := timeLimit(ctx, f.timeout)
	defer cancel()
	progress, stop := context.WithCancel(waitCtx)
	defer stop()
	a.showProgress(progress, s)
	// Whoever answers needs the bundle, and the clock of a network whose ledger
	// is the clock is known then. Without it the message is queued all the same.
	_ = s.Ready(waitCtx)
	a.warnElsewhere(s.Elsewhere())
	if err := a.warn(s.Client, to); err != nil {
		return false, err
	}
	id, err := s.SendWith(context.WithoutCancel(ctx), to, text, client.SendOptions{TTL: f.ttl})
	if err != nil {
		return false, f.problem(err)
	}
	return true, a.sent(ctx, waitCtx, f, s, id, start, stop)
}

// sent waits for a message until waiting ends, and says what became of it.
func (a *app) sent(ctx, waiting context.Context, f *sendFlags, s *session, id client.MessageID, start time.Time, quiet func()) error {
	want := client.Delivered
	if f.stored {
		want = client.Stored
	}
	st, err := s.await(waiting, id, want)
	quiet()
	if err != nil {
		return f.problem(err)
	}
	if err := a.warn(s.Client, st.Contact); err != nil { // it may have shown meanwhile
		return err
	}
	v := viewStatus(s.Client, st)
	v.ElapsedMS = time.Since(start).Milliseconds()
	if p := outcome(ctx, st, want, v.To, f.timeout); p != nil {
		if p.Code == "timeout" && st.State < client.Stored && s.news != nil {
			p.Detail += "; the ledger does not answer either: is the network running?"
		}
		return p
	}
	s.flush(ctx, 500*time.Millisecond)
	return a.show(v, func(w io.Writer) {
		if st.State == client.Delivered {
			fmt.Fprintf(w, "delivered to %s in %s\n", a.bold(v.To.String()), span(v.ElapsedMS))
			return
		}
		fmt.Fprintf(w, "stored for %s in %s; %s\n", a.bold(v.To.String()), span(v.ElapsedMS), keptWords(st))
	})
}

// keptWords say to when a stored message is kept by the word of those who signed for
// it, and when it ends if that is sooner.
func keptWords(s client.Status) string {
	if s.Promised == 0 { // its recipient was faster than the receipts
		return "the contact has taken it out of the mailbox already, and its confirmation is on its way"
	}
	said := "most members of the mailbox have signed to keep it until " + instant(int64(s.Promised))
	if s.Expiry < s.Promised {
		said += "; the message itself ends at " + instant(int64(s.Expiry))
	}
	return said
}

// await waits until a message has come as far as want or will not; when ctx
// ends, it returns how far it came.
func (s *session) await(ctx context.Context, id client.MessageID, want client.State) (client.Status, error) {
	sub, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	events := s.Subscribe(sub)
	for {
		st, ok := s.Status(id)
		if !ok || st.State >= want || st.State.Final() {
			return st, nil
		}
		select {
		case _, open := <-events:
			if !open {
				events = s.Subscribe(sub)
			}
		case <-s.ended:
			return st, s.err
		case <-ctx.Done():
			return st, nil
		}
	}
}

// outcome is the error for a message that did not come as far as wanted.
func outcome(ctx context.Context, st client.Status, want client.State, to who, timeout time.Duration) *problem {
	switch {
	case st.State == client.Failed && st.Reason == mail.CodeFull.String():
		return fail(exitRefused, st.Reason, "the recipient's mailbox is full", "it has room again when %s comes online and reads; the message was not sent", to)
	case st.State == client.Failed:
		return fail(exitRefused, st.Reason, "the message was refused", "%s", st.Why())
	case st.State == client.Expired:
		return fail(exitUnreachable, "expired", "not delivered in time", "%s", cmp.Or(st.Why(), "nobody confirmed it before its time was over"))
	case st.State >= want:
		return nil
	}
	exit, code, title := exitUnreachable, "timeout", fmt.Sprintf("not delivered within %s", timeout)
	if ctx.Err() != nil {
		exit, code, title = exitFailed, "interrupted", "interrupted before it was delivered"
	}
	if st.State == client.Stored {
		return fail(exit, code, title, "it is stored in the mailbox of %s and will be there when they come online; `tunic client run` waits for the confirmation, `tunic outbox` shows it", to)
	}
	why := ""
	if st.Reason != "" {
		why = " (" + st.Why() + ")"
	}
	return fail(exit, code, title, "it waits in the outbox%s; `tunic client run` goes on sending it", why)
}

// showProgress tells a person at a terminal what a message waits for, and how
// far the proof of work for a first message is.
func (a *app) showProgress(ctx context.Context, s *session) {
	if a.json() || !terminal(a.Err) {
		return
	}
	events := s.Subscribe(ctx)
	go func() {
		said := ""
		for e := range events {
			switch {
			case e.Kind == client.EventWork && e.Work < 100:
				fmt.Fprintf(a.Err, "\rfirst message to this contact: proof of work, %d %% \x1b[K", e.Work)
			case e.Kind == client.EventWork:
				fmt.Fprint(a.Err, "\r\x1b[K")
			case e.Kind == client.EventStatus && !e.Status.State.Final() && e.Status.Reason != "" && e.Status.Reason != said:
				said = e.Status.Reason
				a.notice("waiting: %s", e.Status.Why())
			}
		}
	}()
}
