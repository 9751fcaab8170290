package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/util"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/chain/genesis"
	"tunic/ledger/machine"
)

// keyRestoring stands in the database while a state file is written into it: what
// a crash leaves of that is thrown away at the next open.
const keyRestoring = "restoring"

// restoreStep is how many bytes of rows and headers one batch of a restore has.
const restoreStep = 4 << 20

// Restore makes an empty ledger that follows an engine begin from a state file.
// certified gives certificates that the caller has verified, with their sets: that
// of the height above the state's names the header, the header names the rest, and
// those of the heights at which validators changed name these, as long as evidence
// may ask who they were. Nothing is used before all of it is verified. Blocks below
// are known by their headers from then on. Errors are ErrStateFile for a file that
// is another or none, ErrConfig for a ledger that has blocks, and those of certified.
func (l *Ledger) Restore(ctx context.Context, file io.ReadSeeker, certified func(chain.Height) (cometbft.Certificate, error)) error {
	if err := l.restore(ctx, file, certified); err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	return nil
}

func (l *Ledger) restore(ctx context.Context, file io.ReadSeeker, certified func(chain.Height) (cometbft.Certificate, error)) error {
	l.sealing.Lock()
	defer l.sealing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.halted != nil:
		return l.halted
	case l.tip == nil:
		return ErrEngine
	case l.head.Header.Height > 0 || len(l.tip.decided) > 0:
		return fmt.Errorf("%w: the ledger has blocks already; begin with an empty folder", ErrConfig)
	}
	first, err := l.before()
	if err != nil {
		return err
	}
	v := &restoring{ctx: ctx, genesis: l.cfg.Genesis, first: first, certified: certified, index: l.db}
	if err := v.verify(file); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := l.db.restore(v, file); err != nil {
		return l.halt(err)
	}
	tip, err := rebuild(l.db, l.cfg.Genesis, v.sealed.Header)
	if err != nil {
		return l.halt(err)
	}
	l.machine, l.head, l.signed, l.tip.machine = v.machine, v.sealed, v.sealed.Header.Height, tip
	l.restored = v.sealed.Header.Height
	l.feed.forget()
	l.feed.publish()
	l.log.Info("the ledger begins from a snapshot", "height", v.sealed.Header.Height, "hash", v.sealed.Header.Hash())
	return nil
}

// restoring is a state file while it is verified: what it is held against, and what
// was found in it.
type restoring struct {
	ctx       context.Context
	genesis   genesis.Genesis
	first     chain.Header
	certified func(chain.Height) (cometbft.Certificate, error)
	index     machine.HeaderIndex

	file    *stateFile
	times   []chain.Time // of the blocks, from the first on
	froze   chain.Header // the first of the head's epoch: it froze the list
	sealed  chain.SealedHeader
	machine *machine.Machine
}

// verify reads a state file and holds it against the certificates.
func (v *restoring) verify(file io.Reader) (err error) {
	no := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", ErrStateFile, fmt.Errorf(format, args...))
	}
	hash := v.genesis.Hash()
	v.file, err = readState(file, v.first, hash, func(h chain.Header) error {
		if h.DirEpoch > v.froze.DirEpoch {
			v.froze = h
		}
		v.times = append(v.times, h.Time)
		return v.ctx.Err()
	})
	if err != nil {
		return err
	}
	x := v.file
	if x.head.Height < 2 {
		return no("it is of height %d", x.head.Height)
	}
	above, err := v.certified(x.head.Height + 1)
	if err != nil {
		return err
	}
	alone := cometbft.Certificate{Header: above.Header, Commit: above.Commit}
	v.sealed = chain.Commit(x.head, alone.Encode())
	set, err := cometbft.SetOf(x.after(x.head.Height - 1))
	if err == nil {
		err = set.VerifySealed(v.sealed)
	}
	if err != nil {
		return no("%w", err)
	}
	if v.froze.Height != x.frozen || x.frozen > 0 && x.list.Check(v.froze) != nil {
		return no("the list is not of block %d", x.frozen)
	}
	v.machine, err = machine.Load(v.genesis.Core, hash, x.head, x.rows, x.list, v.index)
	if err != nil {
		return no("%w", err)
	}
	if !sameNodes(x.after(x.head.Height), v.machine.Registry().Validators()) || !sameNodes(x.after(0), v.genesis.Sealers) {
		return no("the validators are not those of the state, or of genesis")
	}
	return v.changes()
}

