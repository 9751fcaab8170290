package merkle

import "tunic/internal/wire"

// Proof places one leaf in a tree of Count leaves.
type Proof struct {
	Index, Count uint32
	Path         []Hash
}

// Prove returns the proof for leaf i, which must exist.
func (t *Tree) Prove(i int) Proof {
	return Proof{Index: uint32(i), Count: uint32(t.Len()), Path: t.Path(i)}
}

// Verify checks that leaf stands where p says under root.
func (p Proof) Verify(root, leaf Hash) error {
	return Verify(root, leaf, uint64(p.Index), uint64(p.Count), p.Path)
}

// AppendProof appends p's canonical encoding.
func AppendProof(b []byte, p Proof) []byte {
	b = wire.AppendUint32(b, p.Index)
	b = wire.AppendUint32(b, p.Count)
	b = wire.AppendUint32(b, uint32(len(p.Path)))
	for i := range p.Path {
		b = append(b, p.Path[i][:]...)
	}
	return b
}

// ReadProof reads what AppendProof wrote.
func ReadProof(r *wire.Reader) Proof {
	p := Proof{Index: r.Uint32(), Count: r.Uint32()}
	n := r.Count(MaxPath, 32)
	for range n {
		p.Path = append(p.Path, Hash(r.Fixed(32)))
	}
	return p
}
