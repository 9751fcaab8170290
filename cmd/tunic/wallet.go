package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tunic/chain"
	"tunic/ledger/wallet"
)

func (a *app) walletCommand() *cobra.Command {
	return noun("wallet", "Ledger accounts: keys that hold and stake tokens",
		a.walletNew(), a.walletImport(), a.walletList(), a.walletBalance())
}

// walletDir adds --keys to c: where key files are.
func walletDir(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "keys", filepath.Join(home(), "wallet"), "folder of key files")
}

func (a *app) walletNew() *cobra.Command {
	var dir, pass string
	var light bool
	c := &cobra.Command{
		Use: "new", Short: "Make a key, encrypted with a passphrase", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.passphrase(pass, true)
			if err != nil {
				return err
			}
			k, path, err := wallet.Create(dir, p, strength(light))
			if err != nil {
				return err
			}
			return a.showKey(k, path)
		},
	}
	walletDir(c, &dir)
	passphraseFlag(c, &pass)
	lightFlag(c, &light)
	return c
}

func (a *app) walletImport() *cobra.Command {
	var dir, pass string
	var light bool
	c := &cobra.Command{
		Use: "import", Short: "Encrypt a private key (64 hex digits, from standard input)", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.secret("Private key: ")
			if err != nil {
				return err
			}
			b, err := hex.DecodeString(strings.TrimPrefix(s, "0x"))
			if err != nil || len(b) != 32 {
				return usage("a private key is 64 hex digits")
			}
			k, err := wallet.NewKey([32]byte(b))
			if err != nil {
				return usage("that is no secp256k1 private key")
			}
			p, err := a.passphrase(pass, true)
			if err != nil {
				return err
			}
			path, err := wallet.Save(dir, k, p, strength(light))
			if err != nil {
				return err
			}
			return a.showKey(k, path)
		},
	}
	walletDir(c, &dir)
	passphraseFlag(c, &pass)
	lightFlag(c, &light)
	return c
}

func (a *app) showKey(k wallet.Key, path string) error {
	v := map[string]string{"address": k.Address().String(), "file": path}
	return a.show(v, func(w io.Writer) { fmt.Fprintf(w, "%s\nkept in %s\n", v["address"], path) })
}

func strength(light bool) wallet.Strength {
	if light {
		return wallet.Light
	}
	return wallet.Strong
}

func (a *app) walletList() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "list", Short: "The accounts whose keys are here", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			l, err := wallet.List(dir)
			if err != nil {
				return err
			}
			if l == nil {
				l = []chain.Address{}
			}
			return a.show(map[string]any{"accounts": l}, func(w io.Writer) {
				for _, x := range l {
					fmt.Fprintln(w, x)
				}
				if len(l) == 0 {
					fmt.Fprintf(w, "no keys in %s; make one with `tunic wallet new`\n", dir)
				}
			})
		},
	}
	walletDir(c, &dir)
	return c
}

func (a *app) walletBalance() *cobra.Command {
	var dir, net string
	var height uint64
	c := &cobra.Command{
		Use: "balance [ADDRESS...]", Short: "What accounts hold (default: those in the key folder)",
		RunE: func(cmd *cobra.Command, args []string) error {
			of, err := past(height)
			if err != nil {
				return err
			}
			accounts := make([]chain.Address, 0, len(args))
			for _, s := range args {
				x, err := chain.ParseAddress(s)
				if err != nil {
					return err
				}
				accounts = append(accounts, x)
			}
			if len(args) == 0 {
				if accounts, err = wallet.List(dir); err != nil {
					return err
				}
			}
			r, err := a.remote(net)
			if err != nil {
				return err
			}
			type row struct {
				Address chain.Address `json:"address"`
				Balance chain.Amount  `json:"balance"`
				TUN     string        `json:"tun"`
			}
			rows := []row{}
			for _, x := range accounts {
				acc, err := r.account(cmd.Context(), x, of)
				if err != nil {
					return err
				}
				rows = append(rows, row{x, acc.Balance, acc.Balance.String()})
			}
			return a.show(map[string]any{"accounts": rows}, func(w io.Writer) {
				for _, x := range rows {
					fmt.Fprintf(w, "%s  %s TUN\n", x.Address, x.TUN)
				}
				if len(rows) == 0 {
					fmt.Fprintf(w, "no keys in %s; make one with `tunic wallet new`, or name an account: tunic wallet balance ADDRESS\n", dir)
				}
			})
		},
	}
	walletDir(c, &dir)
	networkFlag(c, &net)
	heightFlag(c, &height)
	return c
}

// openKey decrypts the key of an account given as an address, or the only one
// in the folder where from is empty.
func (a *app) openKey(dir, from, pass string) (wallet.Key, error) {
	who, err := chooseKey(dir, from)
	if err != nil {
		return wallet.Key{}, err
	}
	p, err := a.passphrase(pass, false)
	if err != nil {
		return wallet.Key{}, err
	}
	k, err := wallet.Open(dir, who, p)
	switch {
	case errors.Is(err, wallet.ErrPassphrase):
		return k, fail(exitFailed, "wrong_passphrase", "wrong passphrase", "it does not open the key of %s", who)
	case errors.Is(err, wallet.ErrUnknown):
		return k, fail(exitFailed, "unknown_account", "no such key", "%s is not in %s; `tunic wallet list` shows what is", who, dir)
	}
	return k, err
}
