package relay

import (
	"sync"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/registry/directory"
	"tunic/registry/probe"
)

// Shared is what relays of one process need not work out each for itself: what
// follows from lists, beacons, parameters and statements alone. Each relay goes by
// its own lists and blocks all the same, and asks with these; what one believes
// is nothing to another. A nil Shared keeps nothing. Safe for concurrent use.
type Shared struct {
	nets        memo[netKey, *probe.Net]
	voters      memo[votersKey, *voters]
	commitments memo[spokenKey, *statement.Commitment]
}

// How much of each a Shared keeps: that of a few epochs, and of a large network's
// commitments those that are on their way to its relays now.
const (
	sharedNets        = 8
	sharedVoters      = 8
	sharedCommitments = 1024
)

// NewShared makes one for any number of relays.
func NewShared() *Shared { return &Shared{} }

type netKey struct {
	genesis, root, before, beacon, params chain.Hash
	epoch                                 chain.Epoch
}

// net is probe.NewNet.
func (s *Shared) net(core *genesis.Core, params *genesis.Params, gen chain.Hash, list *directory.List, before, seed chain.Hash) *probe.Net {
	if s == nil {
		return probe.NewNet(core, params, gen, list, before, seed)
	}
	k := netKey{gen, list.Root(), before, seed, chain.SHA256(params.Encode()), list.Epoch}
	return s.nets.get(k, sharedNets, func() *probe.Net { return probe.NewNet(core, params, gen, list, before, seed) })
}

type votersKey struct {
	root, seed chain.Hash
	size       int
}

// voters are those of a list, by subject, as far as somebody asked.
type voters struct {
	mu sync.Mutex
	of map[chain.NodeID][]chain.NodeID
}

// votersOn is list.Voters for many subjects of one epoch.
func (s *Shared) votersOn(list *directory.List, seed chain.Hash, size int) func(subject chain.NodeID) []chain.NodeID {
	if s == nil {
		return func(subject chain.NodeID) []chain.NodeID { return list.Voters(seed, subject, size) }
	}
	v := s.voters.get(votersKey{list.Root(), seed, size}, sharedVoters, func() *voters {
		return &voters{of: make(map[chain.NodeID][]chain.NodeID, len(list.Entries))}
	})
	return func(subject chain.NodeID) []chain.NodeID {
		v.mu.Lock()
		defer v.mu.Unlock()
		found, ok := v.of[subject]
		if !ok {
			found = list.Voters(seed, subject, size)
			v.of[subject] = found
		}
		return found
	}
}

// spokenKey is an encoded statement by the place where its bytes are, which nobody
// changes: relays whose feeds read a block once get the same ones. The key keeps
// them there.
type spokenKey struct {
	domain statement.Domain
	first  *byte
	length int
}

// commitment is the commitment that st makes, nil for what is none or is not
// signed in the domain. encoded is st's encoding. It is shared: nobody changes it.
func (s *Shared) commitment(d statement.Domain, st statement.Statement, encoded []byte, known *statement.Verified) *statement.Commitment {
	read := func() *statement.Commitment {
		c, err := statement.DecodeCommitment(st.Body)
		if err != nil || known.Statement(d, st) != nil {
			return nil
		}
		return &c
	}
	if s == nil || len(encoded) == 0 {
		return read()
	}
	return s.commitments.get(spokenKey{d, &encoded[0], len(encoded)}, sharedCommitments, read)
}

// memo keeps the newest results of a function, each made once. The zero value is
// ready.
type memo[K comparable, V any] struct {
	mu    sync.Mutex
	kept  map[K]*made[V]
	order []K // of kept, oldest first
}

type made[V any] struct {
	once sync.Once
	v    V
}

// get is what make gives for k, which is asked once while k is among the newest
// of that many.
func (m *memo[K, V]) get(k K, most int, make func() V) V {
	m.mu.Lock()
	x := m.kept[k]
	if x == nil {
		x = &made[V]{}
		if m.kept == nil {
			m.kept = map[K]*made[V]{}
		}
		m.kept[k] = x
		if m.order = append(m.order, k); len(m.order) > most {
			delete(m.kept, m.order[0])
			m.order = m.order[1:]
		}
	}
	m.mu.Unlock()
	x.once.Do(func() { x.v = make() })
	return x.v
}
