// Package durable writes small files so that they survive a crash: keys,
// network files, checkpoints: everything that is kept outside the database.
//
// Most callers want [WriteFile], which replaces a file as a whole, [WriteFrom],
// which does so piece by piece, and [CreateFile], which never replaces one (keys). A daemon takes [Lock] on its
// folder first, then calls [Sweep].
//
// After a return without error the bytes are on stable storage as far as the
// kernel, the file system and the disk keep their word about fsync: a disk that
// acknowledges from a volatile cache, or a network file system, can still lose
// them. A crash in the middle leaves the old content or the new, never a mix.
// Nothing here protects against bit rot: content that matters carries its own
// hash or seal.
//
// Whoever opens a LevelDB with strict checks calls [TrimJournals] first: it takes
// away what a crash or a full disk left of a write that never returned well.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrTooLarge means that a file is longer than its reader's bound.
var ErrTooLarge = errors.New("durable: file over bound")

// tempMark stands in every temporary file's name, so that Sweep knows them and
// no other file.
const tempMark = ".tunic-tmp-"

// WriteFile replaces the file at path by data, or creates it with permissions
// perm. Readers, also after a crash at any point, see the whole old file or the
// whole new one.
//
// The steps, and what would be lost without each: a temporary file in the same
// folder (rename is atomic only within one file system); fchmod (the umask and
// an older file's permissions do not decide who reads a key); write; fsync of
// the file (a rename can otherwise reach the disk before the bytes, and leave
// an empty file); rename; fsync of the folder (the rename itself is an entry of
// the folder).
//
// If only the last step fails, the new content stands but may not survive a
// crash, and the error is returned. Two writers at once do not mix: one of them
// wins.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return writer{}.write(path, bytesOf(data), perm, os.Rename)
}

// WriteFrom is WriteFile of what content writes, piece by piece, for files too
// large for memory. Where content returns an error the old file stays, and the
// error is returned.
func WriteFrom(path string, perm fs.FileMode, content func(io.Writer) error) error {
	return writer{}.write(path, content, perm, os.Rename)
}

func bytesOf(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

// CreateFile is WriteFile for files that must never be overwritten, such as
// keys: if path exists, whatever it is, it is left alone and the error is
// fs.ErrExist. It links the finished temporary file to its name in place of the
// rename, because link(2) refuses an existing name and rename(2) does not.
func CreateFile(path string, data []byte, perm fs.FileMode) error {
	return writer{}.write(path, bytesOf(data), perm, func(temp, path string) error {
		if err := os.Link(temp, path); err != nil {
			return err
		}
		// A crash here leaves a second name for the same file, which Sweep
		// removes.
		return os.Remove(temp)
	})
}

// ReadFile returns the content of the file at path, or ErrTooLarge if it is
// longer than limit bytes. No more than limit+1 bytes are ever read.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read file: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read file %s: %w (%d bytes)", path, ErrTooLarge, limit)
	}
	return data, nil
}

// MkdirAll creates path and its missing parents, readable by the owner alone,
// and syncs the parent of every folder it made. Folders that exist keep their
// permissions.
func MkdirAll(path string) error {
	path = filepath.Clean(path)
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("make folder: %w", &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR})
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("make folder: %w", err)
	}
	parent := filepath.Dir(path)
	if err := MkdirAll(parent); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder: %w", err)
	}
	return SyncDir(parent)
}

// Sweep removes from dir what writers that died left behind. Call it while
// holding Lock: a writer at work in dir would lose its temporary file, and its
// WriteFile fail.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sweep folder: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") || !strings.Contains(e.Name(), tempMark) || !e.Type().IsRegular() {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("sweep folder: %w", err)
		}
	}
	return nil
}

// SyncDir makes what was created, renamed or removed in dir survive a crash.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// A step is a point at which a write can be cut off.
type step string

const (
	stepTemp   step = "temp"
	stepChmod  step = "chmod"
	stepWrite  step = "write"
	stepSync   step = "sync"
	stepRename step = "rename"
)

// A writer runs the steps of WriteFile. Tests stop it after a step as a crash
// would; the zero writer never stops.
type writer struct {
	after func(step) error
}

func (w writer) reached(s step) error {
	if w.after == nil {
		return nil
	}
	return w.after(s)
}

// errCrash makes a writer leave its temporary file where it is.
var errCrash = errors.New("durable: crash")

func (w writer) write(path string, content func(io.Writer) error, perm fs.FileMode, place func(temp, path string) error) (err error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	f, err := os.CreateTemp(dir, "."+base+tempMark+"*")
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	placed := false
	defer func() {
		f.Close() // a second Close is harmless
		if err != nil {
			if !placed && !errors.Is(err, errCrash) {
				os.Remove(f.Name())
			}
			err = fmt.Errorf("write file %s: %w", path, err)
		}
	}()
	if err := w.reached(stepTemp); err != nil {
		return err
	}
	if err := f.Chmod(perm); err != nil {
		return err
	}
	if err := w.reached(stepChmod); err != nil {
		return err
	}
	if err := content(f); err != nil {
		return err
	}
	if err := w.reached(stepWrite); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := w.reached(stepSync); err != nil {
		return err
	}
	if err := place(f.Name(), path); err != nil {
		return err
	}
	placed = true
	if err := w.reached(stepRename); err != nil {
		return err
	}
	return SyncDir(dir)
}
