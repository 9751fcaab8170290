package probe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"tunic/chain"
	"tunic/chain/statement"
	"tunic/internal/merkle"
	"tunic/onion"
)

// ErrOpening means that an opening does not show what it claims.
var ErrOpening = errors.New("probe: opening does not fit its commitment")

// value is what stands for a tag in a tree.
type value [statement.TagSize]byte

func valueOf(salt *[32]byte, tag *[statement.TagSize]byte) value {
	h := chain.SHA256([]byte("tunic probe tag"), salt[:], tag[:])
	return value(h[:statement.TagSize])
}

// Tree is a node's commitment to the tags that it accepted for one epoch's
// list. It keeps 16 bytes a leaf and makes the hashes anew to open it.
type Tree struct {
	depth  uint8
	salt   [32]byte
	values []value // 2^depth, ascending
	root   chain.Hash
}

// NewTree commits to tags, as many as a tree of MaxTreeDepth holds. The tree is
// of the depth least or as much deeper as the tags need. It reads the salt and
// 16 bytes for each leaf without a tag from rand.
func NewTree(rand io.Reader, tags []onion.Tag, least uint8) (*Tree, error) {
	t := new(Tree)
	tags = tags[:min(len(tags), 1<<statement.MaxTreeDepth)]
	t.depth = max(1, least, uint8(bits.Len(uint(max(len(tags), 1)-1))))
	if _, err := io.ReadFull(rand, t.salt[:]); err != nil {
		return nil, fmt.Errorf("draw salt: %w", err)
	}
	t.values = make([]value, 1<<t.depth)
	for i := range tags {
		t.values[i] = valueOf(&t.salt, (*[statement.TagSize]byte)(&tags[i]))
	}
	fill := make([]byte, statement.TagSize*(len(t.values)-len(tags)))
	if _, err := io.ReadFull(rand, fill); err != nil {
		return nil, fmt.Errorf("draw fillers: %w", err)
	}
	for i := range t.values[len(tags):] {
		copy(t.values[len(tags)+i][:], fill[statement.TagSize*i:])
	}
	slices.SortFunc(t.values, func(a, b value) int { return bytes.Compare(a[:], b[:]) })
	tree := t.tree()
	t.root = tree.Root()
	return t, nil
}

func (t *Tree) tree() *merkle.Tree {
	leaves := make([]merkle.Hash, len(t.values))
	for i := range t.values {
		leaves[i] = merkle.Leaf(t.values[i][:])
	}
	tree := new(merkle.Tree)
	tree.Reset(leaves)
	return tree
}

// Depth and Root are what is published.
func (t *Tree) Depth() uint8     { return t.depth }
func (t *Tree) Root() chain.Hash { return t.root }

// Layer is one layer of a revealed probe.
type Layer struct {
	Prober uint32 // place in the list
	Probe  uint32
	Layer  uint8
	Tag    [statement.TagSize]byte
}

// Open shows those of the layers whose tags are in the tree, as many as fit
// into an opening of room bytes; nil where that is none.
func (t *Tree) Open(layers []Layer, room int) *statement.Opening {
	o := &statement.Opening{Salt: t.salt}
	for _, l := range layers {
		v := valueOf(&t.salt, &l.Tag)
		at, ok := slices.BinarySearchFunc(t.values, v, func(a, b value) int { return bytes.Compare(a[:], b[:]) })
		if ok && len(o.Opened) < statement.MaxOpened {
			o.Opened = append(o.Opened, statement.Opened{Prober: l.Prober, Probe: l.Probe, Layer: l.Layer, Place: uint32(at)})
		}
	}
	slices.SortFunc(o.Opened, func(a, b statement.Opened) int { return int(a.Place) - int(b.Place) })
	// Two reveals may name one tag: one of them lies.
	o.Opened = slices.CompactFunc(o.Opened, func(a, b statement.Opened) bool { return a.Place == b.Place })
	tree := t.tree()
	for ; len(o.Opened) > 0; o.Opened = o.Opened[:len(o.Opened)-1] {
		at := make([]int, len(o.Opened))
		for i := range at {
			at[i] = int(o.Opened[i].Place)
		}
		path := tree.MultiPath(at)
		if 32+4+13*len(o.Opened)+4+32*len(path) > room {
			continue
		}
		for _, h := range path {
			o.Siblings = append(o.Siblings, h)
		}
		return o
	}
	return nil
}

// verifyOpening checks that the values of o stand where it says in the tree of
// that root and depth; tag names the tag of what is opened, false where there
// is no such layer.
func verifyOpening(root chain.Hash, depth uint8, o *statement.Opening, tag func(statement.Opened) (*[statement.TagSize]byte, bool)) error {
	if depth == 0 {
		return ErrOpening
	}
	leaves, at := make([]merkle.Hash, len(o.Opened)), make([]int, len(o.Opened))
	for i, x := range o.Opened {
		named, ok := tag(x)
		if !ok {
			return ErrOpening
		}
		v := valueOf(&o.Salt, named)
		leaves[i], at[i] = merkle.Leaf(v[:]), int(x.Place)
	}
	path := make([]merkle.Hash, len(o.Siblings))
	for i := range path {
		path[i] = o.Siblings[i]
	}
	got, err := merkle.RootFromMultiPath(leaves, at, 1<<depth, path)
	if err != nil || got != root {
		return ErrOpening
	}
	return nil
}
