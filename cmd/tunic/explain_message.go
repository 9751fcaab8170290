package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/client"
)

// messageWhy says how a message stands.
type messageWhy struct {
	statusView
	Epoch   chain.Epoch    `json:"epoch"`
	Session bool           `json:"session"`
	Request string         `json:"contact_request,omitempty"` // waits, taken
	Account []chain.NodeID `json:"account_mailbox"`           // members that contact requests go to
	Pieces  []pieceView    `json:"parts_at"`
	Path    *wayView       `json:"path,omitempty"`
	NoPath  string         `json:"no_path,omitempty"` // why there is none
	Guard   string         `json:"guard,omitempty"`
	Next    string         `json:"next"` // what happens next
}

type pieceView struct {
	Confirmed  bool         `json:"confirmed"`
	Fetched    bool         `json:"fetched"`
	Need       int          `json:"need"`
	NeedFormer int          `json:"need_former,omitempty"`
	Members    []keeperView `json:"members"`
}

type keeperView struct {
	Node   chain.NodeID `json:"node"`
	Former bool         `json:"former,omitempty"`
	Signed bool         `json:"signed"`
	Until  int64        `json:"until_ms,omitempty"`
}

type wayView struct {
	Nodes []chain.NodeID `json:"nodes"`
	How   any            `json:"explanation"`
	text  string
}

