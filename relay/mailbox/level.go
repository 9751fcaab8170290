package mailbox

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/syndtr/goleveldb/leveldb"
	lerrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"
)

// ErrDamaged means that a database is damaged on disk and was not opened,
// since that would silently lose rows. Repair keeps what can be read.
var ErrDamaged = errors.New("mailbox: database damaged")

// Level is a Store in a folder. Writes are synced.
type Level struct{ db *leveldb.DB }

// LevelOptions are the options of a Level with a write buffer of the given bytes,
// 4 MiB where it is not above zero: what measures the bare database takes them.
func LevelOptions(buffer int) *opt.Options {
	if buffer <= 0 {
		buffer = 4 << 20
	}
	return &opt.Options{
		Strict:                 opt.StrictAll,
		Compression:            opt.NoCompression, // items are ciphertext
		WriteBuffer:            buffer,
		CompactionTableSize:    max(2<<20, buffer/2),
		BlockSize:              16 << 10, // some ten items
		BlockCacheCapacity:     max(1<<20, buffer/4),
		OpenFilesCacheCapacity: 64,
		DisableSeeksCompaction: true,
		// A store asks for rows that are not there; without a filter each such
		// question reads a block of every table.
		Filter: filter.NewBloomFilter(10),
	}
}

// OpenLevel opens or creates the database in dir, with a write buffer of the
// given bytes (4 MiB where it is not above zero; a relay with disk traffic of
// tens of MB/s wants 32 MiB). ErrDamaged where the files are not what was
// written.
func OpenLevel(dir string, buffer int) (*Level, error) {
	db, err := leveldb.OpenFile(dir, LevelOptions(buffer))
	switch {
	case lerrors.IsCorrupted(err):
		return nil, fmt.Errorf("open mailboxes: %w: %v; stop the relay and run tunic db repair", ErrDamaged, err)
	case err != nil:
		return nil, fmt.Errorf("open mailboxes: %w", err)
	}
	return &Level{db}, nil
}

// Close ends the use of the database.
func (l *Level) Close() error { return l.db.Close() }

// Get implements Store.
func (l *Level) Get(key []byte) ([]byte, error) {
	v, err := l.db.Get(key, nil)
	switch {
	case errors.Is(err, leveldb.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	}
	return v, nil
}

// Scan implements Store.
func (l *Level) Scan(prefix, from []byte, fn func(key, value []byte) bool) error {
	r := util.BytesPrefix(prefix)
	if bytes.Compare(from, r.Start) > 0 {
		r.Start = from
	}
	// A walk over all rows of a kind must not push out of the cache what polls
	// and stores read.
	it := l.db.NewIterator(r, &opt.ReadOptions{DontFillCache: len(prefix) < 2})
	defer it.Release()
	for it.Next() && fn(it.Key(), it.Value()) {
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	return nil
}

// Write implements Store.
func (l *Level) Write(rows []Row) error {
	// Each row takes at most 11 bytes beside key and value; a batch that grows
	// would copy them.
	size := 0
	for _, r := range rows {
		size += 11 + len(r.Key) + len(r.Value)
	}
	b := leveldb.MakeBatch(size)
	for _, r := range rows {
		if r.Value == nil {
			b.Delete(r.Key)
		} else {
			b.Put(r.Key, r.Value)
		}
	}
	if err := l.db.Write(b, &opt.WriteOptions{Sync: true}); err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	return nil
}
