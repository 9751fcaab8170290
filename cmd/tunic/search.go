package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tunic/client"
)

// textView is one text of a conversation as the commands print it.
type textView struct {
	ID       client.MessageID `json:"id"`
	With     who              `json:"with"`
	Mine     bool             `json:"mine"`
	Text     string           `json:"text"`
	Sent     int64            `json:"sent_ms"` // by the sender's clock
	Received int64            `json:"received_ms,omitempty"`
	State    string           `json:"state,omitempty"` // of one's own
	Reason   string           `json:"reason,omitempty"`
	Read     int64            `json:"read_ms,omitempty"`
	Vanishes int64            `json:"vanishes_ms,omitempty"`
}

// viewText is an entry; names finds whom an account id names.
func viewText(e client.Entry, names map[string]string) textView {
	id := client.FormatID(e.Contact)
	v := textView{ID: e.ID, With: who{id, names[id]}, Mine: e.Mine, Text: e.Text, Sent: int64(e.Sent), Received: int64(e.Received),
		Reason: e.Reason, Read: int64(e.Read), Vanishes: int64(e.Vanishes)}
	if e.Mine {
		v.State = e.State.String()
	}
	return v
}

// namesOf are the names of all contacts, by id.
func namesOf(c *client.Client) map[string]string {
	names := map[string]string{}
	for _, x := range c.Contacts() {
		names[client.FormatID(x.ID)] = x.Name
	}
	return names
}

// print writes an entry for people.
func (v textView) print(w io.Writer) {
	from, state := v.With.String(), ""
	if v.Mine {
		from = "you to " + from
		state = "  (" + v.State + ")"
		if v.Read != 0 {
			state = "  (read)"
		}
	}
	fmt.Fprintf(w, "%s  %s%s\n%s\n", instant(v.Sent), from, state, quote(v.Text, "  "))
}

func (a *app) searchCommand() *cobra.Command {
	var m messenger
	var with string
	c := &cobra.Command{
		Use: "search WORDS...", Short: "Find texts that hold all words", Args: cobra.MinimumNArgs(1),
		Long: "Finds texts, sent and received, that hold all the words, in any case and order. Nothing leaves\nthis machine.",
		RunE: func(_ *cobra.Command, args []string) error {
			words := strings.Join(args, " ")
			if strings.TrimSpace(words) == "" {
				return usage("no words to look for")
			}
			return a.atHome(&m, func(c *client.Client) error {
				found := c.Search(words)
				views, names := []textView{}, namesOf(c)
				var only client.Contact
				if with != "" {
					var err error
					if only, err = existing(c, with); err != nil {
						return err
					}
				}
				for _, e := range found {
					if with == "" || e.Contact == only.ID {
						views = append(views, viewText(e, names))
					}
				}
				return a.show(map[string]any{"messages": views}, func(w io.Writer) {
					if len(views) == 0 {
						fmt.Fprintln(w, "nothing found")
					}
					for i, v := range views {
						if i > 0 {
							fmt.Fprintln(w)
						}
						v.print(w)
					}
				})
			})
		},
	}
	m.flags(c)
	c.Flags().StringVar(&with, "contact", "", "only in the conversation with this `contact`")
	_ = c.RegisterFlagCompletionFunc("contact", a.completeContacts(&m, 1<<30))
	return c
}

func (a *app) exportCommand() *cobra.Command {
	var m messenger
	var out string
	var force bool
	c := &cobra.Command{
		Use: "export [CONTACT]", Short: "Write conversations as text, or with -o json as a line of JSON a text", Args: cobra.MaximumNArgs(1),
		Long: `Writes what was sent and received, of one contact or of all, in the order in which it was
sent. The file is not encrypted: whoever reads it reads the conversations, also texts
that disappear here.`,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.atHome(&m, func(c *client.Client) error {
				all := c.Search("")
				if len(args) == 1 {
					x, err := existing(c, args[0])
					if err != nil {
						return err
					}
					all = c.Conversation(x.ID)
				}
				var b bytes.Buffer
				if err := a.exported(&b, c, all); err != nil {
					return err
				}
				if out == "-" {
					_, err := a.Out.Write(b.Bytes())
					return err
				}
				if err := writeBackup(out, b.Bytes(), force); err != nil {
					return err
				}
				return a.show(map[string]any{"file": out, "messages": len(all)}, func(w io.Writer) {
					fmt.Fprintf(w, "%s in %s, which is not encrypted\n", count(len(all), "text"), a.bold(out))
				})
			})
		},
	}
	c.ValidArgsFunction = a.completeContacts(&m, 0)
	m.flags(c)
	c.Flags().StringVar(&out, "out", "-", "`file` to write; - is standard output")
	c.Flags().BoolVar(&force, "force", false, "replace the file")
	return c
}

// exported writes texts as -o says.
func (a *app) exported(w io.Writer, c *client.Client, all []client.Entry) error {
	names := namesOf(c)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, e := range all {
		v := viewText(e, names)
		if !a.json() {
			v.print(w)
			fmt.Fprintln(w)
			continue
		}
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("encode text: %w", err)
		}
	}
	return nil
}
