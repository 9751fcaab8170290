package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"tunic/client"
	"tunic/internal/durable"
	"tunic/onion/link"
	"tunic/relay"
)

func (a *app) accountBackup() *cobra.Command {
	var m messenger
	var force bool
	c := &cobra.Command{
		Use: "backup [FILE|-]", Short: "Write the contacts to a file that only the words open", Args: cobra.MaximumNArgs(1),
		Long: `Writes the account's contacts, their names, timers and compared safety numbers,
encrypted so that only the account's words open it: whoever finds the file learns
nothing but that it is one. Messages and sessions are not in it. The default file is
tunic-NAME.backup; - is standard output. With the words and this file,
"tunic account restore --backup FILE" brings the account to another machine.`,
		RunE: func(_ *cobra.Command, args []string) error {
			file := m.backupFile()
			if len(args) == 1 {
				file = args[0]
			}
			switch {
			case file == "-" && a.json():
				return usage("- and -o json contradict each other: a backup is no JSON")
			case file == "-" && terminal(a.Out):
				return usage("a backup is no text for a terminal; name a file, or send it on: `tunic account backup - | ...`")
			}
			return a.atHome(&m, func(c *client.Client) error {
				b, err := c.Backup()
				if err != nil {
					return err
				}
				if file == "-" {
					_, err := a.Out.Write(b)
					return err
				}
				if err := writeBackup(file, b, force); err != nil {
					return err
				}
				v := struct {
					File     string `json:"file"`
					Contacts int    `json:"contacts"`
				}{file, len(c.Contacts()) - len(requests(c))}
				return a.show(v, func(w io.Writer) {
					fmt.Fprintf(w, "%s, encrypted, in %s\nOnly the account's words open it: keep both, in different places.\n", count(v.Contacts, "contact"), a.bold(file))
				})
			})
		},
	}
	m.flags(c)
	c.Flags().BoolVar(&force, "force", false, "replace the file")
	return c
}

// backupFile is where a backup goes by default.
func (m *messenger) backupFile() string {
	name := m.name
	if name == "" {
		name = filepath.Base(filepath.Clean(m.dir))
	}
	return "tunic-" + name + ".backup"
}

// writeBackup writes a file for its owner alone, and replaces none unless forced.
func writeBackup(file string, b []byte, force bool) error {
	write := durable.CreateFile
	if force {
		write = durable.WriteFile
	}
	err := write(file, b, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fail(exitFailed, "exists", "the file is there already", "%s is left alone; name another one, or pass --force", file)
	case err != nil:
		return fail(exitFailed, "unwritable", "cannot write "+file, "%v; nothing was lost", reason(err))
	}
	return nil
}

func (a *app) accountRestore() *cobra.Command {
	var m messenger
	var light bool
	var backup string
	c := &cobra.Command{
		Use: "restore", Short: "Make the account of your words, with the contacts of a backup", Args: cobra.NoArgs,
		Long: `Makes the account of a mnemonic, read from the terminal without echo or from standard
input. With --backup its contacts come back too; without one they have to be added
again. Where the account is there already, --backup adds the contacts that it lacks,
and no words are asked for.

Each contact that comes back gets a contact request when the account next goes online,
which begins a new session: sessions belong to one machine. Use the account on one
machine at a time.`,
		RunE: func(*cobra.Command, []string) error {
			if backup == "" {
				return a.restoreWords(&m, light)
			}
			b, err := readInput(backup, client.MaxBackup)
			if err != nil {
				return err
			}
			return a.restoreBackup(&m, b, backup, light)
		},
	}
	m.accountFlag(c, "name")
	networkFlag(c, &m.network)
	lightFlag(c, &light)
	c.Flags().StringVar(&backup, "backup", "", "`file` that \"tunic account backup\" wrote")
	return c
}

// words reads a mnemonic.
func (a *app) words(m *messenger) (*client.Account, error) {
	mnemonic, err := a.secret("The 12 or 24 words: ")
	if err != nil {
		return nil, err
	}
	acc, err := client.Restore(mnemonic)
	return acc, m.problem(err)
}

// restoredView is what came back.
type restoredView struct {
	ID       string `json:"id"`
	File     string `json:"file"`
	Contacts *int   `json:"contacts,omitempty"` // that were added
}

func (a *app) restoreWords(m *messenger, light bool) error {
	if err := m.vacant(); err != nil {
		return err
	}
	acc, err := a.words(m)
	if err != nil {
		return err
	}
	if _, err = a.keepAccount(m, acc.Mnemonic(), light); err != nil {
		return err
	}
	return a.show(restoredView{ID: acc.String(), File: m.keystore()}, func(w io.Writer) {
		a.restored(w, m, acc)
		fmt.Fprintf(w, "Contacts are not in the words: add them again, or add those of a backup with\n`tunic account restore --backup FILE%s`.\n", m.nameFlag())
	})
}

// nameFlag is flag for the commands that make an account.
func (m *messenger) nameFlag() string {
	if m.name != "" && m.flag() != "" {
		return " --name " + m.name
	}
	return m.flag()
}

func (a *app) restored(w io.Writer, m *messenger, acc *client.Account) {
	fmt.Fprintf(w, "Restored\n\n  %s\n\nKept, encrypted with your passphrase, in %s\n", a.bold(acc.String()), m.keystore())
}

func (a *app) restoreBackup(m *messenger, b []byte, file string, light bool) error {
	fresh := m.vacant() == nil
	var acc *client.Account
	var err error
	if fresh {
		acc, err = a.words(m)
	} else if err = m.free(); err == nil {
		acc, err = a.account(m)
	}
	if err != nil {
		return err
	}
	// Before anything is written: is it a backup of this account at all?
	if err := m.tryBackup(acc, b, file); err != nil {
		return err
	}
	if fresh {
		if acc, err = a.keepAccount(m, acc.Mnemonic(), light); err != nil {
			return err
		}
	}
	c, err := m.openOffline(acc)
	if err != nil {
		return err
	}
	added, err := c.RestoreBackup(b)
	if err = errors.Join(err, c.Close()); err != nil {
		return err
	}
	return a.show(restoredView{ID: acc.String(), File: m.keystore(), Contacts: &added}, func(w io.Writer) {
		if fresh {
			a.restored(w, m, acc)
		}
		if added == 0 {
			fmt.Fprintln(w, "All contacts of the backup are there already.")
			return
		}
		fmt.Fprintf(w, "%s came back. Each gets a contact request when you next go online, with\n`tunic inbox%s`: it begins a new session, since the old one belongs to the other\nmachine. They are told that you began anew; the safety numbers stay the same.\nMessages are not in a backup. Do not go on using the account on the other machine.\n",
			count(added, "contact"), m.flag())
	})
}

// tryBackup reads a backup in memory.
func (m *messenger) tryBackup(acc *client.Account, b []byte, file string) error {
	n, err := network(m.network)
	if err != nil {
		return err
	}
	t, err := link.NewTLS(link.Config{BodySize: relay.BodySize(n.Core)})
	if err != nil {
		return err
	}
	c, err := client.New(client.Config{Account: acc, Core: n.Core, Genesis: n.Genesis, Ledger: noLedger{}, Transport: t, Clock: lastKnown(n.Core.Time)})
	if err != nil {
		return err
	}
	_, err = c.RestoreBackup(bytes.Clone(b))
	if errors.Is(err, client.ErrBackup) {
		err = fail(exitFailed, "bad_backup", "the backup does not open", "%s is of another account or network, was changed, or is no backup; nothing was written", file)
	}
	return errors.Join(err, c.Close())
}
