package comet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/types"

	"tunic/chain"
	"tunic/chain/cometbft"
	"tunic/internal/wire"
	"tunic/ledger"
	"tunic/ledger/machine"
)

// snapshots are the state files of a ledger as CometBFT sends and receives them:
// docs/spec/cometbft.md, section Snapshots.
type snapshots struct {
	every, keep uint64
	dir         string                                           // for what is being received
	sets        func(chain.Height) (*types.ValidatorSet, error)  // of CometBFT, with the turns of proposers
	trusted     func(chain.Height) (cometbft.Certificate, error) // verified; nil: this validator takes no snapshot

	mu      sync.Mutex
	writing bool
	done    sync.WaitGroup
	stop    context.CancelFunc // of what is being written
	ctx     context.Context

	offered  *ledger.StateFile // that is being received
	incoming *os.File
	senders  map[string]bool
	turns    [2]turns // of the two sets behind the state
}

// turns is whose turn it is to propose: what CometBFT counts for each validator of
// a set, by the order of the set.
type turns []int64

func newSnapshots(cfg Config, dbs *stores) *snapshots {
	states := sm.NewStore(dbs.open["state"], sm.StoreOptions{DiscardABCIResponses: true})
	s := &snapshots{every: cfg.SnapshotEvery, keep: cfg.SnapshotKeep, dir: filepath.Join(cfg.Dir, "data"),
		sets: func(h chain.Height) (*types.ValidatorSet, error) { return states.LoadValidators(int64(h)) }}
	if s.keep == 0 {
		s.keep = 2
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// order is whose turn it is behind the state that was taken.
func (s *snapshots) order() [2]turns {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turns
}

// maxSet bounds the validators of a set.
const maxSet = 1 << 10

// note is the turns of the two sets behind a state.
func (s *snapshots) note(h chain.Height) ([]byte, error) {
	var b []byte
	for _, at := range []chain.Height{h + 1, h + 2} {
		set, err := s.sets(at)
		if err != nil {
			return nil, fmt.Errorf("validators of height %d: %w", at, err)
		}
		b = wire.AppendUint32(b, uint32(set.Size()))
		for _, v := range set.Validators {
			b = wire.AppendUint64(b, uint64(v.ProposerPriority))
		}
	}
	return b, nil
}

func readNote(b []byte) (out [2]turns, err error) {
	r := wire.NewReader(b)
	for i := range out {
		for range r.Count(maxSet, 8) {
			out[i] = append(out[i], int64(r.Uint64()))
		}
	}
	return out, r.Done()
}

// freeze begins a snapshot where one is due. The ledger's head is the one that is
// written; blocks go on meanwhile.
func (a *App) freeze() {
	s := a.snapshots
	head := a.ledger.Head().Header.Height
	if s == nil || s.every == 0 || head < 2 || uint64(head)%s.every != 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing || s.ctx.Err() != nil {
		return
	}
	note, err := s.note(head)
	var write func(context.Context) (ledger.StateFile, error)
	if err == nil {
		write, err = a.ledger.Freeze(note, int(s.keep))
	}
	if err != nil {
		a.log.Error("no snapshot", "height", head, "error", err)
		return
	}
	s.writing = true
	s.done.Go(func() {
		f, err := write(s.ctx)
		s.mu.Lock()
		s.writing = false
		s.mu.Unlock()
		if err != nil {
			a.log.Error("no snapshot", "height", head, "error", err)
			return
		}
		a.log.Info("snapshot", "height", f.Height, "pieces", len(f.Chunks))
	})
}

// end waits for what is being written.
func (s *snapshots) end() {
	if s == nil {
		return
	}
	s.stop()
	s.done.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
}

// forget drops what was received so far; mu is held.
func (s *snapshots) forget() {
	if s.incoming != nil {
		s.incoming.Close()
		os.Remove(s.incoming.Name())
	}
	s.offered, s.incoming, s.senders = nil, nil, nil
}

// ListSnapshots names those that are kept.
func (a *App) ListSnapshots(context.Context, *abci.RequestListSnapshots) (*abci.ResponseListSnapshots, error) {
	all, err := a.ledger.StateFiles()
	if err != nil {
		return nil, err
	}
	out := new(abci.ResponseListSnapshots)
	for _, f := range all {
		hash := f.Hash()
		out.Snapshots = append(out.Snapshots, &abci.Snapshot{Height: uint64(f.Height), Format: ledger.StateFormat, Chunks: uint32(len(f.Chunks)), Hash: hash[:], Metadata: f.Encode()})
	}
	return out, nil
}

// LoadSnapshotChunk reads a piece; an empty answer says that it is not there any more.
func (a *App) LoadSnapshotChunk(_ context.Context, r *abci.RequestLoadSnapshotChunk) (*abci.ResponseLoadSnapshotChunk, error) {
	if r.Format != ledger.StateFormat {
		return &abci.ResponseLoadSnapshotChunk{}, nil
	}
	b, err := a.ledger.StateChunkAt(chain.Height(r.Height), r.Chunk)
	if errors.Is(err, ledger.ErrNotFound) {
		return &abci.ResponseLoadSnapshotChunk{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &abci.ResponseLoadSnapshotChunk{Chunk: b}, nil
}

// OfferSnapshot takes one whose index is what its hash says, and whose header is
// the one that a certificate names.
func (a *App) OfferSnapshot(_ context.Context, r *abci.RequestOfferSnapshot) (*abci.ResponseOfferSnapshot, error) {
	answer := func(x abci.ResponseOfferSnapshot_Result, why string, args ...any) (*abci.ResponseOfferSnapshot, error) {
		if why != "" {
			a.log.Warn("a snapshot is not taken", "why", fmt.Sprintf(why, args...))
		}
		return &abci.ResponseOfferSnapshot{Result: x}, nil
	}
	s := a.snapshots
	switch height, _ := a.ledger.Tip(); {
	case s == nil || s.trusted == nil || r.Snapshot == nil:
		return answer(abci.ResponseOfferSnapshot_ABORT, "this validator takes none")
	case height > 0:
		return answer(abci.ResponseOfferSnapshot_ABORT, "the ledger has blocks already")
	case r.Snapshot.Format != ledger.StateFormat:
		return answer(abci.ResponseOfferSnapshot_REJECT_FORMAT, "form %d", r.Snapshot.Format)
	}
	f, err := ledger.DecodeStateFile(r.Snapshot.Metadata)
	if err != nil {
		return answer(abci.ResponseOfferSnapshot_REJECT_SENDER, "%v", err)
	}
	hash := f.Hash()
	notes, err := readNote(f.Note)
	switch {
	case string(r.Snapshot.Hash) != string(hash[:]) || uint64(f.Height) != r.Snapshot.Height || len(f.Chunks) != int(r.Snapshot.Chunks):
		return answer(abci.ResponseOfferSnapshot_REJECT_SENDER, "its index is another")
	case err != nil || len(notes[0]) == 0 || len(notes[1]) == 0:
		return answer(abci.ResponseOfferSnapshot_REJECT_SENDER, "it does not say whose turn it is to propose")
	case string(r.AppHash) != string(f.Header[:]):
		return answer(abci.ResponseOfferSnapshot_REJECT, "after height %d the state is %x, it is of %s", f.Height, r.AppHash, f.Header)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
	file, err := os.CreateTemp(s.dir, "snapshot-*")
	if err != nil {
		return nil, fmt.Errorf("receive snapshot: %w", err)
	}
	s.offered, s.incoming, s.senders, s.turns = &f, file, map[string]bool{}, notes
	return answer(abci.ResponseOfferSnapshot_ACCEPT, "")
}

// ApplySnapshotChunk takes pieces in whatever order they come. One that is not what
// the index says is asked for again, of another sender. With the last the ledger
// begins from the state, or refuses it whole.
func (a *App) ApplySnapshotChunk(ctx context.Context, r *abci.RequestApplySnapshotChunk) (*abci.ResponseApplySnapshotChunk, error) {
	s := a.snapshots
	if s == nil {
		return &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_ABORT}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.offered == nil {
		return &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_ABORT}, nil
	}
	f := s.offered
	if int(r.Index) >= len(f.Chunks) || chain.SHA256(r.Chunk) != f.Chunks[r.Index] || len(r.Chunk) > ledger.StateChunk {
		a.log.Warn("a piece of a snapshot is not what its index says; it is asked for again", "piece", r.Index)
		return &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_RETRY, RefetchChunks: []uint32{r.Index}, RejectSenders: []string{r.Sender}}, nil
	}
	if _, err := s.incoming.WriteAt(r.Chunk, int64(r.Index)*ledger.StateChunk); err != nil {
		return nil, fmt.Errorf("receive snapshot: %w", err)
	}
	s.senders[r.Sender] = true
	if int(r.Index)+1 < len(f.Chunks) { // CometBFT hands them over in order
		return &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_ACCEPT}, nil
	}
	_, err := s.incoming.Seek(0, io.SeekStart)
	if err == nil {
		err = a.ledger.Restore(ctx, s.incoming, s.trusted)
	}
	senders := s.senders
	s.forget()
	switch {
	case errors.Is(err, ledger.ErrStateFile):
		a.log.Error("a snapshot is forged or damaged, and those who sent it are asked no more", "height", f.Height, "error", err)
		out := &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_REJECT_SNAPSHOT}
		for x := range senders {
			out.RejectSenders = append(out.RejectSenders, x)
		}
		return out, nil
	case err != nil:
		return nil, err
	}
	a.ledger.View(func(m *machine.Machine) {
		for n := range m.Registry().All() {
			a.learn(n.ID)
		}
	})
	return &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_ACCEPT}, nil
}
