package merkle_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"tunic/internal/merkle"
)

// Any set of leaves leads to the root with its siblings, and to no root of this
// tree with one changed, missing or too many.
func TestManyLeaves(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for count := 1; count <= 40; count++ {
		leaves := make([]merkle.Hash, count)
		for i := range leaves {
			leaves[i] = merkle.Leaf([]byte{byte(i)})
		}
		var tree merkle.Tree
		tree.Reset(leaves)
		for range 30 {
			at := rng.Perm(count)[:1+rng.IntN(count)]
			slices.Sort(at)
			some := make([]merkle.Hash, len(at))
			for n, i := range at {
				some[n] = leaves[i]
			}
			sib := tree.Siblings(at)
			if got, err := merkle.RootFromLeaves(some, at, count, sib); err != nil || got != tree.Root() {
				t.Fatalf("%v of %d: %v", at, count, err)
			}
			if len(at) == 1 && !slices.Equal(sib, tree.Path(at[0])) {
				t.Fatalf("one leaf of %d has another path", count)
			}
			if _, err := merkle.RootFromLeaves(some, at, count, append(slices.Clone(sib), merkle.Hash{})); !errors.Is(err, merkle.ErrProof) {
				t.Fatal("a sibling too many")
			}
			if len(sib) > 0 {
				if _, err := merkle.RootFromLeaves(some, at, count, sib[1:]); !errors.Is(err, merkle.ErrProof) {
					t.Fatal("a sibling missing")
				}
				bad := slices.Clone(sib)
				bad[rng.IntN(len(bad))][3] ^= 1
				if got, err := merkle.RootFromLeaves(some, at, count, bad); err != nil || got == tree.Root() {
					t.Fatal("another sibling, the same root")
				}
			}
			other := slices.Clone(some)
			other[rng.IntN(len(other))][0] ^= 1
			if got, _ := merkle.RootFromLeaves(other, at, count, sib); got == tree.Root() {
				t.Fatal("another leaf, the same root")
			}
		}
	}
	leaf := []merkle.Hash{{1}, {2}}
	for _, at := range [][]int{{1, 0}, {0, 0}, {0, 2}, {-1, 0}, {0}} {
		if _, err := merkle.RootFromLeaves(leaf, at, 2, nil); !errors.Is(err, merkle.ErrProof) {
			t.Errorf("places %v: %v", at, err)
		}
	}
	if _, err := merkle.RootFromLeaves(nil, nil, 0, nil); !errors.Is(err, merkle.ErrProof) {
		t.Error("of no leaf")
	}
}
