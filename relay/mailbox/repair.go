package mailbox

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/opt"

	"tunic/chain"
	"tunic/onion/mail"
)

// Repair rebuilds a damaged database from the tables and logs that are left:
// what was in a damaged block is lost, and what only points to something is made
// anew, so that nothing points to what is lost. The other members send what is
// missing when the relay runs again.
func Repair(dir string) error {
	o := LevelOptions(0)
	o.Strict = 0 // skip what cannot be read
	db, err := leveldb.RecoverFile(dir, o)
	if err == nil {
		l := &Level{db: db}
		if l.segments, err = listSegments(filepath.Join(dir, segmentFolder)); err == nil {
			err = rebuild(l)
			err = errors.Join(err, l.Close())
		} else {
			err = errors.Join(err, db.Close())
		}
	}
	if err != nil {
		return fmt.Errorf("repair mailboxes: %w", err)
	}
	return nil
}

// changes are written in groups.
type changes struct {
	store Store
	rows  []Row
	err   error
}

func (c *changes) put(key, value []byte) bool {
	c.rows = append(c.rows, Row{bytes.Clone(key), value})
	if len(c.rows) >= sweepGroup {
		c.flush()
	}
	return c.err == nil
}

func (c *changes) flush() {
	if c.err == nil && len(c.rows) > 0 {
		c.err = c.store.Write(c.rows)
	}
	c.rows = c.rows[:0]
}

// relink holds each long content against its row: a row whose content cannot be
// read goes, and an item whose row of the content is lost has it again where its
// id says that a record is that content.
func (l *Level) relink() error {
	b := new(leveldb.Batch)
	err := l.scan([]byte{rowContent}, nil, func(k, v []byte) bool {
		x, ok := decodeSpot(v)
		if ok {
			_, err := l.segments.read(x, k)
			ok = err == nil && l.hasItem(k)
		}
		if !ok {
			b.Delete(k)
		}
		return true
	})
	if err != nil {
		return err
	}
	if err := l.db.Write(b, &opt.WriteOptions{Sync: true}); err != nil {
		return err
	}
	for n := range l.segments.sizes {
		b.Reset()
		err := l.segments.walk(n, func(x spot, key, content []byte) bool {
			if len(key) == 41 && apart(key) && l.lacks(key, content) {
				b.Put(key, x.encode())
			}
			return true
		})
		if err == nil {
			err = l.db.Write(b, &opt.WriteOptions{Sync: true})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *Level) hasItem(key []byte) bool {
	v, err := l.get(itemOf(key))
	return err == nil && v != nil
}

// lacks reports whether an item is there that has lost this content.
func (l *Level) lacks(key, content []byte) bool {
	if _, ok, err := l.spot(key); ok || err != nil {
		return false
	}
	v, err := l.get(itemOf(key))
	if err != nil {
		return false
	}
	i, ok := decodeItem(v)
	return ok && len(i.content) == 0 && mail.ItemID(mail.ID(key[1:33]), i.deleter, mail.ChunkRoot(content)) == i.id
}

// rebuild makes the rows that follow from others anew. It may be interrupted and
// begun again.
func rebuild(s *Level) error {
	if v, err := s.Get([]byte{rowVersion}); err == nil && len(v) == 1 && v[0] != storeVersion && v[0] != inlinedRows {
		return fmt.Errorf("%w: %d", ErrVersion, v[0])
	}
	if err := s.relink(); err != nil {
		return err
	}
	if err := s.countContents(); err != nil {
		return err
	}
	c := &changes{store: s}
	scan := func(kind byte, fn func(k, v []byte) bool) {
		if c.err != nil {
			return
		}
		if err := s.Scan([]byte{kind}, nil, fn); c.err == nil {
			c.err = err
		}
		c.flush()
	}
	remove := func(k, _ []byte) bool { return c.put(k, nil) }
	scan(rowExpiry, remove)
	scan(rowIndex, remove)
	scan(rowState, func(k, v []byte) bool {
		st, ok := decodeState(v)
		if ok && st.state == mail.RowDeleted && len(k) == 65 {
			return c.put(expiryKey(st.expiry, k), []byte{})
		}
		return c.put(k, nil)
	})
	scan(rowToken, func(k, v []byte) bool {
		if len(k) != 33 || len(v) != 40 {
			return c.put(k, nil)
		}
		return c.put(expiryKey(timeOf(v[32:]), k), []byte{})
	})
	scan(rowBundle, func(k, v []byte) bool {
		if len(k) != 33 || len(v) <= 8 {
			return c.put(k, nil)
		}
		a := mail.AccountID(k[1:])
		st := state{state: mail.RowBundle, expiry: timeOf(v), account: a}
		return c.put(expiryKey(st.expiry, k), []byte{}) && c.put(stateKey(mail.AccountMailbox(a), chain.SHA256(v[8:])), st.encode())
	})
	scan(rowOnce, func(k, v []byte) bool {
		if len(k) != 41 || len(v) <= 8 {
			return c.put(k, nil)
		}
		return c.put(expiryKey(timeOf(v), k), []byte{})
	})
	scan(rowBox, func(k, v []byte) bool {
		b, ok := decodeBox(v)
		if !ok || len(k) != 33 {
			return c.put(k, nil)
		}
		b.count = 0
		return c.put(k, b.encode()) && c.put(expiryKey(b.touched, k), []byte{}) // the sweep knows when
	})
	var at mail.ID
	var b box
	boxed := func() bool {
		return b.count == 0 || c.put(boxKey(at), b.encode()) && c.put(expiryKey(b.touched, boxKey(at)), []byte{})
	}
	scan(rowItem, func(k, v []byte) bool {
		i, ok := decodeItem(v)
		if ok && len(k) == 41 && len(i.content) == 0 {
			_, ok, c.err = s.spot(contentKey(k))
		}
		if c.err != nil {
			return false
		}
		if !ok || len(k) != 41 {
			return c.put(k, nil) && c.put(contentKey(k), nil)
		}
		id, cursor := mail.ID(k[1:33]), cursorOf(k)
		if id != at {
			if !boxed() {
				return false
			}
			at, b = id, box{}
			if old, err := s.Get(boxKey(id)); err == nil {
				b, _ = decodeBox(old)
			}
		}
		b.last, b.count = max(b.last, cursor), b.count+1
		b.touched = max(b.touched, 1)
		if i.until != 0 && !c.put(indexKey(i.deleter, i.id), bytes.Clone(k[1:])) {
			return false
		}
		return c.put(expiryKey(i.expiry, k), []byte{}) && c.put(stateKey(id, i.id), state{state: i.state(), expiry: i.expiry, cursor: cursor}.encode())
	})
	boxed()
	c.put([]byte{rowVersion}, []byte{storeVersion})
	c.flush()
	return c.err
}
