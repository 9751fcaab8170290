package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tunic/client"
)

func (a *app) contactRefuse() *cobra.Command {
	var m messenger
	c := &cobra.Command{
		Use: "refuse ID|NAME", Short: "Pass over an account's contact requests, without its learning of it", Args: cobra.ExactArgs(1),
		Long: "Takes an account out of the contacts, as remove does, and passes over its contact requests\n" +
			"for a year. It learns nothing: what it sends is never confirmed. `tunic contact add ID NAME`\n" +
			"takes that back, `tunic contact list --refused` shows who is refused.",
		RunE: func(_ *cobra.Command, args []string) error {
			return a.atHome(&m, func(c *client.Client) error {
				x, err := findContact(c, args[0]) // nobody has to be a contact to be refused
				switch {
				case x.ID == c.ID():
					return usage("that is your own account")
				case err != nil && !errors.Is(err, client.ErrNoContact):
					return err
				}
				if err := c.Refuse(x.ID); err != nil {
					return err
				}
				name := viewContact(x).who
				x.State = client.Refused
				return a.show(viewContact(x), func(w io.Writer) {
					fmt.Fprintf(w, "refused %s: its requests are passed over, and it is not told; `tunic contact add %s NAME` takes that back\n", a.bold(name.String()), name.ID)
				})
			})
		},
	}
	c.ValidArgsFunction = a.completeContacts(&m, 0)
	m.flags(c)
	return c
}

// showRefused lists the accounts that are refused.
func (a *app) showRefused(c *client.Client) error {
	l := c.Refused()
	views := make([]contactView, len(l))
	rows := [][]string{a.head("refused on", "id")}
	for i, x := range l {
		views[i] = viewContact(x)
		rows = append(rows, []string{instant(views[i].Refused), views[i].ID})
	}
	return a.show(map[string]any{"contacts": views}, func(w io.Writer) {
		if len(l) == 0 {
			fmt.Fprintln(w, "nobody is refused")
			return
		}
		table(w, rows...)
		fmt.Fprintln(w, "\nTake one back with `tunic contact add ID NAME`")
	})
}