// changes holds the validators at each change against the certificates of the last
// height before it and of the first behind it, as far back as evidence reaches.
func (v *restoring) changes() error {
	reach := machine.Reach(v.machine.Core().Params)
	for i, t := range v.file.sets {
		if i == 0 || v.file.head.Time-v.times[t.at-1] > reach {
			continue
		}
		for h, nodes := range map[chain.Height][]chain.NodeID{t.at + 1: v.file.sets[i-1].nodes, t.at + 2: t.nodes} {
			if h > v.file.head.Height+1 {
				continue // of the state itself
			}
			set, err := cometbft.SetOf(nodes)
			if err != nil {
				return fmt.Errorf("%w: the validators of height %d: %w", ErrStateFile, h, err)
			}
			c, err := v.certified(h)
			if err != nil {
				return err
			}
			if c.Header.ValidatorsHash != set.Hash() {
				return fmt.Errorf("%w: the validators of height %d are others", ErrStateFile, h)
			}
		}
	}
	return nil
}

// restore replaces all that the database holds by a verified state.
func (s *store) restore(v *restoring, file io.Reader) error {
	x, sealed := v.file, v.sealed
	b := new(leveldb.Batch)
	b.Put(key(keyMeta, []byte(keyRestoring)), nil)
	if err := s.write(b); err != nil {
		return err
	}
	if err := s.clear(); err != nil {
		return err
	}
	b.Reset()
	size := 0
	more := func(n int) error {
		if size += n; size < restoreStep {
			return nil
		}
		size = 0
		defer b.Reset()
		return s.write(b)
	}
	_, err := readState(file, v.first, v.genesis.Hash(), func(h chain.Header) error {
		if h.Height == sealed.Header.Height {
			putHeader(b, sealed, true)
		} else {
			putHeader(b, chain.SealedHeader{Header: h}, false)
		}
		return errors.Join(more(512), v.ctx.Err())
	})
	if err != nil {
		return err
	}
	if x.frozen > 0 {
		b.Put(key(keyList, u64(uint64(x.list.Epoch))), append(u64(uint64(x.frozen)), x.list.Encode()...))
	}
	for i, part := range x.rows {
		for _, r := range part {
			b.Put(key(keyRow, []byte{byte(i)}, r.Key), r.Value)
			if err := more(len(r.Key) + len(r.Value)); err != nil {
				return err
			}
		}
	}
	encoded, err := json.Marshal(v.genesis)
	if err != nil {
		return err
	}
	if err := s.write(b); err != nil {
		return err
	}
	// From here on it is a ledger.
	b.Reset()
	height, hash := sealed.Header.Height, sealed.Header.Hash()
	b.Put(key(keyMeta, []byte("genesis")), encoded)
	b.Put(key(keyMeta, []byte("head")), append(u64(uint64(height)), hash[:]...))
	putFirst(b, height+1)
	for _, t := range x.sets {
		putValidators(b, t.at, t.nodes)
	}
	b.Delete(key(keyMeta, []byte(keyRestoring)))
	if err := s.write(b); err != nil {
		return err
	}
	s.first, s.oldest = height+1, 0
	return nil
}

// clear deletes everything but that a restore is under way.
func (s *store) clear() error {
	it := s.db.NewIterator(&util.Range{}, nil)
	defer it.Release()
	b := new(leveldb.Batch)
	for it.Next() {
		if string(it.Key()) == string(key(keyMeta, []byte(keyRestoring))) {
			continue
		}
		b.Delete(append([]byte(nil), it.Key()...))
		if b.Len() == 1<<14 {
			if err := s.write(b); err != nil {
				return err
			}
			b.Reset()
		}
	}
	if err := it.Error(); err != nil {
		return dbError("empty database", err)
	}
	return s.write(b)
}

// unfinished empties a database in which a restore did not end.
func (s *store) unfinished() (bool, error) {
	has, err := s.db.Has(key(keyMeta, []byte(keyRestoring)), nil)
	if err != nil || !has {
		return false, err
	}
	if err := s.clear(); err != nil {
		return true, err
	}
	b := new(leveldb.Batch)
	b.Delete(key(keyMeta, []byte(keyRestoring)))
	return true, s.write(b)
}
