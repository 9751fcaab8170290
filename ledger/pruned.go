package ledger

import (
	"errors"
	"fmt"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"tunic/chain"
	"tunic/internal/wire"
)

// A ledger that began from a snapshot, or was pruned, has whole blocks from a
// height on. Of those below it has the headers: evidence may name any of them, and
// what evidence is worth must be the same everywhere.

// ErrPruned means that a block lies below the first one that this ledger has. It
// is an ErrNotFound too.
var ErrPruned = fmt.Errorf("%w: pruned", ErrNotFound)

const (
	keyHeader = 'e'     // height 8: form 1 | header or, of form 1, sealed header, of a block that is not whole
	keyFirst  = "first" // m first: height 8 of the first whole block, where that is not 1
)

// Forms of a header's row. The one right below the first whole block is kept with
// its commit: it may be the head.
const (
	headerAlone  = 0
	headerSealed = 1
)

// First is the height of the first block that this ledger has whole: 1, or more
// where it began from a snapshot or was pruned. One above the head: it has none yet.
func (l *Ledger) First() chain.Height {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.db.first
}

// whole refuses a height whose block is not kept; mu is held.
func (l *Ledger) whole(h chain.Height) error {
	if h < l.db.first {
		return fmt.Errorf("%w: block %d; the first one here is %d", ErrPruned, h, l.db.first)
	}
	return nil
}

// sealedHeader is the sealed header of a height: there is one of each whole block,
// and of the one below the first; mu is held.
func (l *Ledger) sealedHeader(h chain.Height) (chain.SealedHeader, error) {
	if h+1 < l.db.first {
		return chain.SealedHeader{}, l.whole(h)
	}
	return l.db.header(h)
}

// findFirst reads where the whole blocks begin.
func (s *store) findFirst() error {
	s.first = 1
	v, err := s.get("first block", key(keyMeta, []byte(keyFirst)))
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	r := wire.NewReader(v)
	if s.first = chain.Height(r.Uint64()); r.Done() != nil || s.first < 2 {
		return corrupt("the height of the first block")
	}
	return nil
}

func putFirst(b *leveldb.Batch, h chain.Height) {
	b.Put(key(keyMeta, []byte(keyFirst)), u64(uint64(h)))
}

func putHeader(b *leveldb.Batch, s chain.SealedHeader, sealed bool) {
	v := append([]byte{headerAlone}, s.Header.Encode()...)
	if sealed {
		v = append([]byte{headerSealed}, s.Encode()...)
	}
	b.Put(key(keyHeader, u64(uint64(s.Header.Height))), v)
}

// prunedHeader is the header of a block below the first whole one; its seal is
// zero but for the last of them.
func (s *store) prunedHeader(h chain.Height) (chain.SealedHeader, error) {
	v, err := s.get(fmt.Sprintf("header %d", h), key(keyHeader, u64(uint64(h))))
	if err != nil {
		return chain.SealedHeader{}, err
	}
	r := wire.NewReader(v)
	var x chain.SealedHeader
	switch form := r.Uint8(); form {
	case headerAlone:
		x.Header = chain.ReadHeader(r)
	case headerSealed:
		x = chain.ReadSealedHeader(r)
	default:
		r.Fail(wire.ErrInvalid)
	}
	if r.Done() != nil || x.Header.Height != h {
		return x, corrupt("header %d does not decode: %v", h, r.Err())
	}
	return x, nil
}

// pruneStep is of how many blocks one batch of Prune disposes.
const pruneStep = 256

// Prune gives up the blocks below first, with their results and what finds them
// and their transactions; their headers stay. What the states and directories that
// are kept need stays too, and so does the head, so that fewer may go. It returns
// the first block that is whole then.
func (l *Ledger) Prune(first chain.Height) (chain.Height, error) {
	for {
		now, done, err := l.pruneSome(first)
		if err != nil || done {
			return now, err
		}
	}
}

// pruneSome disposes of some blocks, so that new ones need not wait for all.
func (l *Ledger) pruneSome(first chain.Height) (now chain.Height, done bool, err error) {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.halted != nil {
		return 0, false, l.halted
	}
	if l.core.Dev {
		return l.db.first, true, fmt.Errorf("%w: a dev network goes back to any block, and prunes none", ErrConfig)
	}
	needed, err := l.db.needed(l.head.Header)
	if err != nil {
		return l.db.first, false, err
	}
	to := min(first, needed)
	if to <= l.db.first {
		return l.db.first, true, nil
	}
	step := min(to, l.db.first+pruneStep)
	b := new(leveldb.Batch)
	for h := l.db.first; h < step; h++ {
		if err := l.db.pruneBlock(b, h, h+1 == step); err != nil {
			return l.db.first, false, err
		}
	}
	if before := l.db.first - 1; before > 0 { // its commit is needed no more
		x, err := l.db.prunedHeader(before)
		if err != nil {
			return l.db.first, false, err
		}
		putHeader(b, x, false)
	}
	putFirst(b, step)
	if err := l.db.write(b); err != nil {
		return l.db.first, false, l.halt(err)
	}
	l.db.first = step
	return step, step == to, nil
}

// needed is the lowest block that has to stay: the head, those that a state can be
// asked for, and the one that froze the oldest directory that is kept.
func (s *store) needed(head chain.Header) (chain.Height, error) {
	from := max(s.keptFrom(head.Height), 1)
	it := s.db.NewIterator(util.BytesPrefix([]byte{keyList}), nil)
	defer it.Release()
	for it.Next() {
		r := wire.NewReader(it.Value())
		// A list whose block went before does not hold back those above it.
		if at := chain.Height(r.Uint64()); r.Err() == nil && at >= s.first {
			from = min(from, at)
			break
		}
	}
	return min(from, head.Height), it.Error()
}

// pruneBlock adds to a batch that of block h the header alone is kept.
func (s *store) pruneBlock(b *leveldb.Batch, h chain.Height, last bool) error {
	x, err := s.header(h)
	if err != nil {
		return err
	}
	results, err := s.results(h)
	if err != nil {
		return err
	}
	for _, r := range results {
		if at, err := s.tx(r.Tx); err == nil && at.height == h {
			b.Delete(key(keyTx, r.Tx[:]))
		} else if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	hash := x.Header.Hash()
	b.Delete(key(keyHash, hash[:]))
	for _, prefix := range []byte{keyBlock, keySeal, keyResults} {
		b.Delete(key(prefix, u64(uint64(h))))
	}
	putHeader(b, x, last)
	return nil
}
