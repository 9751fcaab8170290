package ledger

import (
	"errors"
	"fmt"
	"math"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"tunic/chain"
	"tunic/internal/table"
	"tunic/internal/wire"
	"tunic/ledger/machine"
)

// An undo record turns the state after a block into that before it. For each
// part of the state it holds the rows that the block changed, ascending by key:
//
//	count 4 | rows, each: key 1+n | form 1 | what was there
//
// form 0: nothing; 1: value 4+n; 2: start 2 | end 2 | middle 2+n, the former
// value being the first start bytes of the present one, middle, and its last
// end bytes. Form 2 is taken where it is shorter.
const (
	undoAbsent = 0
	undoValue  = 1
	undoEdit   = 2
)

// state is the rows of the parts of a state, by key.
type state [machine.Parts]map[string][]byte

// encodeUndo is the undo record of a block that made these changes.
func encodeUndo(changes *[machine.Parts][]table.Change) []byte {
	size := 0
	for _, part := range changes {
		size += 4
		for _, c := range part {
			size += len(c.Key) + len(c.Former) + 6
		}
	}
	b := make([]byte, 0, size)
	for _, part := range changes {
		b = wire.AppendUint32(b, uint32(len(part)))
		for _, c := range part {
			if len(c.Key) > math.MaxUint8 {
				panic("ledger: internal error: a row key over 255 bytes")
			}
			b = append(append(b, byte(len(c.Key))), c.Key...)
			b = appendFormer(b, c)
		}
	}
	return b
}

func appendFormer(b []byte, c table.Change) []byte {
	if c.Former == nil {
		return append(b, undoAbsent)
	}
	start, end := common(c.Former, c.Value)
	middle := c.Former[start : len(c.Former)-end]
	if len(middle)+6 >= len(c.Former)+4 || len(middle) > math.MaxUint16 {
		return wire.AppendBytes(append(b, undoValue), c.Former)
	}
	b = wire.AppendUint16(append(b, undoEdit), uint16(start))
	b = wire.AppendUint16(b, uint16(end))
	return append(wire.AppendUint16(b, uint16(len(middle))), middle...)
}

// common is how many bytes a and b have in common at their start and, of the
// rest, at their end.
func common(a, b []byte) (start, end int) {
	most := min(len(a), len(b), math.MaxUint16)
	for start < most && a[start] == b[start] {
		start++
	}
	most = min(len(a)-start, len(b)-start, math.MaxUint16)
	for end < most && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	return start, end
}

// undo takes back one block. On an error the state is unusable.
func (s *state) undo(record []byte) error {
	r := wire.NewReader(record)
	for i := range s {
		for range r.Count(math.MaxInt32, 2) {
			key := string(r.Fixed(int(r.Uint8())))
			switch form := r.Uint8(); form {
			case undoAbsent:
				delete(s[i], key)
			case undoValue:
				s[i][key] = r.Bytes(math.MaxInt32)
			case undoEdit:
				now := s[i][key]
				start, end := int(r.Uint16()), int(r.Uint16())
				middle := r.Fixed(int(r.Uint16()))
				if start+end > len(now) {
					return fmt.Errorf("row %x of part %s has %d bytes, not %d and %d", key, machine.Part(i), len(now), start, end)
				}
				former := make([]byte, 0, start+len(middle)+end)
				former = append(append(former, now[:start]...), middle...)
				s[i][key] = append(former, now[len(now)-end:]...)
			default:
				r.Fail(wire.ErrInvalid)
			}
			if r.Err() != nil {
				return r.Err()
			}
		}
	}
	return r.Done()
}

// rows gives the parts as machine.Load takes them.
func (s *state) rows() (out [machine.Parts][]table.Row) {
	for i, part := range s {
		out[i] = make([]table.Row, 0, len(part))
		for k, v := range part {
			out[i] = append(out[i], table.Row{Key: []byte(k), Value: v})
		}
	}
	return out
}

// undo is what undoes block h.
func (s *store) undo(h chain.Height) ([]byte, error) {
	v, err := s.get(fmt.Sprintf("what undoes block %d", h), key(keyUndo, u64(uint64(h))))
	if errors.Is(err, ErrNotFound) {
		err = corrupt("what undoes block %d is missing", h)
	}
	return v, err
}

// putUndo adds what undoes block h to its batch, forgets what is too old, and
// returns the lowest block that can be undone then.
func (s *store) putUndo(b *leveldb.Batch, h chain.Height, out *machine.Output) chain.Height {
	b.Put(key(keyUndo, u64(uint64(h))), encodeUndo(&out.Changes))
	oldest := s.oldestUpTo(h)
	for ; h-oldest >= s.keep; oldest++ {
		b.Delete(key(keyUndo, u64(uint64(oldest))))
	}
	return oldest
}

// oldestUpTo is the lowest block that can be undone once h is the head and can.
func (s *store) oldestUpTo(h chain.Height) chain.Height {
	if s.oldest == 0 {
		return h
	}
	return min(s.oldest, h)
}

// keptFrom is the lowest height whose state is the head's or can be had from it.
func (s *store) keptFrom(head chain.Height) chain.Height {
	if s.oldest == 0 {
		return head
	}
	return s.oldest - 1
}

// findUndo finds out which blocks up to the head can be undone. Where the head
// cannot and others could, a program that keeps no former states has gone on
// from there: the records are stale, and none can.
func (s *store) findUndo(head chain.Height) (stale bool, err error) {
	it := s.r.NewIterator(util.BytesPrefix([]byte{keyUndo}), nil)
	defer it.Release()
	found := it.First()
	if err := it.Error(); err != nil {
		return false, dbError("read undo records", err)
	}
	if !found {
		return false, nil
	}
	oldest := chain.Height(wire.NewReader(it.Key()[1:]).Uint64())
	has, err := s.db.Has(key(keyUndo, u64(uint64(head))), nil)
	if err != nil {
		return false, dbError("read undo records", err)
	}
	if !has || oldest == 0 {
		return true, nil
	}
	s.oldest = oldest
	return false, nil
}

// dropUndo deletes stale undo records.
func (s *store) dropUndo() error {
	b := new(leveldb.Batch)
	if err := s.deleteAll(b, util.BytesPrefix([]byte{keyUndo})); err != nil {
		return err
	}
	return s.write(b)
}
