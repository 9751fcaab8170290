package merkle_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"

	"tunic/internal/merkle"
	"tunic/internal/testenv"
)

// naive is RFC 6962, section 2.1, as it is written.
func naive(l []merkle.Hash) merkle.Hash {
	switch len(l) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return l[0]
	}
	k := 1
	for k*2 < len(l) {
		k *= 2
	}
	a, b := naive(l[:k]), naive(l[k:])
	return sha256.Sum256(append(append([]byte{1}, a[:]...), b[:]...))
}

func leaves(n int) []merkle.Hash {
	l := make([]merkle.Hash, n)
	for i := range l {
		l[i] = merkle.Leaf(binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	return l
}

func TestRootAndPathsAgainstTheRFC(t *testing.T) {
	for n := 0; n < 70; n++ {
		l := leaves(n)
		root := naive(l)
		if merkle.Root(l) != root {
			t.Fatalf("%d leaves: root differs from RFC 6962", n)
		}
		var tree merkle.Tree
		tree.Reset(l)
		for i := range l {
			p := tree.Path(i)
			if err := merkle.Verify(root, l[i], uint64(i), uint64(n), p); err != nil {
				t.Fatalf("leaf %d of %d: %v", i, n, err)
			}
			for j := range n {
				if j != i && merkle.Verify(root, l[i], uint64(j), uint64(n), p) == nil {
					t.Fatalf("leaf %d of %d also verifies at %d", i, n, j)
				}
			}
			if merkle.Verify(root, l[i], uint64(i), uint64(n), append(p, root)) == nil {
				t.Fatalf("leaf %d of %d: a longer path verifies", i, n)
			}
			if len(p) > 0 && merkle.Verify(root, l[i], uint64(i), uint64(n), p[:len(p)-1]) == nil {
				t.Fatalf("leaf %d of %d: a shorter path verifies", i, n)
			}
		}
	}
}

// The root of the eight test leaves of Certificate Transparency's reference
// implementation (RFC 6962 test vectors as published with it).
func TestPublishedVector(t *testing.T) {
	in := []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	var l []merkle.Hash
	for _, s := range in {
		b, _ := hex.DecodeString(s)
		l = append(l, merkle.Leaf(b))
	}
	root := merkle.Root(l)
	if got := hex.EncodeToString(root[:]); got != "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" {
		t.Fatal(got)
	}
}

func TestUpdatesMatchARebuild(t *testing.T) {
	testenv.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 200).Draw(t, "n")
		l := leaves(n)
		var tree merkle.Tree
		tree.Reset(l)
		var at []int
		for i := range n {
			if rapid.IntRange(0, 3).Draw(t, "pick") == 0 {
				at = append(at, i)
			}
		}
		for _, i := range at {
			l[i] = merkle.Leaf([]byte{byte(i), 7})
		}
		tree.SetMany(at, func(k int) merkle.Hash { return l[at[k]] })
		if tree.Root() != merkle.Root(l) {
			t.Fatal("SetMany differs from a rebuild")
		}
		i := rapid.IntRange(0, n-1).Draw(t, "i")
		l[i] = merkle.Leaf([]byte("x"))
		tree.Set(i, l[i])
		if tree.Root() != merkle.Root(l) {
			t.Fatal("Set differs from a rebuild")
		}
	})
}

// TestLeafOfAnyLength: short leaves are hashed in one piece, long ones in parts.
func TestLeafOfAnyLength(t *testing.T) {
	data := make([]byte, 1100)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for n := range data {
		if want := sha256.Sum256(append([]byte{0}, data[:n]...)); merkle.Leaf(data[:n]) != want {
			t.Fatalf("the leaf of %d bytes is not SHA-256(00 | data)", n)
		}
	}
}

func TestRootOf(t *testing.T) {
	for n := range 300 {
		var leaves []merkle.Hash
		for i := range n {
			leaves = append(leaves, merkle.Leaf([]byte{byte(i), byte(i >> 8)}))
		}
		asked := 0
		got := merkle.RootOf(n, func(i int) merkle.Hash {
			if i != asked {
				t.Fatalf("%d leaves: asked for %d, not %d", n, i, asked)
			}
			asked++
			return leaves[i]
		})
		if got != merkle.Root(leaves) || asked != n {
			t.Fatalf("%d leaves: another root", n)
		}
	}
}
