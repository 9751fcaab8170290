package mailbox

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/syndtr/goleveldb/leveldb"
	lerrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"

	"tunic/internal/durable"
)

// ErrDamaged means that a database is damaged on disk and was not opened,
// since that would silently lose rows. Repair keeps what can be read.
var ErrDamaged = errors.New("mailbox: database damaged")

// Level is a Store in a folder. Writes are synced. Rows are in a database, but
// for the contents that are rows of their own: they are written once, to segments
// beside it, and the database has where; it would write each of them three times
// and more.
type Level struct {
	db       *leveldb.DB
	segments *segments

	mu         sync.Mutex // one write of rows at a time
	collecting bool
	closing    bool
	collector  sync.WaitGroup
}

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

// OpenLevel opens or creates the database in dir, which nobody else has open, with a write buffer of the
// given bytes (4 MiB where it is not above zero; a relay with disk traffic of
// tens of MB/s wants 32 MiB). ErrDamaged where the files are not what was
// written.
func OpenLevel(dir string, buffer int) (*Level, error) {
	if _, err := durable.TrimJournals(dir); err != nil {
		return nil, fmt.Errorf("open mailboxes: %w", err)
	}
	db, err := leveldb.OpenFile(dir, LevelOptions(buffer))
	switch {
	case lerrors.IsCorrupted(err):
		return nil, damaged(err)
	case err != nil:
		return nil, fmt.Errorf("open mailboxes: %w", err)
	}
	l := &Level{db: db}
	if l.segments, err = listSegments(filepath.Join(dir, segmentFolder)); err == nil {
		err = l.countContents()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open mailboxes: %w", err), db.Close())
	}
	return l, nil
}

func damaged(err error) error {
	return fmt.Errorf("open mailboxes: %w: %w; stop the relay and run tunic db repair", ErrDamaged, err)
}

// Close ends the use of the database.
func (l *Level) Close() error {
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.collector.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments.end()
	return l.db.Close()
}

// Get implements Store.
func (l *Level) Get(key []byte) ([]byte, error) {
	v, err := l.get(key)
	if err != nil || v == nil || !apart(key) {
		return v, err
	}
	return l.content(key, v)
}

// get is Get of the database alone.
func (l *Level) get(key []byte) ([]byte, error) {
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
	var failed error
	err := l.scan(prefix, from, func(k, v []byte) bool {
		if apart(k) {
			if v, failed = l.content(k, v); v == nil {
				return failed == nil
			}
		}
		return fn(k, v)
	})
	return cmp.Or(failed, err)
}

// scan is Scan of the database alone.
func (l *Level) scan(prefix, from []byte, fn func(key, value []byte) bool) error {
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
	write, _, err := l.Stage(rows)
	if err != nil {
		return err
	}
	return write()
}

// Stage implements Stager.
func (l *Level) Stage(rows []Row) (write func() error, drop func(), err error) {
	spots, err := l.contents(rows)
	if err != nil {
		return nil, nil, err
	}
	return func() error { return l.commit(rows, spots) }, func() { l.segments.settle(spots, rowsDropped) }, nil
}

// contents puts the contents among rows into segments.
func (l *Level) contents(rows []Row) ([]spot, error) {
	var contents []Row
	for _, r := range rows {
		if apart(r.Key) && r.Value != nil {
			contents = append(contents, r)
		}
	}
	if len(contents) == 0 {
		return nil, nil
	}
	spots, err := l.segments.append(contents)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	}
	return spots, nil
}

// commit writes rows whose contents stand at spots.
func (l *Level) commit(rows []Row, spots []spot) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, err := l.deleted(rows)
	if err != nil {
		l.segments.settle(spots, rowsDropped)
		return err
	}
	if err := l.write(rows, spots, old); err != nil {
		return err
	}
	if len(old) > 0 {
		l.collect()
	}
	return nil
}

// write is commit with mu held; old is where the contents stand to which no row
// points any more after that.
func (l *Level) write(rows []Row, spots, old []spot) error {
	// Each row takes at most 11 bytes beside key and value; a batch that grows
	// would copy them.
	size := 0
	for _, r := range rows {
		size += 11 + len(r.Key) + len(r.Value)
		if apart(r.Key) && r.Value != nil {
			size += spotSize - len(r.Value)
		}
	}
	b := leveldb.MakeBatch(size)
	at := spots
	for _, r := range rows {
		switch {
		case r.Value == nil:
			b.Delete(r.Key)
		case apart(r.Key):
			b.Put(r.Key, at[0].encode())
			at = at[1:]
		default:
			b.Put(r.Key, r.Value)
		}
	}
	err := l.segments.reached("rows")
	if err == nil {
		err = l.db.Write(b, &opt.WriteOptions{Sync: true})
	}
	if err != nil {
		// The rows may stand in the database's log all the same.
		l.segments.settle(spots, rowsUnknown)
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	_ = l.segments.reached("counted")
	l.segments.settle(spots, rowsWritten)
	l.segments.dead(old)
	return nil
}

// deleted is where the contents stand whose rows are deleted. That of a row that
// is replaced, which no mailbox does, is counted as alive until the next start.
func (l *Level) deleted(rows []Row) (old []spot, err error) {
	for _, r := range rows {
		if !apart(r.Key) || r.Value != nil {
			continue
		}
		x, ok, err := l.spot(r.Key)
		if err != nil {
			return nil, err
		}
		if ok {
			old = append(old, x)
		}
	}
	return old, nil
}
