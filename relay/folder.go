package relay

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tunic/internal/durable"
)

const (
	bootFile    = "boot"
	bootIDPath  = "/proc/sys/kernel/random/boot_id"
	MailFolder  = "mailbox" // the mailboxes
	proofFolder = "proofs"
)

// folder is the claimed state folder. Its boot file says under which boot of
// the machine the relay last ran and whether it stopped cleanly:
//
//	<boot id> running        after a start
//	<boot id> clean          after a stop that synced the replay tags
type folder struct {
	dir     string // "" where there is none
	boot    string
	crashed bool // the machine crashed while the relay ran: tags may be lost
	unlock  func()
}

// claimFolder takes the folder, unless its caller holds the lock already.
func claimFolder(dir, boot string, locked bool) (*folder, error) {
	f := &folder{dir: dir, boot: boot, unlock: func() {}}
	if dir == "" {
		return f, nil
	}
	if err := durable.MkdirAll(dir); err != nil {
		return nil, err
	}
	if !locked {
		unlock, err := durable.Lock(dir)
		if err != nil {
			return nil, err
		}
		f.unlock = unlock
	}
	if err := f.start(); err != nil {
		f.unlock()
		return nil, err
	}
	return f, nil
}

func (f *folder) start() error {
	if err := durable.Sweep(f.dir); err != nil {
		return err
	}
	if f.boot == "" {
		b, err := os.ReadFile(bootIDPath)
		if err == nil {
			f.boot = strings.TrimSpace(string(b))
		}
	}
	b, err := durable.ReadFile(filepath.Join(f.dir, bootFile), 1024)
	switch {
	case err == nil:
		// An unknown boot id is taken for a changed one.
		id, state, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
		f.crashed = state != "clean" && (f.boot == "" || id != f.boot)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read boot file: %w", err)
	}
	return nil
}

// mark writes the boot file.
func (f *folder) mark(state string) error {
	if f.dir == "" {
		return nil
	}
	id := f.boot
	if id == "" {
		id = "unknown"
	}
	return durable.WriteFile(filepath.Join(f.dir, bootFile), []byte(id+" "+state+"\n"), 0o600)
}
