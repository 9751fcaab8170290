package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"tunic/client"
	"tunic/internal/durable"
)

func (a *app) accountCommand() *cobra.Command {
	return noun("account", "The messenger's account: who you are to others",
		a.accountNew(), a.accountList(), a.accountShow(), a.accountPassphrase(), a.accountBackup(), a.accountRestore())
}

func (a *app) accountNew() *cobra.Command {
	var m messenger
	var words int
	var light bool
	c := &cobra.Command{
		Use: "new", Short: "Make an account and show the words that restore it", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if words != 12 && words != 24 {
				return usage("--words %d: use 12 or 24", words)
			}
			if err := m.vacant(); err != nil {
				return err
			}
			mnemonic, err := client.NewMnemonic(rand.Reader, words)
			if err != nil {
				return err
			}
			acc, err := a.keepAccount(&m, mnemonic, light)
			if err != nil {
				return err
			}
			v := map[string]string{"id": acc.String(), "mnemonic": mnemonic, "file": m.keystore()}
			return a.show(v, func(w io.Writer) {
				fmt.Fprintf(w, "Your account\n\n  %s\n\n", a.bold(acc.String()))
				fmt.Fprintf(w, "Write these %d words down, on paper, now: they are shown this once. They restore the\naccount, nothing else does, and whoever has them reads and writes in your name.\n\n", words)
				wordTable(w, strings.Fields(mnemonic))
				fmt.Fprintf(w, "\nKept, encrypted with your passphrase, in %s\nGo online once, with `tunic inbox%s`, so that others can write to you.\n", m.keystore(), m.flag())
			})
		},
	}
	m.accountFlag(c, "name")
	c.Flags().IntVar(&words, "words", 24, "length of the mnemonic: 12 or 24")
	lightFlag(c, &light)
	return c
}

func (a *app) accountShow() *cobra.Command {
	var m messenger
	var code, invert bool
	c := &cobra.Command{
		Use: "show", Short: "The account's id, for others to add", Args: cobra.NoArgs,
		Long: "Prints the account's id. The file does not say whose it is, so the passphrase is needed.\n" +
			"Warns where the network has shown that the account is at work elsewhere too.\n" +
			"With --qr it is drawn as a QR code too, for a phone or another camera to read.",
		RunE: func(*cobra.Command, []string) error {
			acc, err := a.account(&m)
			if err != nil {
				return err
			}
			v := struct {
				ID        string `json:"id"`
				File      string `json:"file"`
				Elsewhere int64  `json:"elsewhere_since_ms,omitempty"`
			}{ID: acc.String(), File: m.keystore()}
			since := m.knownElsewhere(acc)
			v.Elsewhere = int64(since)
			a.warnElsewhere(since)
			return a.show(v, func(w io.Writer) {
				fmt.Fprintln(w, acc)
				if code {
					// Upper case, which the id may have, makes a smaller code. A write
					// that fails is told when the command ends.
					fmt.Fprintln(w)
					_ = printQR(w, strings.ToUpper(acc.String()), a.colour(), invert)
				}
			})
		},
	}
	m.flags(c)
	c.Flags().BoolVar(&code, "qr", false, "draw it as a QR code")
	c.Flags().BoolVar(&invert, "invert", false, "draw dark modules in place of light ones: for a light terminal without colours")
	return c
}

func lightFlag(c *cobra.Command, light *bool) {
	c.Flags().BoolVar(light, "light", false, "cheap encryption, for test networks")
}

// vacant refuses a folder that holds an account.
func (m *messenger) vacant() error {
	if exists(m.keystore()) == nil {
		return m.occupied()
	}
	return nil
}

func (m *messenger) occupied() *problem {
	return fail(exitFailed, "exists", "an account is there already", "%s is left alone; `tunic account show%s` says whose it is; pass --name for a second one", m.keystore(), m.flag())
}

// keepAccount writes the keystore of a mnemonic.
func (a *app) keepAccount(m *messenger, mnemonic string, light bool) (*client.Account, error) {
	p, err := a.passphrase(m.pass, true)
	if err != nil {
		return nil, err
	}
	acc, err := client.Restore(mnemonic)
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(m.dir); err != nil {
		return nil, fail(exitFailed, "unwritable", "cannot make the folder "+m.dir, "%v; nothing was kept; pass another --dir, or --name", reason(err))
	}
	cost := client.StandardKDF()
	if light {
		cost = client.LightKDF()
	}
	err = client.SaveKeystore(m.keystore(), acc, []byte(p), cost, rand.Reader)
	if errors.Is(err, fs.ErrExist) {
		return nil, m.occupied()
	}
	return acc, err
}

// wordTable prints words in numbered columns, to be read down.
func wordTable(w io.Writer, words []string) {
	rows := (len(words) + 3) / 4
	for r := range rows {
		for i := r; i < len(words); i += rows {
			if cell := fmt.Sprintf("%4d %s", i+1, words[i]); i+rows < len(words) {
				fmt.Fprintf(w, "%-16s", cell)
			} else {
				fmt.Fprintln(w, cell)
			}
		}
	}
}
