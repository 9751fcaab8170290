package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"tunic/client"
	"tunic/onion/mail"
)

func (a *app) contactCommand() *cobra.Command {
	return noun("contact", "The people you write with",
		a.contactAdd(), a.contactList(), a.contactAccept(), a.contactRefuse(), a.contactShow(), a.contactVerify(), a.contactTimer(), a.contactRemove())
}

// atHome runs f on the account's state, without the network.
func (a *app) atHome(m *messenger, f func(c *client.Client) error) error {
	c, err := a.offline(m)
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Close())
}

// contactVerb is a command about one contact, its first argument.
type contactVerb struct {
	use, short, long string
	args             cobra.PositionalArgs
	check            func(more []string) error // before anything is opened; nil: there is nothing to check
	run              func(c *client.Client, x client.Contact, more []string) error
}

// aboutContact makes the command. What it does it does at home.
func (a *app) aboutContact(v contactVerb) *cobra.Command {
	var m messenger
	c := &cobra.Command{
		Use: v.use, Short: v.short, Long: v.long, Args: v.args, ValidArgsFunction: a.completeContacts(&m, 0),
		RunE: func(_ *cobra.Command, args []string) error {
			if v.check != nil {
				if err := v.check(args[1:]); err != nil {
					return err
				}
			}
			return a.atHome(&m, func(c *client.Client) error {
				x, err := existing(c, args[0])
				if err != nil {
					return err
				}
				return v.run(c, x, args[1:])
			})
		},
	}
	m.flags(c)
	return c
}

