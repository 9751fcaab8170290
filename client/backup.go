package client

import (
	"bytes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"tunic/chain"
	"tunic/internal/wire"
	"tunic/onion/mail"
)

// ErrBackup means that bytes are no backup of this account in this network, or
// were changed.
var ErrBackup = errors.New("client: not a backup of this account in this network")

const (
	backupMagic = "tunic backup 1\n"
	backupBlock = 4 << 10
	// MaxBackup is the most bytes of a backup.
	MaxBackup = 4 << 20
)

// backup is what a backup holds: whom the account knows. Ratchet states are no
// part of it: two copies of one would use the same keys.
type backup struct {
	Made     chain.Time
	Contacts []backupContact
	Refused  []refusedRecord `json:",omitempty"`
}

type backupContact struct {
	ID    key32
	Name  string
	Known bool
	Ed, X key32
	Timer uint32 `json:",omitempty"`

	Verified chain.Time `json:",omitempty"`
	OwnNote  string     `json:",omitempty"`
}

// backupCipher is of a key that follows from the mnemonic.
func (c *Client) backupCipher() (cipher.AEAD, error) {
	m := hmac.New(sha256.New, c.cfg.Account.storage[:])
	m.Write(wire.AppendString(nil, "tunic backup 1"))
	m.Write(c.cfg.Genesis[:])
	return chacha20poly1305.NewX(m.Sum(nil))
}

// Backup is the account's contacts, encrypted so that only its mnemonic opens it:
//
//	"tunic backup 1\n" | nonce 24 | XChaCha20-Poly1305( length 4 | JSON, zeros up to a multiple of 4,096 )
//
// Accounts that are refused are in it too. Contacts that only ask, and sessions, are
// not.
func (c *Client) Backup() ([]byte, error) {
	c.mu.Lock()
	b := backup{Made: c.now()}
	for _, r := range c.contacts {
		if r.State != uint8(Incoming) {
			b.Contacts = append(b.Contacts, backupContact{r.ID, r.Name, r.Known, r.Ed, r.X, r.Timer, r.Verified, r.OwnNote})
		}
	}
	for _, x := range c.refusedLocked() {
		b.Refused = append(b.Refused, *x)
	}
	c.mu.Unlock()
	slices.SortFunc(b.Contacts, func(a, b backupContact) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	plain, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("make backup: %w", err)
	}
	plain = wire.AppendBytes(nil, plain)
	plain = append(plain, make([]byte, (backupBlock-len(plain)%backupBlock)%backupBlock)...)
	a, err := c.backupCipher()
	if err != nil {
		return nil, fmt.Errorf("make backup: %w", err)
	}
	out := append([]byte(backupMagic), make([]byte, chacha20poly1305.NonceSizeX)...)
	nonce := out[len(backupMagic):]
	if _, err := io.ReadFull(c.rand, nonce); err != nil {
		return nil, fmt.Errorf("make backup: read randomness: %w", err)
	}
	return a.Seal(out, nonce, plain, []byte(backupMagic)), nil
}

// RestoreBackup adds the contacts of a backup that are neither there nor refused, and
// says how many that were; accounts that it refuses are refused, unless they are
// contacts here. Each contact gets a contact request while Run is at work, which begins a new
// session with it. Errors: ErrBackup, ErrConfig where there would be too many.
func (c *Client) RestoreBackup(b []byte) (added int, err error) {
	head := len(backupMagic) + chacha20poly1305.NonceSizeX
	if len(b) < head || len(b) > MaxBackup || string(b[:len(backupMagic)]) != backupMagic {
		return 0, ErrBackup
	}
	a, err := c.backupCipher()
	if err != nil {
		return 0, fmt.Errorf("restore backup: %w", err)
	}
	plain, err := a.Open(nil, b[len(backupMagic):head], b[head:], []byte(backupMagic))
	if err != nil {
		return 0, ErrBackup
	}
	r := wire.NewReader(plain)
	var x backup
	if err := json.Unmarshal(r.Bytes(MaxBackup), &x); err != nil || r.Err() != nil {
		return 0, ErrBackup
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.contacts)+len(x.Contacts) > maxContacts {
		return 0, fmt.Errorf("restore backup: %w: %d contacts are the most", ErrConfig, maxContacts)
	}
	var rows []row
	var fresh []*contactRecord
	known := map[mail.AccountID]bool{}
	for _, k := range x.Contacts {
		id := mail.AccountID(k.ID)
		if c.contacts[id] != nil || c.refused[id] != nil || id == c.cfg.Account.id {
			continue
		}
		r := &contactRecord{ID: k.ID, Name: k.Name, State: uint8(Requested), Known: k.Known, Ed: k.Ed, X: k.X, Timer: k.Timer, Verified: k.Verified, OwnNote: k.OwnNote, Renew: true, Renewed: max(c.now(), 1)}
		fresh, rows, known[id] = append(fresh, r), append(rows, r.row()), true
	}
	for _, k := range slices.Backward(x.Refused[:min(len(x.Refused), maxRefused)]) {
		if id := mail.AccountID(k.ID); c.contacts[id] == nil && c.refused[id] == nil && id != c.cfg.Account.id && !known[id] {
			rows = append(rows, c.refuseLocked(&k)...)
		}
	}
	if err := c.saveLocked(rows...); err != nil {
		return 0, err
	}
	for _, r := range fresh {
		c.contacts[mail.AccountID(r.ID)] = r
		c.contactEvent(r)
	}
	c.wakeUp()
	return len(fresh), nil
}
