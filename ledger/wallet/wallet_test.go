package wallet_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tunic/chain"
	"tunic/ledger/wallet"
)

type note struct {
	chain.Head
	Amount chain.Amount
}

var noteType = chain.Define(99, "Note", func(n *note) *chain.Head { return &n.Head },
	chain.Uint64("amount", func(n *note) *chain.Amount { return &n.Amount }))

func TestKeysSurviveTheDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if l, err := wallet.List(dir); err != nil || len(l) != 0 {
		t.Fatal(l, err)
	}
	k, path, err := wallet.Create(dir, "a pass", wallet.Light)
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := os.Stat(path); s.Mode().Perm() != 0o600 {
		t.Fatal(s.Mode())
	}
	if l, _ := wallet.List(dir); len(l) != 1 || l[0] != k.Address() {
		t.Fatal(l)
	}
	if _, err := wallet.Open(dir, k.Address(), "another"); !errors.Is(err, wallet.ErrPassphrase) {
		t.Fatal(err)
	}
	if _, err := wallet.Open(dir, chain.Address{1}, "a pass"); !errors.Is(err, wallet.ErrUnknown) {
		t.Fatal(err)
	}
	again, err := wallet.Open(dir, k.Address(), "a pass")
	if err != nil {
		t.Fatal(err)
	}
	d := chain.NewDomain(7, chain.Hash{3})
	tx, err := again.Sign(d, noteType.Schema(), noteType.Unsigned(note{Amount: 5}))
	if err != nil {
		t.Fatal(err)
	}
	if who, err := d.Sender(noteType.Schema(), tx); err != nil || who != k.Address() {
		t.Fatal(who, err)
	}
}
