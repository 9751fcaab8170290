package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/syndtr/goleveldb/leveldb"
	lerrors "github.com/syndtr/goleveldb/leveldb/errors"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/storage"
	"github.com/syndtr/goleveldb/leveldb/util"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/durable"
	"tunic/internal/table"
	"tunic/internal/wire"
	"tunic/ledger/machine"
)

// The database's keys. docs/spec/state.md, section Database.
const (
	keyMeta    = 'm' // m genesis: JSON; m head: height 8 | header hash 32; m snapshot/NAME, m waiting: see keySnapshot, keyWaiting
	keyBlock   = 'b' // height 8: block's canonical encoding; the seal is zero where keySeal has it
	keySeal    = 's' // height 8: seal 64, written after the block is on stable storage
	keyResults = 'c' // height 8: count 4, results
	keyHash    = 'h' // header hash 32: height 8
	keyRow     = 'r' // part 1 | row key: row value
	keyTx      = 't' // transaction id 32: height 8 | index 4 | code
	keyList    = 'd' // epoch 8: height 8 of the block that froze it | list
	keyProof   = 'p' // offence id 32: proof file of what an engine concluded
	keyUndo    = 'u' // height 8: what undoes that block (undo.go), of the last blocks

	keyValidators = 'v' // height 8: the validators after that block, ascending, where it changed them; 0: those of genesis
)

// dbFolder is the database's folder within a ledger's: the lock file is beside it.
const dbFolder = "db"

// store is the database. What it returns is copied out of it.
type store struct {
	db      *leveldb.DB
	r       leveldb.Reader // what is read from: db, or a snapshot of it (still)
	unlock  func()
	cleared bool         // of a restore that did not end
	torn    int64        // bytes of an unfinished write that were cut off at open
	keep    chain.Height // how many blocks back can be undone
	oldest  chain.Height // the lowest block that can be undone, and so all above it; 0: none can
	first   chain.Height // the lowest whole block, one above the head if there is none: pruned.go
}

// options: every checksum is verified on every read, and nothing corrupt is
// skipped over.
var options = opt.Options{Strict: opt.StrictAll, Filter: nil}

var synced = &opt.WriteOptions{Sync: true}