func (a *app) contactAdd() *cobra.Command {
	var m messenger
	var note string
	c := &cobra.Command{
		Use: "add ID NAME", Short: "Note an account under a name, or rename it", Args: cobra.ExactArgs(2),
		Long: "Notes an account under a name of yours, or renames it. The account is asked with your first text\n" +
			"to it; a --note tells who you are, as your id says nothing to those who see it for the first time.",
		Example: `  tunic contact add tunic1… bob --note "Alice from the climbing club"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkNote(note); err != nil {
				return err
			}
			id, name := args[0], args[1]
			if _, err := client.ParseID(name); err == nil { // NAME ID is as clear
				if _, err := client.ParseID(id); err != nil {
					id, name = name, id
				}
			}
			account, err := client.ParseID(id)
			if err != nil {
				return m.problem(err)
			}
			return a.atHome(&m, func(c *client.Client) error {
				if s := contactOf(c, account).State; cmd.Flags().Changed("note") && s != 0 && s != client.Added {
					return fail(exitFailed, "asked", "the note would not reach them", "a note goes with your contact request, and this contact's state is: %s; nothing was changed. Write it in a text", stateWords(s))
				}
				if err := nameContact(c, account, name); err != nil {
					return err
				}
				if cmd.Flags().Changed("note") {
					if err := c.SetNote(account, note); err != nil {
						return err
					}
				}
				x := contactOf(c, account)
				return a.show(viewContact(x), func(w io.Writer) {
					fmt.Fprintf(w, "%s is now %s\n", client.FormatID(account), a.bold(printable(x.Name)))
					if x.OwnNote != "" {
						fmt.Fprintf(w, "your note goes with your first text to them: %s\n", quoted(x.OwnNote))
					}
				})
			})
		},
	}
	m.flags(c)
	c.Flags().StringVar(&note, "note", "", fmt.Sprintf("`text` that they see with your contact request: who you are, %d bytes at most", client.MaxNote))
	return c
}

// checkNote refuses a note that cannot be shown on one line.
func checkNote(note string) error {
	switch {
	case len(note) > client.MaxNote:
		return usage("--note has %d bytes; %d fit into a contact request", len(note), client.MaxNote)
	case !utf8.ValidString(note), note != printable(note):
		return usage("--note is one line of printable characters")
	}
	return nil
}

// nameContact notes an account under a name that no other contact has.
func nameContact(c *client.Client, id mail.AccountID, name string) error {
	_, isID := client.ParseID(name)
	switch {
	case id == c.ID():
		return usage("that is your own account")
	case name == "" || name != printable(name) || strings.TrimSpace(name) != name:
		return usage("%q is no name: printable characters, no space around them", name)
	case isID == nil:
		return usage("a name cannot be an account id")
	}
	for _, x := range c.Contacts() {
		if x.Name == name && x.ID != id {
			return fail(exitFailed, "name_taken", "the name is taken by another account",
				"%s is %s, and another id has other keys. Is it %s who gave you this one? Ask over another way than it came by; then rename the old one with `tunic contact add %s NEWNAME`, or choose another name",
				name, client.FormatID(x.ID), name, client.FormatID(x.ID))
		}
	}
	err := c.AddContact(id, name)
	if errors.Is(err, client.ErrConfig) {
		return usage("%s", afterConfig(err))
	}
	return err
}

func (a *app) contactList() *cobra.Command {
	var m messenger
	var refused bool
	c := &cobra.Command{
		Use: "list", Short: "All contacts, and who asks to become one", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.atHome(&m, func(c *client.Client) error {
				if refused {
					return a.showRefused(c)
				}
				l := c.Contacts()
				views := make([]contactView, len(l))
				asking := 0
				rows := [][]string{a.head("name", "state", "id", "")}
				for i, x := range l {
					views[i] = viewContact(x)
					if x.State == client.Incoming {
						asking++
					}
					rows = append(rows, []string{orDash(printable(x.Name)), stateWords(x.State), views[i].ID, remark(x)})
				}
				return a.show(map[string]any{"contacts": views}, func(w io.Writer) {
					if len(l) == 0 {
						fmt.Fprintln(w, "no contacts yet; `tunic contact add ID NAME` adds one")
						return
					}
					table(w, rows...)
					if asking > 0 {
						fmt.Fprintf(w, "\nAccept who asks with `tunic contact accept ID NAME`, or keep it away with `tunic contact refuse ID`\n")
					}
				})
			})
		},
	}
	m.flags(c)
	c.Flags().BoolVar(&refused, "refused", false, "the accounts whose requests are passed over, in place of the contacts")
	return c
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// stateWords says what a contact's state means.
func stateWords(s client.ContactState) string {
	switch s {
	case client.Added:
		return "not written to yet"
	case client.Requested:
		return "request sent"
	case client.Incoming:
		return "asks to be accepted"
	}
	return s.String()
}

func (a *app) contactAccept() *cobra.Command {
	return a.aboutContact(contactVerb{
		use: "accept ID|NAME [NAME]", short: "Accept a contact request, and name who asked", args: cobra.RangeArgs(1, 2),
		run: func(c *client.Client, x client.Contact, name []string) error {
			if len(name) == 1 {
				if err := nameContact(c, x.ID, name[0]); err != nil {
					return err
				}
			}
			if err := c.Accept(x.ID); err != nil {
				return err
			}
			v := viewContact(contactOf(c, x.ID))
			return a.show(v, func(w io.Writer) {
				if x.State != client.Incoming {
					fmt.Fprintf(w, "%s was no open request: %s\n", v.who, stateWords(x.State))
					return
				}
				fmt.Fprintf(w, "accepted %s; `tunic inbox` fetches what they wrote\n", a.bold(v.who.String()))
			})
		},
	})
}

// contactOf is a contact as of now; one that is gone has its id alone.
func contactOf(c *client.Client, id mail.AccountID) client.Contact {
	for _, x := range c.Contacts() {
		if x.ID == id {
			return x
		}
	}
	return client.Contact{ID: id}
}

// existing finds a contact that has to be there.
func existing(c *client.Client, s string) (client.Contact, error) {
	x, err := findContact(c, s)
	if errors.Is(err, client.ErrNoContact) {
		err = fail(exitFailed, "no_contact", "no such contact", "%s is not among yours; `tunic contact list` shows them", s)
	}
	return x, err
}

func (a *app) contactRemove() *cobra.Command {
	return a.aboutContact(contactVerb{
		use: "remove ID|NAME", short: "Forget a contact, its keys, and what was not delivered to it", args: cobra.ExactArgs(1),
		run: func(c *client.Client, x client.Contact, _ []string) error {
			dropped := 0
			for _, s := range c.Outbox() {
				if s.Contact == x.ID && !s.State.Final() {
					dropped++
				}
			}
			if err := c.Remove(x.ID); err != nil {
				return err
			}
			v := viewContact(x)
			return a.show(map[string]any{"removed": v.who, "undelivered": dropped}, func(w io.Writer) {
				fmt.Fprintf(w, "removed %s", v.who)
				if dropped > 0 {
					fmt.Fprintf(w, ", with %s not delivered yet", count(dropped, "message"))
				}
				if x.State == client.Incoming {
					fmt.Fprintf(w, "; it may ask again, which `tunic contact refuse %s` prevents", v.ID)
				}
				fmt.Fprintln(w)
			})
		},
	})
}
