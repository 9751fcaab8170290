package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tunic/chain/genesis"
	"tunic/internal/durable"
	"tunic/node"
)

// home is where commands keep what is not named by a flag: $TUNIC_HOME, else
// .tunic in the user's home directory.
func home() string {
	if h := os.Getenv("TUNIC_HOME"); h != "" {
		return h
	}
	if h, err := os.UserHomeDir(); err == nil {
		return filepath.Join(h, ".tunic")
	}
	return ".tunic"
}

// networkFlag adds --network to c.
func networkFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "network", os.Getenv("TUNIC_NETWORK"), "network `file` (default $TUNIC_NETWORK, else network.json in $TUNIC_HOME)")
	c.Flags().Lookup("network").DefValue = "" // it is said
}

// network reads the network file that --network names, or the one at home.
func network(path string) (genesis.Network, error) {
	if path == "" {
		path = filepath.Join(home(), node.NetworkFile)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return genesis.Network{}, usage("which network? pass --network FILE, set TUNIC_NETWORK, or put the file at %s", path)
		}
	}
	n, err := node.ReadNetwork(path)
	switch {
	case errors.Is(err, genesis.ErrGenesis), errors.Is(err, genesis.ErrParams):
		return n, fail(exitFailed, "bad_network_file", "unusable network file", "%s: %s; get a fresh copy from whoever runs the ledger",
			path, strings.TrimPrefix(err.Error(), genesis.ErrGenesis.Error()+": "))
	case errors.Is(err, fs.ErrNotExist):
		return n, fail(exitFailed, "no_network_file", "no network file at "+path, "whoever runs the ledger has it; pass it with --network")
	case err != nil:
		return n, fail(exitFailed, "bad_network_file", "cannot read the network file "+path, "%v", reason(err))
	}
	return n, nil
}

// passphraseFlag adds --passphrase-file to c.
func passphraseFlag(c *cobra.Command, path *string) {
	c.Flags().StringVar(path, "passphrase-file", "", "`file` whose first line is the passphrase (else $TUNIC_PASSPHRASE, else asked for)")
}

// secretSource is where a passphrase comes from: a file that a flag names, else the
// environment, else a prompt.
type secretSource struct{ flag, env, what string }

var (
	thePassphrase = secretSource{"--passphrase-file", "TUNIC_PASSPHRASE", "passphrase"}
	newPassphrase = secretSource{"--new-passphrase-file", "TUNIC_NEW_PASSPHRASE", "new passphrase"}
)

// passphrase gets the passphrase for a key file; with confirm, for a new one: it
// is asked for twice and must not be empty.
func (a *app) passphrase(path string, confirm bool) (string, error) {
	return a.passphraseOf(thePassphrase, path, confirm)
}

func (a *app) passphraseOf(of secretSource, path string, confirm bool) (string, error) {
	p, err := a.readPassphrase(of, path, confirm)
	if err == nil && confirm && p == "" {
		return "", usage("the %s is empty; whoever reads the file would have the key", of.what)
	}
	return p, err
}

func (a *app) readPassphrase(of secretSource, path string, confirm bool) (string, error) {
	if path != "" {
		b, err := durable.ReadFile(path, 4096)
		if err != nil {
			return "", fail(exitFailed, "no_passphrase", "cannot read the passphrase file "+path, "%v; name a file whose first line is the passphrase", reason(err))
		}
		line, _, _ := strings.Cut(string(b), "\n")
		return strings.TrimSuffix(line, "\r"), nil
	}
	if p, ok := os.LookupEnv(of.env); ok {
		return p, nil
	}
	in, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", usage("no terminal to ask for a %s; use %s or %s", of.what, of.flag, of.env)
	}
	first, err := a.hidden(in, strings.ToUpper(of.what[:1])+of.what[1:]+": ")
	if err != nil || !confirm {
		return first, err
	}
	second, err := a.hidden(in, "Again: ")
	if err == nil && first != second {
		err = usage("the two passphrases differ")
	}
	return first, err
}

func (a *app) hidden(in *os.File, prompt string) (string, error) {
	fmt.Fprint(a.Err, prompt)
	b, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(a.Err)
	if err != nil {
		return "", fmt.Errorf("read passphrase: %w", err)
	}
	return string(b), nil
}

// secret reads a secret line (a mnemonic, a private key) without echo, or the
// whole of standard input where that is no terminal.
func (a *app) secret(prompt string) (string, error) {
	if in, ok := a.In.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		return a.hidden(in, prompt)
	}
	b, err := io.ReadAll(io.LimitReader(a.In, 4096))
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}
