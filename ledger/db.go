package ledger

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/syndtr/goleveldb/leveldb"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/durable"
	"tunic/ledger/machine"
)

// maxLine bounds a line of an export.
const maxLine = 4 * (machine.MaxBlockBytes + chain.MaxBlockTxs*4 + 1<<16)

// DBReport is what a look at a database found.
type DBReport struct {
	Genesis chain.Hash   `json:"genesis"`
	Height  chain.Height `json:"height"`
	Epoch   chain.Epoch  `json:"epoch"`
	Head    chain.Hash   `json:"head"`
	State   chain.Hash   `json:"state"`
	Txs     uint64       `json:"txs"`
}

func openExisting(dir string) (*store, genesis.Genesis, error) {
	if dir == "" {
		return nil, genesis.Genesis{}, fmt.Errorf("%w: no folder", ErrConfig)
	}
	if _, err := os.Stat(filepath.Join(dir, dbFolder)); err != nil {
		return nil, genesis.Genesis{}, fmt.Errorf("%w: no database in %s", ErrNotFound, dir)
	}
	db, err := openStore(dir)
	if err != nil {
		return nil, genesis.Genesis{}, err
	}
	g, err := db.genesis()
	if err != nil {
		db.close()
		return nil, g, err
	}
	return db, g, nil
}

// Repair rebuilds the database's catalogue from the tables that are readable,
// drops what is not, cuts the chain after the last block that follows from
// genesis, and rebuilds all state by replay. It reports where the chain ends
// now. Blocks that were cut may be known elsewhere: a sealer that goes on from
// here would seal their heights again, so import them from another copy first.
func Repair(ctx context.Context, dir string) (DBReport, error) {
	r, err := repair(ctx, dir)
	if err != nil {
		return r, fmt.Errorf("repair database: %w", err)
	}
	return r, nil
}

func repair(ctx context.Context, dir string) (DBReport, error) {
	path := filepath.Join(dir, dbFolder)
	if _, err := os.Stat(path); err != nil {
		return DBReport{}, fmt.Errorf("%w: no database in %s", ErrNotFound, dir)
	}
	if err := recoverTables(dir, path); err != nil {
		return DBReport{}, err
	}
	old, g, err := openExisting(dir)
	if err != nil {
		return DBReport{}, err
	}
	if old.first > 1 {
		return DBReport{}, errors.Join(fmt.Errorf("%w: it begins at height %d, and cannot be replayed from genesis; remove it and begin from a snapshot or from a copy", ErrPruned, old.first), old.close())
	}
	// The good blocks go into a new database, which then takes the old one's place.
	fresh := dir + ".repaired"
	if err := os.RemoveAll(fresh); err != nil {
		old.close()
		return DBReport{}, err
	}
	r, err := rewrite(ctx, old, g, fresh)
	if err = errors.Join(err, old.close()); err != nil {
		return r, err
	}
	kept := filepath.Join(dir, dbFolder+".damaged")
	if err := os.RemoveAll(kept); err != nil {
		return r, err
	}
	if err := os.Rename(path, kept); err != nil {
		return r, err
	}
	if err := os.Rename(filepath.Join(fresh, dbFolder), path); err != nil {
		return r, err
	}
	return r, errors.Join(durable.SyncDir(dir), os.RemoveAll(fresh))
}

func recoverTables(dir, path string) error {
	unlock, err := durable.Lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	o := options
	o.Strict = 0 // take what can be read; every block is verified below
	db, err := leveldb.RecoverFile(path, &o)
	if err != nil {
		return err
	}
	return db.Close()
}

// rewrite replays the blocks of old, as far as they follow, into a new folder.
func rewrite(ctx context.Context, old *store, g genesis.Genesis, dir string) (DBReport, error) {
	l, err := Open(ctx, Config{Dir: dir, Genesis: g, Clock: fixed(g)})
	if err != nil {
		return DBReport{}, err
	}
	defer l.Close()
	var r DBReport
	_, err = l.Import(ctx, func(yield func([]byte, error) bool) {
		for h := chain.Height(1); ; h++ {
			b, err := old.block(h)
			if err != nil || !yield(b.Encode(), nil) {
				return // the first block that is not there ends the chain
			}
		}
	})
	if err != nil && !errors.Is(err, ErrBlock) {
		return r, err
	}
	return l.report(), l.Close()
}

// fixed is a clock for ledgers that only import.
func fixed(g genesis.Genesis) *Clock {
	if g.Clock == genesis.ClockLedger {
		return NewDrivenClock(g.Time)
	}
	return NewRealClock()
}

func (l *Ledger) report() DBReport {
	h := l.Head().Header
	r := DBReport{Genesis: l.domain, Height: h.Height, Epoch: h.DirEpoch, State: h.State}
	if h.Height > 0 {
		r.Head = h.Hash()
	}
	return r
}

