package client

import (
	"cmp"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/syndtr/goleveldb/leveldb"
	leveldberrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"
	"golang.org/x/crypto/chacha20poly1305"

	"tunic/internal/durable"
	"tunic/internal/wire"
)

// ErrStore means that the state on disk cannot be read: it belongs to another
// account or network, or was damaged. Where it is plain that it was damaged, it comes
// with ErrDamaged.
var (
	ErrStore   = errors.New("client: unreadable state")
	ErrDamaged = errors.New("damaged")
)

// row is one record: its kind, a name unique within the kind, and its value,
// nil to delete it.
type row struct {
	kind  byte
	name  string
	value []byte
}

// store keeps rows so that nothing readable lies on disk. A key is its kind and
// an HMAC of its name; a value is
//
//	nonce 24 | XChaCha20-Poly1305( name 4+n | value ), bound to its key
//
// A batch is one synced write. A store without folder keeps nothing.
type store struct {
	db     *leveldb.DB
	unlock func()
	index  [32]byte // keys the HMAC
	aead   cipher.AEAD
	rand   io.Reader
	texts  atomic.Bool // texts have disappeared since forget
	failed bool        // a write failed: nothing more is written

	// dying ends a test's client before a write, or when it is on disk; nil in
	// production.
	dying func(written bool) error
}

// openStore opens the folder for one account in one network and returns all
// rows.
func openStore(dir string, secret, genesis [32]byte, rand io.Reader) (*store, []row, error) {
	if dir == "" {
		return &store{}, nil, nil
	}
	derive := func(label string) (k [32]byte) {
		m := hmac.New(sha256.New, secret[:])
		m.Write(wire.AppendString(nil, label))
		m.Write(genesis[:])
		m.Sum(k[:0])
		return k
	}
	s := &store{index: derive("tunic store index 1"), rand: rand}
	key := derive("tunic store value 1")
	var err error
	if s.aead, err = chacha20poly1305.NewX(key[:]); err != nil {
		return nil, nil, fmt.Errorf("open store: %w", err)
	}
	if err := durable.MkdirAll(dir); err != nil {
		return nil, nil, fmt.Errorf("open store: %w", err)
	}
	if s.unlock, err = durable.Lock(dir); err != nil {
		return nil, nil, fmt.Errorf("open store: %w", err)
	}
	_, err = durable.TrimJournals(dir + "/state")
	if err == nil {
		s.db, err = leveldb.OpenFile(dir+"/state", &opt.Options{Strict: opt.StrictAll})
	}
	if err != nil {
		s.unlock()
		if leveldberrors.IsCorrupted(err) {
			err = fmt.Errorf("%w: %w: %v", ErrStore, ErrDamaged, err)
		}
		return nil, nil, fmt.Errorf("open store: %w", err)
	}
	rows, err := s.load()
	if err != nil {
		s.close()
		return nil, nil, fmt.Errorf("open store: %w", err)
	}
	return s, rows, nil
}

func (s *store) load() ([]row, error) {
	var rows []row
	it := s.db.NewIterator(nil, nil)
	defer it.Release()
	for it.Next() {
		k, v := it.Key(), it.Value()
		n := chacha20poly1305.NonceSizeX
		if len(k) != 1+sha256.Size || len(v) < n {
			return nil, fmt.Errorf("%w: %w: not a row", ErrStore, ErrDamaged)
		}
		plain, err := s.aead.Open(nil, v[:n], v[n:], k)
		switch {
		case err != nil && len(rows) > 0: // others are of this account
			return nil, fmt.Errorf("%w: %w: a row does not open", ErrStore, ErrDamaged)
		case err != nil:
			return nil, fmt.Errorf("%w: it belongs to another account or network, or was damaged", ErrStore)
		}
		r := wire.NewReader(plain)
		out := row{kind: k[0], name: r.String(1 << 10)}
		out.value = r.Fixed(r.Len())
		if r.Err() != nil || string(s.key(out)) != string(k) {
			return nil, fmt.Errorf("%w: %w: a row is not where it belongs", ErrStore, ErrDamaged)
		}
		rows = append(rows, out)
	}
	if err := it.Error(); err != nil {
		return nil, fmt.Errorf("%w: %w: %v", ErrStore, ErrDamaged, err)
	}
	return rows, nil
}

func (s *store) key(r row) []byte {
	m := hmac.New(sha256.New, s.index[:])
	m.Write([]byte{r.kind})
	m.Write([]byte(r.name))
	return m.Sum([]byte{r.kind})
}

// commit writes rows in one batch that is on disk when it returns.
func (s *store) commit(rows ...row) error {
	if s.db == nil {
		return nil
	}
	var b leveldb.Batch
	for _, r := range rows {
		k := s.key(r)
		if r.value == nil {
			b.Delete(k)
			continue
		}
		v := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+4+len(r.name)+len(r.value)+16)
		if _, err := io.ReadFull(s.rand, v); err != nil {
			return fmt.Errorf("write state: read randomness: %w", err)
		}
		plain := append(wire.AppendString(nil, r.name), r.value...)
		b.Put(k, s.aead.Seal(v, v, plain, k))
	}
	if s.dying != nil {
		if err := s.dying(false); err != nil {
			return err
		}
	}
	if err := s.db.Write(&b, &opt.WriteOptions{Sync: true}); err != nil {
		s.failed = true
		return fmt.Errorf("write state: %w", err)
	}
	if s.dying != nil {
		return s.dying(true)
	}
	return nil
}

// forget takes what was replaced or deleted out of the files, of the rows that
// hold ratchet states and prekeys, and of texts where some have disappeared: until then who copies the folder and has the
// account's keys finds the former ones.
func (s *store) forget() error {
	if s.db == nil {
		return nil
	}
	kinds := []byte{rowContact, rowPrekey}
	if s.texts.Load() {
		kinds = append(kinds, rowIn, rowOut, rowFragment)
	}
	for _, kind := range kinds {
		if err := s.db.CompactRange(*util.BytesPrefix([]byte{kind})); err != nil {
			return fmt.Errorf("compact state: %w", err)
		}
	}
	s.texts.Store(false)
	return nil
}

func (s *store) close() error {
	if s.db == nil {
		return nil
	}
	var err error
	if !s.failed {
		err = s.forget()
	}
	err = cmp.Or(err, s.db.Close())
	s.unlock()
	return err
}
