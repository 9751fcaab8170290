package table

import (
	"bytes"
	"errors"

	"tunic/internal/merkle"
	"tunic/internal/wire"
)

// ErrProof means that a membership does not show what it claims.
var ErrProof = errors.New("table: proof does not hold")

// maxRow bounds a row inside a proof.
const maxRow = 1 << 16

// Membership shows one key of a part of Count rows to be present (one row, its
// own) or absent (the neighbours on both sides, one at an edge, none if empty).
type Membership struct {
	Count  uint32
	Rows   []Row
	Places []merkle.Proof
}

// Verify checks m against a part's root and count and returns the value of key;
// ok is false where key is shown to be absent.
func (m Membership) Verify(root merkle.Hash, count uint32, key []byte) (value []byte, ok bool, err error) {
	if m.Count != count || len(m.Rows) != len(m.Places) || len(m.Rows) > 2 {
		return nil, false, ErrProof
	}
	for i, row := range m.Rows {
		if m.Places[i].Count != count || m.Places[i].Verify(root, row.LeafHash()) != nil {
			return nil, false, ErrProof
		}
	}
	if len(m.Rows) == 1 && bytes.Equal(m.Rows[0].Key, key) {
		return m.Rows[0].Value, true, nil
	}
	switch len(m.Rows) {
	case 0:
		if count != 0 || root != merkle.Empty() {
			return nil, false, ErrProof
		}
	case 1:
		c, at := bytes.Compare(key, m.Rows[0].Key), m.Places[0].Index
		if !(c < 0 && at == 0) && !(c > 0 && at == count-1) {
			return nil, false, ErrProof
		}
	case 2:
		if bytes.Compare(m.Rows[0].Key, key) >= 0 || bytes.Compare(key, m.Rows[1].Key) >= 0 ||
			m.Places[0].Index+1 != m.Places[1].Index {
			return nil, false, ErrProof
		}
	}
	return nil, false, nil
}

// AppendMembership appends m's canonical encoding.
func AppendMembership(b []byte, m Membership) []byte {
	b = wire.AppendUint32(b, m.Count)
	b = wire.AppendUint32(b, uint32(len(m.Rows)))
	for i, row := range m.Rows {
		b = wire.AppendBytes(b, row.Key)
		b = wire.AppendBytes(b, row.Value)
		b = merkle.AppendProof(b, m.Places[i])
	}
	return b
}

// ReadMembership reads what AppendMembership wrote.
func ReadMembership(r *wire.Reader) Membership {
	m := Membership{Count: r.Uint32()}
	n := r.Count(2, 8)
	for range n {
		m.Rows = append(m.Rows, Row{Key: r.Bytes(maxRow), Value: r.Bytes(maxRow)})
		m.Places = append(m.Places, merkle.ReadProof(r))
	}
	return m
}
