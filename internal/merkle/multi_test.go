package merkle

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tunic/internal/testenv"
)

func numbered(n int) []Hash {
	out := make([]Hash, n)
	for i := range out {
		out[i] = Leaf(binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	return out
}

// TestMultiPath: for any leaves of any tree the common path leads to the root
// that each leaf's own path leads to, is no longer than these together, and
// nothing of it can be changed, left out or added.
func TestMultiPath(t *testing.T) {
	testenv.Check(t, func(t *rapid.T) {
		count := rapid.IntRange(1, 70).Draw(t, "count")
		all := numbered(count)
		var tree Tree
		tree.Reset(all)
		at := rapid.SliceOfNDistinct(rapid.IntRange(0, count-1), 1, min(count, 12), rapid.ID[int]).Draw(t, "at")
		slices.Sort(at)
		var leaves []Hash
		var places []int
		single := 0
		for _, i := range at {
			leaves, places = append(leaves, all[i]), append(places, int(i))
			path := tree.Path(i)
			single += len(path)
			if err := Verify(tree.Root(), all[i], uint64(i), uint64(count), path); err != nil {
				t.Fatal(err)
			}
		}
		path := tree.MultiPath(at)
		if len(path) > single || len(at) == 1 && !slices.Equal(path, tree.Path(at[0])) {
			t.Fatalf("a path of %d for what needs at most %d", len(path), single)
		}
		root, err := RootFromMultiPath(leaves, places, count, path)
		if err != nil || root != tree.Root() {
			t.Fatalf("%x, %v; want %x", root, err, tree.Root())
		}
		wrong := func(what string, leaves []Hash, places []int, path []Hash) {
			if root, err := RootFromMultiPath(leaves, places, count, path); err == nil && root == tree.Root() {
				t.Fatalf("%s leads to the root", what)
			}
		}
		wrong("a longer path", leaves, places, append(slices.Clone(path), Hash{}))
		if len(path) > 0 {
			wrong("a shorter path", leaves, places, path[:len(path)-1])
			changed := slices.Clone(path)
			changed[rapid.IntRange(0, len(path)-1).Draw(t, "changed")][7] ^= 1
			wrong("a changed path", leaves, places, changed)
		}
		other := slices.Clone(leaves)
		other[rapid.IntRange(0, len(leaves)-1).Draw(t, "other")][0] ^= 1
		wrong("a changed leaf", other, places, path)
	})
}

func TestMultiPathRefusals(t *testing.T) {
	all := numbered(4)
	var tree Tree
	tree.Reset(all)
	for name, c := range map[string]struct {
		leaves []Hash
		at     []int
	}{
		"nothing":       {nil, nil},
		"a place short": {all[:2], []int{0}},
		"twice":         {[]Hash{all[1], all[1]}, []int{1, 1}},
		"descending":    {[]Hash{all[1], all[0]}, []int{1, 0}},
		"behind":        {all[:1], []int{4}},
	} {
		for n := range 4 {
			if _, err := RootFromMultiPath(c.leaves, c.at, 4, make([]Hash, n)); !errors.Is(err, ErrProof) {
				t.Errorf("%s with a path of %d: %v", name, n, err)
			}
		}
	}
	if path := tree.MultiPath(nil); path != nil {
		t.Errorf("a path for nothing: %x", path)
	}
}

// FuzzRootFromMultiPath: whatever comes, there is a root or ErrProof, and a
// root that is the tree's proves leaves of the tree.
func FuzzRootFromMultiPath(f *testing.F) {
	const count = 13
	all := numbered(count)
	var tree Tree
	tree.Reset(all)
	good := tree.MultiPath([]int{2, 3, 12})
	var path []byte
	for _, h := range good {
		path = append(path, h[:]...)
	}
	f.Add([]byte{2, 3, 12}, []byte{2, 3, 12}, path)
	f.Add([]byte{0}, []byte{0}, []byte{})
	f.Fuzz(func(t *testing.T, names, at, raw []byte) {
		var leaves []Hash
		for _, n := range names {
			leaves = append(leaves, Leaf(binary.BigEndian.AppendUint32(nil, uint32(n))))
		}
		var places []int
		for _, i := range at {
			places = append(places, int(i))
		}
		var path []Hash
		for ; len(raw) >= sha256.Size; raw = raw[sha256.Size:] {
			path = append(path, Hash(raw[:sha256.Size]))
		}
		root, err := RootFromMultiPath(leaves, places, count, path)
		if err != nil {
			if !errors.Is(err, ErrProof) {
				t.Fatal(err)
			}
			return
		}
		if root == tree.Root() && !slices.Equal(names, at) {
			t.Fatalf("leaves %v proven at %v", names, at)
		}
	})
}
