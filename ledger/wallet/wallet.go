// Package wallet keeps ledger accounts on disk: secp256k1 keys, one encrypted
// file each in the Web3 Secret Storage format (version 3), as Ethereum's tools
// read and write them.
//
// Most callers use Create, List and Open. Files are written durably with mode
// 0600; a file's name holds its address, so that listing needs no passphrase.
package wallet

import (
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/keystore"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/google/uuid"

	"tunic/chain"
	"tunic/internal/durable"
)

var (
	// ErrPassphrase means that the passphrase does not open the file.
	ErrPassphrase = errors.New("wallet: wrong passphrase")
	// ErrUnknown means that there is no file for the account.
	ErrUnknown = errors.New("wallet: no such account")
)

// Key is an account that can sign.
type Key struct {
	private *ecdsa.PrivateKey
}

// NewKey reads a 32-byte private key; it must be in the curve's range.
func NewKey(private [32]byte) (Key, error) {
	k, err := crypto.ToECDSA(private[:])
	if err != nil {
		return Key{}, fmt.Errorf("wallet: read private key: %w", err)
	}
	return Key{k}, nil
}

// Address is the key's account.
func (k Key) Address() chain.Address {
	return chain.Address(crypto.PubkeyToAddress(k.private.PublicKey))
}

// Hex is the private key, 64 hex digits. Only throw-away keys of test networks
// are ever printed.
func (k Key) Hex() string { return fmt.Sprintf("%x", crypto.FromECDSA(k.private)) }

// Sign signs a transaction for one network.
func (k Key) Sign(d chain.Domain, s *chain.Schema, t chain.Tx) (chain.Tx, error) {
	digest, err := d.Digest(s, t.Payload)
	if err != nil {
		return t, err
	}
	sig, err := crypto.Sign(digest[:], k.private)
	if err != nil {
		return t, fmt.Errorf("wallet: sign: %w", err)
	}
	t.Sig = [chain.SignatureSize]byte(sig)
	return t, nil
}

// Strength is the cost of opening a file.
type Strength int

// Strong is for real keys (about a second), Light for test networks.
const (
	Strong Strength = iota
	Light
)

// Create makes a new key and writes its file into dir.
func Create(dir, passphrase string, s Strength) (Key, string, error) {
	private, err := crypto.GenerateKey()
	if err != nil {
		return Key{}, "", fmt.Errorf("wallet: generate key: %w", err)
	}
	k := Key{private}
	path, err := Save(dir, k, passphrase, s)
	return k, path, err
}

// Save writes the file of k into dir and returns its path.
func Save(dir string, k Key, passphrase string, s Strength) (string, error) {
	n, p := keystore.StandardScryptN, keystore.StandardScryptP
	if s == Light {
		n, p = keystore.LightScryptN, keystore.LightScryptP
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("wallet: file id: %w", err)
	}
	b, err := keystore.EncryptKey(&keystore.Key{Id: id, Address: common.Address(k.Address()), PrivateKey: k.private}, passphrase, n, p)
	if err != nil {
		return "", fmt.Errorf("wallet: encrypt: %w", err)
	}
	if err := durable.MkdirAll(dir); err != nil {
		return "", fmt.Errorf("wallet: %w", err)
	}
	path := file(dir, k.Address())
	if err := durable.WriteFile(path, b, 0o600); err != nil {
		return "", fmt.Errorf("wallet: %w", err)
	}
	return path, nil
}

// Open decrypts the file of an account in dir.
func Open(dir string, a chain.Address, passphrase string) (Key, error) {
	b, err := os.ReadFile(file(dir, a))
	if errors.Is(err, fs.ErrNotExist) {
		return Key{}, fmt.Errorf("%w: %s in %s", ErrUnknown, a, dir)
	}
	if err != nil {
		return Key{}, fmt.Errorf("wallet: %w", err)
	}
	k, err := keystore.DecryptKey(b, passphrase)
	if errors.Is(err, keystore.ErrDecrypt) {
		return Key{}, ErrPassphrase
	}
	if err != nil {
		return Key{}, fmt.Errorf("wallet: read %s: %w", filepath.Base(file(dir, a)), err)
	}
	if chain.Address(k.Address) != a {
		return Key{}, fmt.Errorf("wallet: the file of %s holds the key of another account", a)
	}
	return Key{k.PrivateKey}, nil
}

// List gives the accounts in dir, ascending; none where dir does not exist.
func List(dir string) ([]chain.Address, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("wallet: %w", err)
	}
	var out []chain.Address
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			continue
		}
		if a, err := chain.ParseAddress("0x" + name); err == nil {
			out = append(out, a)
		}
	}
	return out, nil
}

func file(dir string, a chain.Address) string {
	return filepath.Join(dir, strings.ToLower(a.String()[2:])+".json")
}
