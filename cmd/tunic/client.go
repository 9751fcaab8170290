package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/client"
	"tunic/ledger/light"
	"tunic/node"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/registry/path"
)

func (a *app) clientCommand() *cobra.Command {
	return noun("client", "The messenger in the background", a.clientRun(), a.clientProtects())
}

func (a *app) clientRun() *cobra.Command {
	var m messenger
	var acceptAll bool
	c := &cobra.Command{
		Use: "run", Short: "Receive, confirm and resend until interrupted, a line an event", Args: cobra.NoArgs,
		Long: "Keeps the account online: fetches messages, confirms them, and sends what waits in the\n" +
			"outbox again until it is confirmed. Prints a line (with -o json an object) an event.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			log, err := a.logger()
			if err != nil {
				return err
			}
			s, err := a.online(ctx, &m, acceptAll, log)
			if err != nil {
				return err
			}
			defer s.close()
			if s.usable != nil {
				log.Warn("too few relays; waiting for more", "err", s.usable)
			}
			if err := a.show(struct {
				Type string `json:"type"`
				ID   string `json:"id"`
			}{"started", client.FormatID(s.ID())}, func(w io.Writer) {
				fmt.Fprintf(w, "%s is online; Ctrl-C ends it\n", a.bold(client.FormatID(s.ID())))
			}); err != nil {
				return err
			}
			if err := a.claim(s); err != nil {
				return err
			}
			if err := a.warnAll(s.Client); err != nil {
				return err
			}
			news := newNews(s.Client)
			return s.follow(ctx, func(e client.Event) error {
				if !news.is(e) {
					return nil
				}
				return a.showNews(s, e)
			})
		},
	}
	m.flags(c)
	m.coverFlag(c)
	m.receiptsFlag(c)
	c.Flags().BoolVar(&acceptAll, "accept-all", false, "accept contact requests without asking")
	return c
}

// showNews warns where the contact of an event began anew, and then shows the event:
// who reads a text is to know whether it comes from another device.
func (a *app) showNews(s *session, e client.Event) error {
	if err := a.warnAhead(s.Client, e); err != nil {
		return err
	}
	return a.showEvent(s, e)
}

// warnAhead is warn for the contact that an event is about, where it says
// something of it.
func (a *app) warnAhead(c *client.Client, e client.Event) error {
	switch e.Kind {
	case client.EventMessage:
		return a.warn(c, e.Message.Contact)
	case client.EventContact:
		return a.warn(c, e.Contact.ID)
	}
	return nil
}

