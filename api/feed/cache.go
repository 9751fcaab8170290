package feed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"tunic/chain"
	"tunic/internal/durable"
	"tunic/internal/wire"
	"tunic/ledger/light"
	"tunic/registry/directory"
)

// CacheFile is the name, within Config.Dir, of the newest list and its header,
// in the bytes of the API's answer.
const CacheFile = "directory.cache"

// save writes the newest list in memory with its header, if the file does not
// hold them. A failure costs a fetch at the next start.
func (f *Feed) save() {
	if f.cfg.Dir == "" {
		return
	}
	f.saving.Lock()
	defer f.saving.Unlock()
	f.mu.Lock()
	var l *directory.List
	for e, c := range f.lists {
		if l == nil || e > l.Epoch {
			l = c
		}
	}
	var h chain.SealedHeader
	if l != nil {
		h = f.verifier.Trusted(f.heads[l.Epoch]) // with who decided it: the next run begins there
	}
	f.mu.Unlock()
	hash := h.Header.Hash()
	if l == nil || hash == f.saved {
		return
	}
	err := durable.MkdirAll(f.cfg.Dir)
	if err == nil {
		b := append(wire.AppendBytes(nil, h.Encode()), l.Encode()...)
		err = durable.WriteFile(filepath.Join(f.cfg.Dir, CacheFile), b, 0o600)
	}
	if err != nil {
		f.log.Warn("directory not kept on disk", "error", err)
		return
	}
	f.saved = hash
}

// restore reads what stop and save kept. The list goes through the same
// verification as a server's answer, so that a damaged file is as good as none.
// Its header is what makes an older one from a server old.
func (f *Feed) restore() error {
	if f.cfg.Dir == "" {
		return nil
	}
	if err := f.restoreConflict(); err != nil {
		return err
	}
	b, err := durable.ReadFile(filepath.Join(f.cfg.Dir, CacheFile), maxList+maxHeader+4)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = f.restoreList(b)
	}
	if err != nil {
		f.log.Warn("directory on disk is not used; it is fetched again", "error", err)
	}
	return nil
}

// restoreList verifies everything before it keeps anything: a header whose list
// is damaged is not gone by either.
func (f *Feed) restoreList(b []byte) error {
	r := bytes.NewReader(b)
	h, err := readHeader(r)
	if err != nil {
		return err
	}
	rest, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	l, err := directory.Decode(rest)
	if err != nil {
		return err
	}
	if err := l.Check(h.Header); err != nil {
		return err
	}
	if err := f.known(h); err != nil {
		return err
	}
	f.keep(l, h)
	f.saved = h.Header.Hash()
	return nil
}

// known accepts the header of our own last run. Where validators commit headers,
// it begins there: the sets stand behind it, and only we have written them. By its age it may be past use,
// which is for fresh to say: it still tells what is older.
func (f *Feed) known(h chain.SealedHeader) error {
	if err := f.forkable(h.Header); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.cfg.Now()
	if err := f.verifier.Resume(h, now); err != nil {
		return err
	}
	h = light.Bare(h)
	if err := f.verifier.Accept(h, now, f.realClock()); err != nil {
		return err
	}
	f.heads[h.Header.DirEpoch] = h
	return nil
}

// restoreConflict fails where the evidence of two heads stands: a restart makes
// nothing good.
func (f *Feed) restoreConflict() error {
	path := filepath.Join(f.cfg.Dir, ConflictFile)
	b, err := durable.ReadFile(path, 4*maxHeader)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read two heads: %w", err)
	}
	two, err := ParseConflict(b, f.cfg.Network)
	if err != nil && !errors.Is(err, light.ErrValidators) { // who they were this network file does not tell; this folder's last owner knew
		f.log.Warn("file of two heads is not used", "file", path, "error", err)
		return nil
	}
	return fmt.Errorf("halted before, see %s; move the file away to begin again: %w", path, two)
}
