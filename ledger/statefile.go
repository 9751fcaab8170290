package ledger

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/syndtr/goleveldb/leveldb/util"

	"tunic/chain"
	"tunic/internal/merkle"
	"tunic/internal/table"
	"tunic/internal/wire"
	"tunic/ledger/machine"
	"tunic/registry/directory"
)

// A state file is the ledger after one block, whole, in one canonical form: whoever
// has that state writes the same bytes. docs/spec/cometbft.md, section Snapshots.

// StateFormat is the version of the form.
const StateFormat = 1

const stateMagic = "tunic state"

// ErrStateFile means that a file is not the state that it is said to be.
var ErrStateFile = errors.New("ledger: not the state of that block")

// Bounds of what is read.
const (
	maxStateRow  = 1 << 24
	maxStateList = 1 << 28
	maxStateSet  = 1 << 10 // validators
)

// What differs in a header from the one before it; the rest is the same, or follows.
const (
	linkFork     = 1 << iota // fork 4
	linkTxs                  // transaction root 32, count 4, result root 32; else there were none
	linkEpoch                // directory root 32, count 4, epoch 8, beacon 32
	linkRemovals             // count 4, node ids; else those of the header before
	linkProposer             // node id; else the one of the header before
	linkKnown
)

// noTxs is the root of no transactions, and of no results.
var noTxs = chain.Hash(merkle.Root(nil))

// appendLink is a header by what distinguishes it from the one before.
func appendLink(b []byte, h, before *chain.Header) []byte {
	at := len(b)
	b = wire.AppendUint64(append(b, 0), uint64(h.Time-before.Time))
	b = append(b, h.State[:]...)
	if h.Fork != before.Fork {
		b[at] |= linkFork
		b = wire.AppendUint32(b, h.Fork)
	}
	if h.TxCount != 0 || h.TxRoot != noTxs || h.Results != noTxs {
		b[at] |= linkTxs
		b = append(wire.AppendUint32(append(b, h.TxRoot[:]...), h.TxCount), h.Results[:]...)
	}
	if h.Directory != before.Directory || h.DirCount != before.DirCount || h.DirEpoch != before.DirEpoch || h.Beacon != before.Beacon {
		b[at] |= linkEpoch
		b = wire.AppendUint64(wire.AppendUint32(append(b, h.Directory[:]...), h.DirCount), uint64(h.DirEpoch))
		b = append(b, h.Beacon[:]...)
	}
	if !sameNodes(h.Removals, before.Removals) {
		b[at] |= linkRemovals
		b = appendNodes(wire.AppendUint32(b, uint32(len(h.Removals))), h.Removals)
	}
	if h.Proposer != before.Proposer {
		b[at] |= linkProposer
		b = append(b, h.Proposer[:]...)
	}
	return b
}

func sameNodes(a, b []chain.NodeID) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// stateReader reads a state file piece by piece.
type stateReader struct {
	in  *bufio.Reader
	err error
}

func (r *stateReader) fixed(n int) []byte {
	b := make([]byte, n)
	if r.err == nil {
		if _, r.err = io.ReadFull(r.in, b); r.err != nil {
			clear(b)
		}
	}
	return b
}

func (r *stateReader) uint32() uint32   { return wire.NewReader(r.fixed(4)).Uint32() }
func (r *stateReader) uint64() uint64   { return wire.NewReader(r.fixed(8)).Uint64() }
func (r *stateReader) hash() chain.Hash { return chain.Hash(r.fixed(32)) }
func (r *stateReader) fail(err error)   { r.err = errors.Join(r.err, err) }
func (r *stateReader) bytes(most int) []byte {
	n := r.uint32()
	if int64(n) > int64(most) {
		r.fail(fmt.Errorf("%d bytes, at most %d", n, most))
		return nil
	}
	return r.fixed(int(n))
}

func (r *stateReader) nodes(most uint32) []chain.NodeID {
	n := r.uint32()
	if n > most {
		r.fail(fmt.Errorf("%d nodes, at most %d", n, most))
		return nil
	}
	var out []chain.NodeID
	for range n {
		out = append(out, chain.NodeID(r.fixed(32)))
	}
	return out
}

// link reads the header after before.
func (r *stateReader) link(before chain.Header, hash chain.Hash) chain.Header {
	h := before
	h.Height, h.Parent = before.Height+1, hash
	flags := r.fixed(1)[0]
	if flags >= linkKnown {
		r.fail(fmt.Errorf("header %d: form %#x", h.Height, flags))
	}
	h.Time += chain.Time(r.uint64())
	h.State = r.hash()
	if flags&linkFork != 0 {
		h.Fork = r.uint32()
	}
	h.TxRoot, h.TxCount, h.Results = noTxs, 0, noTxs
	if flags&linkTxs != 0 {
		h.TxRoot, h.TxCount, h.Results = r.hash(), r.uint32(), r.hash()
	}
	if flags&linkEpoch != 0 {
		h.Directory, h.DirCount, h.DirEpoch, h.Beacon = r.hash(), r.uint32(), chain.Epoch(r.uint64()), r.hash()
	}
	if flags&linkRemovals != 0 {
		h.Removals = r.nodes(chain.MaxRemovals)
	}
	if flags&linkProposer != 0 {
		h.Proposer = chain.NodeID(r.fixed(32))
	}
	return h
}