func openStore(dir string) (*store, error) {
	o := options
	if dir == "" {
		db, err := leveldb.Open(storage.NewMemStorage(), &o)
		if err != nil {
			return nil, fmt.Errorf("open ledger in memory: %w", err)
		}
		return &store{db: db, r: db, unlock: func() {}, first: 1}, nil
	}
	if err := durable.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	unlock, err := durable.Lock(dir)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	path := filepath.Join(dir, dbFolder)
	if _, err := os.Stat(path); err == nil {
		// A database that lost its CURRENT file would be opened as a new one.
		if _, err := os.Stat(filepath.Join(path, "CURRENT")); err != nil && holdsTables(path) {
			unlock()
			return nil, fmt.Errorf("%w: %s has no CURRENT file; %s", ErrCorrupt, path, remedy)
		}
	}
	torn, err := durable.TrimJournals(path)
	if err != nil {
		unlock()
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	db, err := leveldb.OpenFile(path, &o)
	if err != nil {
		unlock()
		return nil, dbError("open ledger", err)
	}
	s := &store{db: db, r: db, unlock: unlock, torn: torn}
	if s.cleared, err = s.unfinished(); err == nil {
		err = s.findFirst()
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func holdsTables(path string) bool {
	for _, glob := range []string{"*.ldb", "MANIFEST-*"} {
		if names, _ := filepath.Glob(filepath.Join(path, glob)); len(names) > 0 {
			return true
		}
	}
	return false
}

func (s *store) close() error {
	err := s.db.Close()
	s.unlock()
	if err != nil && !errors.Is(err, leveldb.ErrClosed) {
		return fmt.Errorf("close ledger: %w", err)
	}
	return nil
}

// still is the database as it is now, to read from whatever is written
// meanwhile, until release.
func (s *store) still() (*store, error) {
	snap, err := s.db.GetSnapshot()
	if err != nil {
		return nil, dbError("read database", err)
	}
	return &store{r: snap, unlock: snap.Release, first: s.first}, nil
}

// release ends what still began.
func (s *store) release() { s.unlock() }

// remedy is what to do about a corrupt database.
const remedy = "see what is left with `tunic db verify` and `tunic db export`, rescue it with `tunic db repair`, or import an export of another copy"

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s; %s", ErrCorrupt, fmt.Sprintf(format, args...), remedy)
}

func dbError(what string, err error) error {
	switch {
	case errors.Is(err, leveldb.ErrNotFound):
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	case lerrors.IsCorrupted(err), errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s: %w", what, corrupt("%v", err))
	}
	return fmt.Errorf("%s: %w", what, err)
}

func key(prefix byte, parts ...[]byte) []byte {
	b := append(make([]byte, 0, 40), prefix)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func u64(v uint64) []byte { return wire.AppendUint64(make([]byte, 0, 8), v) }

func (s *store) get(what string, k []byte) ([]byte, error) {
	v, err := s.r.Get(k, nil)
	if err != nil {
		return nil, dbError("read "+what, err)
	}
	return v, nil
}

func (s *store) block(h chain.Height) (chain.Block, error) {
	v, err := s.get(fmt.Sprintf("block %d", h), key(keyBlock, u64(uint64(h))))
	if err != nil {
		return chain.Block{}, err
	}
	b, err := chain.DecodeBlock(v)
	if err != nil || b.Header.Height != h {
		return b, corrupt("block %d does not decode: %v", h, err)
	}
	return b, s.seal(&b.SealedHeader)
}

// header is the sealed header of the block at h, its transactions unread. Below
// the first whole block it has no seal.
func (s *store) header(h chain.Height) (chain.SealedHeader, error) {
	if h < s.first {
		return s.prunedHeader(h)
	}
	v, err := s.get(fmt.Sprintf("block %d", h), key(keyBlock, u64(uint64(h))))
	if err != nil {
		return chain.SealedHeader{}, err
	}
	r := wire.NewReader(v)
	b := chain.ReadSealedHeader(r)
	if r.Err() != nil || b.Header.Height != h {
		return b, corrupt("the header of block %d does not decode: %v", h, r.Err())
	}
	return b, s.seal(&b)
}

// seal fills in the seal where it is kept beside the block.
func (s *store) seal(b *chain.SealedHeader) error {
	if b.Seal != ([64]byte{}) {
		return nil
	}
	seal, err := s.get("seal", key(keySeal, u64(uint64(b.Header.Height))))
	if err == nil && len(seal) == len(b.Seal) {
		b.Seal = [64]byte(seal)
	} else if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// putSeal adds the seal of a stored block. It is not synced: the next block's
// batch is, and a seal that is lost is made again, the same, from the block.
func (s *store) putSeal(h chain.Height, seal [64]byte) error {
	if err := s.db.Put(key(keySeal, u64(uint64(h))), seal[:], nil); err != nil {
		return dbError("write seal", err)
	}
	return nil
}

func (s *store) heightOf(hash chain.Hash) (chain.Height, error) {
	v, err := s.get("block "+hash.String(), key(keyHash, hash[:]))
	if err != nil {
		return 0, err
	}
	r := wire.NewReader(v)
	h := chain.Height(r.Uint64())
	if r.Done() != nil {
		return 0, corrupt("index of header %s", hash)
	}
	return h, nil
}

// HeaderHash implements machine.HeaderIndex over the blocks stored. A database
// that fails here must not let evidence be judged otherwise than elsewhere.
func (s *store) HeaderHash(h chain.Height) (chain.Hash, bool) {
	b, err := s.header(h)
	if errors.Is(err, ErrNotFound) {
		return chain.Hash{}, false
	}
	if err != nil {
		panic("ledger: cannot read a header that evidence is held against: " + err.Error())
	}
	return b.Header.Hash(), true
}

// ValidatorsAfter implements machine.HeaderIndex, as HeaderHash does.
func (s *store) ValidatorsAfter(h chain.Height) ([]chain.NodeID, bool) {
	set, err := s.validators(h)
	if errors.Is(err, ErrNotFound) {
		return nil, false
	}
	if err != nil {
		panic("ledger: cannot read the validators that evidence is held against: " + err.Error())
	}
	return set.Nodes, true
}

type place struct {
	height chain.Height
	index  uint32
	code   string
}

func (p place) encode() []byte {
	b := wire.AppendUint64(make([]byte, 0, 12+len(p.code)), uint64(p.height))
	return append(wire.AppendUint32(b, p.index), p.code...)
}

func (s *store) tx(id chain.Hash) (place, error) {
	v, err := s.get("transaction "+id.String(), key(keyTx, id[:]))
	if err != nil {
		return place{}, err
	}
	r := wire.NewReader(v)
	p := place{height: chain.Height(r.Uint64()), index: r.Uint32(), code: string(r.Fixed(r.Len()))}
	if r.Done() != nil {
		return p, corrupt("index of transaction %s", id)
	}
	return p, nil
}

func encodeResults(all []machine.Result) []byte {
	b := wire.AppendUint32(nil, uint32(len(all)))
	for _, r := range all {
		b = append(b, r.Encode()...)
	}
	return b
}

func (s *store) results(h chain.Height) ([]machine.Result, error) {
	v, err := s.get(fmt.Sprintf("results of block %d", h), key(keyResults, u64(uint64(h))))
	if err != nil {
		return nil, err
	}
	r := wire.NewReader(v)
	var out []machine.Result
	for range r.Count(chain.MaxBlockTxs, 36) {
		var x machine.Result
		r.Copy(x.Tx[:])
		x.Code = r.String(64)
		out = append(out, x)
	}
	if r.Done() != nil {
		return nil, corrupt("results of block %d", h)
	}
	return out, nil
}

func (s *store) rows() (rows [machine.Parts][]table.Row, err error) {
	it := s.r.NewIterator(util.BytesPrefix([]byte{keyRow}), nil)
	defer it.Release()
	for it.Next() {
		k := it.Key()
		if len(k) < 3 || int(k[1]) >= machine.Parts {
			return rows, corrupt("row key %x", k)
		}
		rows[k[1]] = append(rows[k[1]], table.Row{Key: append([]byte(nil), k[2:]...), Value: append([]byte(nil), it.Value()...)})
	}
	if err := it.Error(); err != nil {
		return rows, dbError("read state", err)
	}
	return rows, nil
}

// genesis returns the genesis that the database was made with; ErrNotFound in a
// new one.
func (s *store) genesis() (genesis.Genesis, error) {
	v, err := s.get("genesis", key(keyMeta, []byte("genesis")))
	if err != nil {
		return genesis.Genesis{}, err
	}
	g, err := genesis.Parse(v)
	if err != nil {
		return g, corrupt("genesis: %v", err)
	}
	return g, nil
}

// head is the height and header hash of the last block; zero in a new database.
func (s *store) head() (h chain.Height, hash chain.Hash, err error) {
	v, err := s.get("head", key(keyMeta, []byte("head")))
	if errors.Is(err, ErrNotFound) {
		return 0, hash, nil
	}
	if err != nil {
		return 0, hash, err
	}
	r := wire.NewReader(v)
	h = chain.Height(r.Uint64())
	r.Copy(hash[:])
	if r.Done() != nil {
		return 0, hash, corrupt("head")
	}
	return h, hash, nil
}

func (s *store) putGenesis(g genesis.Genesis, m *machine.Machine) error {
	b := new(leveldb.Batch)
	v, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("write genesis: %w", err)
	}
	b.Put(key(keyMeta, []byte("genesis")), v)
	for i := range machine.Parts {
		for _, r := range m.Rows(machine.Part(i)) {
			b.Put(key(keyRow, []byte{byte(i)}, r.Key), r.Value)
		}
	}
	if g.Engine == genesis.EngineComet {
		putValidators(b, 0, g.Sealers)
	}
	return s.write(b)
}

// put stores a block and all that it changed in one synced batch.
func (s *store) put(blk chain.Block, out *machine.Output) error {
	h, hash := u64(uint64(blk.Header.Height)), blk.Header.Hash()
	enc := blk.Encode()
	b := leveldb.MakeBatch(3 * len(enc))
	b.Put(key(keyBlock, h), enc)
	b.Put(key(keyHash, hash[:]), h)
	b.Put(key(keyMeta, []byte("head")), append(append([]byte(nil), h...), hash[:]...))
	applied := map[chain.Hash]bool{}
	for i, r := range out.Results {
		// A transaction refused here may be applied by a later block; one that was
		// applied keeps its place when a later block repeats it.
		if r.Code == "" {
			applied[r.Tx] = true
		} else if before, err := s.tx(r.Tx); applied[r.Tx] || err == nil && before.code == "" {
			continue
		} else if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		b.Put(key(keyTx, r.Tx[:]), place{blk.Header.Height, uint32(i), r.Code}.encode())
	}
	b.Put(key(keyResults, h), encodeResults(out.Results))
	for i, changes := range out.Changes {
		for _, c := range changes {
			k := key(keyRow, []byte{byte(i)}, c.Key)
			if c.Value == nil {
				b.Delete(k)
			} else {
				b.Put(k, c.Value)
			}
		}
	}
	if err := s.turn(b, blk.Header.Height, out.Validators); err != nil {
		return err
	}
	oldest := s.putUndo(b, blk.Header.Height, out)
	if out.List != nil {
		e := out.List.Epoch
		b.Put(key(keyList, u64(uint64(e))), append(h, out.List.Encode()...))
		if err := s.forget(b, e, oldest); err != nil {
			return err
		}
	}
	if err := s.write(b); err != nil {
		return err
	}
	s.oldest = oldest
	return nil
}

func (s *store) write(b *leveldb.Batch) error {
	if err := s.db.Write(b, synced); err != nil {
		return dbError("write block", err)
	}
	return nil
}