// showEvent prints one event: a line, or an object with -o json.
func (a *app) showEvent(s *session, e client.Event) error {
	stamp := func(w io.Writer, format string, args ...any) {
		fmt.Fprintf(w, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
	}
	switch e.Kind {
	case client.EventMessage:
		v := viewMessage(s.Client, e.Message)
		v.Type = "message"
		return a.show(v, func(w io.Writer) {
			stamp(w, "%s: %s", a.bold(v.From.String()), strings.TrimLeft(quote(v.Text, "          "), " "))
		})
	case client.EventStatus:
		v := viewStatus(s.Client, e.Status)
		v.Type = "status"
		return a.show(v, func(w io.Writer) { stamp(w, "%s to %s: %s", excerpt(v.Text), v.To, stateText(e.Status)) })
	case client.EventElsewhere:
		return a.show(struct {
			Type  string `json:"type"`
			Since int64  `json:"since_ms"`
			Text  string `json:"text"`
		}{"elsewhere", int64(e.Elsewhere), elsewhereWords(e.Elsewhere)}, func(w io.Writer) { stamp(w, "warning: %s", elsewhereWords(e.Elsewhere)) })
	case client.EventContact:
		v := struct {
			Type string `json:"type"`
			contactView
		}{"contact", viewContact(e.Contact)}
		return a.show(v, func(w io.Writer) {
			switch e.Contact.State {
			case client.Incoming:
				stamp(w, "%s asks to be your contact%s; accept with `tunic contact accept ID NAME`", v.ID, noteText(v.Note))
			default:
				stamp(w, "contact %s: %s", v.who, stateWords(e.Contact.State))
			}
		})
	}
	return nil
}

// news tells what is worth a line: of a message that it came further, of a contact
// that something changed besides what is unread and which session is used.
type news struct {
	messages map[client.MessageID]client.Status
	contacts map[mail.AccountID]client.Contact
}

func newNews(c *client.Client) *news {
	n := &news{map[client.MessageID]client.Status{}, map[mail.AccountID]client.Contact{}}
	for _, x := range c.Contacts() {
		n.is(client.Event{Kind: client.EventContact, Contact: x})
	}
	return n
}

func (n *news) is(e client.Event) bool {
	switch e.Kind {
	case client.EventStatus:
		old, ok := n.messages[e.Status.ID]
		n.messages[e.Status.ID] = e.Status
		return !ok || old.State != e.Status.State || old.Reason != e.Status.Reason || old.Read != e.Status.Read
	case client.EventContact:
		x := e.Contact
		x.Unread, x.Told, x.Began, x.Once = 0, false, 0, false
		old, ok := n.contacts[x.ID]
		n.contacts[x.ID] = x
		return !ok || old != x
	}
	return true
}

func noteText(note string) string {
	if note == "" {
		return ""
	}
	return " and says " + quoted(note)
}

// session is a client at work.
type session struct {
	*client.Client
	of      *messenger
	through *node.Proxy // nil: around none
	usable  error       // why no path can be chosen at the moment, nil if one can
	news    error       // why the ledger does not answer, where a kept directory serves; nil if it does
	feed    *feed.Feed
	params  genesis.Params
	ctx     context.Context // of the client's work
	end     context.CancelFunc
	ended   chan struct{} // closed when Run has returned err
	err     error
}

// open opens the account for work in the network, of which it asks nothing yet.
// The caller closes the session.
func (a *app) open(ctx context.Context, m *messenger, acceptAll bool, log *slog.Logger) (*session, error) {
	cover, err := m.covers()
	if err != nil {
		return nil, err
	}
	through, err := m.way.open(ctx, log)
	if err != nil {
		return nil, err
	}
	from, err := m.from()
	switch {
	case err != nil:
		return nil, err
	case from.IsValid() && through != nil:
		return nil, usage("--bind says from where relays are reached, and a proxy reaches them: leave one of them out")
	}
	n, err := network(m.network)
	if err != nil {
		return nil, err
	}
	if len(n.URLs) == 0 {
		return nil, usage("the network file names no ledger; add its URL under \"urls\"")
	}
	if err := m.free(); err != nil {
		return nil, err
	}
	acc, err := a.account(m)
	if err != nil {
		return nil, err
	}
	f, err := node.ClientFeed(n, m.dir, through, from, log)
	if err != nil {
		return nil, m.problem(err)
	}
	ctx, end := context.WithCancel(ctx)
	cfg := node.ClientConfig{Account: acc, Dir: m.dir, Network: n, Feed: f, Proxy: through, From: from, Hops: m.way.hops, Cover: cover, AcceptAll: acceptAll, ReadReceipts: m.receipts, Logger: log}
	c, err := patient(func() (*client.Client, error) { return node.OpenClient(ctx, cfg) })
	if err != nil {
		end()
		return nil, m.problem(err)
	}
	return &session{Client: c, of: m, through: through, feed: f, params: n.Core.Params, ctx: ctx, end: end}, nil
}

// goOnline sets the client to work: the ledger has answered when it returns, or
// its last list, kept on disk, still serves.
func (a *app) goOnline(s *session) error {
	_, s.news = s.feed.Head(s.ctx)
	list, head, err := s.feed.Directory(s.ctx, 0)
	if errors.Is(s.news, light.ErrNetwork) || errors.Is(s.news, light.ErrSealer) {
		err = s.news
	}
	if err != nil {
		return s.of.problem(err)
	}
	if s.news = s.of.problem(s.news); s.news != nil {
		a.notice("%v; going on with the directory of epoch %d", s.news, list.Epoch)
	}
	s.usable = paths(list, head.Header.Removals, s.params, s.of.way.hops)
	s.start()
	return nil
}

// online is open and goOnline.
func (a *app) online(ctx context.Context, m *messenger, acceptAll bool, log *slog.Logger) (*session, error) {
	s, err := a.open(ctx, m, acceptAll, log)
	if err != nil {
		return nil, err
	}
	if err := a.goOnline(s); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close ends the client's work and closes its state.
func (s *session) close() {
	s.end()
	if s.ended != nil {
		<-s.ended
	}
	_ = s.Close()
}

// paths says why a list gives no path of so many hops (0: as many as usual) to any of
// its members, nil if it does.
func paths(list *directory.List, removed []chain.NodeID, p genesis.Params, hops int) error {
	if hops == 0 {
		hops = path.DefaultHops
	}
	k := path.New(list, removed, p)
	if k.Usable() > hops {
		for i := range min(len(list.Entries), 16) {
			o := path.Options{Hops: hops, Target: list.Entries[i].Node}
			if _, err := k.Choose(o, path.FromReader(rand.Reader)); err == nil {
				return nil
			}
		}
	}
	number := [...]string{2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
	why := fmt.Sprintf("%d of the %d relays in the directory are usable", k.Usable(), len(list.Entries))
	if k.Usable() > hops {
		why += ", but no " + number[hops+1] + " are of distinct operators, families and networks"
	}
	return fail(exitUnreachable, "too_few_relays", "too few relays", "%s; a message needs %s hops and a mailbox member, so %s; `tunic node list` shows them", why, number[hops], number[hops+1])
}

// flush lets confirmations and deletions leave before the program ends, within
// d. What has not left then does so the next time.
func (s *session) flush(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	_ = s.Flush(ctx)
}

// unread are the messages that were not shown.
func (s *session) unread() []client.Message {
	return slices.DeleteFunc(s.Inbox(), func(x client.Message) bool { return x.Read != 0 })
}

// markShown notes that messages, in the order of the inbox, were shown.
func (s *session) markShown(l []client.Message) error {
	last := map[mail.AccountID]client.MessageID{}
	for _, x := range l {
		if x.Read == 0 {
			last[x.Contact] = x.ID
		}
	}
	for from, id := range last {
		if err := s.MarkRead(from, id); err != nil {
			return fmt.Errorf("note what was shown: %w", err)
		}
	}
	return nil
}

// follow hands every event to each until ctx ends (nil) or the client stops.
// Messages come once each, and those not shown yet at once.
func (s *session) follow(ctx context.Context, each func(client.Event) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for {
		events := s.Subscribe(ctx)
		if err := s.tellUnread(each); err != nil {
			return err
		}
		for open := true; open; {
			var e client.Event
			select {
			case e, open = <-events: // closed too where we lag behind: begin anew
			case <-s.ended:
				return s.of.problem(s.err)
			case <-ctx.Done():
				return nil
			}
			var err error
			switch {
			case !open:
			case e.Kind == client.EventMessage:
				err = s.tellUnread(each)
			default:
				err = each(e)
			}
			if err != nil {
				return err
			}
		}
	}
}

func (s *session) tellUnread(each func(client.Event) error) error {
	l := s.unread()
	for _, x := range l {
		if err := each(client.Event{Kind: client.EventMessage, Message: x}); err != nil {
			return err
		}
	}
	return s.markShown(l)
}