// writeState writes the state after the head of a database that stands still;
// first is the header before the first block.
func (s *store) writeState(ctx context.Context, w io.Writer, first chain.Header, head chain.Height) error {
	out := bufio.NewWriterSize(w, 1<<16)
	b := append([]byte(stateMagic), StateFormat)
	out.Write(wire.AppendUint64(b, uint64(head)))
	turns, err := s.allValidators(head)
	if err != nil {
		return err
	}
	b = wire.AppendUint32(b[:0], uint32(len(turns)))
	for _, t := range turns {
		b = appendNodes(wire.AppendUint32(wire.AppendUint64(b, uint64(t.at)), uint32(len(t.nodes))), t.nodes)
	}
	out.Write(b)
	before := first
	for h := chain.Height(1); h <= head; h++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		x, err := s.header(h)
		if err != nil {
			return err
		}
		out.Write(appendLink(b[:0], &x.Header, &before))
		before = x.Header
	}
	list, at := machine.EmptyList(), chain.SealedHeader{}
	if before.DirEpoch > 0 {
		if list, at, err = s.list(before.DirEpoch); err != nil {
			return err
		}
	}
	out.Write(wire.AppendBytes(u64(uint64(at.Header.Height)), list.Encode()))
	it := s.r.NewIterator(util.BytesPrefix([]byte{keyRow}), nil)
	defer it.Release()
	part := -1
	for it.Next() {
		k := it.Key()
		if len(k) < 3 || int(k[1]) >= machine.Parts || len(k) > math.MaxUint8+2 {
			return corrupt("row key %x", k)
		}
		for ; part < int(k[1]); part++ {
			out.Write([]byte{0}) // a part begins; in front of a row stands its key's length
		}
		out.Write(append([]byte{byte(len(k) - 2)}, k[2:]...))
		if _, err := out.Write(wire.AppendBytes(nil, it.Value())); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return dbError("read state", err)
	}
	for ; part < machine.Parts; part++ {
		out.Write([]byte{0})
	}
	return out.Flush()
}

// setAfter are the validators after a block that changed them.
type setAfter struct {
	at    chain.Height
	nodes []chain.NodeID
}

// allValidators are those after genesis and after each block up to head that
// changed them, as far as they are known.
func (s *store) allValidators(head chain.Height) (out []setAfter, err error) {
	it := s.r.NewIterator(util.BytesPrefix([]byte{keyValidators}), nil)
	defer it.Release()
	for it.Next() {
		at, nodes, err := readValidators(it.Key(), it.Value())
		if err != nil {
			return nil, err
		}
		if at <= head {
			out = append(out, setAfter{at, nodes})
		}
	}
	if err := it.Error(); err != nil {
		return nil, dbError("read validators", err)
	}
	return out, nil
}

// after are the validators after block h.
func (x *stateFile) after(h chain.Height) (nodes []chain.NodeID) {
	for _, t := range x.sets {
		if t.at <= h {
			nodes = t.nodes
		}
	}
	return nodes
}

// stateFile is what a state file holds; headers are given one after the other.
type stateFile struct {
	head   chain.Header
	sets   []setAfter
	frozen chain.Height // of the block that froze list
	list   *directory.List
	rows   [machine.Parts][]table.Row
}

// readState reads a state file up to its end; header is called with each header,
// ascending. That they follow each other from genesis is so by their form: what
// they lead to has to be compared.
func readState(in io.Reader, first chain.Header, genesis chain.Hash, header func(chain.Header) error) (*stateFile, error) {
	r := &stateReader{in: bufio.NewReaderSize(in, 1<<16)}
	x := new(stateFile)
	if string(r.fixed(len(stateMagic))) != stateMagic {
		return nil, fmt.Errorf("%w: no state file: %w", ErrStateFile, errors.Join(r.err, errors.New("it begins otherwise")))
	}
	if v := r.fixed(1)[0]; v != StateFormat {
		return nil, fmt.Errorf("%w: form %d", ErrStateFile, v)
	}
	height := chain.Height(r.uint64())
	for range r.uint32() {
		if r.err != nil {
			break
		}
		t := setAfter{chain.Height(r.uint64()), r.nodes(maxStateSet)}
		if n := len(x.sets); t.at > height || n == 0 && t.at != 0 || n > 0 && t.at <= x.sets[n-1].at || len(t.nodes) == 0 {
			r.fail(fmt.Errorf("validators after block %d out of their place", t.at))
		}
		x.sets = append(x.sets, t)
	}
	x.head = first
	hash := genesis
	for x.head.Height < height && r.err == nil {
		x.head = r.link(x.head, hash)
		hash = x.head.Hash()
		if r.err == nil {
			if err := header(x.head); err != nil {
				return nil, err
			}
		}
	}
	x.frozen = chain.Height(r.uint64())
	b := r.bytes(maxStateList)
	if r.err == nil {
		var err error
		if x.list, err = directory.Decode(b); err != nil {
			r.fail(err)
		}
	}
	for part := -1; r.err == nil; {
		n := int(r.fixed(1)[0])
		if n == 0 {
			if part++; part == machine.Parts {
				break
			}
			continue
		}
		if part < 0 {
			r.fail(errors.New("a row before the first part"))
			break
		}
		k := r.fixed(n)
		v := r.bytes(maxStateRow)
		x.rows[part] = append(x.rows[part], table.Row{Key: k, Value: v})
	}
	if r.err == nil {
		if _, err := r.in.ReadByte(); err != io.EOF {
			r.fail(errors.New("bytes behind the end"))
		}
	}
	if r.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStateFile, r.err)
	}
	return x, nil
}
