package merkle

// MultiPath is one path for several leaves: the hashes that whoever knows the
// leaves at the strictly ascending places at lacks for the root, level by level
// from the bottom, each level from left to right. The leaves must exist; for
// none there is no path.
func (t *Tree) MultiPath(at []int) []Hash {
	var out []Hash
	places := append([]int(nil), at...)
	for _, row := range t.levels {
		up := places[:0]
		for n := 0; n < len(places); n++ {
			i := places[n]
			switch sib := i ^ 1; {
			case sib >= len(row): // carried up, or the root
			case i%2 == 0 && n+1 < len(places) && places[n+1] == sib:
				n++
			default:
				out = append(out, row[sib])
			}
			up = append(up, i/2)
		}
		places = up
	}
	return out
}

// RootFromMultiPath is the root that a MultiPath leads to from the leaf hashes
// at the places at of count leaves. ErrProof where there is no leaf, where the
// places are not strictly ascending below count, or where the path has another
// length than they need.
func RootFromMultiPath(leaves []Hash, at []int, count int, path []Hash) (Hash, error) {
	if len(leaves) == 0 || len(leaves) != len(at) {
		return Hash{}, ErrProof
	}
	for n, i := range at {
		if i < 0 || i >= count || n > 0 && i <= at[n-1] {
			return Hash{}, ErrProof
		}
	}
	hashes, places := append([]Hash(nil), leaves...), append([]int(nil), at...)
	for last := count - 1; last > 0; last /= 2 {
		up := 0
		for n := 0; n < len(places); n, up = n+1, up+1 {
			i, h := places[n], hashes[n]
			switch {
			case i == last && i%2 == 0: // carried up
			case i%2 == 0 && n+1 < len(places) && places[n+1] == i+1:
				n++
				h = node(&h, &hashes[n])
			case len(path) == 0:
				return Hash{}, ErrProof
			case i%2 == 0:
				h, path = node(&h, &path[0]), path[1:]
			default:
				h, path = node(&path[0], &h), path[1:]
			}
			places[up], hashes[up] = i/2, h
		}
		places, hashes = places[:up], hashes[:up]
	}
	if len(path) != 0 {
		return Hash{}, ErrProof
	}
	return hashes[0], nil
}
