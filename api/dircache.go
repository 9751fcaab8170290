package api

import (
	"errors"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"

	"tunic/api/oas"
	"tunic/chain"
	"tunic/internal/httpx"
	"tunic/internal/wire"
	"tunic/ledger"
	"tunic/ledger/machine"
	"tunic/registry/directory"
)

// Bounds of what is kept: the lists of all epochs in both forms and some
// deltas, or fewer where they are large.
const (
	maxBodies = 4 * ledger.KeptLists
	maxKept   = 256 << 20 // bytes
)

// directories makes the bodies of lists and deltas once: for an epoch, and
// anew when nodes are removed within it. Safe for concurrent use.
type directories struct {
	ledger *ledger.Ledger

	// now is the head's list in each form, as most ask for it: read without mu.
	now [2]atomic.Pointer[current]

	mu     sync.Mutex
	epochs map[chain.Epoch]settled
	bodies map[bodyName]stored
	size   int // bytes in bodies
}

// settled is a list with the header that is served with it.
type settled struct {
	list   *directory.List
	header chain.SealedHeader
	hash   chain.Hash // of the header
	fork   uint32     // of the head when it was found
	past   bool       // its epoch was over: its removals are final
}

// current is the body of a settled list as long as the head's is the same.
type current struct {
	settled
	stored
}

// of reports whether c is still the list of the head's epoch, with all of its
// removals.
func (s *settled) of(head *chain.Header) bool {
	h := &s.header.Header
	return s.fork == head.Fork && h.DirEpoch == head.DirEpoch && h.Directory == head.Directory && len(h.Removals) == len(head.Removals)
}

// bodyName is what a body is made of; the header stands for list and removals.
type bodyName struct {
	header chain.Hash
	form   representation
	delta  bool
	since  chain.Epoch
	base   chain.Hash // root of the list of since
}

func newDirectories(l *ledger.Ledger) *directories {
	return &directories{ledger: l, epochs: map[chain.Epoch]settled{}, bodies: map[bodyName]stored{}}
}

// list is the body of an epoch's list.
func (d *directories) list(e chain.Epoch, form representation) (stored, error) {
	if e == 0 {
		head := d.ledger.Head()
		if c := d.now[form].Load(); c != nil && c.of(&head.Header) {
			return c.stored, nil
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.settle(e)
	if err != nil {
		return stored{}, err
	}
	b, err := d.body(bodyName{header: s.hash, form: form}, func() ([]byte, error) {
		if form == asOctets {
			return append(wire.AppendBytes(nil, s.header.Encode()), s.list.Encode()...), nil
		}
		out := oas.Directory{Epoch: int64(s.list.Epoch), Root: s.list.Root().String(), Count: len(s.list.Entries),
			Header: s.header.Encode(), Entries: make([]oas.DirectoryEntry, len(s.list.Entries))}
		for i := range s.list.Entries {
			out.Entries[i] = entryOf(s.list.Entries[i])
		}
		return httpx.EncodeJSON(out)
	})
	if err == nil && e == 0 {
		d.now[form].Store(&current{s, b})
	}
	return b, err
}

// delta is the body of what changed from one epoch's list to another's.
func (d *directories) delta(since, e chain.Epoch, form representation) (stored, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := d.settle(e)
	if err != nil {
		return stored{}, err
	}
	if since > s.list.Epoch {
		return stored{}, field(codeInvalidRequest, "since", fmt.Sprintf("is after epoch %d", s.list.Epoch))
	}
	// Epoch 0 lists nobody: its delta is the whole list.
	from := machine.EmptyList()
	if since > 0 {
		if from, _, err = d.ledger.List(since); err != nil {
			return stored{}, explainList(since, err)
		}
	}
	name := bodyName{header: s.hash, form: form, delta: true, since: since, base: from.Root()}
	return d.body(name, func() ([]byte, error) {
		if form == asJSON {
			return deltaAsJSON(from, s.list, s.header)
		}
		return append(wire.AppendBytes(nil, s.header.Encode()), directory.Diff(from, s.list).Encode()...), nil
	})
}

// settle finds an epoch's list and the header that is served with it: the
// first of the epoch, or the first that has all of its removals. So the pair
// changes only with the list or the removals, on every server alike.
func (d *directories) settle(e chain.Epoch) (settled, error) {
	head := d.ledger.Head().Header
	if head.Height == 0 {
		return settled{}, errNoHead()
	}
	if e == 0 {
		e = head.DirEpoch
	}
	if s, ok := d.epochs[e]; ok && s.fork == head.Fork && e+ledger.KeptLists > head.DirEpoch {
		if s.past || s.of(&head) {
			return s, nil
		}
	}
	l, _, err := d.ledger.List(e)
	if err != nil {
		return settled{}, explainList(e, err)
	}
	s := settled{list: l, fork: head.Fork, past: e < head.DirEpoch}
	last := head
	if s.past {
		after, err := d.firstKnown(head.Height, func(h chain.Header) bool { return h.DirEpoch > e })
		if err == nil {
			last, err = d.ledger.KnownHeader(after.Height - 1)
		}
		if err != nil {
			return s, err
		}
	}
	// Of the epoch's last fork: who knows of a revert refuses headers of before.
	s.header, err = d.first(last.Height, func(h chain.Header) bool {
		return h.DirEpoch == e && len(h.Removals) >= len(last.Removals) && h.Fork == last.Fork
	})
	if err != nil {
		return s, err
	}
	s.hash = s.header.Header.Hash()
	if err := l.Check(s.header.Header); err != nil {
		return s, fmt.Errorf("list of epoch %d: %w", e, err)
	}
	for old := range d.epochs {
		if old+ledger.KeptLists <= head.DirEpoch || old > head.DirEpoch {
			delete(d.epochs, old)
		}
	}
	d.epochs[l.Epoch] = s
	return s, nil
}

// first is the first sealed header up to height for which want holds, which must
// then hold for all later ones: epochs and the removals within one only grow.
func (d *directories) first(height chain.Height, want func(chain.Header) bool) (chain.SealedHeader, error) {
	h, err := d.firstKnown(height, want)
	if err != nil {
		return chain.SealedHeader{}, err
	}
	// One whose block is here too, if there is any: whoever follows from it on asks
	// for what it published.
	return d.ledger.Header(max(h.Height, min(d.ledger.First(), height)))
}

// firstKnown is first, be the header of a block that is kept or not.
func (d *directories) firstKnown(height chain.Height, want func(chain.Header) bool) (chain.Header, error) {
	var failed error
	i := sort.Search(int(height), func(i int) bool {
		h, err := d.ledger.KnownHeader(chain.Height(i + 1))
		if err != nil {
			failed = err
			return true
		}
		return want(h)
	})
	if failed != nil {
		return chain.Header{}, failed
	}
	if chain.Height(i) == height {
		return chain.Header{}, errors.New("no header answers the description")
	}
	return d.ledger.KnownHeader(chain.Height(i + 1))
}

// body returns the body of this name, made by make if it is not kept.
func (d *directories) body(name bodyName, make func() ([]byte, error)) (stored, error) {
	if b, ok := d.bodies[name]; ok {
		return b, nil
	}
	body, err := make()
	if err != nil {
		return stored{}, err
	}
	b := store(name.form.mediaType(), body)
	size := len(b.plain.bytes) + len(b.gzip.bytes)
	if len(d.bodies) >= maxBodies || d.size+size > maxKept {
		clear(d.bodies)
		d.size = 0
	}
	d.bodies[name] = b
	d.size += size
	return b, nil
}
