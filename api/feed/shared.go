package feed

import (
	"context"
	"sync"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/registry/directory"
)

// Bounds of what a Shared keeps.
const (
	sharedLists  = 16
	sharedBlocks = 16
)

// Shared is what the feeds of one process, each the eyes of another node, need
// not do each for itself: a seal is verified once, a list that a verified header
// names is fetched once, and an event is parsed once. Each feed goes by its own
// headers all the same: what one believes of the ledger is nothing to another.
// Safe for concurrent use.
type Shared struct {
	seals *statement.Verified

	mu     sync.Mutex
	lists  map[listKey]*shelf
	order  []listKey // of lists, oldest first
	blocks map[chain.Hash]parsed
	recent []chain.Hash // of blocks, oldest first
}

// listKey is what a header says of its list.
type listKey struct {
	epoch chain.Epoch
	root  chain.Hash
	count uint32
}

// shelf is where a list is put once somebody has it. Who holds busy may read
// and set list.
type shelf struct {
	busy chan struct{}
	list *directory.List
}

// NewShared makes one for any number of feeds. It remembers in seals.
func NewShared(seals *statement.Verified) *Shared {
	return &Shared{seals: seals, lists: map[listKey]*shelf{}, blocks: map[chain.Hash]parsed{}}
}

// list gives the list that h names, or the one turn to fetch it: put must then
// be called, with nil where that failed, and others wait for it.
func (s *Shared) list(ctx context.Context, h chain.Header) (l *directory.List, put func(*directory.List), err error) {
	k := listKey{h.DirEpoch, h.Directory, h.DirCount}
	s.mu.Lock()
	at := s.lists[k]
	if at == nil {
		at = &shelf{busy: make(chan struct{}, 1)}
		s.lists[k] = at
		if s.order = append(s.order, k); len(s.order) > sharedLists {
			delete(s.lists, s.order[0])
			s.order = s.order[1:]
		}
	}
	s.mu.Unlock()
	select {
	case at.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	if at.list != nil {
		defer func() { <-at.busy }()
		return at.list, nil, nil
	}
	return nil, func(l *directory.List) {
		at.list = l
		<-at.busy
	}, nil
}

// block is parseBlock of what was not parsed before.
func (s *Shared) block(data []byte) (parsed, error) {
	k := chain.SHA256(data)
	s.mu.Lock()
	e, ok := s.blocks[k]
	s.mu.Unlock()
	if ok {
		return e, nil
	}
	e, err := parseBlock(data)
	if err != nil {
		return parsed{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.blocks[k]; !ok {
		s.blocks[k] = e
		if s.recent = append(s.recent, k); len(s.recent) > sharedBlocks {
			delete(s.blocks, s.recent[0])
			s.recent = s.recent[1:]
		}
	}
	return e, nil
}
