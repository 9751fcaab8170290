package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/syndtr/goleveldb/leveldb/util"

	"tunic/chain"
	"tunic/internal/wire"
)

// Bounds of the controls of dev networks.
const (
	MaxSnapshots    = 16
	MaxSnapshotName = 64
	MaxMine         = 10_000 // blocks of one Mine
)

// Snapshot is a named moment to which Revert goes back, as often as one likes.
type Snapshot struct {
	Name   string
	Height chain.Height // of the head then; 0 before the first block
	Hash   chain.Hash   // of that header; the genesis hash at height 0
	Time   chain.Time   // of the clock
}

// keySnapshot begins a snapshot's name in the database: m snapshot/NAME holds
// height 8 | header hash 32 | time 8.
const keySnapshot = "snapshot/"

// controlled refuses controls outside dev networks and without a sealer's key.
func (l *Ledger) controlled() error {
	switch {
	case !l.core.Dev:
		return fmt.Errorf("%w: genesis does not say dev: true", ErrNotDev)
	case l.cfg.SealerKey == nil:
		return ErrNoSealer
	}
	return nil
}

func snapshotName(name string) error {
	ok := name != "" && len(name) <= MaxSnapshotName && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", c)
	})
	if !ok {
		return fmt.Errorf("%w: a name is 1 to %d letters, digits, dots, dashes or underlines", ErrSnapshot, MaxSnapshotName)
	}
	return nil
}

// Snapshot notes the head and the clock under a name, on stable storage. It
// copies nothing: Revert replays the blocks. ErrSnapshot for a name in use and
// beyond MaxSnapshots.
func (l *Ledger) Snapshot(name string) (Snapshot, error) {
	if err := l.controlled(); err != nil {
		return Snapshot{}, err
	}
	if err := snapshotName(name); err != nil {
		return Snapshot{}, err
	}
	l.sealing.Lock()
	defer l.sealing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.halted != nil {
		return Snapshot{}, l.halted
	}
	all, err := l.db.snapshots()
	switch {
	case err != nil:
		return Snapshot{}, err
	case slices.ContainsFunc(all, func(s Snapshot) bool { return s.Name == name }):
		return Snapshot{}, fmt.Errorf("%w: %s exists; drop it first", ErrSnapshot, name)
	case len(all) >= MaxSnapshots:
		return Snapshot{}, fmt.Errorf("%w: there are %d, drop one first", ErrSnapshot, len(all))
	}
	h := l.head.Header
	s := Snapshot{Name: name, Height: h.Height, Hash: l.machine.HeadHash(), Time: max(l.clock.Now(), h.Time)}
	if err := l.db.putSnapshot(s); err != nil {
		return s, l.halt(err)
	}
	return s, nil
}

// Snapshots are those that can be reverted to, by name.
func (l *Ledger) Snapshots() ([]Snapshot, error) {
	if err := l.controlled(); err != nil {
		return nil, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.db.snapshots()
}

// DropSnapshot forgets one; ErrNotFound where there is none of this name.
func (l *Ledger) DropSnapshot(name string) error {
	if err := l.controlled(); err != nil {
		return err
	}
	l.sealing.Lock()
	defer l.sealing.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.halted != nil {
		return l.halted
	}
	if _, err := l.db.snapshot(name); err != nil {
		return err
	}
	if err := l.db.dropSnapshot(name); err != nil {
		return l.halt(err)
	}
	return nil
}

// Mine seals n blocks at the present time, and calls the barrier after each.
func (l *Ledger) Mine(ctx context.Context, n int) (chain.SealedHeader, error) {
	if err := l.controlled(); err != nil {
		return chain.SealedHeader{}, err
	}
	if n < 1 || n > MaxMine {
		return chain.SealedHeader{}, fmt.Errorf("%w: 1 to %d blocks at once", ErrConfig, MaxMine)
	}
	l.driving.Lock()
	defer l.driving.Unlock()
	defer l.nudge()
	var s chain.SealedHeader
	for range n {
		var err error
		if s, err = l.seal(ctx); err != nil {
			return s, err
		}
		if err := l.awaitBarrier(ctx, s); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *store) putSnapshot(x Snapshot) error {
	v := wire.AppendUint64(append(u64(uint64(x.Height)), x.Hash[:]...), uint64(x.Time))
	if err := s.db.Put(key(keyMeta, []byte(keySnapshot+x.Name)), v, synced); err != nil {
		return dbError("write snapshot", err)
	}
	return nil
}

func (s *store) dropSnapshot(name string) error {
	if err := s.db.Delete(key(keyMeta, []byte(keySnapshot+name)), synced); err != nil {
		return dbError("drop snapshot", err)
	}
	return nil
}

func (s *store) snapshot(name string) (Snapshot, error) {
	if snapshotName(name) != nil {
		return Snapshot{}, fmt.Errorf("snapshot %q: %w", name, ErrNotFound)
	}
	v, err := s.get("snapshot "+name, key(keyMeta, []byte(keySnapshot+name)))
	if err != nil {
		return Snapshot{}, err
	}
	return readSnapshot(name, v)
}

func readSnapshot(name string, v []byte) (Snapshot, error) {
	r := wire.NewReader(v)
	x := Snapshot{Name: name, Height: chain.Height(r.Uint64())}
	r.Copy(x.Hash[:])
	x.Time = chain.Time(r.Uint64())
	if err := errors.Join(r.Done(), snapshotName(name)); err != nil {
		return x, corrupt("snapshot %q: %v", name, err)
	}
	return x, nil
}

func (s *store) snapshots() ([]Snapshot, error) {
	prefix := key(keyMeta, []byte(keySnapshot))
	it := s.db.NewIterator(util.BytesPrefix(prefix), nil)
	defer it.Release()
	out := []Snapshot{}
	for it.Next() {
		x, err := readSnapshot(string(it.Key()[len(prefix):]), it.Value())
		if err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	if err := it.Error(); err != nil {
		return nil, dbError("read snapshots", err)
	}
	return out, nil
}
