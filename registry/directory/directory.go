// Package directory is the list of active nodes: its entries and their bytes,
// the frozen list of an epoch and its root, proofs of presence and absence, and
// deltas between epochs. It implements docs/spec/directory.md.
//
// Most callers decode a List with Decode and hold it against a verified header
// with List.Check, or decode a Membership and Verify it; a Filter and Order choose
// what people want to see of a list. Who has no verified header yet begins at
// ledger/light, which takes what a ledger serves. A list is strictly ascending by
// node id; its root and count stand in every header of its epoch. Importable by
// anyone who wants to verify; it does no I/O.
package directory

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/internal/merkle"
	"tunic/internal/wire"
)

// Version is the version byte of the entry and list encodings.
const Version = 1

// minEntry is the size of an entry without endpoint, family and version.
const minEntry = 203

// MaxEntries bounds a list.
const MaxEntries = 1 << 20

var (
	// ErrMalformed means that bytes are not the canonical encoding of an entry or list.
	ErrMalformed = errors.New("directory: malformed")
	// ErrRoot means that a list or entry is not the one that the header commits to.
	ErrRoot = errors.New("directory: does not match the header")
	// ErrEpoch means that a list is of another epoch than the header's.
	ErrEpoch = errors.New("directory: of another epoch")
)

// SwarmID names a swarm; NoSwarm where a node is in none.
type SwarmID uint64

// NoSwarm is the swarm of a node that is in none.
const NoSwarm SwarmID = ^SwarmID(0)

// Key is an onion key in an entry, with the first epoch that names it on packets.
type Key struct {
	First chain.Epoch
	Key   [32]byte
}

// Entry is one node of the list: a stable part, then what the epoch brings.
type Entry struct {
	Node          chain.NodeID
	VRF           [32]byte
	Operator      chain.Address
	Endpoints     []string
	Family        []chain.NodeID // as its descriptor names them; counts where mutual
	Swarm         SwarmID
	PreviousSwarm SwarmID // of the epoch before
	Version       string
	Stake         chain.Amount // bonded, uncapped

	Onion       Key // of this epoch
	OnionNext   Key // of the next epoch; often the same
	Performance chain.Permille
}

// AppendEntry appends e's canonical encoding, node id first.
func AppendEntry(b []byte, e Entry) []byte { return e.append(b) }

func (e *Entry) append(b []byte) []byte {
	b = append(b, e.Node[:]...)
	b = append(b, Version)
	for _, f := range entryFields {
		b = e.appendField(b, f)
	}
	return b
}

// ReadEntry reads what AppendEntry wrote.
func ReadEntry(r *wire.Reader) Entry {
	var e Entry
	e.read(r, new(keeper))
	return e
}

func (e *Entry) read(r *wire.Reader, k *keeper) {
	r.Copy(e.Node[:])
	if v := r.Uint8(); r.Err() == nil && v != Version {
		r.Fail(fmt.Errorf("%w: entry version %d", ErrMalformed, v))
	}
	for _, f := range entryFields {
		e.readField(r, f, k)
	}
}

// Leaf is the hash under which e stands in the list's tree.
func (e Entry) Leaf() merkle.Hash { return merkle.Leaf(AppendEntry(nil, e)) }

// List is the directory of one epoch, strictly ascending by node id. Treat it
// as immutable: the tree is built once.
type List struct {
	Epoch   chain.Epoch
	Entries []Entry
	tree    merkle.Tree
}

// NewList sorts entries by node id and freezes them; ErrMalformed for a
// duplicate or too many.
func NewList(epoch chain.Epoch, entries []Entry) (*List, error) {
	l := &List{Epoch: epoch, Entries: slices.Clone(entries)}
	slices.SortFunc(l.Entries, func(a, b Entry) int { return bytes.Compare(a.Node[:], b.Node[:]) })
	leaves := make([]merkle.Hash, len(entries))
	var enc []byte
	for i := range l.Entries {
		enc = l.Entries[i].append(enc[:0])
		leaves[i] = merkle.Leaf(enc)
	}
	return l, l.freeze(leaves)
}

// freeze builds the tree over the entries' leaves.
func (l *List) freeze(leaves []merkle.Hash) error {
	if len(l.Entries) > MaxEntries {
		return fmt.Errorf("%w: %d entries", ErrMalformed, len(l.Entries))
	}
	for i := 1; i < len(l.Entries); i++ {
		if bytes.Compare(l.Entries[i-1].Node[:], l.Entries[i].Node[:]) >= 0 {
			return fmt.Errorf("%w: entries not strictly ascending", ErrMalformed)
		}
	}
	l.tree.Reset(leaves)
	return nil
}

// hashed reports whether the tree is built: it is of all lists but those that
// were put together by hand.
func (l *List) hashed() bool { return l.tree.Len() == len(l.Entries) }

// Encode is the canonical encoding: version, epoch, count, entries.
func (l *List) Encode() []byte {
	b := make([]byte, 0, 13+(minEntry+64)*len(l.Entries))
	b = append(b, Version)
	b = wire.AppendUint64(b, uint64(l.Epoch))
	b = wire.AppendUint32(b, uint32(len(l.Entries)))
	for i := range l.Entries {
		b = l.Entries[i].append(b)
	}
	return b
}

// Decode reads a list and builds its tree; hold it against a header with Check.
func Decode(b []byte) (*List, error) {
	r := wire.NewReader(b)
	if v := r.Uint8(); r.Err() == nil && v != Version {
		return nil, fmt.Errorf("%w: list version %d", ErrMalformed, v)
	}
	l := &List{Epoch: chain.Epoch(r.Uint64())}
	n := r.Count(MaxEntries, minEntry)
	l.Entries = make([]Entry, n)
	leaves := make([]merkle.Hash, n)
	k := newKeeper(n)
	for i := range l.Entries {
		at := len(b) - r.Len()
		l.Entries[i].read(r, k)
		if r.Err() != nil {
			break
		}
		// One entry has one encoding: these bytes are it.
		leaves[i] = merkle.Leaf(b[at : len(b)-r.Len()])
	}
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return l, l.freeze(leaves)
}

// Root is the RFC 6962 root over the entries.
func (l *List) Root() chain.Hash { return l.tree.Root() }

// Check holds the list against a verified header: epoch, count and root.
func (l *List) Check(h chain.Header) error {
	if l.Epoch != h.DirEpoch {
		return fmt.Errorf("%w: list of epoch %d, header of %d", ErrEpoch, l.Epoch, h.DirEpoch)
	}
	if uint32(len(l.Entries)) != h.DirCount || l.Root() != h.Directory {
		return ErrRoot
	}
	return nil
}

// Index is where id stands, and whether it does.
func (l *List) Index(id chain.NodeID) (int, bool) {
	return slices.BinarySearchFunc(l.Entries, id, func(e Entry, id chain.NodeID) int { return bytes.Compare(e.Node[:], id[:]) })
}

// Find returns the entry of id.
func (l *List) Find(id chain.NodeID) (Entry, bool) {
	if i, ok := l.Index(id); ok {
		return l.Entries[i], true
	}
	return Entry{}, false
}
