package light

import (
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/internal/wire"
	"tunic/registry/directory"
)

// ErrNode means that a proof is of another node than the one asked about.
var ErrNode = errors.New("light: proof of another node")

// Open makes a verifier of the bytes of a network file (docs/spec/genesis.md),
// which is all that it trusts. genesis.ErrGenesis where the file is malformed or
// was changed.
func Open(networkFile []byte) (*Verifier, error) {
	n, err := genesis.ParseNetwork(networkFile)
	if err != nil {
		return nil, fmt.Errorf("read network: %w", err)
	}
	return New(n)
}

// Found is what a verified proof shows of a node.
type Found struct {
	Node    chain.NodeID
	Header  chain.SealedHeader // that commits to it; its DirEpoch and Time say how old the answer is
	InList  bool               // it is in the list of that epoch
	Removed bool               // it is, and was removed since the epoch began
	Entry   directory.Entry    // zero unless InList
	Index   uint32             // of the entry in the list; 0 unless InList
}

// Listed reports whether the node is one to be used: in the list and not
// removed.
func (f Found) Listed() bool { return f.InList && !f.Removed }

// Entry verifies the answer of GET /v1/directory/{node}/proof in canonical
// bytes: a sealed header behind its 4-byte length, then a membership. It says
// whether node is in the list that the header commits to; both answers are
// proven. ErrNode where the proof is of another node; else the errors of Header
// and of directory.Membership.
//
// That an answer is of the present nobody can tell without a clock or a newer
// header: hold Found.Header's epoch against Network().EpochAt(now), or feed the
// headers to Accept.
func (v *Verifier) Entry(proof []byte, node chain.NodeID) (Found, error) {
	s, m, err := ReadProof(proof)
	if err != nil {
		return Found{}, err
	}
	if m.Node != node {
		return Found{}, fmt.Errorf("%w: of %s, not %s", ErrNode, m.Node, node)
	}
	if err := v.Header(s); err != nil {
		return Found{}, err
	}
	f := Found{Node: node, Header: s}
	if f.InList, err = m.Verify(s.Header); err != nil {
		return Found{}, err
	}
	if f.InList {
		f.Entry, f.Index, f.Removed = m.Entries[0], m.Places[0].Index, Removed(s.Header, node)
	}
	return f, nil
}

// Directory verifies the answer of GET /v1/directory in canonical bytes: a
// sealed header behind its 4-byte length, then the whole list. The list also has
// the nodes that the header's removals name.
func (v *Verifier) Directory(b []byte) (*directory.List, chain.SealedHeader, error) {
	s, l, err := ReadDirectory(b)
	if err == nil {
		err = v.ListAt(l, s)
	}
	if err != nil {
		return nil, chain.SealedHeader{}, err
	}
	return l, s, nil
}

// Delta verifies the answer of GET /v1/directory/delta in canonical bytes, and
// applies it to the list that it was made from: a sealed header behind its
// 4-byte length, then the delta. directory.ErrBase where from is another list.
func (v *Verifier) Delta(b []byte, from *directory.List) (*directory.List, chain.SealedHeader, error) {
	s, d, err := ReadDelta(b)
	if err != nil {
		return nil, chain.SealedHeader{}, err
	}
	if err := v.Header(s); err != nil { // before any work for a stranger
		return nil, chain.SealedHeader{}, err
	}
	l, err := d.Apply(from)
	if err == nil {
		err = l.Check(s.Header)
	}
	if err != nil {
		return nil, chain.SealedHeader{}, err
	}
	return l, s, nil
}

// ReadProof reads what Entry verifies and verifies nothing.
func ReadProof(b []byte) (chain.SealedHeader, directory.Membership, error) {
	return served(b, directory.DecodeMembership)
}

// ReadDirectory reads what Directory verifies and verifies nothing.
func ReadDirectory(b []byte) (chain.SealedHeader, *directory.List, error) {
	return served(b, directory.Decode)
}

// ReadDelta reads what Delta verifies and verifies nothing.
func ReadDelta(b []byte) (chain.SealedHeader, directory.Delta, error) {
	return served(b, directory.DecodeDelta)
}

// served reads the sealed header behind its length, and what is served with it.
func served[T any](b []byte, decode func([]byte) (T, error)) (s chain.SealedHeader, v T, err error) {
	r := wire.NewReader(b)
	head := r.Bytes(chain.MaxSealedHeader)
	if err := r.Err(); err != nil {
		return s, v, fmt.Errorf("%w: sealed header: %w", directory.ErrMalformed, err)
	}
	if s, err = chain.DecodeSealedHeader(head); err != nil {
		return s, v, fmt.Errorf("%w: %w", directory.ErrMalformed, err)
	}
	v, err = decode(r.Fixed(r.Len()))
	return s, v, err
}
