package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"tunic/client"
)

func (a *app) accountPassphrase() *cobra.Command {
	var m messenger
	var next string
	var light bool
	c := &cobra.Command{
		Use: "passphrase", Short: "Change the passphrase of the account's file", Args: cobra.NoArgs,
		Long: `Asks for the passphrase, then twice for a new one, and encrypts the account's file
anew. Contacts and messages stay as they are: they are encrypted under a key that
follows from the words. The file is the old one, whole, until the new one is on disk.

Copies of the old file still open with the old passphrase, and whoever had both has
the account: then make another one.`,
		RunE: func(*cobra.Command, []string) error {
			if err := exists(m.keystore()); err != nil {
				return fail(exitFailed, "no_account", "no account there", "%s is missing; %s", m.keystore(), m.elsewhere())
			}
			old, err := a.passphrase(m.pass, false)
			if err != nil {
				return err
			}
			cost := client.StandardKDF()
			if light {
				cost = client.LightKDF()
			}
			err = client.ChangePassphrase(m.keystore(), []byte(old), func() ([]byte, error) {
				p, err := a.passphraseOf(newPassphrase, next, true)
				return []byte(p), err
			}, cost, rand.Reader)
			if err != nil {
				return m.problem(err)
			}
			return a.show(map[string]string{"file": m.keystore()}, func(w io.Writer) {
				fmt.Fprintf(w, "%s opens with the new passphrase alone. Copies of it from before open with the old one.\n", m.keystore())
				if _, set := os.LookupEnv(thePassphrase.env); set {
					fmt.Fprintf(w, "%s is what it was: set it anew.\n", thePassphrase.env)
				}
			})
		},
	}
	m.accountFlags(c)
	c.Flags().StringVar(&next, "new-passphrase-file", "", "`file` whose first line is the new passphrase (else $"+newPassphrase.env+", else asked for)")
	lightFlag(c, &light)
	return c
}
