package ledger

import (
	"fmt"
	"iter"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"tunic/chain"
	"tunic/internal/wire"
	"tunic/registry/directory"
)

// KeptLists is for how many epochs List finds the frozen directory.
const KeptLists = 16

// list reads the frozen directory of an epoch and holds it against the header
// of the block that froze it.
func (s *store) list(e chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	v, err := s.get(fmt.Sprintf("list of epoch %d", e), key(keyList, u64(uint64(e))))
	if err != nil {
		return nil, chain.SealedHeader{}, err
	}
	if len(v) < 8 {
		return nil, chain.SealedHeader{}, corrupt("list of epoch %d", e)
	}
	b, err := s.header(chain.Height(wire.NewReader(v).Uint64()))
	if err != nil {
		return nil, b, err
	}
	l, err := directory.Decode(v[8:])
	if err == nil {
		err = l.Check(b.Header)
	}
	if err != nil {
		return nil, b, corrupt("list of epoch %d: %v", e, err)
	}
	return l, b, nil
}

// forget deletes the lists that are too old once e is kept and blocks from
// oldest on can be undone.
func (s *store) forget(b *leveldb.Batch, e chain.Epoch, oldest chain.Height) error {
	first, err := s.firstList(e, oldest)
	if err != nil || first == 0 {
		return err
	}
	it := s.db.NewIterator(&util.Range{Start: []byte{keyList}, Limit: key(keyList, u64(uint64(first)))}, nil)
	defer it.Release()
	for it.Next() {
		b.Delete(append([]byte(nil), it.Key()...))
	}
	return it.Error()
}

// firstList is the lowest epoch whose list is kept where the newest is that of
// e and blocks from oldest on can be undone: of the last KeptLists, and of all
// states that are kept.
func (s *store) firstList(e chain.Epoch, oldest chain.Height) (chain.Epoch, error) {
	if e < KeptLists || oldest <= 1 {
		return 0, nil
	}
	b, err := s.header(oldest - 1)
	return min(e-KeptLists+1, b.Header.DirEpoch), err
}

// epochs are those whose lists are stored, ascending.
func (s *store) epochs() iter.Seq2[chain.Epoch, error] {
	return func(yield func(chain.Epoch, error) bool) {
		it := s.db.NewIterator(util.BytesPrefix([]byte{keyList}), nil)
		defer it.Release()
		for it.Next() {
			r := wire.NewReader(it.Key()[1:])
			e := chain.Epoch(r.Uint64())
			if r.Done() != nil {
				yield(0, corrupt("unknown key %x", it.Key()))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(0, dbError("read lists", err))
		}
	}
}