func (a *app) explainMessage() *cobra.Command {
	var m messenger
	c := &cobra.Command{
		Use: "message ID", Short: "Where a message of yours is, who signed for it, and what happens next", Args: cobra.ExactArgs(1),
		Long: `Says of a message that was sent: which members keep its mailbox, which of them have signed
for it and until when, through which guard and over what path a command to one of them
would go now and why, what it waits for, and what happens next. "tunic outbox" shows
the ids; their first digits are enough.

Paths are drawn anew for each command and stored nowhere: the one shown is an example,
drawn now, as the next one will be. Nothing is sent but the question for the directory.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			v, err := a.whyMessage(cmd.Context(), &m, args[0])
			if err != nil {
				return err
			}
			return a.show(v, func(w io.Writer) { v.print(a, w) })
		},
	}
	m.flags(c)
	m.way.flags(c)
	return c
}

// explainPatience is how long the ledger may take to show its directory.
const explainPatience = 15 * time.Second

func (a *app) whyMessage(ctx context.Context, m *messenger, text string) (*messageWhy, error) {
	log, err := a.quiet()
	if err != nil {
		return nil, err
	}
	s, err := a.open(ctx, m, false, log)
	if err != nil {
		return nil, err
	}
	defer s.close()
	id, err := sentMessage(s.Client, text)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, explainPatience)
	defer cancel()
	_, head, err := s.feed.Directory(within, 0)
	if err == nil {
		err = s.AwaitHead(within, head.Header)
	}
	if err != nil {
		return nil, m.problem(err)
	}
	t, err := s.Trace(id)
	if err != nil {
		return nil, m.problem(err)
	}
	v := &messageWhy{statusView: viewStatus(s.Client, t.Status), Epoch: t.Epoch, Session: t.Session, Account: t.Account, Pieces: []pieceView{}, Next: nextOf(t)}
	switch t.Request {
	case client.RequestWaits:
		v.Request = "waits"
	case client.RequestTaken:
		v.Request = "taken"
	}
	for _, p := range t.Parts {
		x := pieceView{Confirmed: p.Confirmed, Fetched: p.Fetched, Need: p.Need, NeedFormer: p.NeedFormer, Members: []keeperView{}}
		for _, k := range p.Keepers {
			x.Members = append(x.Members, keeperView{k.Node, k.Former, k.Signed, int64(k.Until)})
		}
		v.Pieces = append(v.Pieces, x)
	}
	if g, ok := s.Guard(); ok {
		v.Guard = g.String()
	}
	if to, ok := asked(t); ok {
		w, err := s.Draw(to)
		if err != nil {
			v.NoPath = strings.TrimPrefix(err.Error(), "draw path: client: ")
		} else {
			v.Path = &wayView{w.Nodes, w.Explanation, w.Explanation.String()}
		}
	}
	return v, nil
}

// sentMessage finds a message of ours by its id or the beginning of it.
func sentMessage(c *client.Client, text string) (id client.MessageID, err error) {
	n := 0
	for _, x := range c.Outbox() {
		if text != "" && strings.HasPrefix(x.ID.String(), strings.ToLower(text)) {
			id, n = x.ID, n+1
		}
	}
	switch {
	case n == 1:
		return id, nil
	case n > 1:
		return id, usage("%d messages begin with %s; pass more of the id, which `tunic outbox -o json` shows", n, text)
	}
	for _, x := range c.Inbox() {
		if text != "" && strings.HasPrefix(x.ID.String(), strings.ToLower(text)) {
			return id, usage("%s was received on %s: it is on this disk, and nothing is left to happen to it", text, instant(int64(x.Received)))
		}
	}
	return id, fail(exitFailed, "no_message", "no such message", "none that was sent begins with %q; `tunic outbox` shows them", text)
}

// asked is whom the next command for a message would be for, as far as that is
// settled: false where none is needed.
func asked(t client.Trace) (to chain.NodeID, ok bool) {
	if t.Status.State.Final() {
		return to, false
	}
	for _, p := range t.Parts {
		for _, k := range p.Keepers {
			if !p.Confirmed && !k.Signed {
				return k.Node, true
			}
		}
	}
	for _, p := range t.Parts {
		if len(p.Keepers) > 0 {
			return p.Keepers[0].Node, true
		}
	}
	if len(t.Account) > 0 {
		return t.Account[0], true
	}
	return to, false
}

// nextOf says what happens next to a message.
func nextOf(t client.Trace) string {
	s := t.Status
	switch {
	case s.Read != 0:
		return "nothing: the contact says that it read it"
	case s.State == client.Delivered:
		return "nothing: the contact has confirmed it"
	case s.State == client.Expired:
		return "nothing: its time is over; send it again"
	case s.State == client.Failed:
		return "nothing: it was refused; send it again when the reason is gone"
	case !t.Session:
		return "members of the recipient's account mailbox are asked for a prekey; with one, a session and a contact request are made, and then the message is sealed"
	case t.Request == client.RequestWaits:
		return "the contact request goes to a member of the recipient's account mailbox, with its proof of work; then the message is stored"
	case s.State == client.Queued && len(t.Parts) == 0:
		return "it is sealed and stored"
	case s.State == client.Stored && t.Request == client.RequestTaken:
		return "the contact has to accept the request; until it confirms, the message is stored again now and then"
	case s.State == client.Stored:
		return "the contact has to come online and confirm it; until then it is stored again now and then, at another member each time"
	}
	return "members that have not signed are asked for their receipts"
}

func (v *messageWhy) print(a *app, w io.Writer) {
	state := v.State.String()
	if v.Why != "" {
		state += ": " + v.Why
	}
	table(w, []string{"message", fmt.Sprint(v.ID)}, []string{"text", excerpt(v.Text)}, []string{"to", v.To.String()},
		[]string{"state", state}, []string{"sent", instant(v.Sent)}, []string{"until", instant(v.Expires)}, []string{"next", v.Next})
	switch v.Request {
	case "waits":
		fmt.Fprintf(w, "\ncontact request: no member has taken it yet; %s keep the account's mailbox\n", count(len(v.Account), "member"))
	case "taken":
		fmt.Fprintln(w, "\ncontact request: a member has it; the contact has not answered under this session yet")
	}
	for i, p := range v.Pieces {
		fmt.Fprintf(w, "\npart %d of %d: %s\n", i+1, len(v.Pieces), p.words())
		rows := [][]string{}
		for _, k := range p.Members {
			word, until := "member", "has not signed"
			if k.Former {
				word = "former"
			}
			if k.Signed {
				until = "signed, keeps it until " + instant(k.Until)
			}
			rows = append(rows, []string{"  " + word, k.Node.Short(), until})
		}
		table(w, rows...)
	}
	switch {
	case v.NoPath != "":
		fmt.Fprintf(w, "\nno path at the moment: %s\n", v.NoPath)
	case v.Path != nil:
		guard := "none is chosen yet: the first command draws one"
		if v.Guard != "" {
			guard = short(v.Guard) + ", kept for weeks"
		}
		fmt.Fprintf(w, "\nguard %s\nA path to %s, drawn just now by the list of epoch %d. Each command draws another one,\nand each answer too; none is stored, so which ones were used cannot be said.\n\n%s",
			guard, v.Path.Nodes[len(v.Path.Nodes)-1].Short(), v.Epoch, v.Path.text)
	}
}

func (p pieceView) words() string {
	signed := 0
	for _, k := range p.Members {
		if k.Signed && !k.Former {
			signed++
		}
	}
	switch {
	case p.Fetched:
		return "the recipient has deleted it from its mailbox, so has it"
	case len(p.Members) == 0:
		return "sealed, not stored anywhere yet"
	case p.Confirmed:
		return fmt.Sprintf("stored: %d have signed, %d of the members have to", signed, p.Need)
	}
	return fmt.Sprintf("%d have signed, %d of the members have to", signed, p.Need)
}
