package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// ErrLocked means that another holder, in this process or another, has the
// folder. The message names the holder's process id and what to do.
var ErrLocked = errors.New("folder in use")

// LockName is the name of the lock file within a locked folder.
const LockName = "LOCK"

// Lock claims dir, which must exist, for the caller until unlock is called or
// the process ends in whatever way: the kernel releases the lock with the file
// descriptor, so that a crash leaves nothing to clean up, and the file itself
// means nothing. It holds the owner's process id for people and for the error
// message. Calling unlock again does nothing.
//
// The lock binds those who ask for it, on one machine; a folder on a network
// file system may not be protected. The lock file is never removed: removing
// it would let two holders lock two files of one name.
func Lock(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, LockName)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock folder: %w", err)
	}
	if err := flock(f); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, lockedError(dir, f)
		}
		return nil, fmt.Errorf("lock folder %s: %w", dir, err)
	}
	// The process id is a courtesy: if the disk is full, the lock still holds.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return sync.OnceFunc(func() {
		_ = f.Truncate(0)
		f.Close()
	}), nil
}

func flock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func lockedError(dir string, f *os.File) error {
	var b [32]byte
	n, _ := f.ReadAt(b[:], 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	switch {
	case err != nil || pid <= 0:
		return fmt.Errorf("lock folder %s: %w by another process; stop it first or name another folder", dir, ErrLocked)
	case pid == os.Getpid():
		return fmt.Errorf("lock folder %s: %w by this same process (pid %d); give each node a folder of its own", dir, ErrLocked, pid)
	default:
		return fmt.Errorf("lock folder %s: %w by process %d; stop it first (kill %d) or name another folder", dir, ErrLocked, pid, pid)
	}
}
