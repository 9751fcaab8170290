package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"

	"tunic/internal/durable"
)

var (
	// ErrPassphrase means that a keystore does not open with this passphrase.
	ErrPassphrase = errors.New("client: wrong passphrase")
	// ErrKeystore means that a file is no keystore, or of another version.
	ErrKeystore = errors.New("client: not a keystore")
)

// KDF is what it costs to try a passphrase (argon2id).
type KDF struct {
	Time    uint32 // passes
	Memory  uint32 // KiB
	Threads uint8
}

// StandardKDF costs about a second and 256 MiB.
func StandardKDF() KDF { return KDF{Time: 3, Memory: 256 << 10, Threads: 4} }

// LightKDF costs a millisecond. It is for development: it protects no
// passphrase that people can remember.
func LightKDF() KDF { return KDF{Time: 1, Memory: 1 << 10, Threads: 1} }

// Bounds on what a file may ask of the machine that opens it.
const (
	maxKDFTime    = 64
	maxKDFMemory  = 2 << 20 // KiB
	maxKDFThreads = 16
	maxKeystore   = 8 << 10
)

func (k KDF) valid() bool {
	return k.Time >= 1 && k.Time <= maxKDFTime && k.Memory >= 8*uint32(k.Threads) && k.Memory <= maxKDFMemory &&
		k.Threads >= 1 && k.Threads <= maxKDFThreads
}

// keystore is the file. It does not say whose it is.
type keystore struct {
	Version    int    `json:"version"`
	KDF        string `json:"kdf"`
	Time       uint32 `json:"time"`
	Memory     uint32 `json:"memory_kib"`
	Threads    uint8  `json:"threads"`
	Cipher     string `json:"cipher"`
	Salt       []byte `json:"salt"`
	Nonce      []byte `json:"nonce"`
	Ciphertext []byte `json:"ciphertext"`
}

// bound is everything but nonce and ciphertext, which the cipher authenticates.
func (k keystore) bound() []byte {
	k.Nonce, k.Ciphertext = nil, nil
	b, err := json.Marshal(k)
	if err != nil {
		panic("client: internal error: " + err.Error())
	}
	return b
}

func (k keystore) key(passphrase []byte) []byte {
	return argon2.IDKey(passphrase, k.Salt, k.Time, k.Memory, k.Threads, chacha20poly1305.KeySize)
}

// SaveKeystore writes the account to a new file that only its owner may read,
// encrypted with the passphrase. A file that exists is left alone
// (fs.ErrExist).
func SaveKeystore(path string, a *Account, passphrase []byte, cost KDF, rand io.Reader) error {
	b, err := sealKeystore(a, passphrase, cost, rand)
	if err == nil {
		err = durable.CreateFile(path, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("save keystore: %w", err)
	}
	return nil
}

// ChangePassphrase encrypts a keystore anew, in place: at any moment, also of a
// crash, the file is the whole old one or the whole new one. next is asked for the
// new passphrase once the old one is known to be right. Where an error comes of
// anything but the last write to disk, the file is as it was. Errors: those of
// OpenKeystore, next's, ErrConfig, the file system's. A copy of the old file still
// opens with the old passphrase.
func ChangePassphrase(path string, old []byte, next func() ([]byte, error), cost KDF, rand io.Reader) error {
	path, err := filepath.EvalSymlinks(path) // else the old one would stay where a link leads
	if err != nil {
		return fmt.Errorf("change passphrase: %w", err)
	}
	a, err := OpenKeystore(path, old)
	if err != nil {
		return fmt.Errorf("change passphrase: %w", err)
	}
	passphrase, err := next()
	if err != nil {
		return err
	}
	b, err := sealKeystore(a, passphrase, cost, rand)
	if err == nil {
		err = durable.WriteFile(path, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("change passphrase: %w", err)
	}
	return nil
}

// sealKeystore is the file of an account.
func sealKeystore(a *Account, passphrase []byte, cost KDF, rand io.Reader) ([]byte, error) {
	if !cost.valid() {
		return nil, fmt.Errorf("%w: cost out of bounds", ErrConfig)
	}
	k := keystore{Version: 1, KDF: "argon2id", Time: cost.Time, Memory: cost.Memory, Threads: cost.Threads,
		Cipher: "xchacha20poly1305", Salt: make([]byte, 16), Nonce: make([]byte, chacha20poly1305.NonceSizeX)}
	for _, b := range [][]byte{k.Salt, k.Nonce} {
		if _, err := io.ReadFull(rand, b); err != nil {
			return nil, fmt.Errorf("read randomness: %w", err)
		}
	}
	key := k.key(passphrase)
	defer clear(key)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, err
	}
	k.Ciphertext = aead.Seal(nil, k.Nonce, []byte(a.mnemonic), k.bound())
	b, err := json.MarshalIndent(k, "", "  ")
	return append(b, '\n'), err
}

// OpenKeystore reads the account from a file. Errors: ErrPassphrase,
// ErrKeystore, or the file system's.
func OpenKeystore(path string, passphrase []byte) (*Account, error) {
	b, err := durable.ReadFile(path, maxKeystore)
	if err != nil {
		return nil, fmt.Errorf("open keystore: %w", err)
	}
	var k keystore
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&k); err != nil {
		return nil, fmt.Errorf("open keystore: %w: %v", ErrKeystore, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("open keystore: %w: text after the object", ErrKeystore)
	}
	cost := KDF{Time: k.Time, Memory: k.Memory, Threads: k.Threads}
	if k.Version != 1 || k.KDF != "argon2id" || k.Cipher != "xchacha20poly1305" || !cost.valid() ||
		len(k.Salt) != 16 || len(k.Nonce) != chacha20poly1305.NonceSizeX {
		return nil, fmt.Errorf("open keystore: %w: version %d, %s, %s", ErrKeystore, k.Version, k.KDF, k.Cipher)
	}
	key := k.key(passphrase)
	defer clear(key)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("open keystore: %w", err)
	}
	words, err := aead.Open(nil, k.Nonce, k.Ciphertext, k.bound())
	if err != nil {
		return nil, fmt.Errorf("open keystore: %w (or the file was changed)", ErrPassphrase)
	}
	defer clear(words)
	return Restore(string(words))
}
