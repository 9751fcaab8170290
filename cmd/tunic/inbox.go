package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"tunic/client"
)

// messageView is a received message as the commands print it.
type messageView struct {
	Type     string           `json:"type,omitempty"` // in streams
	ID       client.MessageID `json:"id"`
	From     who              `json:"from"`
	Text     string           `json:"text"`
	Sent     int64            `json:"sent_ms"` // says the sender
	Received int64            `json:"received_ms"`
}

func viewMessage(c *client.Client, x client.Message) messageView {
	return messageView{ID: x.ID, From: whoIs(c, x.Contact), Text: x.Text, Sent: int64(x.Sent), Received: int64(x.Received)}
}

// statusView is an outgoing message as the commands print it.
type statusView struct {
	Type      string           `json:"type,omitempty"` // in streams
	ID        client.MessageID `json:"id"`
	To        who              `json:"to"`
	State     client.State     `json:"state"`
	Reason    string           `json:"reason,omitempty"`
	Why       string           `json:"why,omitempty"`
	Text      string           `json:"text"`
	Parts     int              `json:"parts"`
	Sent      int64            `json:"sent_ms"`
	Expires   int64            `json:"expires_ms"`
	Kept      int64            `json:"kept_until_ms,omitempty"` // by the word of those who signed for it
	Read      int64            `json:"read_ms,omitempty"`       // says the contact
	ElapsedMS int64            `json:"elapsed_ms,omitempty"`
}

func viewStatus(c *client.Client, s client.Status) statusView {
	return statusView{ID: s.ID, To: whoIs(c, s.Contact), State: s.State, Reason: s.Reason, Why: s.Why(), Text: s.Text,
		Parts: s.Parts, Sent: int64(s.Sent), Expires: int64(s.Expiry), Kept: int64(s.Promised), Read: int64(s.Read)}
}

// stateText says how far a message came and what it waits for.
func stateText(s client.Status) string {
	switch {
	case s.Read != 0:
		return "read"
	case s.Reason == "":
		return s.State.String()
	}
	return s.State.String() + ": " + s.Why()
}

// inboxFlags are the flags of `inbox`.
type inboxFlags struct {
	messenger
	wait, timeout          time.Duration
	follow, acceptAll, all bool
}

func (a *app) inboxCommand() *cobra.Command {
	var f inboxFlags
	c := &cobra.Command{
		Use: "inbox", Short: "Fetch and show new messages and contact requests", Args: cobra.NoArgs,
		Long: "Asks all mailboxes once, confirms what was there, and shows what was not shown before. If\n" +
			"there is nothing, it goes on looking for --wait.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.follow && f.all {
				return usage("--follow and --all contradict each other")
			}
			log, err := a.quiet()
			if err != nil {
				return err
			}
			s, err := a.online(cmd.Context(), &f.messenger, f.acceptAll, log)
			if err != nil {
				return err
			}
			defer s.close()
			if s.usable != nil {
				return s.usable
			}
			if f.follow {
				return a.followInbox(cmd.Context(), s)
			}
			return a.inbox(cmd.Context(), s, &f)
		},
	}
	f.flags(c)
	f.coverFlag(c)
	f.receiptsFlag(c)
	c.Flags().DurationVar(&f.wait, "wait", 3*time.Second, "if there is nothing new, wait so long for something")
	c.Flags().DurationVar(&f.timeout, "timeout", 30*time.Second, "give up asking the mailboxes after")
	c.Flags().BoolVar(&f.follow, "follow", false, "go on until interrupted")
	c.Flags().BoolVar(&f.acceptAll, "accept-all", false, "accept contact requests without asking")
	c.Flags().BoolVar(&f.all, "all", false, "show all messages, old ones too")
	return c
}

func (a *app) inbox(ctx context.Context, s *session, f *inboxFlags) error {
	known := requests(s.Client)
	if err := s.round(ctx, f.timeout); err != nil {
		return err
	}
	if len(s.unread()) == 0 && len(requests(s.Client)) == len(known) {
		if err := s.awaitMail(ctx, f.wait); err != nil {
			return err
		}
	}
	s.flush(ctx, 3*time.Second)
	if err := a.warnAll(s.Client); err != nil {
		return err
	}
	messages := s.unread()
	if f.all {
		messages = s.Inbox()
	}
	type view struct {
		Messages []messageView `json:"messages"`
		Requests []contactView `json:"requests"`
	}
	v := view{[]messageView{}, []contactView{}}
	for _, x := range messages {
		v.Messages = append(v.Messages, viewMessage(s.Client, x))
	}
	for _, x := range requests(s.Client) {
		v.Requests = append(v.Requests, viewContact(x))
	}
	if err := a.show(v, func(w io.Writer) { a.inboxText(w, v.Messages, v.Requests, f.all) }); err != nil {
		return err
	}
	if err := s.markShown(messages); err != nil {
		return err
	}
	if f.receipts {
		s.flush(ctx, 3*time.Second)
	}
	return nil
}

