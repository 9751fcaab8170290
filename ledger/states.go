package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/ledger/machine"
)

// How many former states a ledger keeps: Config.KeepStates.
const (
	DefaultKeepStates = 1024
	MaxKeepStates     = 65_536
)

// readyStates is how many former states stay in memory once they were read.
const readyStates = 4

// states are the former states that were read last, built and ready.
type states struct {
	building chan struct{} // holds one token while a state is built: one at a time

	mu    sync.Mutex
	ready []*machine.Machine // the one read last first; at most readyStates
}

func (s *states) init() { s.building = make(chan struct{}, 1) }

// get is the state after the block with this header hash, if it is ready.
func (s *states) get(hash chain.Hash) *machine.Machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.ready, func(m *machine.Machine) bool { return m.HeadHash() == hash })
	if i < 0 {
		return nil
	}
	m := s.ready[i]
	copy(s.ready[1:i+1], s.ready[:i])
	s.ready[0] = m
	return m
}

func (s *states) put(m *machine.Machine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = slices.Insert(s.ready, 0, m)
	if len(s.ready) > readyStates {
		clear(s.ready[readyStates:])
		s.ready = s.ready[:readyStates]
	}
}

// ViewAt reads the state after block h, one of the last Config.KeepStates or
// the head; 0 is the state before the first block, which is always there. The
// rules of View hold. ErrNotFound above the head; ErrNotKept below KeptFrom.
//
// A former state is built from the head's rows and what undoes each block since,
// and held against its header's state root: see docs/spec/state.md for what
// that costs. The last few that were read stay ready. While another one is built
// it waits, at most until ctx ends.
func (l *Ledger) ViewAt(ctx context.Context, h chain.Height, f func(*machine.Machine)) error {
	var built *machine.Machine
	for {
		seen, err := l.viewReady(h, built, f)
		if seen || err != nil {
			return err
		}
		if built, err = l.build(ctx, h); err != nil {
			return err
		}
	}
}

// viewReady is ViewAt of a state that is in memory: the head's, a ready one, or
// built, if that is still the one of h. Otherwise seen is false.
func (l *Ledger) viewReady(h chain.Height, built *machine.Machine, f func(*machine.Machine)) (seen bool, err error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if h == l.head.Header.Height {
		f(l.machine)
		return true, nil
	}
	hash, err := l.hashAt(h)
	if err != nil {
		return false, err
	}
	m := built
	if m == nil || m.HeadHash() != hash {
		if m = l.states.get(hash); m == nil {
			return false, nil
		}
	}
	f(m)
	return true, nil
}

// hashAt is the header hash of a height whose state is kept; mu is held.
func (l *Ledger) hashAt(h chain.Height) (chain.Hash, error) {
	if h == 0 {
		return l.domain, nil
	}
	if err := l.within(h); err != nil {
		return chain.Hash{}, err
	}
	if from := l.keptFrom(); h < from {
		return chain.Hash{}, fmt.Errorf("%w: the state after block %d; those from height %d on are", ErrNotKept, h, from)
	}
	b, err := l.db.header(h)
	return b.Header.Hash(), err
}

// KeptFrom is the lowest height from which on ViewAt finds every state up to
// the head's.
func (l *Ledger) KeptFrom() chain.Height {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.keptFrom()
}

func (l *Ledger) keptFrom() chain.Height { return l.db.keptFrom(l.head.Header.Height) }

// build makes the state after block h ready, unless somebody else just has.
func (l *Ledger) build(ctx context.Context, h chain.Height) (*machine.Machine, error) {
	select {
	case l.states.building <- struct{}{}:
		defer func() { <-l.states.building }()
	case <-ctx.Done():
		return nil, fmt.Errorf("read the state after block %d: %w", h, ctx.Err())
	}
	// Blocks go on while a state is built: it is read from a database that
	// stands still.
	l.mu.RLock()
	head := l.head.Header.Height
	hash, err := l.hashAt(h)
	var m *machine.Machine
	var still *store
	if err == nil {
		if m = l.states.get(hash); m == nil {
			still, err = l.db.still()
		}
	}
	l.mu.RUnlock()
	if err != nil || m != nil {
		return m, err
	}
	defer still.release()
	if m, err = former(still, l.cfg.Genesis, h, head, upTo{l.db, h}); err != nil {
		return nil, fmt.Errorf("read the state after block %d: %w", h, err)
	}
	l.states.put(m)
	return m, nil
}

// former makes the machine of h out of a database whose head is above it.
func former(db *store, g genesis.Genesis, h, head chain.Height, index machine.HeaderIndex) (*machine.Machine, error) {
	if h == 0 {
		return machine.New(g, index)
	}
	at, err := db.header(h)
	if err != nil {
		return nil, err
	}
	rows, err := db.rows()
	if err != nil {
		return nil, err
	}
	var s state
	for i, part := range rows {
		s[i] = make(map[string][]byte, len(part))
		for _, r := range part {
			s[i][string(r.Key)] = r.Value
		}
	}
	for ; head > h; head-- {
		record, err := db.undo(head)
		if err != nil {
			return nil, err
		}
		if err := s.undo(record); err != nil {
			return nil, corrupt("what undoes block %d: %v", head, err)
		}
	}
	return assemble(db, g, at.Header, s.rows(), index)
}

// upTo is the header index of a former state: it knows no later block.
type upTo struct {
	machine.HeaderIndex
	last chain.Height
}

// HeaderHash implements machine.HeaderIndex.
func (x upTo) HeaderHash(h chain.Height) (chain.Hash, bool) {
	if h > x.last {
		return chain.Hash{}, false
	}
	return x.HeaderIndex.HeaderHash(h)
}

// ValidatorsAfter implements machine.HeaderIndex.
func (x upTo) ValidatorsAfter(h chain.Height) ([]chain.NodeID, bool) {
	if h > x.last {
		return nil, false
	}
	return x.HeaderIndex.ValidatorsAfter(h)
}
