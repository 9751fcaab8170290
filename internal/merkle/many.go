package merkle

// Siblings are the hashes that, with the leaves at the strictly ascending
// positions at, give the root: level by level from the leaves, each level from
// the left. They are fewer than in as many paths, which share what they meet in.
func (t *Tree) Siblings(at []int) []Hash {
	var out []Hash
	rows := append([]int(nil), at...)
	for _, row := range t.levels {
		next := rows[:0]
		for n := 0; n < len(rows); n++ {
			i := rows[n]
			if sib := i ^ 1; n+1 < len(rows) && rows[n+1] == sib {
				n++
			} else if sib < len(row) {
				out = append(out, row[sib])
			}
			next = append(next, i/2)
		}
		rows = next
	}
	return out
}

// RootFromLeaves is the root that the leaf hashes at strictly ascending
// positions of count leaves lead to, with the siblings of Tree.Siblings. ErrProof
// if there are not exactly as many siblings as needed, or the positions are out
// of order or of the tree.
func RootFromLeaves(leaves []Hash, at []int, count int, siblings []Hash) (Hash, error) {
	if len(at) == 0 || len(leaves) != len(at) || at[0] < 0 || at[len(at)-1] >= count {
		return Hash{}, ErrProof
	}
	for n := 1; n < len(at); n++ {
		if at[n] <= at[n-1] {
			return Hash{}, ErrProof
		}
	}
	rows, hashes := append([]int(nil), at...), append([]Hash(nil), leaves...)
	for width := count; width > 1; width = (width + 1) / 2 {
		next := 0
		for n := 0; n < len(rows); n++ {
			i, h := rows[n], hashes[n]
			if sib := i ^ 1; sib < width {
				var other Hash
				switch {
				case n+1 < len(rows) && rows[n+1] == sib:
					n++
					other = hashes[n]
				case len(siblings) == 0:
					return Hash{}, ErrProof
				default:
					other, siblings = siblings[0], siblings[1:]
				}
				if i < sib {
					h = node(&h, &other)
				} else {
					h = node(&other, &h)
				}
			}
			rows[next], hashes[next] = i/2, h
			next++
		}
		rows, hashes = rows[:next], hashes[:next]
	}
	if len(siblings) != 0 {
		return Hash{}, ErrProof
	}
	return hashes[0], nil
}
