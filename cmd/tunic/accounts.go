package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tunic/client"
)

// Where accounts are, below home: the default one, which needs no name, and the
// others by name.
const (
	defaultAccount = "default"
	defaultDir     = "client"
	accountsDir    = "accounts"
)

// accountEnv names the account that commands use where no flag does.
const accountEnv = "TUNIC_ACCOUNT"

var accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// accountFlag adds --dir, the passphrase's flag, and the one that names an
// account, under that word.
func (m *messenger) accountFlag(c *cobra.Command, word string) {
	c.Flags().StringVar(&m.name, word, os.Getenv(accountEnv), "`name` of the account (default $"+accountEnv+", else \"default\"); \"tunic account list\" shows all")
	c.Flags().Lookup(word).DefValue = "" // it is said
	c.Flags().StringVar(&m.dir, "dir", "", "`folder` of the account and its messages, in place of a name")
	passphraseFlag(c, &m.pass)
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if m.dir != "" && c.Flags().Changed(word) {
			return usage("--dir and --%s contradict each other: a name stands for a folder", word)
		}
		return m.settle()
	}
}

// settle finds the folder.
func (m *messenger) settle() error {
	if m.dir != "" {
		m.name = ""
		return nil
	}
	m.name = cmp.Or(m.name, defaultAccount)
	if !accountName.MatchString(m.name) {
		return usage("%q cannot be an account's name: up to 32 of a-z, 0-9, - and _, no sign first", m.name)
	}
	m.dir = accountDir(m.name)
	return nil
}

func accountDir(name string) string {
	if name == defaultAccount {
		return filepath.Join(home(), defaultDir)
	}
	return filepath.Join(home(), accountsDir, name)
}

// accountNames are the names of all accounts at home, the default first.
func accountNames() ([]string, error) {
	var names []string
	if exists(filepath.Join(accountDir(defaultAccount), accountFile)) == nil {
		names = append(names, defaultAccount)
	}
	all, err := os.ReadDir(filepath.Join(home(), accountsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fail(exitFailed, "unreadable", "cannot read "+filepath.Join(home(), accountsDir), "%v", reason(err))
	}
	for _, e := range all {
		if n := e.Name(); n != defaultAccount && accountName.MatchString(n) && exists(filepath.Join(accountDir(n), accountFile)) == nil {
			names = append(names, n)
		}
	}
	return names, nil
}

// elsewhere says where else an account may be that is not in the folder.
func (m *messenger) elsewhere() string {
	if m.name == "" {
		return "make one with `tunic account new`, or pass another --dir"
	}
	names, err := accountNames()
	switch {
	case err != nil || len(names) == 0:
		return "make one with `tunic account new`, or pass --dir"
	case m.name == defaultAccount:
		return "make one with `tunic account new`, or pass --account: there is " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("make one with `tunic account new --name %s`, or pass another --account: there is %s", m.name, strings.Join(names, ", "))
}

// flag is how a command line names the account; empty for the one that it would
// take anyway.
func (m *messenger) flag() string {
	switch {
	case m.name == "":
		return " --dir " + m.dir
	case m.name == cmp.Or(os.Getenv(accountEnv), defaultAccount):
		return ""
	}
	return " --account " + m.name
}

func completeAccounts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	names, err := accountNames()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeContacts offers the names of contacts for the n-th argument and those
// behind it up to the last, where no passphrase has to be asked for.
func (a *app) completeContacts(m *messenger, last int) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		_, set := os.LookupEnv("TUNIC_PASSPHRASE")
		if len(args) > last || !set && m.pass == "" || m.settle() != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := a.offline(m)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.Close()
		var names []string
		for _, x := range c.Contacts() {
			names = append(names, cmp.Or(x.Name, client.FormatID(x.ID)))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// accountView is an account as `account list` prints it.
type accountView struct {
	Name    string `json:"name"`
	Default bool   `json:"default"`
	Dir     string `json:"dir"`
	ID      string `json:"id,omitempty"`
	Problem string `json:"problem,omitempty"` // why its id is not known
}

func (a *app) accountList() *cobra.Command {
	var pass string
	var ids bool
	c := &cobra.Command{
		Use: "list", Short: "The accounts on this machine", Args: cobra.NoArgs,
		Long: "Lists the accounts below " + "$TUNIC_HOME" + " by name; those in other folders (--dir) are not known here.\n" +
			"The files do not say whose they are, so ids are shown with --ids alone, which takes a passphrase\n" +
			"and shows those of the accounts that it opens.",
		RunE: func(*cobra.Command, []string) error {
			names, err := accountNames()
			if err != nil {
				return err
			}
			p := ""
			if ids && len(names) > 0 {
				if p, err = a.passphrase(pass, false); err != nil {
					return err
				}
			}
			views := []accountView{}
			for _, n := range names {
				m := messenger{name: n, dir: accountDir(n)}
				v := accountView{Name: n, Dir: m.dir, Default: m.flag() == ""}
				if ids {
					v.ID, v.Problem = m.whose(p)
				}
				views = append(views, v)
			}
			return a.show(map[string]any{"accounts": views}, func(w io.Writer) { a.accountTable(w, views, ids) })
		},
	}
	passphraseFlag(c, &pass)
	c.Flags().BoolVar(&ids, "ids", false, "show the ids of the accounts that the passphrase opens")
	return c
}

// whose opens the keystore with a passphrase, for the account's id.
func (m *messenger) whose(passphrase string) (id, problem string) {
	acc, err := client.OpenKeystore(m.keystore(), []byte(passphrase))
	switch {
	case err == nil:
		return acc.String(), ""
	case errors.Is(err, client.ErrPassphrase):
		return "", "it has another passphrase"
	}
	return "", "unusable: " + keystoreFault(err)
}

func (a *app) accountTable(w io.Writer, views []accountView, ids bool) {
	if len(views) == 0 {
		fmt.Fprintln(w, "no account yet; `tunic account new` makes one")
		return
	}
	rows := [][]string{a.head("name", "", "folder")}
	if ids {
		rows[0] = append(rows[0], "ID")
	}
	for _, v := range views {
		r := []string{v.Name, map[bool]string{true: "used where no other is named"}[v.Default], v.Dir}
		if ids {
			r = append(r, cmp.Or(v.ID, v.Problem))
		}
		rows = append(rows, r)
	}
	table(w, rows...)
	if !slices.ContainsFunc(views, func(v accountView) bool { return v.Default }) {
		fmt.Fprintf(w, "\nNone of them is used where no other is named: pass --account, or set %s\n", accountEnv)
	}
}