// round asks all mailboxes once.
func (s *session) round(ctx context.Context, timeout time.Duration) error {
	within, cancel := timeLimit(ctx, timeout)
	defer cancel()
	err := s.PollNow(within)
	switch {
	case err == nil, ctx.Err() != nil:
		return err
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, client.ErrTimeout):
		why := "the ledger answers, so look whether relays run: `tunic node list`"
		if s.news != nil {
			why = "the ledger does not answer either; is the network running?"
		}
		return fail(exitUnreachable, "timeout", "no answer from the mailboxes", "none of their members answered; %s", why)
	case errors.Is(err, client.ErrNoPath):
		return fail(exitUnreachable, "too_few_relays", "too few relays", "%v", err)
	}
	return s.of.problem(err)
}

// awaitMail waits for a message or a contact request, for at most d.
func (s *session) awaitMail(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	events := s.Subscribe(within)
	if len(s.unread()) > 0 {
		return nil
	}
	for {
		select {
		case e, open := <-events:
			if !open || e.Kind == client.EventMessage || e.Kind == client.EventContact && e.Contact.State == client.Incoming {
				return ctx.Err()
			}
		case <-s.ended:
			return s.of.problem(s.err)
		case <-within.Done():
			return ctx.Err()
		}
	}
}

// requests are the contacts that ask to be accepted.
func requests(c *client.Client) (l []client.Contact) {
	for _, x := range c.Contacts() {
		if x.State == client.Incoming {
			l = append(l, x)
		}
	}
	return l
}

func (a *app) inboxText(w io.Writer, messages []messageView, asking []contactView, all bool) {
	if len(messages) == 0 {
		if all {
			fmt.Fprintln(w, "no messages")
		} else {
			fmt.Fprintln(w, "no new messages")
		}
	}
	for i, x := range messages {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s  %s\n%s\n", a.bold(x.From.String()), instant(x.Sent), quote(x.Text, "  "))
	}
	if len(asking) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s to be your contact; what they wrote comes once you accept:\n\n", map[bool]string{true: "1 account asks", false: fmt.Sprintf("%d accounts ask", len(asking))}[len(asking) == 1])
	for _, x := range asking {
		if x.Note != "" {
			fmt.Fprintf(w, "  says %s\n", quoted(x.Note))
		}
		fmt.Fprintf(w, "  tunic contact accept %s NAME\n", x.ID)
	}
	fmt.Fprintln(w, "\n`tunic contact refuse ID` keeps one away, without its learning of it.")
}

// followInbox shows messages and contact requests until ctx ends.
func (a *app) followInbox(ctx context.Context, s *session) error {
	if err := a.warnAll(s.Client); err != nil {
		return err
	}
	for _, x := range requests(s.Client) {
		if err := a.showEvent(s, client.Event{Kind: client.EventContact, Contact: x}); err != nil {
			return err
		}
	}
	return s.follow(ctx, func(e client.Event) error {
		if e.Kind == client.EventMessage || e.Kind == client.EventElsewhere || e.Kind == client.EventContact && e.Contact.State == client.Incoming {
			return a.showNews(s, e)
		}
		return a.warnAhead(s.Client, e)
	})
}

func (a *app) outboxCommand() *cobra.Command {
	var m messenger
	var pending bool
	c := &cobra.Command{
		Use: "outbox", Short: "What was sent, and how far it came", Args: cobra.NoArgs,
		Long: "Shows what was sent, as of the last time that the account was online: `tunic inbox` and\n" +
			"`tunic client run` bring news.",
		RunE: func(*cobra.Command, []string) error {
			return a.atHome(&m, func(c *client.Client) error {
				views := []statusView{}
				rows := [][]string{a.head("id", "sent", "to", "state", "message")}
				for _, s := range c.Outbox() {
					if pending && s.State.Final() {
						continue
					}
					v := viewStatus(c, s)
					views = append(views, v)
					to := v.To.String()
					if v.To.Name == "" {
						to = to[:14] + "…"
					}
					rows = append(rows, []string{short(fmt.Sprint(s.ID)), instant(v.Sent), to, s.State.String(), excerpt(v.Text)})
				}
				return a.show(map[string]any{"messages": views}, func(w io.Writer) {
					if len(views) == 0 {
						fmt.Fprintln(w, "nothing in the outbox")
						return
					}
					table(w, rows...)
					gap := "\n"
					for _, v := range views {
						if v.Why != "" {
							fmt.Fprintf(w, "%s%s to %s, %s: %s\n", gap, excerpt(v.Text), v.To, v.State, v.Why)
							gap = ""
						}
					}
				})
			})
		},
	}
	m.flags(c)
	c.Flags().BoolVar(&pending, "pending", false, "only what is not over yet")
	return c
}