// line is one line of an export: the genesis in the first, then a block each;
// of a dump, then a transaction each.
type line struct {
	Genesis *genesis.Genesis `json:"genesis,omitempty"`
	Dump    *dumpHead        `json:"dump,omitempty"`
	Height  chain.Height     `json:"height,omitempty"`
	Block   string           `json:"block,omitempty"` // base64 of the canonical encoding
	Waiting string           `json:"waiting,omitempty"`
}

// Export writes the genesis and all blocks as lines of JSON. Where the database
// is damaged it writes the blocks before the damage and returns the error.
func Export(ctx context.Context, dir string, w io.Writer) (chain.Height, error) {
	db, g, err := openExisting(dir)
	if err != nil {
		return 0, fmt.Errorf("export database: %w", err)
	}
	defer db.close()
	head, _, err := db.head()
	if err != nil {
		return 0, fmt.Errorf("export database: %w", err)
	}
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	if db.first > 1 {
		return 0, fmt.Errorf("export database: %w: it begins at height %d; export a copy that has all blocks", ErrPruned, db.first)
	}
	if err := enc.Encode(line{Genesis: &g}); err != nil {
		return 0, fmt.Errorf("export database: %w", err)
	}
	for h := chain.Height(1); h <= head; h++ {
		b, err := db.block(h)
		if err == nil {
			err = enc.Encode(line{Height: h, Block: base64.StdEncoding.EncodeToString(b.Encode())})
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return h - 1, fmt.Errorf("export database: %w", errors.Join(err, out.Flush()))
		}
	}
	return head, out.Flush()
}

// ImportFile makes a new database in dir from what Export wrote, verifying and
// replaying every block.
func ImportFile(ctx context.Context, dir string, r io.Reader) (DBReport, error) {
	report, _, _, _, err := importLines(ctx, dir, r)
	return report, err
}

// importLines is ImportFile for exports and dumps; of a dump it also gives what
// stands beside the blocks.
func importLines(ctx context.Context, dir string, r io.Reader) (report DBReport, g genesis.Genesis, dump *dumpHead, waiting [][]byte, err error) {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 1<<16), maxLine)
	read := func() (l line, ok bool, err error) {
		if !in.Scan() {
			return l, false, in.Err()
		}
		d := json.NewDecoder(bytes.NewReader(in.Bytes()))
		d.DisallowUnknownFields()
		if err = d.Decode(&l); err == nil && d.InputOffset() != int64(len(in.Bytes())) {
			err = errors.New("bytes after the line's object")
		}
		return l, true, err
	}
	first, ok, err := read()
	if err != nil || !ok || first.Genesis == nil || first.Height != 0 || first.Block != "" || first.Waiting != "" {
		return report, g, nil, nil, fmt.Errorf("%w: the first line is not a genesis", errors.Join(ErrBlock, err))
	}
	g, dump = *first.Genesis, first.Dump
	if _, err := os.Stat(filepath.Join(dir, dbFolder)); err == nil {
		return report, g, nil, nil, fmt.Errorf("%w: %s holds a database", ErrConfig, dir)
	}
	l, err := Open(ctx, Config{Dir: dir, Genesis: g, Clock: fixed(g)})
	if err != nil {
		return report, g, nil, nil, err
	}
	defer l.Close()
	var blocks iter.Seq2[[]byte, error] = func(yield func([]byte, error) bool) {
		for h := chain.Height(1); ; {
			x, ok, err := read()
			if !ok && err == nil {
				return
			}
			text, behind := x.Block, x.Waiting != ""
			switch {
			case err != nil:
			case x.Genesis != nil || x.Dump != nil || behind && (dump == nil || x.Block != "" || x.Height != 0):
				err = errors.New("a line of another kind than was to come")
			case behind:
				text = x.Waiting
			case x.Height != h || len(waiting) > 0:
				err = fmt.Errorf("a line of height %d where %d was to come", x.Height, h)
			}
			var b []byte
			if err == nil {
				b, err = decodeLine(text)
			}
			if err == nil && behind && (len(b) > chain.MaxTx || len(waiting) >= dump.Waiting) {
				err = errors.New("more transactions than the dump says, or too long a one")
			}
			if err != nil {
				yield(nil, fmt.Errorf("%w: line %d: %w", ErrBlock, uint64(h)+1+uint64(len(waiting)), err))
				return
			}
			if behind {
				waiting = append(waiting, b)
				continue
			}
			if h++; !yield(b, nil) {
				return
			}
		}
	}
	if _, err := l.Import(ctx, blocks); err != nil {
		return l.report(), g, nil, nil, err
	}
	report = l.report()
	if dump != nil && (report.Height != dump.Height || len(waiting) != dump.Waiting) {
		return report, g, nil, nil, fmt.Errorf("%w: the dump ends early: %d blocks of %d, %d transactions of %d",
			ErrBlock, report.Height, dump.Height, len(waiting), dump.Waiting)
	}
	return report, g, dump, waiting, l.Close()
}
