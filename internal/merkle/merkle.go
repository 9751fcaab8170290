// Package merkle is the RFC 6962 binary Merkle tree over SHA-256: roots,
// inclusion paths, and a flat tree that is updated in place. Every root in a
// header is one of these. It implements docs/spec/encoding.md, section Trees.
//
// A tree's root does not say how many leaves it has: whoever commits to a root
// commits to the count beside it.
package merkle

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"math/bits"
	"slices"
)

// Hash is a SHA-256 digest.
type Hash = [32]byte

// MaxPath is the longest inclusion path that a tree of 2^32 leaves can have.
const MaxPath = 32

// ErrProof means that a path does not lead from the leaf to the root.
var ErrProof = errors.New("merkle: path does not lead to the root")

// Leaf is the hash of one leaf: SHA-256(0x00 || data).
func Leaf(data []byte) Hash {
	var b [512]byte // most leaves: neither copy nor digest leave the stack
	if len(data) < len(b) {
		return sha256.Sum256(b[:1+copy(b[1:], data)])
	}
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(data)
	return Hash(h.Sum(nil))
}

// node is the hash of an interior node: SHA-256(0x01 || left || right).
func node(l, r *Hash) Hash {
	var b [65]byte
	b[0] = 1
	copy(b[1:], l[:])
	copy(b[33:], r[:])
	return sha256.Sum256(b[:])
}

// Empty is the root of a tree without leaves: SHA-256 of nothing (RFC 6962, 2.1).
func Empty() Hash { return sha256.Sum256(nil) }

// Root is the root over leaf hashes; leaves is not changed.
func Root(leaves []Hash) Hash {
	var t Tree
	t.Reset(leaves)
	return t.Root()
}

// RootOf is the root over n leaf hashes, which leaf gives one after the other. It
// keeps no more of them than the path from the last one upwards.
func RootOf(n int, leaf func(i int) Hash) Hash {
	if n <= 0 {
		return Empty()
	}
	var left [64]Hash // roots of whole subtrees, the largest first
	top := 0
	for i := range n {
		h := leaf(i)
		for size := i; size&1 == 1; size >>= 1 {
			top--
			h = node(&left[top], &h)
		}
		left[top] = h
		top++
	}
	h := left[top-1]
	for top--; top > 0; top-- {
		h = node(&left[top-1], &h)
	}
	return h
}

// Tree keeps all levels of a tree flat in memory, 64 bytes a leaf. The zero
// value is an empty tree. Not safe for concurrent use.
//
// Level k+1 holds the parents of level k; a last node without sibling is
// carried up unchanged, which is RFC 6962's split at the largest power of two.
type Tree struct {
	levels [][]Hash
}

// Len is the number of leaves.
func (t *Tree) Len() int {
	if len(t.levels) == 0 {
		return 0
	}
	return len(t.levels[0])
}

// Reset makes t the tree over leaves, which it copies.
func (t *Tree) Reset(leaves []Hash) {
	if len(leaves) == 0 {
		t.levels = nil
		return
	}
	need := bits.Len(uint(len(leaves)-1)) + 1
	for len(t.levels) < need {
		t.levels = append(t.levels, nil)
	}
	t.levels = t.levels[:need]
	t.levels[0] = append(t.levels[0][:0], leaves...)
	for k := 1; k < need; k++ {
		below := t.levels[k-1]
		row := slices.Grow(t.levels[k][:0], (len(below)+1)/2)
		for i := 0; i+1 < len(below); i += 2 {
			row = append(row, node(&below[i], &below[i+1]))
		}
		if len(below)%2 == 1 {
			row = append(row, below[len(below)-1])
		}
		t.levels[k] = row
	}
}

// Set replaces leaf i, which must exist, and the nodes above it.
func (t *Tree) Set(i int, leaf Hash) {
	t.levels[0][i] = leaf
	for k := 1; k < len(t.levels); k++ {
		i /= 2
		t.lift(k, i)
	}
}

// SetMany replaces the leaves at the ascending positions at by what leaf says
// and computes each node above them once.
func (t *Tree) SetMany(at []int, leaf func(n int) Hash) {
	for n, i := range at {
		t.levels[0][i] = leaf(n)
	}
	rows := append([]int(nil), at...)
	for k := 1; k < len(t.levels); k++ {
		out := rows[:0]
		last := -1
		for _, i := range rows {
			if p := i / 2; p != last {
				t.lift(k, p)
				out = append(out, p)
				last = p
			}
		}
		rows = out
	}
}

func (t *Tree) lift(k, i int) {
	below := t.levels[k-1]
	if 2*i+1 < len(below) {
		t.levels[k][i] = node(&below[2*i], &below[2*i+1])
	} else {
		t.levels[k][i] = below[2*i]
	}
}

// Root is the tree's root; Empty for no leaves.
func (t *Tree) Root() Hash {
	if len(t.levels) == 0 {
		return Empty()
	}
	return t.levels[len(t.levels)-1][0]
}

// Path is the inclusion path of leaf i, which must exist, bottom up.
func (t *Tree) Path(i int) []Hash {
	var p []Hash
	for _, row := range t.levels {
		if sib := i ^ 1; sib < len(row) {
			p = append(p, row[sib])
		}
		i /= 2
	}
	return p
}

// RootFromPath is the root that a path leads to from the leaf hash at index of
// count leaves; ErrProof if the path has the wrong length for that place.
func RootFromPath(leaf Hash, index, count uint64, path []Hash) (Hash, error) {
	if index >= count {
		return Hash{}, ErrProof
	}
	h := leaf
	for last := count - 1; last > 0; index, last = index/2, last/2 {
		if index == last && index%2 == 0 {
			continue // carried up
		}
		if len(path) == 0 {
			return Hash{}, ErrProof
		}
		if index%2 == 1 {
			h = node(&path[0], &h)
		} else {
			h = node(&h, &path[0])
		}
		path = path[1:]
	}
	if len(path) != 0 {
		return Hash{}, ErrProof
	}
	return h, nil
}

// Verify checks that the leaf hash stands at index of count leaves under root.
func Verify(root, leaf Hash, index, count uint64, path []Hash) error {
	got, err := RootFromPath(leaf, index, count, path)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(got[:], root[:]) != 1 {
		return ErrProof
	}
	return nil
}

// Leaf is the hash of leaf i, which must exist.
func (t *Tree) Leaf(i int) Hash { return t.levels[0][i] }
