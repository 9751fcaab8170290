package feed

import (
	"bytes"
	"context"
	"slices"
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
	order  []listKey     // of lists, oldest first
	blocks []*parsedData // the newest, oldest first
}

// parsedData is an event and the bytes that it was parsed from.
type parsedData struct {
	data []byte
	parsed
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
	return &Shared{seals: seals, lists: map[listKey]*shelf{}}
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
	if e, ok := s.parsed(data); ok {
		return e, nil
	}
	e, err := parseBlock(data)
	if err != nil {
		return parsed{}, err
	}
	if _, ok := s.parsed(data); ok {
		return e, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.blocks) == sharedBlocks {
		s.blocks = slices.Delete(s.blocks, 0, 1)
	}
	s.blocks = append(s.blocks, &parsedData{bytes.Clone(data), e})
	return e, nil
}

// parsed finds an event by its bytes: nearly all that are compared differ in
// length, or in their first few.
func (s *Shared) parsed(data []byte) (parsed, bool) {
	var kept [sharedBlocks]*parsedData
	s.mu.Lock()
	n := copy(kept[:], s.blocks)
	s.mu.Unlock()
	for _, k := range slices.Backward(kept[:n]) {
		if bytes.Equal(k.data, data) {
			return k.parsed, true
		}
	}
	return parsed{}, false
}
