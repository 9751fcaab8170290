package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"tunic/chain"
	"tunic/internal/durable"
	"tunic/internal/wire"
	"tunic/ledger/machine"
)

// StateChunk is the size of the pieces in which a state file is sent; the last one
// is shorter.
const StateChunk = 1 << 20

// MaxStateChunks bounds their number.
const MaxStateChunks = 1 << 16

// maxStateNote bounds what goes along with a state file.
const maxStateNote = 1 << 16

// statesFolder holds state files: H.state, and H.index that says what is in it.
const statesFolder = "states"

// StateFile is a state that others may begin from, by the hashes of its pieces.
type StateFile struct {
	Height chain.Height
	Header chain.Hash   // of the block after which it is the state
	Chunks []chain.Hash // SHA-256 of each
	Note   []byte       // what the engine needs beside it
}

// Encode is: version 1 | height 8 | header 32 | count 4, hashes | note 4 + n.
func (f StateFile) Encode() []byte {
	b := append(wire.AppendUint64([]byte{StateFormat}, uint64(f.Height)), f.Header[:]...)
	b = wire.AppendUint32(b, uint32(len(f.Chunks)))
	for _, c := range f.Chunks {
		b = append(b, c[:]...)
	}
	return wire.AppendBytes(b, f.Note)
}

// Hash identifies the file with all that it holds.
func (f StateFile) Hash() chain.Hash { return chain.SHA256(f.Encode()) }

// DecodeStateFile reads what Encode writes.
func DecodeStateFile(b []byte) (StateFile, error) {
	r := wire.NewReader(b)
	var f StateFile
	if v := r.Uint8(); v != StateFormat && r.Err() == nil {
		r.Fail(fmt.Errorf("form %d", v))
	}
	f.Height = chain.Height(r.Uint64())
	r.Copy(f.Header[:])
	for range r.Count(MaxStateChunks, 32) {
		var c chain.Hash
		r.Copy(c[:])
		f.Chunks = append(f.Chunks, c)
	}
	f.Note = slices.Clone(r.Bytes(maxStateNote))
	if len(f.Chunks) == 0 || f.Height < 2 {
		r.Fail(wire.ErrInvalid)
	}
	if err := r.Done(); err != nil {
		return f, fmt.Errorf("%w: index: %w", ErrStateFile, err)
	}
	return f, nil
}

// Freeze begins a state file of the present head, with a note. Blocks go on while
// the function that it returns writes it and deletes all but the newest keep.
func (l *Ledger) Freeze(note []byte, keep int) (write func(context.Context) (StateFile, error), err error) {
	if l.cfg.Dir == "" {
		return nil, fmt.Errorf("%w: a ledger in memory keeps no snapshots", ErrConfig)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.halted != nil {
		return nil, l.halted
	}
	f := StateFile{Height: l.head.Header.Height, Header: l.machine.HeadHash(), Note: slices.Clone(note)}
	if f.Height < 2 {
		return nil, fmt.Errorf("%w: no snapshot below height 2", ErrConfig)
	}
	still, err := l.db.still()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (StateFile, error) {
		defer still.release()
		if err := l.writeStateFile(ctx, still, &f); err != nil {
			return f, fmt.Errorf("write snapshot of height %d: %w", f.Height, err)
		}
		return f, l.dropStateFiles(keep)
	}, nil
}

// before is what the header of the first block follows.
func (l *Ledger) before() (chain.Header, error) {
	m, err := machine.New(l.cfg.Genesis, nil)
	if err != nil {
		return chain.Header{}, err
	}
	h := m.Head()
	h.Committed = true
	return h, nil
}

func (l *Ledger) statePath(h chain.Height, ext string) string {
	return filepath.Join(l.cfg.Dir, statesFolder, strconv.FormatUint(uint64(h), 10)+ext)
}

func (l *Ledger) writeStateFile(ctx context.Context, still *store, f *StateFile) error {
	if err := durable.MkdirAll(filepath.Join(l.cfg.Dir, statesFolder)); err != nil {
		return err
	}
	first, err := l.before()
	if err != nil {
		return err
	}
	path := l.statePath(f.Height, ".state")
	file, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(path + ".part")
	w := &chunker{w: file}
	err = still.writeState(ctx, w, first, f.Height)
	if err == nil {
		f.Chunks, err = w.end()
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".part", path); err != nil {
		return err
	}
	// The index is there when the file is whole.
	return durable.WriteFile(l.statePath(f.Height, ".index"), f.Encode(), 0o600)
}

// chunker hashes what is written in pieces.
type chunker struct {
	w      io.Writer
	buffer []byte
	hashes []chain.Hash
}

func (c *chunker) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		take := min(StateChunk-len(c.buffer), len(p))
		c.buffer, p = append(c.buffer, p[:take]...), p[take:]
		if len(c.buffer) == StateChunk {
			if err := c.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (c *chunker) flush() error {
	if len(c.hashes) == MaxStateChunks {
		return fmt.Errorf("the state has over %d bytes", uint64(MaxStateChunks)*StateChunk)
	}
	c.hashes = append(c.hashes, chain.SHA256(c.buffer))
	_, err := c.w.Write(c.buffer)
	c.buffer = c.buffer[:0]
	return err
}

func (c *chunker) end() ([]chain.Hash, error) {
	if len(c.buffer) > 0 {
		if err := c.flush(); err != nil {
			return nil, err
		}
	}
	return c.hashes, nil
}

// StateFiles are those that are kept, the newest first. One that does not decode is
// left out.
func (l *Ledger) StateFiles() ([]StateFile, error) {
	if l.cfg.Dir == "" {
		return nil, nil
	}
	names, err := filepath.Glob(l.statePath(0, "")[:len(l.statePath(0, ""))-1] + "*.index")
	if err != nil {
		return nil, err
	}
	var out []StateFile
	for _, name := range names {
		b, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // dropped meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("read snapshots: %w", err)
		}
		if f, err := DecodeStateFile(b); err == nil && name == l.statePath(f.Height, ".index") {
			out = append(out, f)
		} else {
			l.log.Warn("a snapshot's index cannot be read", "file", name)
		}
	}
	slices.SortFunc(out, func(a, b StateFile) int { return int(int64(b.Height) - int64(a.Height)) })
	return out, nil
}

// StateChunkAt is a piece of a state file that is kept; ErrNotFound where it is not.
func (l *Ledger) StateChunkAt(h chain.Height, n uint32) ([]byte, error) {
	if l.cfg.Dir == "" {
		return nil, fmt.Errorf("%w: snapshot of height %d", ErrNotFound, h)
	}
	file, err := os.Open(l.statePath(h, ".state"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: snapshot of height %d", ErrNotFound, h)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b := make([]byte, StateChunk)
	read, err := file.ReadAt(b, int64(n)*StateChunk)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if read == 0 {
		return nil, fmt.Errorf("%w: piece %d of the snapshot of height %d", ErrNotFound, n, h)
	}
	return b[:read], nil
}

func (l *Ledger) dropStateFiles(keep int) error {
	all, err := l.StateFiles()
	if err != nil {
		return err
	}
	for _, f := range all[min(len(all), max(keep, 1)):] {
		for _, ext := range []string{".index", ".state"} { // what has no index is no snapshot
			if err := os.Remove(l.statePath(f.Height, ext)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("drop snapshots: %w", err)
			}
		}
	}
	return nil
}
