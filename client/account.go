package client

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/btcsuite/btcd/btcutil/bech32"
	"github.com/tyler-smith/go-bip39"

	"tunic/client/ratchet"
	"tunic/onion/mail"
)

// hrp is the human-readable part of an account id's text.
const hrp = "tunic"

var (
	// ErrMnemonic means that words are not a BIP-39 mnemonic; the message says
	// which word to look at.
	ErrMnemonic = errors.New("client: not a mnemonic")
	// ErrAccountID means that a text is not an account id.
	ErrAccountID = errors.New("client: not an account id")
)

// Account is a messenger identity: all of its keys follow from the mnemonic. It
// prints as its id.
type Account struct {
	mnemonic string
	id       mail.AccountID
	ed       ed25519.PrivateKey
	x        *ecdh.PrivateKey
	storage  [32]byte // seals the state on disk
}

// NewMnemonic draws a mnemonic of 12 or 24 English words.
func NewMnemonic(rand io.Reader, words int) (string, error) {
	if words != 12 && words != 24 {
		return "", fmt.Errorf("%w: %d words; use 12 or 24", ErrMnemonic, words)
	}
	entropy := make([]byte, words*4/3)
	defer clear(entropy)
	if _, err := io.ReadFull(rand, entropy); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	m, err := bip39.NewMnemonic(entropy)
	if err != nil {
		return "", fmt.Errorf("make mnemonic: %w", err)
	}
	return m, nil
}

// Restore is the account of a mnemonic of 12 or 24 words, in any case and
// spacing.
func Restore(mnemonic string) (*Account, error) {
	words := strings.Fields(strings.ToLower(mnemonic))
	if err := checkWords(words); err != nil {
		return nil, err
	}
	a := &Account{mnemonic: strings.Join(words, " ")}
	seed := bip39.NewSeed(a.mnemonic, "")
	defer clear(seed)
	derive := func(label string) (k [32]byte, err error) {
		b, err := hkdf.Key(sha512.New, seed, nil, "tunic account 1 "+label, len(k))
		copy(k[:], b)
		clear(b)
		return k, err
	}
	var keys [3][32]byte
	defer clear(keys[:])
	for i, label := range []string{"ed25519", "x25519", "storage"} {
		k, err := derive(label)
		if err != nil {
			return nil, fmt.Errorf("derive keys: %w", err)
		}
		keys[i] = k
	}
	a.ed = ed25519.NewKeyFromSeed(keys[0][:])
	var err error
	if a.x, err = ecdh.X25519().NewPrivateKey(keys[1][:]); err != nil {
		return nil, fmt.Errorf("derive keys: %w", err)
	}
	a.storage = keys[2]
	a.id = mail.NewAccountID(a.edPublic(), a.xPublic())
	return a, nil
}

// checkWords says in words what is wrong with a mnemonic.
func checkWords(words []string) error {
	if n := len(words); n != 12 && n != 24 {
		return fmt.Errorf("%w: %d words; there are 12 or 24", ErrMnemonic, n)
	}
	for i, w := range words {
		if _, ok := bip39.GetWordIndex(w); ok {
			continue
		}
		if like := similar(w); like != "" {
			return fmt.Errorf("%w: word %d is not in the list; did you mean %q?", ErrMnemonic, i+1, like)
		}
		return fmt.Errorf("%w: word %d is not in the English BIP-39 list", ErrMnemonic, i+1)
	}
	if _, err := bip39.EntropyFromMnemonic(strings.Join(words, " ")); err != nil {
		return fmt.Errorf("%w: each word is in the list, but the checksum is wrong: one word is another one, or two are swapped", ErrMnemonic)
	}
	return nil
}

// similar is the list's word with the longest common beginning, of at least
// three letters; four letters tell all words of the list apart.
func similar(w string) string {
	best, most := "", 2
	for _, c := range bip39.GetWordList() {
		n := 0
		for n < len(c) && n < len(w) && c[n] == w[n] {
			n++
		}
		if n > most {
			best, most = c, n
		}
	}
	return best
}

// ID is the account's id.
func (a *Account) ID() mail.AccountID { return a.id }

// Mnemonic is the words that restore the account: its whole secret.
func (a *Account) Mnemonic() string { return a.mnemonic }

func (a *Account) String() string { return FormatID(a.id) }

// GoString keeps the secret out of %#v.
func (a *Account) GoString() string { return a.String() }

func (a *Account) edPublic() [32]byte { return [32]byte(a.ed.Public().(ed25519.PublicKey)) }
func (a *Account) xPublic() [32]byte  { return [32]byte(a.x.PublicKey().Bytes()) }

func (a *Account) keys() ratchet.Keys { return ratchet.Keys{Account: a.id, Ed: a.edPublic(), X: a.x} }

// FormatID is the text of an account id: bech32m, "tunic1" and 58 characters.
func FormatID(id mail.AccountID) string {
	five, err := bech32.ConvertBits(id[:], 8, 5, true)
	if err == nil {
		var s string
		if s, err = bech32.EncodeM(hrp, five); err == nil {
			return s
		}
	}
	panic("client: internal error: " + err.Error())
}

// ParseID reads an account id's text, in lower or upper case.
func ParseID(s string) (id mail.AccountID, err error) {
	s = strings.TrimSpace(s)
	if len(s) > 90 {
		return id, fmt.Errorf("%w: too long", ErrAccountID)
	}
	got, five, version, err := bech32.DecodeGeneric(s)
	if err != nil {
		return id, fmt.Errorf("%w: %q has a typing error or is incomplete", ErrAccountID, s)
	}
	if got != hrp || version != bech32.VersionM {
		return id, fmt.Errorf("%w: %q does not belong to this messenger; ids begin with %s1", ErrAccountID, s, hrp)
	}
	b, err := bech32.ConvertBits(five, 5, 8, false)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%w: %q has the wrong length", ErrAccountID, s)
	}
	copy(id[:], b)
	return id, nil
}

// SafetyNumber is what two people compare to know that they have each other's
// true account: 12 groups of 5 digits, the same for both.
func SafetyNumber(a, b mail.AccountID) string {
	if bytes.Compare(a[:], b[:]) > 0 {
		a, b = b, a
	}
	h := sha512.Sum512(append(append([]byte("tunic safety number 1"), a[:]...), b[:]...))
	groups := make([]string, 12)
	for i := range groups {
		var v uint64
		for _, x := range h[5*i : 5*i+5] {
			v = v<<8 | uint64(x)
		}
		groups[i] = fmt.Sprintf("%05d", v%100_000)
	}
	return strings.Join(groups, " ")
}
