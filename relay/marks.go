package relay

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/durable"
	"tunic/internal/wire"
)

const marksFile = "marks"

// maxMarks bounds the marks kept: those of the newest forks.
const maxMarks = 4096

// errMark means that a sequence in the asked epoch would not be above the mark.
var errMark = errors.New("relay: a later epoch was signed already")

type markKey struct {
	fork  uint32
	label statement.Label
}

// marksAhead is how many sequences above one that is signed are marked with it: the
// next few then need no write. What a stop leaves of them is a gap, which is legal.
const marksAhead = 16

// markedTogether are what a relay signs in each epoch. Who marks one for an epoch
// marks both, in one write.
var markedTogether = [...]statement.Label{statement.LabelHeartbeat, statement.LabelCommitment}

// marks are the highest sequences signed, per fork and label, of one genesis.
// On disk is that or more before a signature exists. They guard against a relay's
// own mistakes; against a restored backup the rule of epochs does
// (docs/spec/relay.md).
type marks struct {
	dir     string // "" keeps them in memory
	genesis chain.Hash
	high    map[markKey]statement.Sequence
	kept    map[markKey]statement.Sequence // on disk: at least high
}

func loadMarks(dir string, genesis chain.Hash) (*marks, error) {
	m := &marks{dir: dir, genesis: genesis, high: make(map[markKey]statement.Sequence), kept: make(map[markKey]statement.Sequence)}
	if dir == "" {
		return m, nil
	}
	b, err := durable.ReadFile(filepath.Join(dir, marksFile), 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load marks: %w", err)
	}
	r := wire.NewReader(b)
	var of chain.Hash
	version := r.Uint8()
	r.Copy(of[:])
	for range r.Count(maxMarks, 13) {
		k := markKey{r.Uint32(), statement.Label(r.Uint8())}
		m.high[k] = statement.Sequence(r.Uint64())
		m.kept[k] = m.high[k]
	}
	if err := r.Done(); err != nil || version != 1 {
		return nil, fmt.Errorf("%w: %s: version %d: %v", ErrKeyFile, marksFile, version, err)
	}
	if of != genesis {
		return nil, fmt.Errorf("%w: %s belongs to the network of genesis %s; use one folder for each network", ErrKeyFile, marksFile, of)
	}
	return m, nil
}

// next reserves the next sequence in epoch, at least skip above the mark where
// that is of the same epoch, and returns when the mark is durable.
func (m *marks) next(fork uint32, l statement.Label, epoch chain.Epoch, skip uint32) (statement.Sequence, error) {
	k := markKey{fork, l}
	high, any := m.high[k]
	seq := statement.NewSequence(epoch, 0)
	if any && high >= seq {
		seq = high + 1
	}
	seq += statement.Sequence(skip)
	if seq.Epoch() != epoch {
		return 0, fmt.Errorf("%w: %s %d", errMark, l, epoch)
	}
	return seq, m.raise(fork, l, seq)
}

// left is how many counters of an epoch are above the mark.
func (m *marks) left(k markKey, epoch chain.Epoch) uint32 {
	first, end := statement.NewSequence(epoch, 0), statement.NewSequence(epoch+1, 0)
	if high, any := m.high[k]; any && high >= first {
		return uint32(end - min(high+1, end))
	}
	return uint32(end - first)
}

// raise notes a sequence that is known to be signed.
func (m *marks) raise(fork uint32, l statement.Label, seq statement.Sequence) error {
	k := markKey{fork, l}
	if high, any := m.high[k]; any && high >= seq {
		return nil
	}
	m.high[k] = seq
	if kept, any := m.kept[k]; m.dir == "" || any && kept >= seq {
		return nil
	}
	kept := maps.Clone(m.kept)
	kept[k] = ahead(seq)
	if slices.Contains(markedTogether[:], l) {
		for _, l := range markedTogether {
			k, from := markKey{fork, l}, statement.NewSequence(seq.Epoch(), 0)
			kept[k] = max(kept[k], ahead(max(from, m.high[k])))
		}
	}
	if err := m.save(kept); err != nil {
		return fmt.Errorf("save marks: %w", err)
	}
	m.kept = kept
	return nil
}

// ahead is the mark that is set for seq, of the same epoch.
func ahead(seq statement.Sequence) statement.Sequence {
	return min(seq+marksAhead, statement.NewSequence(seq.Epoch()+1, 0)-1)
}

func (m *marks) save(kept map[markKey]statement.Sequence) error {
	keys := make([]markKey, 0, len(kept))
	for k := range kept {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b markKey) int {
		return cmp.Or(cmp.Compare(b.fork, a.fork), cmp.Compare(a.label, b.label))
	})
	keys = keys[:min(len(keys), maxMarks)]
	b := append([]byte{1}, m.genesis[:]...)
	b = wire.AppendUint32(b, uint32(len(keys)))
	for _, k := range keys {
		b = wire.AppendUint32(b, k.fork)
		b = append(b, byte(k.label))
		b = wire.AppendUint64(b, uint64(kept[k]))
	}
	return durable.WriteFile(filepath.Join(m.dir, marksFile), b, 0o600)
}
